"""Slack messages about the pipeline itself: for those who run it, and never to be taken for a regression."""

from collections.abc import Sequence
from datetime import datetime

from include.perf.adapters.slack_blocks import (
    MAX_CONTEXT,
    MAX_HEADER,
    MAX_SECTION,
    Block,
    Links,
    SlackMessage,
    escape,
    fit,
)
from include.perf.phrase import counted, utc_time
from include.perf.run import RunRecord, Verdict

UNMEASURED = (Verdict.INVALID, Verdict.SKIPPED)


def late_message(*, scenario: str, run: str, late_since: datetime, links: Links) -> SlackMessage:
    """Return what to post when a run of a DAG takes longer than it may."""
    line = f":hourglass: {escape(scenario)} is late: it should have been over by {utc_time(late_since)}"
    return _message(line, [f"Run `{escape(run)}` is still going. Nothing is known about the services yet."], links)


def unmeasured_message(records: Sequence[RunRecord], *, of: int, links: Links) -> SlackMessage:
    """Return what to post about runs that measured nothing that could be judged, with the reason of each.

    Args:
        of: how many runs there were.
    """
    scenario = records[0].scenario
    line = (
        f":construction: {escape(scenario)}: {len(records)} of {counted(of, 'service')} could not be judged; this is "
        "about the measurement, not about the services"
    )
    return _message(line, [_reason(record) for record in records], links)


def _reason(record: RunRecord) -> str:
    first, *rest = record.validity or record.reasons or ("no reason was kept",)
    more = f" (and {counted(len(rest), 'reason')} more)" if rest else ""
    return f"• *{escape(record.service)}* {record.verdict}: {escape(first)}{more}"


def _message(line: str, lines: Sequence[str], links: Links) -> SlackMessage:
    text = fit([line], MAX_HEADER)
    blocks: list[Block] = [
        {"type": "header", "text": {"type": "plain_text", "text": text, "emoji": True}},
        {"type": "section", "text": {"type": "mrkdwn", "text": fit(lines, MAX_SECTION), "verbatim": True}},
    ]
    address = f"Airflow run: {escape(links.airflow_run or '')}"
    if links.airflow_run and len(address) <= MAX_CONTEXT:
        blocks.append({"type": "context", "elements": [{"type": "mrkdwn", "text": address}]})
    return SlackMessage(text=text, blocks=blocks, image_alt="")
