"""An entry: its values, its state by runs, approver and age, and what a run contributes."""

import random
import statistics
from dataclasses import replace
from datetime import timedelta

import pytest

from include.perf.baselines.baselines import Baselines
from include.perf.baselines.entry import BaselineRun, State, contribution
from tests.baselines import AT, SCENARIO, SERVICE, approval, entry_of, run, with_runs
from tests.records import HEALTHY_METRICS, load_summary


@pytest.mark.parametrize(
    ("runs", "state"),
    [
        (1, State.PROVISIONAL),
        (2, State.PROVISIONAL),
        (3, State.CANDIDATE),
        (9, State.CANDIDATE),
        (10, State.APPROVED),
        (45, State.APPROVED),
    ],
)
def test_state_by_number_of_runs(runs: int, state: State) -> None:
    """Three runs make a candidate; ten runs and a person make an approved baseline."""
    entry = with_runs(runs).get(SERVICE, SCENARIO)
    assert entry is not None
    assert (entry.state, len(entry.runs)) == (state, runs)


@pytest.mark.parametrize(
    ("by", "state"),
    [
        ("ana", State.APPROVED),
        ("", State.CANDIDATE),
        ("unknown", State.CANDIDATE),
        ("schedule", State.CANDIDATE),
        ("airflow (manual__2026-03-02)", State.CANDIDATE),
    ],
)
def test_only_a_person_approves(by: str, state: State) -> None:
    """Ten runs that a schedule promoted are a candidate."""
    baselines = with_runs(9)
    assert baselines.promote(run("r10"), approval=approval(by=by)).state is state


def test_the_reference_in_a_record() -> None:
    """Version, state, runs, date and values: enough to read a report without the file."""
    entry = entry_of(with_runs(3))
    reference = entry.reference(AT)
    assert (reference.version, reference.state, reference.runs, reference.approved_at) == (3, "candidate", 3, AT)
    assert reference.metrics == entry.metrics


def test_what_a_run_contributes() -> None:
    """The judged medians instead of its own figures, the requests, and the platform part of the night."""
    record = run(
        "r1",
        judged={"latency_p95": 0.041},
        platform={"latency_p95": 0.02},
        within_run={"latency_p95": 0.08},
        deploy_version="2.4.1",
    )
    assert contribution(record) == BaselineRun(
        run_id="r1",
        metrics=HEALTHY_METRICS | {"latency_p95": 0.041},
        at=record.started_at,
        due=450_000,
        failed=135,
        platform={"latency_p95": 0.02},
        within_run={"latency_p95": 0.08},
        deploy_version="2.4.1",
    )


@pytest.mark.parametrize(
    ("days", "state", "is_due"),
    [
        (91, State.CANDIDATE, False),
        (92, State.CANDIDATE, True),  # a quarter
        (183, State.CANDIDATE, True),
        (184, State.STALE, True),  # two quarters
    ],
)
def test_review_and_expiry(days: int, state: State, is_due: bool) -> None:
    """After a quarter the review is due, after two the baseline is stale; reading it does not change it."""
    entry = entry_of(with_runs(3))
    moment = AT + timedelta(days=days)
    assert (entry.state_at(moment), entry.is_due_for_review(moment)) == (state, is_due)
    assert (entry.reference(moment).state, entry.state) == (state.value, State.CANDIDATE)


def test_a_promotion_renews_it() -> None:
    """The quarter counts from the last approval."""
    baselines = with_runs(3)
    later = AT + timedelta(days=100)
    entry = baselines.promote(run("r4"), approval=approval(at=later))
    assert (entry.review_by, entry.expires_at) == (later + timedelta(days=92), later + timedelta(days=184))


def test_the_start_of_a_baseline() -> None:
    """It is the start of its first run; runs of an earlier file version have none."""
    first = run("r1").started_at
    baselines = Baselines()
    for number in (3, 1, 2):
        baselines.promote(run(f"r{number}", started_at=first + timedelta(days=number)), approval=approval())
    entry = entry_of(baselines)
    assert entry.since == first + timedelta(days=1)
    assert replace(entry, runs=tuple(replace(made, at=None) for made in entry.runs)).since is None


def test_the_baseline_is_the_median_for_any_runs() -> None:
    """From 1 to 12 seeded runs."""
    source = random.Random(2)
    for count in range(1, 13):
        values = [source.uniform(0.001, 1.0) for _ in range(count)]
        baselines = Baselines()
        for number, value in enumerate(values):
            entry = baselines.promote(run(f"r{number}", p95=value), approval=approval())
        assert entry.metrics["latency_p95"] == statistics.median(values)


def test_a_metric_without_a_value_is_left_out() -> None:
    """No data is not zero; the median is over the runs that have the metric."""
    baselines = Baselines()
    for run_id, p95 in (("r1", 0.040), ("r2", "no request was answered"), ("r3", 0.050)):
        entry = baselines.promote(run(run_id, p95=p95), approval=approval())
    assert entry.metrics["latency_p95"] == pytest.approx(0.045)  # (40 + 50) / 2
    assert "latency_p95" not in entry.runs[1].metrics


def test_failures_of_a_night_with_re_runs_are_those_of_the_median() -> None:
    """The first run had 5 % of 100 000, the median 0.1 %: later nights are compared with 100 failures."""
    load = load_summary(due=100_000, failed=5_000)
    assert contribution(run("r1", load=load)).failed == 5_000
    assert contribution(run("r1", load=load, judged={"error_rate": 0.001})).failed == 100
    assert contribution(run("r1", load=load, judged={"latency_p95": 0.04})).failed == 5_000
