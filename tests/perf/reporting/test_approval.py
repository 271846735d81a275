"""What an approver is asked, and what nobody is asked for in vain."""

import pytest

from include.perf.baselines.baselines import Baselines
from include.perf.model.errors import BaselineError
from include.perf.reporting.approval import needs_approval, question
from include.perf.runs.record import Verdict
from tests.baselines import approval, run, with_runs
from tests.records import deviation, record_of


@pytest.mark.parametrize("verdict", Verdict)
def test_which_verdicts_need_an_approval(verdict: Verdict) -> None:
    """Worse or something else; what was not measured can never be a level."""
    assert needs_approval(record_of(verdict)) is (verdict in (Verdict.REGRESSION, Verdict.NOT_COMPARABLE))


def test_a_suspicious_pass_needs_an_approval() -> None:
    """It may be worse."""
    doubtful = deviation("latency_p95", 0.05, is_confirmed=False)
    assert needs_approval(run("r1", deviations=(doubtful,)))


def test_the_question_shows_hostile_text_as_it_is() -> None:
    """A reason is text of anybody: no markup, no line of its own."""
    asked = question(
        run("new", Verdict.REGRESSION), reason="**fine**\n# yes", asked_by="<b>ana", baselines=with_runs(2)
    )
    assert "&lt;b>ana asks to accept this run as the new level: \\*\\*fine\\*\\* # yes" in asked
    assert "It would replace version 2, provisional, approved by ana on 2026-03-02" in asked


def test_without_a_baseline_nothing_is_replaced() -> None:
    """The question says so."""
    asked = question(run("new"), reason="first", asked_by="ana", baselines=Baselines())
    assert "There is no baseline yet." in asked


@pytest.mark.parametrize(
    ("changes", "what"),
    [({"verdict": Verdict.INVALID}, "INVALID"), ({"rerun_of": "first"}, "a re-run of first")],
)
def test_nobody_is_asked_for_what_can_never_be_a_baseline(changes: dict[str, object], what: str) -> None:
    """The task fails at once, not after three days."""
    with pytest.raises(BaselineError, match=f"^run new is {what} and can never be a baseline; name another run$"):
        question(run("new", **changes), reason="x", asked_by="ana", baselines=Baselines())


def test_nobody_is_asked_twice_for_the_same_run() -> None:
    """It was accepted already."""
    baselines = with_runs(1)
    accepted = run("new", Verdict.REGRESSION)
    baselines.promote(accepted, approval=approval(), force=True)
    with pytest.raises(BaselineError, match=r"^run new is part of the baseline already; there is nothing to approve$"):
        question(accepted, reason="x", asked_by="ana", baselines=baselines)
