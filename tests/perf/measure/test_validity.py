"""The reasons that make a run invalid: every rule at its limit, alone and together."""

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from include.perf.catalogue.scenario.load_profile import LoadProfile
from include.perf.measure.validity import load_notes, load_problems, server_problems
from include.perf.model.metric import METRICS, MetricValue, Unit
from include.perf.runs.figures import GeneratorFigures, LoadFigures, RefusedRequests, ServerFigures, Window
from tests.fakes.clock import START
from tests.records import generator_figures

LATENCIES = ("latency_p50", "latency_p95", "latency_p99")
LOAD = LoadProfile(rate_rps=100, duration_s=100)  # 10 000 arrivals in the measured part


def load_figures(generator: GeneratorFigures | None = None, **changes: Any) -> LoadFigures:
    made = LoadFigures(
        started_at=START,
        window=Window(start=START, end=START + timedelta(seconds=100)),
        due=10_000,
        sent=10_000,
        finished=9_000,
        failed=1_000,
        timed_out=0,
        unfinished=0,
        arrivals=16_000,
        rows=16_000,
        metrics={name: MetricValue(value=0.1, unit=Unit.SECONDS) for name in LATENCIES},
        endpoints=(),
        errors=(),
        generator=generator or generator_figures(),
    )
    return replace(made, **changes)


def test_a_failing_service_is_no_reason() -> None:
    """Measuring it is the purpose of a run: 90 % of the requests failed, and the figures are valid."""
    assert load_problems(LOAD, load_figures(finished=1_000, failed=9_000, timed_out=9_000)) == []


def test_a_service_that_no_longer_lets_the_load_in_is_a_reason() -> None:
    """More than 1 % of the requests: up to that, refusals are errors like others."""
    refusals = RefusedRequests(statuses=(401, 403), count=101, since_s=300.4)
    assert load_problems(LOAD, load_figures(refusals=refusals)) == [
        "the service refused 101 of 10000 requests with HTTP 401 and HTTP 403, from 300 s after the start of the load "
        "on: a token or a session ended, or access was withdrawn; have tokens renewed with login in services.yaml, or "
        "correct the connection, and start a new run"
    ]
    assert load_problems(LOAD, load_figures(refusals=replace(refusals, count=100))) == []


def test_a_run_at_every_limit_is_valid() -> None:
    """The limits themselves are allowed."""
    generator = generator_figures(
        schedule_lag_p99_s=0.010,
        wanted_cores=0.80,
        wait_ratio=0.25,
        steal_ratio=0.25,
        clock_step_s=-0.5,
        clock_uncertainty_s=0.010,
        clock_drift_s=0.1,
        distortion={"latency_p99": 0.005},  # half of 10 ms
    )
    assert load_problems(LOAD, load_figures(generator, due=9_990)) == []  # 99.9 % of 10 000


def test_a_short_latency_may_be_raised_by_half_of_its_minimum_effect() -> None:
    """The minimum effects are 2, 5 and 10 ms: a p99 that changes from 2 to 7 ms causes no alert."""
    lateness = {"latency_p50": 0.001, "latency_p95": 0.0025, "latency_p99": 0.005}
    metrics = {name: MetricValue(value=0.002 + raised, unit=Unit.SECONDS) for name, raised in lateness.items()}
    generator = generator_figures(distortion=lateness)
    assert load_problems(LOAD, load_figures(generator, metrics=metrics)) == []


@pytest.mark.parametrize("name", ["latency_p50", "latency_p95", "latency_p99"])
def test_lateness_makes_a_run_invalid_before_it_can_cause_a_deviation(name: str) -> None:
    """At any latency."""
    for own_s in (0.001, 0.01, 0.1, 1.0, 10.0):
        raised_s = METRICS[name].minimum_effect(baseline=own_s, is_provisional=False) * 0.51
        metrics = {name: MetricValue(value=own_s + raised_s, unit=Unit.SECONDS)}
        generator = generator_figures(distortion={name: raised_s})
        assert len(load_problems(LOAD, load_figures(generator, metrics=metrics))) == 1


def test_a_run_needs_enough_requests_for_a_99th_percentile() -> None:
    """0.99^299 is below 5 %, 0.99^298 is not."""
    load = LoadProfile(rate_rps=29.9, duration_s=10)
    assert load_problems(load, load_figures(due=299)) == []
    assert 0.99**299 < 0.05 < 0.99**298


@pytest.mark.parametrize(
    ("generator", "changes", "problem"),
    [
        ({"ended": "stopped by SIGTERM"}, {}, "the load ended early: stopped by SIGTERM; start a new run"),
        (
            {},
            {"rows": 15_999},
            "16000 requests were due but 15999 are in the record; the generator lost some; start a new run",
        ),
        (
            {},
            {"rows": 16_001},
            "16000 requests were due but 16001 are in the record; the generator lost some; start a new run",
        ),
        (  # 99.9 % of 10 000 = 9 990
            {},
            {"due": 9_989},
            "the generator released 9989 of 10000 arrivals (at least 99.9% are needed); "
            "give the generator a dedicated core, or request a lower rate",
        ),
        (
            {"schedule_lag_p99_s": 0.0101},
            {},
            "the generator released arrivals late: p99 10.1 ms (at most 10 ms); give the generator a dedicated core",
        ),
        (
            {"distortion": {"latency_p50": 0.001, "latency_p95": 0.02, "latency_p99": 0.0092}},
            {},  # half of 5 % of 80 ms is less than half of 5 ms; half of 10 % of 90.8 ms than half of 10 ms
            "the generator's own lateness raised p95 from 80.0 to 100.0 ms (at most by 2.5 ms), p99 from 90.8 to "
            "100.0 ms (at most by 5.0 ms), more than half of the minimum effect; "
            "give the generator a dedicated core",
        ),
        (
            {"wanted_cores": 0.81},
            {},
            "the generator was saturated: it needed 0.81 cores (at most 0.8 per worker); "
            "give the generator a dedicated core, or 2 workers, or request a lower rate",
        ),
        (
            {"wait_ratio": 0.26},
            {},
            "the machine was busy with something else: the generator waited for a processor 26% of the time "
            "(at most 25%); give the generator a dedicated core",
        ),
        (
            {"steal_ratio": 0.26},
            {},
            "the machine was busy with something else: its host gave 26% of its time to others (at most 25%); "
            "move the generator to a host that is not overbooked",
        ),
        (
            {"workers": 2, "lost_workers": (2,)},
            {"rows": 15_000},  # up to its last second: one reason only
            "worker 2 of 2 of the load generator was lost: it was killed, or the machine ran out of memory; "
            "start a new run",
        ),
        (
            {"workers": 3, "lost_workers": (2,), "hosts": ("load-a", "load-b", "load-c")},
            {"rows": 15_000},
            "worker 2 (on load-b) of 3 of the load generator was lost: it was killed, or the machine ran out of "
            "memory, or could not be reached; start a new run",
        ),
        (
            {"workers": 2, "hosts": ("a", "b"), "clock_uncertainty_s": 0.0123},
            {},
            "the clocks of master and workers could only be compared to ±12 ms (at most ±10 ms), so the workers did "
            "not follow one schedule; move them closer to each other in the network, or reduce its traffic",
        ),
        (
            {"workers": 2, "hosts": ("a", "b"), "clock_drift_s": 0.101},
            {},
            "the clock of a worker drifted from the master's by 101 ms during the run (at most 100 ms), so the workers "
            "did not follow one schedule; move it to a machine with a stable clock",
        ),
        (
            {"clock_step_s": 0.51},
            {},
            "the clock of this machine was set by +0.51 s during the run; start a new run once it is synchronized",
        ),
        (
            {"clock_step_s": -3600.0},
            {},
            "the clock of this machine was set by -3600.00 s during the run; start a new run once it is synchronized",
        ),
    ],
)
def test_every_reason_alone(generator: dict[str, Any], changes: dict[str, Any], problem: str) -> None:
    """Just beyond its limit a rule gives its reason, and no other rule does."""
    assert load_problems(LOAD, load_figures(generator_figures(**generator), **changes)) == [problem]


def test_an_arrival_may_be_several_requests() -> None:
    """Three requests each: the rows are those of the generator, and the rate is that of the arrivals."""
    figures = load_figures(due=30_000, sent=30_000, finished=29_000, rows=48_000, recorded=48_000)
    complete = replace(figures, measured_arrivals=10_000)
    assert load_problems(LOAD, complete) == []
    assert complete.achieved_rate_rps == 100.0
    (lost,) = load_problems(LOAD, replace(complete, rows=47_999))
    assert lost.startswith("48000 requests were due but 47999 are in the record")
    (late,) = load_problems(LOAD, replace(complete, measured_arrivals=9_989))
    assert late.startswith("the generator released 9989 of 10000 arrivals")


def test_unknown_processor_time_is_no_reason() -> None:
    """The kernel does not report it everywhere."""
    assert (
        load_problems(LOAD, load_figures(generator_figures(wanted_cores=None, wait_ratio=None, steal_ratio=None))) == []
    )


def test_every_reason_at_once() -> None:
    """A reason hides others only if it causes them."""
    generator = generator_figures(
        schedule_lag_p99_s=2.0,
        distortion={"latency_p50": 0.05},
        wanted_cores=1.3,
        wait_ratio=0.9,
        steal_ratio=0.5,
        clock_step_s=5.0,
    )
    problems = load_problems(LOAD, load_figures(generator, due=200, rows=1))
    assert [problem.split(":")[0][:30] for problem in problems] == [
        "16000 requests were due but 1 ",
        "the generator released 200 of ",
        "the run was too short",
        "the generator released arrival",
        "the generator's own lateness r",
        "the generator was saturated",
        "the machine was busy with some",
        "the machine was busy with some",
        "the clock of this machine was ",
    ]


def test_a_load_that_was_stopped_is_not_blamed_on_the_generator() -> None:
    """A stopped load sends less than planned; that is no separate reason."""
    generator = generator_figures(ended="stopped: error ratio 0.97 over the last 60 s is above 0.9 (stop_when)")
    for due in (0, 200, 9_989):
        assert load_problems(LOAD, load_figures(generator, due=due)) == [
            "the load ended early: stopped: error ratio 0.97 over the last 60 s is above 0.9 (stop_when); "
            "start a new run"
        ]


def test_a_load_that_varies_is_planned_by_its_curve() -> None:
    """Twice the rate over the measured part: 20 000 arrivals, of which 10 000 are half."""
    load = LoadProfile.model_validate({"rate_rps": 100, "duration_s": 100, "profile": [{"at_s": 0, "factor": 2}]})
    assert load_problems(load, load_figures(due=20_000)) == []
    assert load_problems(load, load_figures())[0].startswith("the generator released 10000 of 20000 arrivals")


def test_notes_change_nothing() -> None:
    """Waits for a free connection and missing answers are noted, and count in the figures."""
    figures = load_figures(generator_figures(capped=120), unfinished=4)
    assert load_problems(LOAD, figures) == []
    assert load_notes(figures) == [
        "120 arrivals waited because all connections were busy; their latency counts from their due time, "
        "but fewer requests were in flight than real users would have sent",
        "4 requests had no answer when the load ended; they count as failed",
    ]
    assert load_notes(load_figures()) == []


@pytest.mark.parametrize(
    ("coverage", "share"), [(1.0, None), (0.95, None), (0.949, "95%"), (0.8, "80%"), (0.0, "0%"), (None, "0%")]
)
def test_coverage(coverage: float | None, share: str | None) -> None:
    """95 % of the scrapes must have succeeded; an unknown share is not enough."""
    problems = server_problems(ServerFigures(coverage_ratio=coverage, metrics={}))
    sentence = (
        f"Prometheus has {share} of the service's scrapes in the measured window (at least 95% are needed); "
        "check the target in Prometheus and scrape_interval_s"
    )
    assert problems == ([] if share is None else [sentence])


def test_a_restarted_service_makes_the_run_invalid() -> None:
    """Also when nothing else is wrong; the time helps to find the cause in the log."""
    at = datetime(2026, 3, 2, 7, 47, 12, 900_000, tzinfo=timezone(timedelta(hours=1)))
    (problem,) = server_problems(ServerFigures(coverage_ratio=1.0, metrics={}, restarted_at=at))
    assert problem == (
        "a process of the service was started at 06:47:12 UTC, while it was measured: it had crashed, or was deployed "
        "or scaled; find out which, and start a new run"
    )


def test_a_problem_of_prometheus_is_the_only_reason() -> None:
    """Without scrapes the coverage is no separate reason."""
    assert server_problems(ServerFigures(coverage_ratio=None, metrics={}, problem="no scrapes")) == ["no scrapes"]
