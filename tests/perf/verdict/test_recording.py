"""The results of the stages of a run: the order of reasons, and the record."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from include.perf.catalogue.scenario.load_profile import LoadProfile
from include.perf.model.errors import BaselineError
from include.perf.model.metric import METRICS, MetricValue
from include.perf.runs.figures import Stall
from include.perf.runs.record import RunRecord, Shift, Verdict
from include.perf.runs.stage_files import Begun, ConcurrentLoads, Deployed, FingerprintParts, StageFiles
from include.perf.verdict.comparison import Comparison
from include.perf.verdict.recording import StageResults, baseline_reference, gather, record_of
from tests.fakes.clock import START
from tests.nights import baseline_of, day
from tests.records import deviation, generator_figures, metric_values
from tests.stages import BESIDE, CLIENT, DOWN, FIGURES, HALTED, LOAD, SCRAPED, SPEC, planned

PASSED = Comparison(verdict=Verdict.PASS, reasons=("all is well",))


@pytest.fixture
def files() -> StageFiles:
    """A run that has only its plan."""
    return planned()


def recorded(files: StageFiles, comparison: Comparison = PASSED, **changes: Any) -> RunRecord:
    """Return the record of a run's files."""
    return record_of(gather(files), comparison, **({"baseline": None, "versions": {}} | changes))


def complete(**changes: Any) -> StageResults:
    """Return a complete run."""
    files = planned(**changes)
    files.load.write(FIGURES)
    files.server.write(SCRAPED)
    files.fingerprint.write(FingerprintParts(parts={"data": "sha256:1"}))
    return gather(files)


def test_a_complete_run(files: StageFiles) -> None:
    """Every figure of the stages is in the record, with requested and achieved rate."""
    files.load.write(FIGURES)
    files.server.write(SCRAPED)
    files.fingerprint.write(FingerprintParts(parts={"data": "sha256:1"}))
    files.deployed.write(Deployed(before=None, after="2.4.1"))
    record = recorded(files, versions={"python": "3.11"})
    assert (record.verdict, record.reasons, record.validity) == (Verdict.PASS, ("all is well",), ())
    assert (record.started_at, record.window) == (FIGURES.started_at, FIGURES.window)
    assert (record.load.requested_rate_rps, record.load.achieved_rate_rps) == (20, 39)  # 390 sent in 10 s
    assert (record.load.duration_s, record.load.warmup_s) == (10, 5)
    assert (record.load.due, record.load.sent, record.load.finished, record.load.failed) == (400, 390, 380, 20)
    assert (record.load.timed_out, record.load.unfinished) == (4, 3)
    assert record.metrics == metric_values()
    assert list(record.metrics) == list(METRICS)
    assert record.notes == ("3 requests had no answer when the load ended; they count as failed",)
    assert (record.provenance.triggered_by, record.provenance.reason) == ("ana", "first baseline")
    assert record.provenance.update_baseline
    assert record.provenance.versions == {"python": "3.11"}
    assert (record.fingerprint, record.deploy_version) == ({"data": "sha256:1"}, "2.4.1")
    assert (record.reruns, record.rerun_of, record.within_run) == ((), None, {})


def test_stalls_are_in_the_record(files: StageFiles) -> None:
    """They change no verdict, because their latency is in the percentiles."""
    stalls = (Stall(start_s=300.2, duration_s=4.2),)
    files.load.write(replace(FIGURES, stalls=stalls))
    files.server.write(SCRAPED)
    record = recorded(files)
    assert (record.stalls, record.verdict, record.validity) == (stalls, Verdict.PASS, ())
    assert recorded(planned()).stalls == ()


def test_concurrent_loads_are_noted(files: StageFiles) -> None:
    """After the notes of the load itself, without an effect on verdict and validity."""
    files.load.write(FIGURES)
    files.server.write(SCRAPED)
    files.concurrent.write(
        ConcurrentLoads(loads=(BESIDE, replace(BESIDE, run_id="r9", service="engine", rate_rps=0.5)))
    )
    record = recorded(files)
    assert record.notes == (
        "3 requests had no answer when the load ended; they count as failed",
        "rates-service was also under load at the start (overnight_processing, 50/s, run r0)",
        "engine was also under load at the start (overnight_processing, 0.5/s, run r9)",
    )
    assert (record.verdict, record.validity) == (Verdict.PASS, ())


def test_concurrent_loads_without_figures_are_not_noted(files: StageFiles) -> None:
    """There are no figures that they could have affected."""
    files.concurrent.write(ConcurrentLoads(loads=(BESIDE,)))
    assert recorded(files).notes == ()


def test_the_comparison_is_in_the_record(files: StageFiles) -> None:
    """With everything that the verdict is based on."""
    slower = deviation("latency_p95", 0.06)
    comparison = Comparison(
        verdict=Verdict.REGRESSION,
        reasons=("slower",),
        deviations=(slower,),
        shifts={"latency_p95": slower.shift, "cpu_usage": Shift(ratio=0.01, absolute=0.02)},
        judged={"latency_p95": 0.06},
        platform={"latency_p95": 0.02},
    )
    files.load.write(replace(FIGURES, within_run={"latency_p95": 0.03}))
    record = recorded(files, comparison, reruns=("r2", "r3"))
    assert (record.verdict, record.deviations, record.shifts) == (Verdict.REGRESSION, (slower,), comparison.shifts)
    assert (record.judged, record.platform) == ({"latency_p95": 0.06}, {"latency_p95": 0.02})
    assert (record.reruns, record.within_run) == (("r2", "r3"), {"latency_p95": 0.03})


def test_the_record_of_a_re_run_names_the_first_run() -> None:
    """It is in the plan of the re-run."""
    assert recorded(planned(run_id="r2", rerun_of="r1")).rerun_of == "r1"


def test_the_reference_is_what_the_run_was_compared_with() -> None:
    """Centre and number of the nights; the baseline's own value for a metric that was not compared."""
    baseline = baseline_of()
    comparison = replace(PASSED, reference={"latency_p95": 0.41}, nights=17, since=day(-3))
    found = baseline_reference(baseline, comparison, now=day(20))
    assert found is not None
    assert found.metrics == {**baseline.metrics, "latency_p95": 0.41}
    assert (found.nights, found.since, found.runs, found.version, found.state) == (17, day(-3), 10, 3, "approved")


def test_the_reference_of_a_run_that_was_not_compared() -> None:
    """The current baseline; stale after its expiry."""
    baseline = baseline_of()
    invalid = Comparison(verdict=Verdict.INVALID, reasons=("late",))
    assert baseline_reference(baseline, invalid, now=day(20)) == baseline.reference(day(20))
    expired = baseline_reference(baseline, invalid, now=baseline.expires_at)
    assert expired is not None
    assert expired.state == "stale"
    assert baseline_reference(None, PASSED, now=day(20)) is None


def test_a_varying_rate_is_recorded_with_mean_and_curve(files: StageFiles) -> None:
    """From 3 × to 1 × 20/s over 10 s, after a ramp of 2 s in 5 s of warm-up: 40/s on average."""
    profile = [{"at_s": 0, "factor": 3}, {"at_s": 10, "factor": 1}]
    load = LoadProfile.model_validate(LOAD.model_dump() | {"ramp_s": 2, "profile": profile})
    files.spec.write(replace(SPEC, load=load))
    summary = recorded(files).load
    assert summary.requested_rate_rps == pytest.approx(40.0)
    assert summary.peak_rate_rps == 60.0
    assert [(point.at_s, point.rate_rps, point.by.value) for point in summary.requested_curve] == [
        (0, 0, "line"),
        (2, 20, "line"),
        (5, 60, "step"),
        (15, 20, "line"),
    ]


def test_a_missing_metric_keeps_its_reason(files: StageFiles) -> None:
    """The specific reason of the stage, not a general one."""
    lost = MetricValue(value=None, unit=METRICS["latency_p99"].unit, reason="no request was answered")
    files.load.write(replace(FIGURES, metrics=CLIENT | {"latency_p99": lost}))
    assert gather(files).metrics["latency_p99"] == lost


BROKEN = BaselineError("b.json is broken")
LATE = replace(FIGURES, generator=generator_figures(schedule_lag_p99_s=0.05))
FEW = replace(SCRAPED, coverage_ratio=0.5)
LATE_WORDS = "the generator released arrivals late: p99 50.0 ms (at most 10 ms); give the generator a dedicated core"
FEW_WORDS = (
    "Prometheus has 50% of the service's scrapes in the measured window (at least 95% are needed); "
    "check the target in Prometheus and scrape_interval_s"
)
BROKEN_WORDS = "the baselines could not be read: b.json is broken"
NEVER_BEGUN_WORDS = (
    "the load left no figures: no task of this run began: Airflow could not start one, or ended it before; see the "
    "events of its tasks"
)
NOT_SENT_WORDS = (
    "the load left no figures: the task run_load never began; the last one that did was preflight at 2026-03-02 "
    "06:30:00 UTC: Airflow ended it or could not start the next one; see the events of both tasks"
)
KILLED_WORDS = (
    "the load left no figures: the task run_load was killed or stopped, and no later try of it began; see its log and "
    "its events"
)
UNASKED_WORDS = (
    "Prometheus was not queried: the task scrape was killed or stopped, and no later try of it began; see its log and "
    "its events"
)

Parts = dict[str, Any]
CASES: list[tuple[Parts, Verdict | None, list[str]]] = [
    ({}, Verdict.INVALID, [NEVER_BEGUN_WORDS]),
    ({"begun": "preflight"}, Verdict.INVALID, [NOT_SENT_WORDS]),
    ({"begun": "run_load"}, Verdict.INVALID, [KILLED_WORDS]),
    ({"ended": HALTED}, Verdict.SKIPPED, ["load is halted"]),
    ({"ended": DOWN}, Verdict.INVALID, ["the target is down"]),
    ({"ended": HALTED, "problem": BROKEN}, Verdict.SKIPPED, ["load is halted", BROKEN_WORDS]),
    ({"load": FIGURES, "begun": "scrape"}, Verdict.INVALID, [UNASKED_WORDS]),
    ({"load": FIGURES, "ended": replace(DOWN, stage="scrape")}, Verdict.INVALID, ["the target is down"]),
    ({"load": FIGURES, "server": SCRAPED}, None, []),
    ({"load": LATE, "server": FEW, "problem": BROKEN}, Verdict.INVALID, [LATE_WORDS, FEW_WORDS, BROKEN_WORDS]),
    ({"load": FIGURES, "server": SCRAPED, "problem": BROKEN}, Verdict.INVALID, [BROKEN_WORDS]),
    (
        {"load": LATE, "ended": replace(DOWN, stage="scrape")},
        Verdict.INVALID,
        ["the target is down", LATE_WORDS],
    ),
]


@pytest.mark.parametrize(("parts", "verdict", "validity"), CASES)
def test_skipped_invalid_or_valid(
    files: StageFiles, parts: Parts, verdict: Verdict | None, validity: list[str]
) -> None:
    """Skipped wins over invalid; every reason is kept, in the order of the stages."""
    writers: dict[str, Callable[[Any], None]] = {
        "ended": files.end.write,
        "load": files.load.write,
        "server": files.server.write,
    }
    for name, write in writers.items():
        if name in parts:
            write(parts[name])
    if "begun" in parts:
        files.begun.write(Begun(stage=parts["begun"], at=START))
    run = gather(files, problem=parts.get("problem"))
    assert (run.is_valid, list(run.validity)) == (verdict is None, validity)
    if verdict is not None:
        comparison = run.without_verdict()
        assert comparison.verdict is verdict
        assert comparison.reasons == (tuple(validity) if verdict is Verdict.INVALID else ("load is halted",))


# Deployments


@pytest.mark.parametrize(
    ("before", "after", "is_valid"),
    [
        ("2.4.0", "2.4.0", True),
        ("2.4.0", "2.4.1", False),
        (None, "2.4.1", True),  # unknown before the load
        ("2.4.0", None, True),
        (None, None, True),
    ],
)
def test_a_deployment_during_the_run(before: str | None, after: str | None, is_valid: bool) -> None:
    """Figures of two versions are invalid; an unknown version is not a reason to discard them."""
    files = planned()
    files.load.write(FIGURES)
    files.server.write(SCRAPED)
    files.deployed.write(Deployed(before=before, after=after))
    words = ("the service was deployed during the run: version 2.4.0 before the load, 2.4.1 after it; start a new run",)
    assert gather(files).validity == (() if is_valid else words)


# Re-runs


def test_a_re_run_of_the_same_keeps_its_validity() -> None:
    """Nothing is added; an invalid re-run keeps its own reasons."""
    first, again = complete(), complete(run_id="r2", rerun_of="r1")
    assert again.as_rerun_of(first) == again
    late = gather(planned(run_id="r2", rerun_of="r1"))
    assert late.as_rerun_of(first) == late


def test_a_re_run_after_a_change_is_invalid() -> None:
    """Data and deploy version changed between the runs, so a median would be meaningless."""
    first = replace(complete(), deployed=Deployed(before=None, after="2.4.0"))
    again = replace(
        complete(run_id="r2", rerun_of="r1"),
        fingerprint={"data": "sha256:2"},
        deployed=Deployed(before="2.4.1", after="2.4.1"),
    )
    assert again.as_rerun_of(first).validity == (
        "the data changed since run r1, which this run repeats",
        "the service was deployed since run r1, which this run repeats: 2.4.0 then, 2.4.1 now",
    )
    unknown = replace(first, deployed=Deployed(before=None, after=None))
    assert again.as_rerun_of(unknown).validity == ("the data changed since run r1, which this run repeats",)


def test_the_figures_for_a_comparison() -> None:
    """The counts are those of the client; a run without a load has none."""
    run = complete()
    assert (run.measured().run_id, run.measured().due, run.measured().failed) == ("r1", 400, 20)
    assert run.started_at == SPEC.created_at + timedelta(seconds=1)
    nothing = gather(planned())
    assert (nothing.measured().due, nothing.measured().failed, nothing.started_at) == (None, None, SPEC.created_at)
