"""Slack's messages about the pipeline itself, worded so that none reads like a regression."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from include.perf.alerts.book import Delivery, Event, Links, Message, Problem, ProblemKind, UnreadableEntry
from include.perf.alerts.slack_blocks import NO_LINKS, RESOLVED, escape, fit, notice, plain, reply, resolved
from include.perf.model.text import counted, span, utc_time
from include.perf.runs.dag_run import Absence, DagRunResults, MissingRun
from include.perf.runs.record import RunRecord

PIPELINE = ":construction:"

MAX_NAME = 63
"""Characters of a name in a first line; the catalogue allows no more."""

MAX_CHANGES = 8
"""Baselines whose changed limits are listed; each may have one line per metric."""


class SlackPipelineWords:
    """Writes Slack's messages for `include.perf.alerts.pipeline_alerts.PipelineWords`, and for `DagRunWords`."""

    def unmeasured(
        self, records: Sequence[RunRecord], *, of: int, missing: Sequence[MissingRun], links: Links
    ) -> Message:
        """Return the message about runs that could not be judged, with one line and reason each."""
        where = f"{_name(records[0].scenario)}: " if records else ""
        share = _share(records, of=of, missing=missing)
        line = f"{where}{share} could not be judged (a problem of the measurement, not of the services)"
        return notice(line, _unmeasured_lines(records, missing), links, icon=PIPELINE)

    def unmeasured_continues(
        self, records: Sequence[RunRecord], *, of: int, missing: Sequence[MissingRun], links: Links, problem: Problem
    ) -> Message:
        """Return the reply for another such night; ``problem.nights`` includes tonight."""
        line = f"still not judged, night {problem.nights}: {_share(records, of=of, missing=missing)}"
        return reply(line, _unmeasured_lines(records, missing), links)

    def measured_again(self, problem: Problem) -> Message:
        """Return the reply for a night in which all runs could be judged."""
        return reply(f"all services can be judged again after {counted(problem.nights, 'night')}", icon=RESOLVED)

    def failed(self, scenario: str, reason: str, links: Links) -> Message:
        """Return the message about a DAG run without any result."""
        line = f"{_name(scenario)} failed: nothing was measured, so nothing is known about the services"
        return notice(line, [f"Reason: {escape(reason, 1500)}"], links, icon=PIPELINE)

    def unreported(self, scenario: str, run: str, links: Links) -> Message:
        """Return the message about a late DAG run that failed before its results were reported."""
        line = f"{_name(scenario)} failed before its results were reported"
        lines = [f"Run `{escape(run, 300)}` ended. To report what it measured, clear its task `alert`."]
        return notice(line, lines, links, icon=PIPELINE)

    def late(self, scenario: str, run: str, late_since: datetime, links: Links) -> Message:
        """Return the message about a DAG run that missed its deadline."""
        line = f"{_name(scenario)} is late: it should have finished by {utc_time(late_since)}"
        lines = [f"Run `{escape(run, 300)}` is still running. There are no results about the services yet."]
        return notice(line, lines, links, icon=":hourglass:")

    def finished(self, results: DagRunResults | None) -> Message:
        """Return the reply for a DAG run that finished after all: ``finished after all: 5 PASS, 1 REGRESSION``."""
        counts = _counts(results) if results else ""
        return reply(f"finished after all{f': {counts}' if counts else ''}", icon=RESOLVED)

    def finished_later(self, run: str) -> Message:
        """Return the reply for a DAG run that did not finish, once a later one of its scenario has."""
        return reply(f"a later run of this scenario has results: {plain(run)[:300]}", icon=RESOLVED)

    def overdue(self, scenario: str, last_run_at: datetime | None, due_at: datetime, links: Links) -> Message:
        """Return the message about a scenario that did not run when it was due."""
        line = f"{_name(scenario)} did not run: it was due at {utc_time(due_at)}"
        last = "It has never run." if last_run_at is None else f"It last ran at {utc_time(last_run_at)}."
        lines = [last, "There are no results since then. Is the DAG paused, or the scheduler down?"]
        return notice(line, lines, links, icon=PIPELINE)

    def runs_again(self, problem: Problem) -> Message:
        """Return the reply for an overdue scenario that runs again."""
        missed = span((problem.last_seen_at - problem.opened_at).total_seconds() // 60 * 60)
        return reply(f"runs again, {missed} after this alert", icon=RESOLVED)

    def paused(self, scenario: str, *, runs: int, reason: str, links: Links) -> Message:
        """Return the message about a schedule that was paused, with the way to go on."""
        name = _name(scenario)
        line = f"{name} is paused: its last {counted(runs, 'scheduled run')} measured nothing"
        lines = [
            f"Last reason: {escape(reason, 1200)}",
            f"To go on: remove the cause, trigger `{name}` to see that it measures again, then unpause its DAG. Either "
            "of the two ends the count. `pause_after` in `scenarios.yaml` is the number of runs.",
        ]
        return notice(line, lines, links, icon=PIPELINE)

    def limits_changed(self, changes: Sequence[str]) -> Message:
        """Return the message about changed limits of alert rules, given one line per cell."""
        line = f"the limits of the alert rules changed for {counted(len(changes), 'baseline')}"
        shown = [f"• {escape(change, 1200)}" for change in changes[:MAX_CHANGES]]
        rest = len(changes) - len(shown)
        more = [f"… and {rest} more; see `python -m include.perf rules show`"] if rest else []
        return notice(line, [*shown, *more], NO_LINKS, icon=":bell:")

    def catalogue_wrong(self, problems: Sequence[str], *, is_usable: bool) -> Message:
        """Return the message about wrong entries of the catalogue, with one line each."""
        effect = "the wrong entries are left out" if is_usable else "no new run can start"
        line = f"the catalogue has {counted(len(problems), 'problem')}: {effect}"
        shown = [f"• {escape(problem, 400)}" for problem in problems[:MAX_CHANGES]]
        rest = len(problems) - len(shown)
        more = [f"… and {rest} more; see `python -m include.perf check`"] if rest else []
        return notice(line, [*shown, *more], NO_LINKS, icon=PIPELINE)

    def catalogue_right(self) -> Message:
        """Return the message about a catalogue whose problems are all corrected."""
        return notice("the catalogue has no problems any more", [], NO_LINKS, icon=RESOLVED)

    def undeliverable(self, entries: Sequence[Delivery], unreadable: Sequence[UnreadableEntry]) -> Message:
        """Return the message about deliveries that were set aside, and about entries of the alert book that are odd."""
        parts = [counted(len(entries), "message")] if entries else []
        if unreadable:
            parts.append(f"{counted(len(unreadable), 'item')} of the alert book that cannot be read")
        deliveries = [_undelivered(entry) for entry in entries[:MAX_CHANGES]]
        odd = [f"• {entry.section}: {escape(entry.reason, 300)}" for entry in unreadable[:MAX_CHANGES]]
        rest = len(entries) + len(unreadable) - len(deliveries) - len(odd)
        more = [f"… and {rest} more"] if rest else []
        advice = "See `python -m include.perf alerts list`; then `alerts retry` or `alerts drop`."
        line = f"set aside, and not sent again: {' and '.join(parts)}"
        return notice(line, [*deliveries, *odd, *more, advice], NO_LINKS, icon=PIPELINE)

    def mark(self, problem: Problem, event: Event) -> Message:
        """Return the replacement for the first message of a closed problem."""
        if problem.kind is ProblemKind.OVERDUE:
            return resolved("Runs again", problem.title)
        if problem.kind is ProblemKind.DAG_RUN:
            return resolved("Over", problem.title)
        return resolved(f"Judged again after {counted(problem.nights, 'night')}", problem.title)


def _undelivered(entry: Delivery) -> str:
    where = entry.address or entry.channel
    what = f"{entry.part} to {escape(where, 80)}, {escape(entry.message.text, 200)}"
    return f"• `{escape(entry.id, 60)}` {what}: {escape(entry.short_reason, 500)}"


def _counts(results: DagRunResults) -> str:
    verdicts = Counter(record.verdict.value for record in results.records.values())
    counts = [f"{number} {verdict}" for verdict, number in sorted(verdicts.items())]
    return ", ".join([*counts, f"{len(results.missing)} without a record"] if results.missing else counts)


def _share(records: Sequence[RunRecord], *, of: int, missing: Sequence[MissingRun]) -> str:
    return f"{len(records) + len(missing)} of {counted(of, 'service')}"


def _unmeasured_lines(records: Sequence[RunRecord], missing: Sequence[MissingRun]) -> list[str]:
    return [*map(_reason, records), *map(_missing_line, missing)]


def _missing_line(run: MissingRun) -> str:
    what = "left a record that cannot be read" if run.absence is Absence.UNREADABLE else "left no record"
    return f"• *{escape(run.service, 80)}* {what}"


def _reason(record: RunRecord) -> str:
    first, *rest = record.validity or record.reasons or ("no reason was recorded",)
    more = f" (and {counted(len(rest), 'more reason')})" if rest else ""
    return f"• *{escape(record.service, 80)}* {record.verdict}: {escape(first, 600)}{more}"


def _name(text: str) -> str:
    return fit([plain(text)], MAX_NAME)
