"""Approvals of baselines: which runs need one, and the question to the approver in Markdown."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from include.perf.baselines.baselines import Baselines, failing_run
from include.perf.baselines.entry import Baseline
from include.perf.model.errors import BaselineError
from include.perf.reporting.markdown_text import block, bullets, escape
from include.perf.reporting.metric_table import metrics_table
from include.perf.runs.phrases import headline
from include.perf.runs.record import RunRecord, Verdict

if TYPE_CHECKING:
    from include.perf.baselines.review import Finding


def needs_approval(record: RunRecord) -> bool:
    """Whether a run needs an approval to become a baseline: it is worse, possibly worse, or not comparable."""
    if record.is_failing:
        return False
    if record.verdict.is_failure or record.verdict is Verdict.NOT_COMPARABLE:
        return True
    return record.verdict.is_measured and any(deviation.is_worse for deviation in record.deviations)


def question(record: RunRecord, *, reason: str, asked_by: str, baselines: Baselines) -> str:
    """Return the question to an approver: the comparison, who requests it and why.

    Raises:
        BaselineError: the run can never become a baseline, or is already part of it.
    """
    if not record.verdict.is_measured or record.rerun_of is not None:
        raise BaselineError(f"run {record.run_id} is {_what(record)} and cannot become a baseline; choose another run")
    if record.is_failing:
        raise BaselineError(failing_run(record))
    current = baselines.get(record.service, record.scenario)
    if current is not None and current.has_run(record.run_id):
        raise BaselineError(f"run {record.run_id} is already part of the baseline; there is nothing to approve")
    problem = baselines.problem_of(record.service, record.scenario)
    if problem is not None:
        replaced = f"It would replace a baseline that cannot be used: {escape(problem)}."
    else:
        replaced = "There is no baseline yet." if current is None else _replaced(current)
    return "\n\n".join(
        [
            f"**{escape(headline(record))}**",
            f"{escape(asked_by)} requests this run as the new baseline: {escape(reason)}",
            replaced,
            bullets(map(escape, record.reasons)),
            block(metrics_table(record)),
            f"Run `{record.run_id}`. Without an answer in time, nothing changes.",
        ]
    )


def proposals(findings: "Iterable[Finding]") -> list[dict[str, Any]]:
    """Return the proposals of a review: ``subject`` and ``body`` of each question, and the requested ``change``."""
    return [
        {
            "subject": f"{finding.service} under {finding.scenario}: {finding.kind}",
            "body": f"{escape(finding.text)}\n\nProposed: {escape(finding.proposes or '')}\n\nRun `{finding.run_id}`. "
            "Without an answer in time, nothing changes.",
            "change": {
                "cell": f"{finding.service} {finding.scenario} {finding.kind}",
                "run": finding.run_id,
                "reason": f"quarterly review: {finding.kind}, {finding.text}",
                "force": finding.is_new_baseline,
                "over": finding.version,
            },
        }
        for finding in findings
        if finding.run_id is not None
    ]


def _replaced(current: Baseline) -> str:
    approval = current.approval
    return (
        f"It would replace version {current.version}, {current.state}, approved by {escape(approval.by)} on "
        f"{approval.at:%Y-%m-%d}, and later runs would be compared with this run."
    )


def _what(record: RunRecord) -> str:
    return f"a re-run of {record.rerun_of}" if record.rerun_of else str(record.verdict)
