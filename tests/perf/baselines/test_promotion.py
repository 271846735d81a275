"""Promotions: which runs of a store are added to a baseline, and which nights together with them."""

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
    """Execute a night, a day after the last one."""
    platform.clock.move(DAY_S)
    platform.generator.latency_s = latency_s
    return platform.execute(**request)


def uri_of(record: RunRecord) -> str:
    return f"memory://{record.service}/{record.scenario}/{record.run_id}"


def test_promoting_a_pass_strengthens(platform: Platform) -> None:
    """Two equal runs: version 2 with two runs, approver and reason."""
    uri = platform.with_baseline().plan(update_baseline=True, reason="second run", triggered_by="ben")
    platform.execute_planned(uri)
    entry = platform.promote(uri)
    assert (entry.version, len(entry.runs)) == (2, 2)
    assert (entry.approval.by, entry.approval.reason, entry.approval.at) == ("ben", "second run", platform.clock())
    assert platform.baselines.read().get("orders-service", "brief") == entry


def test_a_refused_promotion_has_a_reason(platform: Platform) -> None:
    """A refused run changes nothing; an unfinished run has no record."""
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
    """A run started without ``update_baseline`` has no reason yet."""
    uri = platform.plan()
    platform.execute_planned(uri)
    with pytest.raises(BaselineError, match=r"say why the new values are right$"):
        platform.promote(uri)


@pytest.mark.parametrize("verdict", [Verdict.INVALID, Verdict.SKIPPED])
def test_promoting_what_was_not_measured(platform: Platform, verdict: Verdict) -> None:
    """It is refused, even by force."""
    if verdict is Verdict.INVALID:
        platform.generator.problem = LoadError("gone")
    else:
        platform.halt_reason = "release"
    uri = platform.plan(update_baseline=True, reason="first")
    assert [record.verdict for record in platform.execute_planned(uri)] == [verdict]
    with pytest.raises(BaselineError, match=f"is {verdict} and cannot become a baseline: "):
        platform.promote(uri, force=True)
    assert platform.baselines.read().entries == {}


def test_nights_that_passed_are_promoted_with_a_pass(platform: Platform) -> None:
    """Ten nights, one of them a regression: promoted by a person they are an approved baseline."""
    platform.with_baseline()
    records = [night(platform, latency_s) for latency_s in (*[0.04] * 5, 0.08, *[0.04] * 4)]
    assert [record.verdict for record in records] == [*[Verdict.PASS] * 5, Verdict.REGRESSION, *[Verdict.PASS] * 4]
    entry = platform.promote(uri_of(records[-1]), by="ana", reason="ten good nights")
    passed = [record.run_id for record in records if record.verdict is Verdict.PASS]
    assert [run.run_id for run in entry.runs[1:]] == passed
    assert (entry.version, len(entry.runs), entry.state.value) == (2, 10, "approved")


def test_later_runs_are_not_promoted(platform: Platform) -> None:
    """The promoted run is the last one of the new version."""
    platform.with_baseline()
    records = [night(platform) for _ in range(3)]
    entry = platform.promote(uri_of(records[1]), by="ana", reason="two good nights")
    assert [run.run_id for run in entry.runs[1:]] == [record.run_id for record in records[:2]]


def test_by_force_only_this_run_is_promoted(platform: Platform) -> None:
    """The new baseline has no earlier nights."""
    platform.with_baseline()
    night(platform)
    slower = night(platform, 0.08)
    entry = platform.promote(uri_of(slower), force=True, by="ana", reason="new tax rules")
    assert ([run.run_id for run in entry.runs], entry.state.value) == ([slower.run_id], "provisional")


def test_earlier_improvements_are_promoted_with_an_improvement(platform: Platform) -> None:
    """Three nights at half the latency are a new baseline of three runs, without the earlier passes."""
    platform.with_baseline()
    night(platform)
    better = [night(platform, 0.02) for _ in range(3)]
    assert {record.verdict for record in better} == {Verdict.IMPROVEMENT}
    entry = platform.promote(uri_of(better[-1]), by="ana", reason="faster codec")
    assert [run.run_id for run in entry.runs] == [record.run_id for record in better]


def test_a_night_with_re_runs_contributes_its_medians(platform: Platform) -> None:
    """Later nights are compared with the judged values; the re-runs themselves are refused."""
    platform.with_baseline()
    slower = night(platform, 0.08)
    entry = platform.promote(uri_of(slower), force=True, by="ana", reason="new tax rules")
    assert entry.metrics["latency_p50"] == slower.judged["latency_p50"]
    again = uri_of(slower).replace(slower.run_id, slower.reruns[0])
    with pytest.raises(BaselineError, match=rf"is a re-run and was judged together with {slower.run_id}; promote"):
        platform.promote(again, force=True, by="ana", reason="anyway")


def test_a_suspicious_pass_is_refused(platform: Platform) -> None:
    """It may be worse than the baseline; a later promotion does not include it either."""
    platform.with_baseline()
    for _ in range(4):
        night(platform)
    suspicious = night(platform, 0.05, may_rerun=False)  # +24 %: suspicious, but below the 30 % for a single run
    assert (suspicious.verdict, suspicious.regressions) == (Verdict.PASS, ())
    with pytest.raises(
        BaselineError, match="is suspicious: latency_p50, latency_p95, latency_p99 may be worse than the baseline"
    ):
        platform.promote(uri_of(suspicious), by="ana", reason="again")
    entry = platform.promote(uri_of(night(platform)), by="ana", reason="good nights")
    assert suspicious.run_id not in [run.run_id for run in entry.runs]


def test_an_approval_for_another_version_is_refused() -> None:
    """The baseline changed while the approval was pending."""
    store, baselines = MemoryStore(), MemoryBaselines()
    first = run_record(run_id="r1", verdict=Verdict.NO_BASELINE)
    approval = Approval(by="ana", at=first.started_at, reason="agreed", run_id="r1")
    promote(first, approval=approval, force=False, store=store, baselines=baselines, over=0)
    second = run_record(run_id="r2", verdict=Verdict.REGRESSION)
    with pytest.raises(BaselineError, match=r"is now version 1, but the approval was given for version 0; ask"):
        promote(second, approval=approval, force=True, store=store, baselines=baselines, over=0)
    entry = promote(second, approval=approval, force=True, store=store, baselines=baselines, over=1)
    assert entry.version == 2


def test_a_roll_back_approved_for_another_version_is_refused(platform: Platform) -> None:
    """A baseline that changed in the meantime is not rolled back."""
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
