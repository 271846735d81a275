"""The tasks that approve baselines and review them every quarter. A person decides; no answer changes nothing."""

import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import task

from bellwether.context import SHORT, TRIES_AGAIN, airflow_errors, task_context

log = logging.getLogger(__name__)

ANSWER_WITHIN = timedelta(days=3)
REVIEW_WITHIN = timedelta(days=14)


@task(execution_timeout=SHORT, **TRIES_AGAIN)
def question() -> dict[str, Any]:
    """Find the run and return the question in Markdown, and the version of the baseline that it is about."""
    from bellwether.wiring import storage
    from include.perf.reporting.approval import question as question_about
    from include.perf.runs.stage_files import StageFiles, find_run

    params, stores = _params(), storage()
    with airflow_errors():
        results = stores.results()
        record = StageFiles(results, find_run(results, params["run"])).read_record()
        baselines = stores.baselines().read()
        body = question_about(record, reason=params["reason"], asked_by=_asked_by(), baselines=baselines)
        current = baselines.get(record.service, record.scenario)
    return {"body": body, "over": current.version if current else 0}


def approval(*, subject: Any, body: Any, within: timedelta) -> ApprovalOperator:
    """Return the task that waits for a person; no answer in time is a rejection."""
    return ApprovalOperator(
        task_id="approval",
        subject=subject,
        body=body,
        defaults=ApprovalOperator.REJECT,
        response_timeout=within,
    )


@task(execution_timeout=SHORT, **TRIES_AGAIN)
def accept(over: int, answer: Mapping[str, Any]) -> None:
    """Promote the run in the name of the approver; refused if the baseline changed after the question."""
    params = _params()
    reason = f"{params['reason']} (requested by {_asked_by()})"
    _promote(params["run"], reason=reason, by=_approver(answer), force=True, over=over)


@task(execution_timeout=SHORT, **TRIES_AGAIN)
def review() -> list[dict[str, Any]]:
    """Log baselines that are stale, due, drifting or outdated by a lasting improvement; return the proposed changes."""
    from bellwether.wiring import storage
    from include.perf.baselines.promotion import review_all
    from include.perf.model.text import utc_now
    from include.perf.reporting.approval import proposals

    stores = storage()
    with airflow_errors():
        findings = review_all(store=stores.results(), baselines=stores.baselines(), now=utc_now())
    for finding in findings:
        log.warning("%s in %s: %s: %s", finding.service, finding.scenario, finding.kind, finding.text)
    return proposals(findings)


@task(execution_timeout=SHORT, map_index_template="{{ cell }}", **TRIES_AGAIN)
def apply(change: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
    """Apply a proposed change that was approved."""
    context = task_context()
    context["cell"] = change["cell"]
    _promote(change["run"], reason=change["reason"], by=_approver(answer), force=change["force"], over=change["over"])


def _promote(run: str, *, reason: str, by: str, force: bool, over: int) -> None:
    from bellwether.wiring import storage
    from include.perf.baselines.entry import Approval
    from include.perf.baselines.promotion import promote
    from include.perf.model.text import utc_now
    from include.perf.runs.stage_files import StageFiles, find_run

    stores = storage()
    with airflow_errors():
        results = stores.results()
        record = StageFiles(results, find_run(results, run)).read_record()
        approval = Approval(by=by, at=utc_now(), reason=reason, run_id=record.run_id)
        promote(record, approval=approval, force=force, store=results, baselines=stores.baselines(), over=over)


def _params() -> Mapping[str, str]:
    context = task_context()
    params: Mapping[str, str] = context["params"]
    return params


def _asked_by() -> str:
    """Return the person whom Airflow knows, or else the person who triggered the scenario's run."""
    context = task_context()
    return str(context["dag_run"].triggering_user_name or _params().get("asked_by") or "somebody")


def _approver(answer: Mapping[str, Any]) -> str:
    """Return the name of the approver. Rejections never get here: the tasks after them are skipped."""
    user = answer.get("responded_by_user") or {}
    return str(user.get("name") or user.get("id") or "unknown")
