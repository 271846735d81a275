"""Sentences about a run: shifts, minimum effects, baselines, and the order of deviations."""

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
        ("error_rate", Shift(ratio=-0.1, absolute=-0.00002), "+0.00 points"),  # never −0.00
        ("latency_p95", Shift(ratio=-0.0002, absolute=-0.00001), "+0.0 %"),
        ("cpu_usage", Shift(ratio=None, absolute=0.4995), "+0.499 cores"),
        ("cpu_usage", Shift(ratio=None, absolute=0.0), "+0 cores"),
        ("unknown", Shift(ratio=None, absolute=-2.5), "−2.5"),
    ],
)
def test_a_shift_is_formatted(name: str, shift: Shift, words: str) -> None:
    """Points for ratios, the unit if the baseline is zero, and a factor for large changes."""
    assert change_of(name, shift) == words


def test_the_shift_of_a_deviation_comes_first() -> None:
    """Then that of the comparison, then a computed one for records of earlier versions."""
    of_window = Shift(ratio=0.08, absolute=0.003, low=0.05, high=0.11)
    tonight = Shift(ratio=0.06, absolute=0.002, low=-0.01, high=0.13)
    record = run_record(shifts={"latency_p95": tonight, "cpu_usage": tonight})
    changed = replace(record, deviations=(deviation("latency_p95", 0.0455, shift=of_window),))
    assert shift_of(changed, "latency_p95") == of_window
    assert shift_of(record, "latency_p95") == tonight
    plain = shift_of(run_record(), "latency_p95")
    assert plain is not None
    assert (plain.ratio, plain.low) == (pytest.approx(0.0424 / 0.0421 - 1), None)


@pytest.mark.parametrize("verdict", [Verdict.INVALID, Verdict.NOT_COMPARABLE, Verdict.NO_BASELINE])
def test_what_was_not_compared_has_no_shift(verdict: Verdict) -> None:
    """Values in the record are ignored."""
    record = run_record(verdict=verdict, shifts={"latency_p95": Shift(ratio=1.0, absolute=0.04)})
    assert shift_of(record, "latency_p95") is None


@pytest.mark.parametrize(
    ("runs", "nights", "effect_s"),
    [
        (1, 0, 0.120),  # a record of an earlier version: 30 % of 400 ms after one run
        (1, 2, 0.120),
        (1, 3, 0.020),  # nights count, not the promoted runs: 5 %
        (14, 0, 0.020),
        (14, 34, 0.020),
    ],
)
def test_the_minimum_effect_depends_on_the_nights(runs: int, nights: int, effect_s: float) -> None:
    """Fewer than three nights do not show how much runs vary."""
    reference = baseline_reference(runs=runs, nights=nights, metrics={"latency_p95": 0.400})
    assert minimum_effect_of(P95, run_record(baseline=reference)) == pytest.approx(effect_s)
    assert minimum_effect_of(METRICS["cpu_usage"], run_record(baseline=reference)) is None
    assert minimum_effect_of(P95, run_record(baseline=None)) is None


@pytest.mark.parametrize(
    ("runs", "nights", "words"),
    [
        (14, 0, "version 3, approved, 14 runs"),
        (14, 14, "version 3, approved, 14 runs"),
        (14, 15, "version 3, approved, 14 runs and 1 night since"),
        (1, 21, "version 3, approved, 1 run and 20 nights since"),
        (14, 12, "version 3, approved, 14 runs"),  # older ones are not part of the comparison
    ],
)
def test_a_baseline_in_words(runs: int, nights: int, words: str) -> None:
    """The runs it consists of, and the nights since."""
    assert baseline_of(run_record(baseline=baseline_reference(runs=runs, nights=nights))) == words
    assert baseline_of(run_record(baseline=None)) == "none"


def test_suspicions_are_in_neither_list() -> None:
    """Only confirmed deviations are reported, for the worse or the better."""
    worse = deviation("latency_p95", 0.06, is_confirmed=False)
    better = deviation("latency_p50", 0.01, is_confirmed=False)
    record = run_record(deviations=(worse, better))
    assert (worsened(record), improved(record)) == ((), ())
    confirmed = replace(
        record, deviations=tuple(replace(deviation, is_confirmed=True) for deviation in (worse, better))
    )
    assert [found.metric for found in (*worsened(confirmed), *improved(confirmed))] == ["latency_p95", "latency_p50"]


def test_deviations_are_ordered_by_severity_then_by_source() -> None:
    """A critical CPU before a warning latency; of two warnings the latency."""
    cpu = deviation("cpu_usage", 4.0, severity=Severity.WARNING)
    p95 = deviation("latency_p95", 0.05, severity=Severity.WARNING)
    assert [found.metric for found in worsened(run_record(deviations=(cpu, p95)))] == ["latency_p95", "cpu_usage"]
    grave = replace(cpu, severity=Severity.CRITICAL)
    assert [found.metric for found in worsened(run_record(deviations=(grave, p95)))] == ["cpu_usage", "latency_p95"]


def test_a_distance_names_its_baseline() -> None:
    """The baseline of the deviation itself, which may be the anchor."""
    found = deviation("latency_p95", 0.48, baseline=0.4, shift=Shift(ratio=0.2, absolute=0.08))
    assert distance(found) == "Latency p95 is 20 % above its baseline (480 ms, was 400 ms)"


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
def test_a_duration(seconds: float, words: str) -> None:
    """Short ones are in seconds, long ones in minutes and hours."""
    assert span(seconds) == words
