"""What makes a run untrustworthy: each rule at its edge, alone and together."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from include.perf.run import GeneratorFigures, LoadFigures, ServerFigures, Window
from include.perf.scenario import LoadProfile
from include.perf.validity import load_notes, load_problems, server_problems
from tests.fakes import START
from tests.records import generator_figures

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
        metrics={},
        endpoints=(),
        errors=(),
        generator=generator or generator_figures(),
    )
    return replace(made, **changes)


def test_a_failing_service_is_no_reason() -> None:
    """That is what a run is for: 90 % of the requests failed, and the figures are sound."""
    assert load_problems(LOAD, load_figures(finished=1_000, failed=9_000, timed_out=9_000)) == []


def test_a_run_at_every_limit_is_valid() -> None:
    """Each limit itself is still allowed."""
    generator = generator_figures(schedule_lag_p99_s=0.010, wanted_cores=0.65, clock_step_s=-0.5)
    assert load_problems(LOAD, load_figures(generator, due=9_900)) == []  # 99 % of 10 000


@pytest.mark.parametrize(
    ("generator", "changes", "problem"),
    [
        ({"ended": "stopped by SIGTERM"}, {}, "the load ended early: stopped by SIGTERM; start a new run"),
        (
            {},
            {"rows": 15_999},
            "16000 requests were due but 15999 are in the record; the generator lost some, start a new run",
        ),
        (
            {},
            {"rows": 16_001},
            "16000 requests were due but 16001 are in the record; the generator lost some, start a new run",
        ),
        (  # 99 % of 10 000 = 9 900
            {},
            {"due": 9_899},
            "the generator released 9899 of 10000 arrivals (at least 99% are needed); give it a core of its own, "
            "or ask for a lower rate",
        ),
        (
            {"schedule_lag_p99_s": 0.0101},
            {},
            "the generator released arrivals late: p99 10.1 ms (at most 10 ms); give it a core of its own",
        ),
        (
            {"wanted_cores": 0.66},
            {},
            "the generator was saturated: it wanted 0.66 cores (at most 0.65); give it a core of its own, "
            "or ask for a lower rate",
        ),
        (
            {"clock_step_s": 0.51},
            {},
            "the clock of this machine was stepped by +0.51 s during the run; start a new run once it is steady",
        ),
        (
            {"clock_step_s": -3600.0},
            {},
            "the clock of this machine was stepped by -3600.00 s during the run; start a new run once it is steady",
        ),
    ],
)
def test_each_reason_alone(generator: dict[str, Any], changes: dict[str, Any], problem: str) -> None:
    """A hair beyond its limit each rule speaks, and only that rule."""
    assert load_problems(LOAD, load_figures(generator_figures(**generator), **changes)) == [problem]


def test_unknown_processor_time_is_no_reason() -> None:
    """Where the kernel does not tell, nothing is concluded from it."""
    assert load_problems(LOAD, load_figures(generator_figures(wanted_cores=None))) == []


def test_every_reason_at_once() -> None:
    """Nothing hides anything else."""
    generator = generator_figures(ended="stopped", schedule_lag_p99_s=2.0, wanted_cores=1.3, clock_step_s=5.0)
    problems = load_problems(LOAD, load_figures(generator, due=5_000, rows=1))
    assert [problem.split(":")[0][:30] for problem in problems] == [
        "the load ended early",
        "16000 requests were due but 1 ",
        "the generator released 5000 of",
        "the generator released arrival",
        "the generator was saturated",
        "the clock of this machine was ",
    ]


def test_notes_change_nothing() -> None:
    """Waiting for a free connection and answers that never came are told, and count in the figures."""
    figures = load_figures(generator_figures(capped=120), unfinished=4)
    assert load_problems(LOAD, figures) == []
    assert load_notes(figures) == [
        "120 arrivals found all connections busy and waited; their latency counts from when they were due, "
        "but fewer requests were in flight at once than users would have sent",
        "4 requests had no answer when the load ended; they count as failed",
    ]
    assert load_notes(load_figures()) == []


@pytest.mark.parametrize(
    ("coverage", "share"), [(1.0, None), (0.95, None), (0.949, "95%"), (0.8, "80%"), (0.0, "0%"), (None, "0%")]
)
def test_coverage(coverage: float | None, share: str | None) -> None:
    """95 % of the scrapes must be there; not to know is not enough."""
    problems = server_problems(ServerFigures(coverage_ratio=coverage, metrics={}))
    sentence = (
        f"Prometheus has {share} of the service's scrapes in the measured window (at least 95% are needed); "
        "check the target in Prometheus and scrape_interval_s"
    )
    assert problems == ([] if share is None else [sentence])


def test_what_the_scrape_ran_into_stands_alone() -> None:
    """A Prometheus without scrapes has no coverage to complain about besides."""
    assert server_problems(ServerFigures(coverage_ratio=None, metrics={}, problem="no scrapes")) == ["no scrapes"]
