"""What an approver is asked, in Markdown, and which runs need one."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from include.perf.baselines.baselines import Baseline, Baselines
from include.perf.model.errors import BaselineError
from include.perf.reporting.markdown_text import block, bullets, escape
from include.perf.reporting.metric_table import metrics_table
from include.perf.runs.phrases import headline
from include.perf.runs.record import RunRecord, Verdict

if TYPE_CHECKING:
    from include.perf.baselines.review import Finding


def needs_approval(record: RunRecord) -> bool:
    """Return whether a run becomes a baseline only if somebody accepts it: worse, maybe worse, or something else."""
    if record.verdict in (Verdict.REGRESSION, Verdict.NOT_COMPARABLE):
        return True
    return record.verdict.is_measured and any(each.is_worse for each in record.deviations)


def question(record: RunRecord, *, reason: str, asked_by: str, baselines: Baselines) -> str:
    """Return what an approver decides about: the comparison, who asks and why.

    Raises:
        BaselineError: no approval can make this run a baseline.
    """
    if not record.verdict.is_measured or record.rerun_of is not None:
        raise BaselineError(f"run {record.run_id} is {_what(record)} and can never be a baseline; name another run")
    current = baselines.get(record.service, record.scenario)
    if current is not None and current.has_run(record.run_id):
        raise BaselineError(f"run {record.run_id} is part of the baseline already; there is nothing to approve")
    replaced = "There is no baseline yet." if current is None else _replaced(current)
    return "\n\n".join(
        [
            f"**{escape(headline(record))}**",
            f"{escape(asked_by)} asks to accept this run as the new level: {escape(reason)}",
            replaced,
            bullets(map(escape, record.reasons)),
            block(metrics_table(record)),
            f"Run `{record.run_id}`. Without an answer in time nothing changes.",
        ]
    )


def proposals(findings: "Iterable[Finding]") -> list[dict[str, Any]]:
    """Return what a review proposes: ``subject`` and ``body`` of each question, and the ``change`` asked for."""
    return [
        {
            "subject": f"{finding.service} in {finding.scenario}: {finding.kind}",
            "body": f"{escape(finding.text)}\n\nProposed: {escape(finding.proposes or '')}\n\nRun `{finding.run_id}`. "
            "Without an answer in time nothing changes.",
            "change": {
                "cell": f"{finding.service} {finding.scenario} {finding.kind}",
                "run": finding.run_id,
                "reason": f"quarterly review: {finding.kind}, {finding.text}",
                "force": finding.is_new_level,
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
        f"{approval.at:%Y-%m-%d}, and later runs would be held to it."
    )


def _what(record: RunRecord) -> str:
    return f"a re-run of {record.rerun_of}" if record.rerun_of else str(record.verdict)
