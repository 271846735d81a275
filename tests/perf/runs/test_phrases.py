"""How a run is put into words: shifts, floors, baselines, and what is told first."""

from dataclasses import replace

import pytest

from include.perf.model.metric import METRICS
from include.perf.model.text import span
from include.perf.runs.phrases import baseline_of, change_of, distance, improved, minimum_effect_of, shift_of, worsened
from include.perf.runs.record import Severity, Shift, Verdict
from tests.records import baseline_reference, deviation, run_record

P95 = METRICS["latency_p95"]


@pytest.mark.parametrize(
    ("name", "shift", "words"),
    [
        ("latency_p95", Shift(ratio=0.45, absolute=0.019), "+45 %"),
        ("latency_p95", Shift(ratio=-0.032, absolute=-0.001), "−3.2 %"),
        ("latency_p95", Shift(ratio=11.0, absolute=0.4), "×12"),
        ("latency_p95", Shift(ratio=0.0, absolute=0.0), "+0.0 %"),
        ("error_rate", Shift(ratio=None, absolute=0.021), "+2.10 points"),
        ("disk_usage", Shift(ratio=-0.1, absolute=-0.04), "−4.00 points"),
        ("error_rate", Shift(ratio=-0.1, absolute=-0.00002), "+0.00 points"),  # nothing is not less than nothing
        ("latency_p95", Shift(ratio=-0.0002, absolute=-0.00001), "+0.0 %"),
        ("cpu_usage", Shift(ratio=None, absolute=0.4995), "+0.499 cores"),
        ("cpu_usage", Shift(ratio=None, absolute=0.0), "+0 cores"),
        ("unknown", Shift(ratio=None, absolute=-2.5), "−2.5"),
    ],
)
def test_a_shift_in_brief(name: str, shift: Shift, words: str) -> None:
    """As people read it: points of ratios, the unit from zero, times where it is many."""
    assert change_of(name, shift) == words


def test_the_shift_of_a_deviation_comes_first() -> None:
    """Then what the comparison found, then arithmetic for the records of earlier versions."""
    of_window = Shift(ratio=0.08, absolute=0.003, low=0.05, high=0.11)
    tonight = Shift(ratio=0.06, absolute=0.002, low=-0.01, high=0.13)
    record = run_record(shifts={"latency_p95": tonight, "cpu_usage": tonight})
    told = replace(record, deviations=(deviation("latency_p95", 0.0455, shift=of_window),))
    assert shift_of(told, "latency_p95") == of_window
    assert shift_of(record, "latency_p95") == tonight
    plain = shift_of(run_record(), "latency_p95")
    assert plain is not None
    assert (plain.ratio, plain.low) == (pytest.approx(0.0424 / 0.0421 - 1), None)


@pytest.mark.parametrize("verdict", [Verdict.INVALID, Verdict.NOT_COMPARABLE, Verdict.NO_BASELINE])
def test_what_was_not_compared_has_no_shift(verdict: Verdict) -> None:
    """Whatever is left in the record."""
    record = run_record(verdict=verdict, shifts={"latency_p95": Shift(ratio=1.0, absolute=0.04)})
    assert shift_of(record, "latency_p95") is None


@pytest.mark.parametrize(
    ("runs", "nights", "floor_s"),
    [
        (1, 0, 0.120),  # a record of an earlier version: 30 % of 400 ms after one run
        (1, 2, 0.120),
        (1, 3, 0.020),  # nights count, not the runs that somebody promoted: 5 %
        (14, 0, 0.020),
        (14, 34, 0.020),
    ],
)
def test_the_floor_goes_by_the_nights(runs: int, nights: int, floor_s: float) -> None:
    """Fewer than three tell nothing of how far runs differ."""
    held = baseline_reference(runs=runs, nights=nights, metrics={"latency_p95": 0.400})
    assert minimum_effect_of(P95, run_record(baseline=held)) == pytest.approx(floor_s)
    assert minimum_effect_of(METRICS["cpu_usage"], run_record(baseline=held)) is None
    assert minimum_effect_of(P95, run_record(baseline=None)) is None


@pytest.mark.parametrize(
    ("runs", "nights", "words"),
    [
        (14, 0, "version 3, approved, 14 runs"),
        (14, 14, "version 3, approved, 14 runs"),
        (14, 15, "version 3, approved, 14 runs and 1 night since"),
        (1, 21, "version 3, approved, 1 run and 20 nights since"),
        (14, 12, "version 3, approved, 14 runs"),  # older ones were left out of the reference
    ],
)
def test_a_baseline_in_words(runs: int, nights: int, words: str) -> None:
    """What it rests on, and what came since."""
    assert baseline_of(run_record(baseline=baseline_reference(runs=runs, nights=nights))) == words
    assert baseline_of(run_record(baseline=None)) == "none"


def test_what_is_not_sure_is_in_neither_list() -> None:
    """A suspicion makes no headline, and a lucky run is no improvement."""
    worse = deviation("latency_p95", 0.06, is_confirmed=False)
    better = deviation("latency_p50", 0.01, is_confirmed=False)
    record = run_record(deviations=(worse, better))
    assert (worsened(record), improved(record)) == ((), ())
    sure = replace(record, deviations=tuple(replace(each, is_confirmed=True) for each in (worse, better)))
    assert [each.metric for each in (*worsened(sure), *improved(sure))] == ["latency_p95", "latency_p50"]


def test_the_gravest_comes_first_then_what_users_feel() -> None:
    """A critical CPU before a warning latency; of two warnings the latency."""
    cpu = deviation("cpu_usage", 4.0, severity=Severity.WARNING)
    p95 = deviation("latency_p95", 0.05, severity=Severity.WARNING)
    assert [each.metric for each in worsened(run_record(deviations=(cpu, p95)))] == ["latency_p95", "cpu_usage"]
    grave = replace(cpu, severity=Severity.CRITICAL)
    assert [each.metric for each in worsened(run_record(deviations=(grave, p95)))] == ["cpu_usage", "latency_p95"]


def test_a_distance_names_the_level_it_was_held_to() -> None:
    """The deviation's own, which may be the anchor's."""
    moved = deviation("latency_p95", 0.48, baseline=0.4, shift=Shift(ratio=0.2, absolute=0.08))
    assert distance(moved) == "Latency p95 is 20 % above its baseline (480 ms, was 400 ms)"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (90, "90 s"),
        (119, "119 s"),
        (120, "2 min"),
        (150, "150 s"),
        (900, "15 min"),
        (3600, "1 h"),
        (5400, "1 h 30 min"),
    ],
)
def test_a_length_of_time(seconds: float, words: str) -> None:
    """As people say it."""
    assert span(seconds) == words
