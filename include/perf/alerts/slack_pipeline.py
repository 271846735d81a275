"""Slack's messages about the pipeline itself: for those who run it, and never to be taken for a regression."""

from collections.abc import Sequence
from datetime import datetime

from include.perf.alerts.book import Links, Message, Problem
from include.perf.alerts.slack_blocks import NOWHERE, escape, fit, notice, plain, reply
from include.perf.model.text import counted, span, utc_time
from include.perf.runs.record import RunRecord

NAME = 63
"""Characters of a name in a first line; the catalogue allows no more."""

MAX_CHANGES = 8
"""Baselines whose limits are listed; each may have a line for every metric."""


def unmeasured(records: Sequence[RunRecord], *, of: int, missing: Sequence[str], links: Links) -> Message:
    """Return what to tell about runs that measured nothing that could be judged, with the reason of each.

    Args:
        of: how many runs there were.
        missing: services whose run left no record.
    """
    where = f"{_name(records[0].scenario)}: " if records else ""
    line = (
        f":construction: {where}{_share(records, of=of, missing=missing)} could not be judged; this is about the "
        "measurement, not about the services"
    )
    return notice(line, _unmeasured_lines(records, missing), links)


def unmeasured_continues(
    records: Sequence[RunRecord], *, of: int, missing: Sequence[str], links: Links, problem: Problem
) -> Message:
    """Return what to tell in the thread while runs cannot be judged; tonight counts in the problem's nights."""
    share = _share(records, of=of, missing=missing)
    line = f"still not measured, night {problem.nights}: {share}"
    return reply(line, _unmeasured_lines(records, missing), links)


def measured_again(problem: Problem) -> Message:
    """Return the reply for the thread when every run could be judged again."""
    return reply(f":white_check_mark: measured again after {counted(problem.nights, 'night')}")


def failed(scenario: str, reason: str, links: Links) -> Message:
    """Return what to tell when nothing came of a run of a DAG."""
    line = f":construction: {_name(scenario)} failed: nothing was measured; this says nothing about the services"
    return notice(line, [f"Reason: {escape(reason, 1500)}"], links)


def late(scenario: str, run: str, late_since: datetime, links: Links) -> Message:
    """Return what to tell when a run of a DAG takes longer than it may."""
    line = f":hourglass: {_name(scenario)} is late: it should have been over by {utc_time(late_since)}"
    return notice(line, [f"Run `{escape(run, 300)}` is still going. Nothing is known about the services yet."], links)


def overdue(scenario: str, last_run_at: datetime | None, due_at: datetime, links: Links) -> Message:
    """Return what to tell when a scenario that should have run did not."""
    line = f":construction: {_name(scenario)} did not run: it was due at {utc_time(due_at)}"
    last = "It never ran before." if last_run_at is None else f"It last ran at {utc_time(last_run_at)}."
    lines = [last, "Nothing is known about the services since then. Is the DAG paused, or the scheduler down?"]
    return notice(line, lines, links)


def runs_again(problem: Problem) -> Message:
    """Return the reply for the thread when an overdue scenario has run again."""
    missed = span((problem.last_seen_at - problem.opened_at).total_seconds() // 60 * 60)
    return reply(f":white_check_mark: runs again, {missed} after this was told")


def limits_changed(changes: Sequence[str]) -> Message:
    """Return what to tell when limits of the alert rules are others now, a line for each cell."""
    line = f":bell: limits of the alert rules changed for {counted(len(changes), 'baseline')}"
    shown = [f"• {escape(change, 1200)}" for change in changes[:MAX_CHANGES]]
    rest = len(changes) - len(shown)
    return notice(line, [*shown, *([f"… and {rest} more; python -m include.perf rules show"] if rest else [])], NOWHERE)


def _share(records: Sequence[RunRecord], *, of: int, missing: Sequence[str]) -> str:
    return f"{len(records) + len(missing)} of {counted(of, 'service')}"


def _unmeasured_lines(records: Sequence[RunRecord], missing: Sequence[str]) -> list[str]:
    return [*map(_reason, records), *(f"• *{escape(name, 80)}* left no record" for name in missing)]


def _reason(record: RunRecord) -> str:
    first, *rest = record.validity or record.reasons or ("no reason was kept",)
    more = f" (and {counted(len(rest), 'reason')} more)" if rest else ""
    return f"• *{escape(record.service, 80)}* {record.verdict}: {escape(first, 600)}{more}"


def _name(text: str) -> str:
    return fit([plain(text)], NAME)
