"""The tasks of approving baselines, and of their quarterly review. A person decides; a time-out changes nothing."""

import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import task

from bellwether.context import SHORT, task_context
from bellwether.failures import told_to_airflow

log = logging.getLogger(__name__)

ANSWER_WITHIN = timedelta(days=3)
REVIEW_WITHIN = timedelta(days=14)


@task(execution_timeout=SHORT)
def question() -> dict[str, Any]:
    """Find the run and say what is to be decided, in Markdown, and over which version of the baseline."""
    from bellwether.wiring import airflow_pipeline
    from include.perf.reporting.approval import question as asked

    params = _params()
    with told_to_airflow():
        pipeline = airflow_pipeline()
        record = pipeline.record(pipeline.find(params["run"]))
        baselines = pipeline.baselines.read()
        body = asked(record, reason=params["reason"], asked_by=_asked_by(), baselines=baselines)
        current = baselines.get(record.service, record.scenario)
    return {"body": body, "over": current.version if current else 0}


def approval(*, subject: Any, body: Any, within: timedelta) -> ApprovalOperator:
    """Return the task that waits for a person; no answer in time is a refusal."""
    return ApprovalOperator(
        task_id="approval",
        subject=subject,
        body=body,
        defaults=ApprovalOperator.REJECT,
        response_timeout=within,
    )


@task(execution_timeout=SHORT)
def accept(over: int, answer: Mapping[str, Any]) -> None:
    """Make the run the new level, in the name of who approved it; refused when the baseline changed meanwhile."""
    params = _params()
    reason = f"{params['reason']} (asked for by {_asked_by()})"
    _promote(params["run"], reason=reason, by=_approver(answer), force=True, over=over)


@task(execution_timeout=SHORT)
def review() -> list[dict[str, Any]]:
    """Log what is stale, due, drifting or better for good, and return what is proposed."""
    from bellwether.wiring import airflow_pipeline
    from include.perf.reporting.approval import proposals

    with told_to_airflow():
        findings = airflow_pipeline().review()
    for finding in findings:
        log.warning("%s in %s: %s: %s", finding.service, finding.scenario, finding.kind, finding.text)
    return proposals(findings)


@task(execution_timeout=SHORT, map_index_template="{{ cell }}")
def apply(change: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
    """Do what was proposed and approved."""
    context = task_context()
    context["cell"] = change["cell"]
    _promote(change["run"], reason=change["reason"], by=_approver(answer), force=change["force"], over=change["over"])


def _promote(run: str, *, reason: str, by: str, force: bool, over: int) -> None:
    from bellwether.wiring import airflow_pipeline

    with told_to_airflow():
        pipeline = airflow_pipeline()
        pipeline.promote(pipeline.find(run), force=force, reason=reason, by=by, over=over)


def _params() -> Mapping[str, str]:
    context = task_context()
    params: Mapping[str, str] = context["params"]
    return params


def _asked_by() -> str:
    """Return who asks: the person that Airflow knows, then who the scenario's run was triggered by."""
    context = task_context()
    return str(context["dag_run"].triggering_user_name or _params().get("asked_by") or "somebody")


def _approver(answer: Mapping[str, Any]) -> str:
    """Return the name of who approved; a refusal never comes here, its tasks are skipped."""
    user = answer.get("responded_by_user") or {}
    return str(user.get("name") or user.get("id") or "unknown")
