"""Promotions: which runs of a store become part of a baseline, and which nights they take along."""

import pytest

from include.perf.baselines.entry import Approval
from include.perf.baselines.promotion import promote, roll_back
from include.perf.model.cell import CellName
from include.perf.model.errors import BaselineError, LoadError, StoreError
from include.perf.runs.record import RunRecord, Verdict
from tests.fakes.baseline_store import MemoryBaselines
from tests.fakes.results_store import MemoryStore
from tests.fakes.small_platform import Platform
from tests.records import run_record

DAY_S = 86_400


def night(platform: Platform, latency_s: float = 0.04, **request: object) -> RunRecord:
    """Do a whole night, a day after the last one."""
    platform.clock.move(DAY_S)
    platform.generator.latency_s = latency_s
    return platform.execute(**request)


def uri_of(record: RunRecord) -> str:
    return f"memory://{record.service}/{record.scenario}/{record.run_id}"


def test_promoting_a_pass_strengthens(platform: Platform) -> None:
    """Two runs at the same level: version 2, two runs, by whoever asked and why."""
    uri = platform.with_baseline().plan(update_baseline=True, reason="second run", triggered_by="ben")
    platform.execute_planned(uri)
    entry = platform.promote(uri)
    assert (entry.version, len(entry.runs)) == (2, 2)
    assert (entry.approval.by, entry.approval.reason, entry.approval.at) == ("ben", "second run", platform.clock())
    assert platform.baselines.read().get("orders-service", "brief") == entry


def test_promoting_says_why_not(platform: Platform) -> None:
    """A run that is no baseline changes none; an unfinished one cannot be looked at."""
    platform.with_baseline().generator.latency_s = 0.4
    before = platform.baselines.read()
    uri = platform.plan(update_baseline=True, reason="anyway")
    with pytest.raises(StoreError, match="is not finished"):
        platform.promote(uri)
    platform.execute_planned(uri)
    with pytest.raises(BaselineError, match="is REGRESSION and is only promoted by force"):
        platform.promote(uri)
    assert platform.baselines.read() == before
    entry = platform.promote(uri, force=True, reason="new tax rules", by="cleo")
    assert (entry.version, entry.approval.by, entry.approval.reason) == (2, "cleo", "new tax rules")


def test_promoting_without_any_reason(platform: Platform) -> None:
    """A run that was not asked to become a baseline needs a reason when it shall."""
    uri = platform.plan()
    platform.execute_planned(uri)
    with pytest.raises(BaselineError, match=r"say why the new values are right$"):
        platform.promote(uri)


@pytest.mark.parametrize("verdict", [Verdict.INVALID, Verdict.SKIPPED])
def test_promoting_what_was_not_measured(platform: Platform, verdict: Verdict) -> None:
    """Never, not even by force."""
    if verdict is Verdict.INVALID:
        platform.generator.problem = LoadError("gone")
    else:
        platform.halt_reason = "release"
    uri = platform.plan(update_baseline=True, reason="first")
    assert [each.verdict for each in platform.execute_planned(uri)] == [verdict]
    with pytest.raises(BaselineError, match=f"is {verdict} and cannot become a baseline: "):
        platform.promote(uri, force=True)
    assert platform.baselines.read().entries == {}


def test_a_pass_takes_along_the_nights_that_passed_since(platform: Platform) -> None:
    """Ten nights by themselves, one of them a regression: with a word of a person they are an approved baseline."""
    platform.with_baseline()
    records = [night(platform, latency_s) for latency_s in (*[0.04] * 5, 0.08, *[0.04] * 4)]
    assert [each.verdict for each in records] == [*[Verdict.PASS] * 5, Verdict.REGRESSION, *[Verdict.PASS] * 4]
    entry = platform.promote(uri_of(records[-1]), by="ana", reason="ten good nights")
    passed = [each.run_id for each in records if each.verdict is Verdict.PASS]
    assert [each.run_id for each in entry.runs[1:]] == passed
    assert (entry.version, len(entry.runs), entry.state.value) == (2, 10, "approved")


def test_what_came_after_the_promoted_run_is_not_taken_along(platform: Platform) -> None:
    """The run is the last of its level."""
    platform.with_baseline()
    records = [night(platform) for _ in range(3)]
    entry = platform.promote(uri_of(records[1]), by="ana", reason="two good nights")
    assert [each.run_id for each in entry.runs[1:]] == [each.run_id for each in records[:2]]


def test_by_force_a_run_stands_alone(platform: Platform) -> None:
    """A new level has no nights before it."""
    platform.with_baseline()
    night(platform)
    slower = night(platform, 0.08)
    entry = platform.promote(uri_of(slower), force=True, by="ana", reason="new tax rules")
    assert ([each.run_id for each in entry.runs], entry.state.value) == ([slower.run_id], "provisional")


def test_an_improvement_takes_along_the_improvements_before_it(platform: Platform) -> None:
    """Three nights at half the latency are a level of three runs; the passes before them are of the old one."""
    platform.with_baseline()
    night(platform)
    better = [night(platform, 0.02) for _ in range(3)]
    assert {each.verdict for each in better} == {Verdict.IMPROVEMENT}
    entry = platform.promote(uri_of(better[-1]), by="ana", reason="faster codec")
    assert [each.run_id for each in entry.runs] == [each.run_id for each in better]


def test_a_night_with_re_runs_gives_its_medians(platform: Platform) -> None:
    """What was judged is what later nights are held to; the re-runs themselves are refused."""
    platform.with_baseline()
    slower = night(platform, 0.08)
    entry = platform.promote(uri_of(slower), force=True, by="ana", reason="new tax rules")
    assert entry.metrics["latency_p50"] == slower.judged["latency_p50"]
    again = uri_of(slower).replace(slower.run_id, slower.reruns[0])
    with pytest.raises(BaselineError, match=rf"is a re-run and was judged together with {slower.run_id}; promote"):
        platform.promote(again, force=True, by="ana", reason="anyway")


def test_a_suspicious_pass_is_refused(platform: Platform) -> None:
    """It looks worse, if not surely so: another run is a better level, and no later promotion takes it along."""
    platform.with_baseline()
    for _ in range(4):
        night(platform)
    doubtful = night(platform, 0.05, may_rerun=False)  # +24 %: beyond chance, below the 30 % of a single run
    assert (doubtful.verdict, doubtful.regressions) == (Verdict.PASS, ())
    with pytest.raises(
        BaselineError, match="is suspicious: latency_p50, latency_p95, latency_p99 may be worse than the baseline"
    ):
        platform.promote(uri_of(doubtful), by="ana", reason="again")
    entry = platform.promote(uri_of(night(platform)), by="ana", reason="good nights")
    assert doubtful.run_id not in [each.run_id for each in entry.runs]


def test_what_was_approved_about_another_version_is_refused() -> None:
    """Somebody promoted while the question waited: the answer was about what is gone."""
    store, baselines = MemoryStore(), MemoryBaselines()
    first = run_record(run_id="r1", verdict=Verdict.NO_BASELINE)
    approval = Approval(by="ana", at=first.started_at, reason="agreed", run_id="r1")
    promote(first, approval=approval, force=False, store=store, baselines=baselines, over=0)
    second = run_record(run_id="r2", verdict=Verdict.REGRESSION)
    with pytest.raises(BaselineError, match=r"is now version 1, but the approval was given for version 0; ask"):
        promote(second, approval=approval, force=True, store=store, baselines=baselines, over=0)
    entry = promote(second, approval=approval, force=True, store=store, baselines=baselines, over=1)
    assert entry.version == 2


def test_rolling_back_over_what_was_decided_about(platform: Platform) -> None:
    """A baseline that changed since somebody looked at it stays as it is."""
    platform.with_baseline()
    second = platform.plan(update_baseline=True, reason="second run")
    platform.execute_planned(second)
    platform.promote(second)
    approval = Approval(by="cleo", at=platform.clock(), reason="that deploy is gone", run_id="")
    cell = CellName("orders-service", "brief")
    with pytest.raises(BaselineError, match="is now version 2, but the approval was given for version 1"):
        roll_back(cell, version=1, approval=approval, baselines=platform.baselines, over=1)
    entry = roll_back(cell, version=1, approval=approval, baselines=platform.baselines, over=2)
    assert (entry.version, len(entry.runs), entry.approval.by) == (3, 1, "cleo")
