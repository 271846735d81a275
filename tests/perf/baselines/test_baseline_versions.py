"""A baseline over its versions: history and roll-back, the frozen anchor, the spread."""

import pytest

from include.perf.baselines.baselines import MAX_HISTORY, Baselines
from include.perf.baselines.entry import State
from include.perf.baselines.file_format import format_baselines
from include.perf.model.errors import BaselineError
from include.perf.runs.record import RunRecord, Verdict
from tests.baselines import SCENARIO, SERVICE, approval, entry_of, run, with_runs


def test_history_is_limited_and_flat() -> None:
    """The last twenty versions are kept, latest first, none with a history of its own."""
    entry = with_runs(MAX_HISTORY + 5).get(SERVICE, SCENARIO)
    assert entry is not None
    assert [old.version for old in entry.previous] == list(range(24, 4, -1))  # version 25 before: 24 … 5
    assert {old.previous for old in entry.previous} == {()}


def test_rolling_back_makes_an_earlier_level_the_baseline() -> None:
    """It gets a version of its own, with its own reason; the level it replaces can be had back."""
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
        (3, 3, f"{SERVICE} under {SCENARIO} has no earlier version 3; earlier versions: 2, 1"),  # the present one
        (1, 1, f"{SERVICE} under {SCENARIO} has no earlier version 1; earlier versions: none"),
        (0, 1, f"there is no baseline of {SERVICE} under {SCENARIO}; `baselines list` shows all"),
    ],
)
def test_rolling_back_to_nothing(runs: int, version: int, message: str) -> None:
    """An unknown version is refused with what there is."""
    baselines = with_runs(runs)
    before = format_baselines(baselines)
    with pytest.raises(BaselineError) as caught:
        baselines.roll_back(SERVICE, SCENARIO, version=version, approval=approval())
    assert str(caught.value) == message
    assert format_baselines(baselines) == before


def test_an_entry_that_was_replaced_says_so() -> None:
    """Only the present one is provisional, candidate or approved."""
    entry = entry_of(with_runs(4))
    assert [old.state for old in entry.previous] == [State.SUPERSEDED] * 3
    assert [each.supersedes for each in (entry, *entry.previous)] == [3, 2, 1, None]


def test_rolling_back_brings_everything_of_that_version() -> None:
    """Runs, levels, spread and the frozen anchor of version 12, approved again by whoever went back."""
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


def test_the_state_of_what_was_rolled_back_to_is_by_who_did_it() -> None:
    """A schedule can go back to ten runs, but approve none."""
    baselines = with_runs(11)
    entry = baselines.roll_back(SERVICE, SCENARIO, version=10, approval=approval("back", by="schedule"))
    assert (entry.state, entry.anchor.version) == (State.CANDIDATE, 10)


def test_the_anchor_of_a_candidate_follows_again_after_rolling_back() -> None:
    """Version 3 was never approved: in version 5 it is its own anchor, in version 6 with one run more as well."""
    baselines = with_runs(4)
    back = baselines.roll_back(SERVICE, SCENARIO, version=3, approval=approval("back"))
    assert (back.anchor.version, back.anchor.metrics["latency_p95"]) == (5, 0.002)
    further = baselines.promote(run("r9", p95=0.1), approval=approval())
    assert (further.anchor.version, further.anchor.runs) == (6, 4)


def test_the_anchor_of_the_first_approved_version_stays_frozen_after_rolling_back() -> None:
    """In the history version 10 is only superseded, but its ten runs and ana made it approved."""
    baselines = with_runs(12)
    back = baselines.roll_back(SERVICE, SCENARIO, version=10, approval=approval("back"))
    assert (back.anchor.version, back.anchor.runs) == (10, 10)
    assert baselines.promote(run("r99", p95=0.9), approval=approval()).anchor == back.anchor


def test_the_anchor_follows_until_approved() -> None:
    """Nine runs of 1 … 9 ms: level and anchor are the median, 5 ms, of this very version."""
    entry = entry_of(with_runs(9))
    assert (entry.anchor.metrics, entry.anchor.runs, entry.anchor.version) == (entry.metrics, 9, 9)
    assert entry.anchor.metrics["latency_p95"] == 0.005
    assert not entry.is_anchored


def test_the_anchor_is_frozen_from_the_first_approved_version_on() -> None:
    """Approved at 1 … 10 ms: median 5.5 ms. With runs up to 20 ms the level is 10.5 ms, the anchor still 5.5 ms."""
    entry = entry_of(with_runs(20))
    assert entry.metrics["latency_p95"] == pytest.approx(0.0105)
    assert (entry.anchor.metrics["latency_p95"], entry.anchor.runs) == (pytest.approx(0.0055), 10)
    assert (entry.anchor.version, entry.is_anchored) == (10, True)


def test_the_anchor_stays_frozen_when_a_schedule_promotes() -> None:
    """The schedule's version 11 is a candidate; neither it nor ana's version 12 thaws the anchor of version 10."""
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
def test_a_new_level_has_an_anchor_of_its_own(contender: RunRecord, is_forced: bool) -> None:
    """What the old level was is nothing that the new one could creep away from."""
    entry = with_runs(12).promote(contender, approval=approval("new hardware"), force=is_forced)
    assert (entry.anchor.metrics["latency_p95"], entry.anchor.runs, entry.anchor.version) == (0.001, 1, 13)


def test_the_spread_is_kept_with_the_level() -> None:
    """40 and 44 ms: the logarithms are ln 1.1 = 0.0953 apart, the standard deviation is that / √2 = 0.0674."""
    baselines = Baselines()
    for run_id, p95 in (("r1", 0.040), ("r2", 0.044)):
        entry = baselines.promote(run(run_id, p95=p95), approval=approval())
    assert entry.spread["latency_p95"].own == pytest.approx(0.0674, abs=5e-5)
    assert entry.previous[0].spread["latency_p95"].own is None


@pytest.mark.parametrize(("others", "is_pooled"), [(2, False), (3, True)])
def test_a_cell_counts_once_in_the_common_spread(others: int, is_pooled: bool) -> None:
    """Four cells are enough to pool: this one and three others. Its own entry that is replaced is not the fourth."""
    baselines = Baselines()
    for service in (*(f"s{number}" for number in range(others)), SERVICE):
        for night in range(3):
            p95 = 0.04 * 1.1 ** (night % 2)
            baselines.promote(run(f"r{night}", service=service, p95=p95), approval=approval())
    assert (entry_of(baselines).spread["latency_p95"].pooled != 0.05) == is_pooled
