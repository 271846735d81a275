"""Slack's messages about services: what on-call reads at 3 a.m. on a phone. Pure; nothing is sent here.

The first line alone tells the story, and the line below it how grave it is, since when and with which version.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC

from include.perf.alerts import slack_words as words
from include.perf.alerts.book import Event, Links, Message, Problem, ProblemKind, Silence
from include.perf.alerts.slack_blocks import (
    MAX_HEADER,
    Block,
    buttons,
    context,
    escape,
    fields,
    fit,
    header,
    mention_of,
    notice,
    paths,
    plain,
    plain_of,
    reply,
    section,
    within_budget,
)
from include.perf.alerts.slack_pipeline import (
    failed,
    late,
    limits_changed,
    measured_again,
    overdue,
    runs_again,
    unmeasured,
    unmeasured_continues,
)
from include.perf.model.cell import CellName
from include.perf.model.metric import METRICS, Unit
from include.perf.model.numbers import format_value
from include.perf.model.text import counted
from include.perf.runs import phrases
from include.perf.runs.phrases import improved
from include.perf.runs.record import Deviation, RunRecord, Severity, Verdict

__all__ = [
    "accepted",
    "acknowledged",
    "continues",
    "digest",
    "failed",
    "late",
    "limits_changed",
    "mark",
    "measured_again",
    "opened",
    "overdue",
    "recovered",
    "runs_again",
    "summary",
    "unmeasured",
    "unmeasured_continues",
    "worsened",
]

MAX_DEVIATIONS = 5
"""Deviations of a run shown; the rest is counted, and the report has it all."""
MAX_CELLS = 12
"""Other cells shown; a phone shows about so many lines."""
MAX_TOLD = 3
"""Metrics in a reply of a single line."""


# A problem begins, goes on, gets worse


def opened(records: Sequence[RunRecord], *, links: Links, mention: str | None) -> Message:
    """Return the message of a problem.

    Args:
        records: of one cause; the first is the lead, the others are told with it in a line each.
        mention: id of the user group that is to be woken by what is critical.
    """
    lead, *others = records
    line, beside = words.first_line(records), words.beside(lead)
    whole = {
        "header": header(line),
        "deviations": section(_opening(records, mention)),
        "other cells": section(_cells(lead, others)),
        "links": buttons(links),
        "beside": section(["*Beside it*", *beside] if beside else []),
        "facts": fields(_facts(lead)),
        "context": context([*_small_print(lead), *paths(links)]),
    }
    return _message(records, line, whole)


def worsened(records: Sequence[RunRecord], problem: Problem, *, mention: str | None) -> Message:
    """Return what to tell, in the thread and the channel, when a problem is worse than what was told.

    Args:
        problem: with the figures told at first in ``levels`` and ``values``; tonight counts in its ``nights``.
    """
    line = words.first_line(records, before=f"worse, night {problem.nights}:")
    lines = [_status(records, mention), *words.cause_line(records), *_since_told(records[0], problem)]
    lead, *others = records
    whole = {
        "header": header(line),
        "deviations": section(lines),
        "other cells": section(_cells(lead, others)),
        "context": context(_small_print(lead)),
    }
    return _message(records, line, whole)


def continues(records: Sequence[RunRecord], problem: Problem) -> Message:
    """Return the line for the thread of a problem that is still there.

    Args:
        problem: with the figures told at first in ``levels`` and ``values``; tonight counts in its ``nights``.
    """
    lead, *others = records
    told = [_brief(each, _at_first(each, lead, problem)) for each in phrases.worsened(lead)[:MAX_TOLD]]
    said = ", ".join(told) or "nothing sure tonight"
    where = f"{fit([plain(lead.service)], 40)} " if others else ""
    more = f"; {counted(len(others), 'more cell')} with it" if others else ""
    return reply(f"still there, night {problem.nights}: {where}{said}{more}")


def _brief(deviation: Deviation, at_first: str) -> str:
    """Write a change beside what was told of it: ``p95 +44 % (was +45 % at first)``."""
    change = phrases.change_of(deviation.metric, deviation.shift)
    before = f" (was {at_first} at first)" if at_first not in ("", change) else ""
    return f"{words.short_name(deviation.metric)} {change}{before}"


def _at_first(deviation: Deviation, record: RunRecord, problem: Problem) -> str:
    """Return a change as it was told at first: of the problem's first cell only."""
    is_first = problem.cells[:1] == (CellName(record.service, record.scenario),)
    return words.change_at_first(deviation, problem) if is_first else ""


def _since_told(record: RunRecord, problem: Problem) -> list[str]:
    """Tell the deviations with what was told of them at first, the new ones marked."""
    worse = phrases.worsened(record)
    lines = []
    for each in worse[:MAX_DEVIATIONS]:
        line = words.deviation_line(each, lead=worse[0], now=record.started_at)
        at_first = _at_first(each, record, problem)
        lines.append(f"{line}; told first: {at_first}" if at_first else f"{line}; *not told before*")
    return [*lines, *_rest(len(worse), MAX_DEVIATIONS)]


def _rest(number: int, shown: int) -> list[str]:
    return [f"… and {number - shown} more"] if number > shown else []


def _message(records: Sequence[RunRecord], line: str, whole: Mapping[str, Block | None]) -> Message:
    shown = [block for block in whole.values() if block]
    least_urgent = ("links", "facts", "beside", "other cells", "deviations")
    blocks = within_budget(whole, least_urgent=least_urgent)
    return Message(text=line, plain=plain_of(shown), blocks=blocks, image_alt=words.image_alt(records[0]))


def _opening(records: Sequence[RunRecord], mention: str | None) -> list[str]:
    lead = records[0]
    if not lead.verdict.is_measured:
        return [f"• {escape(reason, 500)}" for reason in (*lead.validity, *lead.reasons)]
    moved = phrases.worsened(lead) + improved(lead)
    if lead.verdict is not Verdict.REGRESSION or not moved:
        return [f"• {escape(reason, 500)}" for reason in lead.reasons]
    lines = [_deviation(each, lead=moved[0], record=lead) for each in moved[:MAX_DEVIATIONS]]
    return [_status(records, mention), *words.cause_line(records), *lines, *_rest(len(moved), MAX_DEVIATIONS)]


def _deviation(deviation: Deviation, *, lead: Deviation, record: RunRecord) -> str:
    if deviation.is_worse:
        return words.deviation_line(deviation, lead=lead, now=record.started_at)
    return f"• better: {words.figures_of(deviation)}"


def _status(records: Sequence[RunRecord], mention: str | None) -> str:
    """Say what decides whether to get up: how grave, where, since when, with which version, and who is asked."""
    lead = records[0]
    severity, worse = words.gravest(records), phrases.worsened(lead)
    parts = [f"*{severity.value.capitalize()}*", escape(lead.environment, 80)]
    if worse:
        parts.append(words.since(worse[0], now=lead.started_at))
        parts += [said] if (said := words.version(lead, worse[0])) else []
    asked = mention_of(mention) if severity is Severity.CRITICAL else ""
    return " · ".join(parts) + (f" {asked}" if asked else "")


def _cells(lead: RunRecord, others: Sequence[RunRecord]) -> list[str]:
    if not others:
        return []
    title = f"*With it: {counted(len(others), 'more cell')}*"
    lines = [words.cell_line(each, lead=lead) for each in others[:MAX_CELLS]]
    return [title, *lines, *_rest(len(others), MAX_CELLS)]


def _facts(record: RunRecord) -> dict[str, str]:
    worse = phrases.worsened(record) if record.verdict is Verdict.REGRESSION else ()
    facts = {"Why": words.why(worse[0])} if worse else {}
    facts["Compared with"] = words.compared_with(record)
    return facts


def _small_print(record: RunRecord) -> list[str]:
    load = record.load
    achieved = format_value(load.achieved_rate_rps, Unit.REQUESTS_PER_SECOND)
    requested = format_value(load.requested_rate_rps, Unit.REQUESTS_PER_SECOND)
    return [
        phrases.utc_window(record.window) if record.window else "no measured window",
        f"sent {achieved} of {requested} requested",
        f"run `{escape(record.run_id, 200)}`",
    ]


# A problem ends


def recovered(problem: Problem, records: Sequence[RunRecord]) -> Message:
    """Return the reply for the thread of a problem that is gone: from what, and to which figures."""
    told = [each for each in METRICS if each in problem.worst] or ["latency_p95"]
    figures = ", ".join(_level(records[0], each) for each in told[:MAX_TOLD]) if records else ""
    said = f"back to normal after {counted(problem.nights, 'night')}"
    return reply(f":white_check_mark: {said}: {figures}" if figures else f":white_check_mark: {said}")


def _level(record: RunRecord, name: str) -> str:
    """Write a metric beside its baseline: ``p95 42.0 ms (baseline 42.1 ms)``."""
    value, unit = record.value_of(name), METRICS[name].unit
    baseline = record.baseline.metrics.get(name) if record.baseline else None
    held = "" if baseline is None else f" (baseline {format_value(baseline, unit)})"
    return f"{words.short_name(name)} {format_value(value, unit)}{held}"


def accepted(problem: Problem, version: int) -> Message:
    """Return the reply for the thread of a problem that somebody made the new level."""
    after = f"after {counted(problem.nights, 'night')}"
    return reply(f":white_check_mark: accepted as the new level {after} (baseline version {version})")


def mark(problem: Problem, event: Event) -> Message:
    """Return what replaces a problem's first message once it is over; its thread keeps the rest."""
    nights = counted(problem.nights, "night")
    if event is Event.ACCEPTED:
        said = f"Accepted as the new level after {nights}"
    elif problem.kind is ProblemKind.OVERDUE:
        said = "Runs again"
    else:
        said = f"{'Recovered' if problem.kind is ProblemKind.REGRESSION else 'Measured again'} after {nights}"
    return reply(f":white_check_mark: {said}: {plain(_ICON.sub('', problem.title))}")


_ICON = re.compile(r"\A:[a-z_]+: ")


def acknowledged(silence: Silence) -> Message:
    """Return the reply for the thread when somebody knows: ``mara knows: incident 4711 (silent until 30 Nov)``."""
    until = silence.until.astimezone(UTC)
    clock = f", {until:%H:%M} UTC" if (until.hour, until.minute) != (0, 0) else ""
    ends = f"(silent until {words.day(until, now=silence.created_at)}{clock})"
    by = fit([plain(silence.by)], 40)
    room = MAX_HEADER - len(f":no_bell: {by} knows:  {ends}")
    return reply(f":no_bell: {by} knows: {fit([plain(silence.reason)], room)} {ends}")


# What can wait until the morning


def digest(records: Sequence[RunRecord], *, silenced: int, links: Links) -> Message:
    """Return the improvements and suspicions of one run of a DAG; nobody has to do anything about them.

    Args:
        silenced: deviations that nobody wanted to hear of.
    """
    better = [_digest_line(each, improved(each), "better") for each in records]
    small = [_digest_line(each, _small(each), "a little worse") for each in records]
    doubtful = [_digest_line(each, _doubtful(each), "not sure yet") for each in records]
    named = {"improvement": better, "small change": small, "suspicion": doubtful}
    counts = [counted(number, name) for name, lines in named.items() if (number := len(list(filter(None, lines))))]
    counts += [f"{counted(silenced, 'deviation')} silenced"] if silenced else []
    where = f"{_scenario_of(records)}: " if records else ""
    line = f":memo: {where}{', '.join(counts) or 'nothing of note'}; nothing to do tonight"
    return notice(line, list(filter(None, better + small + doubtful)), links)


def _small(record: RunRecord) -> list[Deviation]:
    return [each for each in phrases.worsened(record) if each.severity is Severity.DIGEST]


def _doubtful(record: RunRecord) -> list[Deviation]:
    return [each for each in record.deviations if each.is_suspicion]


def _digest_line(record: RunRecord, found: Sequence[Deviation], how: str) -> str:
    if not found:
        return ""
    more = f", and {counted(len(found) - 1, 'more metric')}" if len(found) > 1 else ""
    return f"• *{escape(record.service, 80)}* {words.figures_of(found[0])}{more}: {how}"


def summary(records: Sequence[RunRecord], links: Links) -> Message:
    """Return one run of a DAG in one line: ``market_open: 6 services, all in line with their baselines``."""
    counts = {said: len([each for each in records if each.verdict in verdicts]) for said, verdicts in _SUMMED.items()}
    told = {said: number for said, number in counts.items() if number}
    services = counted(len(records), "service")
    if list(told) == ["in line"]:
        said = "all in line with their baselines" if len(records) > 1 else "in line with its baseline"
        line = f"{_scenario_of(records)}: {services}, {said}"
    else:
        line = f"{_scenario_of(records)}: {services}: {', '.join(f'{number} {said}' for said, number in told.items())}"
    return notice(line, [], links)


_SUMMED = {
    "worse": (Verdict.REGRESSION,),
    "in line": (Verdict.PASS,),
    "better": (Verdict.IMPROVEMENT,),
    "without a baseline": (Verdict.NO_BASELINE, Verdict.NOT_COMPARABLE),
    "not judged": (Verdict.INVALID, Verdict.SKIPPED),
}


def _scenario_of(records: Sequence[RunRecord]) -> str:
    return fit([plain(records[0].scenario)], 63) if records else "nothing ran"
