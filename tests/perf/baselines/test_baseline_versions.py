"""The versions of a baseline: history, roll-back, frozen anchor and spread."""

import pytest

from include.perf.baselines.baselines import MAX_HISTORY, Baselines
from include.perf.baselines.entry import State
from include.perf.baselines.file_format import format_baselines
from include.perf.model.errors import BaselineError
from include.perf.runs.record import RunRecord, Verdict
from tests.baselines import SCENARIO, SERVICE, approval, entry_of, run, with_runs


def test_history_is_limited_and_flat() -> None:
    """The last twenty versions are kept, latest first, without their own history."""
    entry = with_runs(MAX_HISTORY + 5).get(SERVICE, SCENARIO)
    assert entry is not None
    assert [old.version for old in entry.previous] == list(range(24, 4, -1))  # version 25 before: 24 … 5
    assert {old.previous for old in entry.previous} == {()}


def test_rolling_back_restores_an_earlier_version() -> None:
    """It becomes a new version with its own reason; the replaced version can be restored too."""
    baselines = with_runs(3)
    entry = baselines.roll_back(SERVICE, SCENARIO, version=1, approval=approval("bad release", by="ben"))
    assert (entry.version, entry.metrics["latency_p95"], len(entry.runs)) == (4, 0.001, 1)
    assert (entry.approval.by, entry.approval.reason, entry.state) == ("ben", "bad release", State.PROVISIONAL)
    assert [old.version for old in entry.previous] == [3, 2, 1]
    again = baselines.roll_back(SERVICE, SCENARIO, version=3, approval=approval())
    assert (again.version, again.metrics["latency_p95"], len(again.runs)) == (5, 0.002, 3)


@pytest.mark.parametrize(
    ("runs", "version", "message"),
    [
        (3, 7, f"{SERVICE} under {SCENARIO} has no earlier version 7; earlier versions: 2, 1"),
        (3, 3, f"{SERVICE} under {SCENARIO} has no earlier version 3; earlier versions: 2, 1"),  # the current version
        (1, 1, f"{SERVICE} under {SCENARIO} has no earlier version 1; earlier versions: none"),
        (0, 1, f"there is no baseline of {SERVICE} under {SCENARIO}; `baselines list` shows all"),
    ],
)
def test_rolling_back_to_an_unknown_version(runs: int, version: int, message: str) -> None:
    """It is refused, and the message lists the earlier versions."""
    baselines = with_runs(runs)
    before = format_baselines(baselines)
    with pytest.raises(BaselineError) as caught:
        baselines.roll_back(SERVICE, SCENARIO, version=version, approval=approval())
    assert str(caught.value) == message
    assert format_baselines(baselines) == before


def test_a_replaced_entry_is_superseded() -> None:
    """Only the current entry is provisional, candidate or approved."""
    entry = entry_of(with_runs(4))
    assert [old.state for old in entry.previous] == [State.SUPERSEDED] * 3
    assert [version.supersedes for version in (entry, *entry.previous)] == [3, 2, 1, None]


def test_rolling_back_restores_the_whole_version() -> None:
    """Runs, values, spread and frozen anchor of version 12, approved by the person who rolled back."""
    baselines = with_runs(12)
    wanted = entry_of(baselines)
    baselines.promote(run("bad", Verdict.REGRESSION, p95=0.9), approval=approval("mistake"), force=True)
    entry = baselines.roll_back(SERVICE, SCENARIO, version=12, approval=approval("back", by="ben"))
    assert (entry.version, entry.state, entry.supersedes) == (14, State.APPROVED, 13)
    assert (entry.runs, entry.metrics, entry.spread) == (wanted.runs, wanted.metrics, wanted.spread)
    assert entry.anchor == wanted.anchor
    assert (entry.anchor.version, entry.anchor.runs) == (10, 10)
    assert entry.previous[0].state is State.SUPERSEDED
    assert entry.fingerprint == wanted.fingerprint


def test_the_state_after_a_roll_back_depends_on_the_approver() -> None:
    """A schedule can roll back to ten runs, but not approve them."""
    baselines = with_runs(11)
    entry = baselines.roll_back(SERVICE, SCENARIO, version=10, approval=approval("back", by="schedule"))
    assert (entry.state, entry.anchor.version) == (State.CANDIDATE, 10)


def test_the_anchor_of_a_candidate_follows_again_after_rolling_back() -> None:
    """Version 3 was never approved, so versions 5 and 6 still have their own values as anchor."""
    baselines = with_runs(4)
    back = baselines.roll_back(SERVICE, SCENARIO, version=3, approval=approval("back"))
    assert (back.anchor.version, back.anchor.metrics["latency_p95"]) == (5, 0.002)
    further = baselines.promote(run("r9", p95=0.1), approval=approval())
    assert (further.anchor.version, further.anchor.runs) == (6, 4)


def test_the_anchor_of_the_first_approved_version_stays_frozen_after_rolling_back() -> None:
    """Version 10 is superseded, but ten runs and a person had approved it."""
    baselines = with_runs(12)
    back = baselines.roll_back(SERVICE, SCENARIO, version=10, approval=approval("back"))
    assert (back.anchor.version, back.anchor.runs) == (10, 10)
    assert baselines.promote(run("r99", p95=0.9), approval=approval()).anchor == back.anchor


def test_the_anchor_follows_until_approved() -> None:
    """Nine runs of 1 … 9 ms: baseline and anchor are the median of this version, 5 ms."""
    entry = entry_of(with_runs(9))
    assert (entry.anchor.metrics, entry.anchor.runs, entry.anchor.version) == (entry.metrics, 9, 9)
    assert entry.anchor.metrics["latency_p95"] == 0.005
    assert not entry.is_anchored


def test_the_anchor_is_frozen_from_the_first_approved_version_on() -> None:
    """Approved at 1 … 10 ms: median 5.5 ms. With runs up to 20 ms the baseline is 10.5 ms, the anchor still 5.5 ms."""
    entry = entry_of(with_runs(20))
    assert entry.metrics["latency_p95"] == pytest.approx(0.0105)
    assert (entry.anchor.metrics["latency_p95"], entry.anchor.runs) == (pytest.approx(0.0055), 10)
    assert (entry.anchor.version, entry.is_anchored) == (10, True)


def test_the_anchor_stays_frozen_when_a_schedule_promotes() -> None:
    """Neither version 11 by the schedule, a candidate, nor version 12 by a person changes the anchor of version 10."""
    baselines = with_runs(10)
    by_schedule = baselines.promote(run("r11", p95=0.9), approval=approval(by="schedule"))
    assert (by_schedule.state, by_schedule.anchor.version) == (State.CANDIDATE, 10)
    by_person = baselines.promote(run("r12", p95=0.9), approval=approval())
    assert (by_person.state, by_person.anchor.version) == (State.APPROVED, 10)


@pytest.mark.parametrize(
    ("contender", "is_forced"),
    [
        (run("new", Verdict.IMPROVEMENT, p95=0.001), False),
        (run("new", Verdict.REGRESSION, p95=0.001), True),
        (run("new", Verdict.PASS, p95=0.001), True),
        (run("new", Verdict.NOT_COMPARABLE, p95=0.001, fingerprint={"load": "other"}), True),
    ],
)
def test_a_new_baseline_has_its_own_anchor(contender: RunRecord, is_forced: bool) -> None:
    """A drift is measured from the new baseline, not from the replaced one."""
    entry = with_runs(12).promote(contender, approval=approval("new hardware"), force=is_forced)
    assert (entry.anchor.metrics["latency_p95"], entry.anchor.runs, entry.anchor.version) == (0.001, 1, 13)


def test_the_spread_is_stored_with_the_baseline() -> None:
    """40 and 44 ms: the logarithms are ln 1.1 = 0.0953 apart, the standard deviation is that / √2 = 0.0674."""
    baselines = Baselines()
    for run_id, p95 in (("r1", 0.040), ("r2", 0.044)):
        entry = baselines.promote(run(run_id, p95=p95), approval=approval())
    assert entry.spread["latency_p95"].own == pytest.approx(0.0674, abs=5e-5)
    assert entry.previous[0].spread["latency_p95"].own is None


@pytest.mark.parametrize(("others", "is_pooled"), [(2, False), (3, True)])
def test_a_cell_counts_once_in_the_common_spread(others: int, is_pooled: bool) -> None:
    """Four cells are enough to pool: this one and three others. Its replaced entry does not count."""
    baselines = Baselines()
    for service in (*(f"s{number}" for number in range(others)), SERVICE):
        for night in range(3):
            p95 = 0.04 * 1.1 ** (night % 2)
            baselines.promote(run(f"r{night}", service=service, p95=p95), approval=approval())
    assert (entry_of(baselines).spread["latency_p95"].pooled != 0.05) == is_pooled
