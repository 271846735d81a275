"""Questions to an approver, and runs that can never be approved."""

import pytest

from include.perf.baselines.baselines import Baselines
from include.perf.model.errors import BaselineError
from include.perf.model.metric import METRICS
from include.perf.reporting.approval import needs_approval, question
from include.perf.runs.record import Verdict
from tests.baselines import approval, run, with_runs
from tests.records import deviation, exceeded_limit, over_limit_record, record_of


@pytest.mark.parametrize("verdict", Verdict)
def test_which_verdicts_need_an_approval(verdict: Verdict) -> None:
    """Regressions and runs that are not comparable; a failing run or one without figures can never be a baseline."""
    assert needs_approval(record_of(verdict)) is (verdict in (Verdict.REGRESSION, Verdict.NOT_COMPARABLE))


def test_a_run_beyond_another_limit_needs_an_approval() -> None:
    """A service that is too slow may still have a baseline, if somebody wants it."""
    slow = exceeded_limit(metric="latency_p95", unit=METRICS["latency_p95"].unit, value=0.6, limit=0.5)
    assert needs_approval(over_limit_record(slow))


def test_a_failing_run_raises_no_question() -> None:
    """Nobody can approve failures."""
    with pytest.raises(BaselineError, match=r"cannot become a baseline, because too many requests failed \(8\.00% of"):
        question(over_limit_record(), reason="x", asked_by="ana", baselines=Baselines())


def test_a_suspicious_pass_needs_an_approval() -> None:
    """It may be worse."""
    suspicion = deviation("latency_p95", 0.05, is_confirmed=False)
    assert needs_approval(run("r1", deviations=(suspicion,)))


def test_the_question_escapes_hostile_text() -> None:
    """A reason may be any text: it creates no markup and no new line."""
    text = question(run("new", Verdict.REGRESSION), reason="**fine**\n# yes", asked_by="<b>ana", baselines=with_runs(2))
    assert "&lt;b>ana requests this run as the new baseline: \\*\\*fine\\*\\* # yes" in text
    assert "It would replace version 2, provisional, approved by ana on 2026-03-02" in text


def test_without_a_baseline_nothing_is_replaced() -> None:
    """The question says so."""
    text = question(run("new"), reason="first", asked_by="ana", baselines=Baselines())
    assert "There is no baseline yet." in text


@pytest.mark.parametrize(
    ("changes", "what"),
    [({"verdict": Verdict.INVALID}, "INVALID"), ({"rerun_of": "first"}, "a re-run of first")],
)
def test_a_run_that_can_never_be_a_baseline_raises_no_question(changes: dict[str, object], what: str) -> None:
    """The task fails immediately, not after three days."""
    with pytest.raises(BaselineError, match=f"^run new is {what} and cannot become a baseline; choose another run$"):
        question(run("new", **changes), reason="x", asked_by="ana", baselines=Baselines())


def test_an_accepted_run_raises_no_second_question() -> None:
    """It is already part of the baseline."""
    baselines = with_runs(1)
    accepted = run("new", Verdict.REGRESSION)
    baselines.promote(accepted, approval=approval(), force=True)
    with pytest.raises(BaselineError, match=r"^run new is already part of the baseline; there is nothing to approve$"):
        question(accepted, reason="x", asked_by="ana", baselines=baselines)
