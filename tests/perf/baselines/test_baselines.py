"""Baselines: which run is added to one, which starts a new one, and which is refused."""

from dataclasses import replace

import pytest

from include.perf.baselines.baselines import MAX_RUNS, Baselines
from include.perf.baselines.entry import State, contribution
from include.perf.baselines.file_format import format_baselines
from include.perf.model.errors import BaselineError
from include.perf.model.metric import METRICS
from include.perf.runs.record import RunRecord, Verdict
from tests.baselines import AT, SCENARIO, SERVICE, approval, entry_of, run, with_runs
from tests.records import (
    BASELINE_METRICS,
    HEALTHY_METRICS,
    baseline_reference,
    deviation,
    exceeded_limit,
    metric_values,
    over_limit_record,
    record_of,
    run_record,
)


def test_the_first_run_starts_a_baseline() -> None:
    """It is version 1, provisional, with the figures of the run."""
    entry = Baselines().promote(run("r1", Verdict.NO_BASELINE), approval=approval())
    assert (entry.version, entry.state, entry.previous) == (1, State.PROVISIONAL, ())
    assert entry.metrics == HEALTHY_METRICS | {"latency_p95": 0.040}
    assert [made.run_id for made in entry.runs] == ["r1"]
    assert entry.fingerprint == run("r1").fingerprint
    assert (entry.approval.by, entry.approval.at, entry.approval.reason) == ("ana", AT, "release 12")


def test_a_pass_with_the_same_fingerprint_strengthens() -> None:
    """The baseline is the median over all runs, for every metric."""
    baselines = Baselines()
    for run_id, p95 in (("r1", 0.040), ("r2", 0.050), ("r3", 0.042)):
        entry = baselines.promote(run(run_id, p95=p95), approval=approval())
    assert entry.metrics["latency_p95"] == 0.042  # the middle of 40, 42, 50
    assert [made.run_id for made in entry.runs] == ["r1", "r2", "r3"]
    assert entry.version == 3


def test_the_oldest_runs_drop_out() -> None:
    """A baseline has at most 45 runs: the 46th replaces the first."""
    entry = with_runs(MAX_RUNS + 1).get(SERVICE, SCENARIO)
    assert entry is not None
    assert [entry.runs[0].run_id, entry.runs[-1].run_id, len(entry.runs)] == ["r2", "r46", 45]
    assert entry.metrics["latency_p95"] == 0.024  # the middle of 2 … 46 ms


@pytest.mark.parametrize(
    ("verdict", "fingerprint", "is_forced"),
    [
        (Verdict.IMPROVEMENT, "same", False),
        (Verdict.NO_BASELINE, "same", True),
        (Verdict.REGRESSION, "same", True),
        (Verdict.NOT_COMPARABLE, "other", True),
        (Verdict.PASS, "other", True),
        (Verdict.PASS, "same", True),  # by force: this run alone is the baseline
    ],
)
def test_any_other_run_starts_a_new_baseline(verdict: Verdict, fingerprint: str, is_forced: bool) -> None:
    """The new baseline has none of the old runs; the old one is kept as an earlier version."""
    baselines = with_runs(3)
    contender = run("new", verdict, p95=0.5)
    if fingerprint == "other":
        contender = replace(contender, fingerprint={"load": "other"})
    entry = baselines.promote(contender, approval=approval("cache removed"), force=is_forced)
    assert (entry.version, entry.state, entry.metrics["latency_p95"]) == (4, State.PROVISIONAL, 0.5)
    assert [made.run_id for made in entry.runs] == ["new"]
    assert [(old.version, len(old.runs)) for old in entry.previous] == [(3, 3), (2, 2), (1, 1)]
    assert entry.fingerprint == contender.fingerprint


@pytest.mark.parametrize(
    ("verdict", "fingerprint"),
    [(Verdict.NO_BASELINE, "same"), (Verdict.PASS, "other"), (Verdict.IMPROVEMENT, "other")],
)
def test_a_verdict_older_than_the_baseline_replaces_nothing(verdict: Verdict, fingerprint: str) -> None:
    """A run that was not compared with the current baseline replaces it only by force."""
    baselines = with_runs(3)
    before = format_baselines(baselines)
    late = run("late", verdict)
    if fingerprint == "other":
        late = replace(late, fingerprint={"load": "other"})
    with pytest.raises(BaselineError) as caught:
        baselines.promote(late, approval=approval())
    assert str(caught.value) == (
        "run late was not compared with the current baseline (version 3); run the scenario again, or replace the "
        "baseline: python -m include.perf baselines promote late --force --reason '…'"
    )
    assert format_baselines(baselines) == before


def test_a_pass_against_a_replaced_baseline_strengthens_nothing() -> None:
    """It agreed with version 1, which version 2 replaced by force."""
    baselines = with_runs(1)
    baselines.promote(run("slow", Verdict.REGRESSION, p95=0.5), approval=approval(), force=True)
    late = run("late", baseline=baseline_reference(version=1))
    with pytest.raises(BaselineError, match=r"^run late was not compared with the current baseline \(version 2\)"):
        baselines.promote(late, approval=approval())
    of_this = run("of_this", p95=0.5, baseline=baseline_reference(version=2))
    assert [made.run_id for made in baselines.promote(of_this, approval=approval()).runs] == ["slow", "of_this"]


@pytest.mark.parametrize("is_forced", [False, True])
@pytest.mark.parametrize(
    "failing",
    [
        over_limit_record(),
        over_limit_record(exceeded_limit(endpoint="market", value=1.0), metrics=metric_values()),
        run_record(verdict=Verdict.NO_BASELINE, baseline=None, metrics=metric_values(error_rate=0.87)),
    ],
    ids=["all", "an endpoint", "recorded by an earlier version"],
)
def test_a_failing_run_never_becomes_a_baseline(failing: RunRecord, *, is_forced: bool) -> None:
    """Nobody wants to compare later runs with failures; the message has the remedy."""
    with pytest.raises(BaselineError, match=r"because too many requests failed .* or set error_rate in hard_limits"):
        Baselines().promote(failing, approval=approval(), force=is_forced)


def test_a_catalogue_may_allow_more_failures() -> None:
    """Then a run within the limit becomes a baseline."""
    failing = run("r1", Verdict.NO_BASELINE, limits={"error_rate": 0.9})
    failing = replace(failing, metrics=metric_values(error_rate=0.87))
    assert Baselines().promote(failing, approval=approval()).metrics["error_rate"] == 0.87


def test_a_run_beyond_another_limit_is_promoted_by_force() -> None:
    """A service that is too slow needs a baseline, too, so that it does not get slower unnoticed."""
    slow = exceeded_limit(metric="latency_p95", unit=METRICS["latency_p95"].unit, value=0.6, limit=0.5)
    record = over_limit_record(slow, baseline=None)
    with pytest.raises(BaselineError, match="is OVER_LIMIT and is only promoted by force"):
        Baselines().promote(record, approval=approval())
    assert Baselines().promote(record, approval=approval(), force=True).version == 1


@pytest.mark.parametrize("verdict", [Verdict.INVALID, Verdict.SKIPPED])
@pytest.mark.parametrize("is_forced", [False, True])
def test_what_was_not_measured_never_becomes_a_baseline(verdict: Verdict, is_forced: bool) -> None:
    """Even by force it is refused."""
    baselines = with_runs(1)
    before = format_baselines(baselines)
    record = record_of(verdict)
    with pytest.raises(BaselineError) as caught:
        baselines.promote(record, approval=approval(), force=is_forced)
    assert str(caught.value) == f"run {record.run_id} is {verdict} and cannot become a baseline: {record.reasons[0]}"
    assert format_baselines(baselines) == before


@pytest.mark.parametrize("verdict", [Verdict.REGRESSION, Verdict.NOT_COMPARABLE])
def test_a_worse_baseline_needs_force(verdict: Verdict) -> None:
    """Without force it is refused, and the message has the command with force."""
    baselines = with_runs(1)
    before = format_baselines(baselines)
    with pytest.raises(BaselineError) as caught:
        baselines.promote(run("r9", verdict), approval=approval())
    assert str(caught.value) == (
        f"run r9 is {verdict} and is only promoted by force; to accept it as the new baseline: "
        "python -m include.perf baselines promote r9 --force --reason '…'"
    )
    assert format_baselines(baselines) == before


def test_a_run_counts_once() -> None:
    """The same run twice would make a baseline look more precise than it is."""
    baselines = with_runs(2)
    with pytest.raises(BaselineError, match=f"^run r1 is already part of the baseline of {SERVICE} under {SCENARIO}$"):
        baselines.promote(run("r1"), approval=approval(), force=True)


@pytest.mark.parametrize("reason", ["", "  \n"])
def test_a_reason_is_needed(reason: str) -> None:
    """A year later, readers want to know why the baseline changed."""
    message = "^a change of a baseline needs a reason, which is stored with it; say why the new values are right$"
    with pytest.raises(BaselineError, match=message):
        Baselines().promote(run("r1"), approval=approval(reason))
    with pytest.raises(BaselineError, match=message):
        with_runs(2).roll_back(SERVICE, SCENARIO, version=1, approval=approval(reason))


def test_cells_are_independent() -> None:
    """The baseline of a service under a scenario does not affect other scenarios and services."""
    baselines = with_runs(1)
    baselines.promote(run("x", scenario="overnight", p95=0.9), approval=approval())
    baselines.promote(run("y", service="other-service", p95=0.8), approval=approval())
    found = baselines.get(SERVICE, SCENARIO)
    assert found is not None
    assert (found.version, found.metrics["latency_p95"]) == (1, 0.001)
    assert baselines.get(SERVICE, "normal_trading") is None
    assert baselines.get("no-service", SCENARIO) is None


def test_runs_since_are_promoted_too() -> None:
    """1 run + 8 since + this one = 10 runs: approved at once; a known run counts once."""
    baselines = with_runs(1)
    since = [contribution(run(f"s{number}", p95=0.002)) for number in range(8)]
    entry = baselines.promote(run("last", p95=0.002), approval=approval(), since=[*since, contribution(run("r1"))])
    assert [made.run_id for made in entry.runs] == ["r1", *(f"s{number}" for number in range(8)), "last"]
    assert (entry.state, entry.metrics["latency_p95"]) == (State.APPROVED, 0.002)


def test_improved_nights_are_promoted_with_an_improvement() -> None:
    """The new baseline has all improved runs and none of the old ones."""
    entry = with_runs(3).promote(run("new", Verdict.IMPROVEMENT), approval=approval(), since=[contribution(run("s1"))])
    assert [made.run_id for made in entry.runs] == ["s1", "new"]


def test_by_force_only_the_run_itself_is_promoted() -> None:
    """A person chose exactly this run."""
    forced = run("new", Verdict.REGRESSION)
    entry = with_runs(3).promote(forced, approval=approval(), since=[contribution(run("s1"))], force=True)
    assert [made.run_id for made in entry.runs] == ["new"]


def test_a_rerun_is_refused() -> None:
    """Even by force: the record of the first run has the medians over all runs."""
    with pytest.raises(BaselineError, match=r"^run r2 is a re-run and was judged together with r1; promote that run"):
        Baselines().promote(run("r2", rerun_of="r1"), approval=approval(), force=True)


def test_a_suspicious_run_needs_force() -> None:
    """It may be the first night of a regression; by force it starts a new baseline."""
    baselines = with_runs(3)
    suspect = run("r9", deviations=(deviation("latency_p95", 0.05, is_confirmed=False),))
    with pytest.raises(BaselineError) as caught:
        baselines.promote(suspect, approval=approval())
    assert str(caught.value) == (
        "run r9 is suspicious: latency_p95 may be worse than the baseline; promote another run, or accept this one as "
        "the new baseline: python -m include.perf baselines promote r9 --force --reason '…'"
    )
    assert [made.run_id for made in baselines.promote(suspect, approval=approval(), force=True).runs] == ["r9"]


def test_a_suspiciously_good_run_strengthens() -> None:
    """A suspected improvement is no reason to refuse a run."""
    better = run("r9", deviations=(deviation("latency_p95", 0.03, is_confirmed=False),))
    assert BASELINE_METRICS["latency_p95"] > 0.03
    assert len(with_runs(3).promote(better, approval=approval()).runs) == 4


def test_an_entry_of_plain_numbers_is_replaced() -> None:
    """It has no fingerprint, so a run that passed replaces it, without force."""
    baselines = with_runs(1)
    baselines.entries[SERVICE][SCENARIO] = replace(entry_of(baselines), fingerprint={})
    entry = baselines.promote(run("r2"), approval=approval())
    assert ([made.run_id for made in entry.runs], entry.supersedes) == (["r2"], 1)
