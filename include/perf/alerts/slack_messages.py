"""Slack's messages about services: what on-call reads at 3 a.m. on a phone.

The first line is the news in one sentence; the line below it has the severity, the first night and the version.
Everything here is pure; nothing is sent.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC

from include.perf.alerts import slack_words as words
from include.perf.alerts.book import Event, Links, Message, Problem, Silence
from include.perf.alerts.slack_blocks import (
    MAX_HEADER,
    RESOLVED,
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
    resolved,
    section,
    within_budget,
)
from include.perf.model.cell import CellName
from include.perf.model.metric import METRICS, Unit
from include.perf.model.numbers import format_value
from include.perf.model.text import counted
from include.perf.runs.phrases import change_of, exceeded_of, improved, utc_window
from include.perf.runs.phrases import worsened as worse_of
from include.perf.runs.record import Deviation, RunRecord, Severity, Verdict

MAX_DEVIATIONS = 5
"""Deviations shown per run; the rest is counted, and the report lists all."""

MAX_CELLS = 12
"""Other affected cells shown; a phone shows about as many lines."""

MAX_METRICS = 3
"""Metrics shown in a reply of a single line."""

SILENCED = ":no_bell:"
DIGEST = ":memo:"

_SUMMARY = {
    "over a limit": (Verdict.OVER_LIMIT,),
    "worse": (Verdict.REGRESSION,),
    "unchanged": (Verdict.PASS,),
    "better": (Verdict.IMPROVEMENT,),
    "without a baseline": (Verdict.NO_BASELINE, Verdict.NOT_COMPARABLE),
    "not judged": (Verdict.INVALID, Verdict.SKIPPED),
}


class SlackWords:
    """Writes Slack's messages for `include.perf.alerts.service_alerts.ServiceWords`.

    The first of ``records`` is the lead run; the others have the same cause and get one line each. A problem holds
    the figures of its first alert in ``levels`` and ``values``, and its ``nights`` include tonight.
    """

    def opened(self, records: Sequence[RunRecord], *, links: Links, mention: str | None) -> Message:
        """Return the first message of a problem.

        Args:
            mention: id of the user group to mention if the problem is critical.
        """
        lead, *others = records
        metrics = words.other_metrics(lead)
        blocks = {
            "deviations": section(_opening(records, mention)),
            "other cells": section(_cells(lead, others)),
            "links": buttons(links),
            "other metrics": section(["*Other metrics*", *metrics] if metrics else []),
            "facts": fields(_facts(lead)),
            "context": context([*_small_print(lead), *paths(links)]),
        }
        return _message(records, words.first_line(records), blocks)

    def worsened(self, records: Sequence[RunRecord], problem: Problem, *, mention: str | None) -> Message:
        """Return the reply, also shown in the channel, for a problem that got worse."""
        lead, *others = records
        lines = [
            _status(records, mention),
            *words.cause_line(records),
            *_limit_lines(lead),
            *_since_first_alert(lead, problem),
        ]
        blocks = {
            "deviations": section(lines),
            "other cells": section(_cells(lead, others)),
            "context": context(_small_print(lead)),
        }
        return _message(records, words.first_line(records, before=f"worse, night {problem.nights}:"), blocks)

    def continues(self, records: Sequence[RunRecord], problem: Problem) -> Message:
        """Return the reply for a night in which the problem continues: ``still there, night 3: p95 +45 %``."""
        lead, *others = records
        changes = [f"it {plain(lead.collapse.happened[0])}"] if lead.collapse else []
        changes += [words.limit_figures(exceeded) for exceeded in exceeded_of(lead)[: MAX_METRICS - len(changes)]]
        changes += [
            _brief(deviation, _first_change(deviation, lead, problem))
            for deviation in worse_of(lead)[: MAX_METRICS - len(changes)]
        ]
        what = ", ".join(changes) or "no significant change tonight"
        where = f"{fit([plain(lead.service)], 40)} " if others else ""
        more = f"; {len(others)} more affected" if others else ""
        return reply(f"still there, night {problem.nights}: {where}{what}{more}")

    def standing(self, records: Sequence[RunRecord], problem: Problem) -> Message:
        """Return the question whether to accept or to fix a problem that stays, with the way to do either."""
        lead = records[0]
        brief = [words.limit_figures(exceeded) for exceeded in exceeded_of(lead)]
        brief += [_brief(deviation, "") for deviation in worse_of(lead)]
        what = ", ".join(brief[:MAX_METRICS]) or "the service failed"
        line = f"still there after {counted(problem.nights, 'night')}: {what}; accept or fix?"
        lines = ["• *fix*: the next healthy run closes this problem"]
        if not lead.is_failing:
            run = escape(lead.run_id, 200)
            lines.insert(0, f"• *accept*: trigger `baseline_approval` with run `{run}` and a reason")
        return reply(line, [*lines, "There are no more replies unless it gets worse or ends."])

    def partly_recovered(self, problem: Problem, recovered: Sequence[RunRecord], left: Sequence[CellName]) -> Message:
        """Return the reply for a problem that is over for some of its cells."""
        over = [fit([plain(f"{record.service} under {record.scenario}")], 60) for record in recovered[:MAX_METRICS]]
        more = f" and {len(recovered) - len(over)} more" if len(recovered) > len(over) else ""
        return reply(f"back to normal: {', '.join(over)}{more}; {counted(len(left), 'cell')} still affected")

    def joined(self, records: Sequence[RunRecord], problem: Problem) -> Message:
        """Return the reply for runs of the same night and cause: ``also affected: orders-service p95 +45 %``."""
        named = [
            " ".join([fit([plain(record.service)], 40), *(_brief(worst, "") for worst in worse_of(record)[:1])])
            for record in records[:MAX_METRICS]
        ]
        more = f"; {len(records) - len(named)} more" if len(records) > len(named) else ""
        return reply(f"also affected in this night, reported now: {', '.join(named)}{more}")

    def recovered(self, problem: Problem, records: Sequence[RunRecord]) -> Message:
        """Return the reply for a problem that is over: how long it lasted, and the values now."""
        names = [name for name in METRICS if name in problem.metrics] or ["latency_p95"]
        figures = ", ".join(_with_baseline(records[0], name) for name in names[:MAX_METRICS]) if records else ""
        line = f"back to normal after {counted(problem.nights, 'night')}"
        return reply(f"{line}: {figures}" if figures else line, icon=RESOLVED)

    def accepted(self, problem: Problem, version: int) -> Message:
        """Return the reply for a problem whose values were accepted as the new baseline."""
        after = counted(problem.nights, "night")
        return reply(f"accepted as the new baseline after {after} (version {version})", icon=RESOLVED)

    def mark(self, problem: Problem, event: Event) -> Message:
        """Return the replacement for the first message of a closed problem."""
        what = "Accepted as the new baseline" if event is Event.ACCEPTED else "Recovered"
        return resolved(f"{what} after {counted(problem.nights, 'night')}", problem.title)

    def digest(self, records: Sequence[RunRecord], *, silenced: int, links: Links) -> Message:
        """Return the message about improvements, small changes and suspicions; none of them needs action.

        Args:
            silenced: number of runs whose regressions are silenced.
        """
        better = [_digest_line(record, improved(record), "better") for record in records]
        small = [_digest_line(record, _small(record), "slightly worse") for record in records]
        doubtful = [_digest_line(record, _suspicions(record), "not confirmed") for record in records]
        named = {"improvement": better, "small change": small, "suspicion": doubtful}
        counts = [counted(number, name) for name, lines in named.items() if (number := len(list(filter(None, lines))))]
        counts += [f"{silenced} silenced"] if silenced else []
        where = f"{_scenario_of(records)}: " if records else ""
        line = f"{where}{', '.join(counts) or 'nothing of note'}; no action needed"
        return notice(line, list(filter(None, better + small + doubtful)), links, icon=DIGEST)

    def summary(self, records: Sequence[RunRecord], links: Links) -> Message:
        """Return one line about a DAG run: ``market_open: 6 services, no significant change``."""
        counts = {
            name: number
            for name, verdicts in _SUMMARY.items()
            if (number := len([record for record in records if record.verdict in verdicts]))
        }
        services = counted(len(records), "service")
        if list(counts) != ["unchanged"]:
            what = f": {', '.join(f'{number} {name}' for name, number in counts.items())}"
        else:
            what = ", no significant change"
        return notice(f"{_scenario_of(records)}: {services}{what}", [], links)


def acknowledged(silence: Silence) -> Message:
    """Return the reply for a silenced problem: ``acknowledged by mara: incident 4711 (silent until 30 Nov)``."""
    until = silence.until.astimezone(UTC)
    clock = f", {until:%H:%M} UTC" if (until.hour, until.minute) != (0, 0) else ""
    ends = f"(silent until {words.day(until, now=silence.created_at)}{clock})"
    start = f"acknowledged by {fit([plain(silence.by)], 40)}:"
    room = MAX_HEADER - len(f"{SILENCED} {start}  {ends}")
    return reply(f"{start} {fit([plain(silence.reason)], room)} {ends}", icon=SILENCED)


def _message(records: Sequence[RunRecord], line: str, blocks: Mapping[str, Block | None]) -> Message:
    icon = words.icon(records)
    shown = [block for block in blocks.values() if block]
    least_urgent = ("links", "facts", "other metrics", "other cells", "deviations")
    return Message(
        text=line,
        plain=plain_of(shown),
        blocks=within_budget({"header": header(line, icon=icon), **blocks}, least_urgent=least_urgent),
        image_alt=words.image_alt(records[0]),
        icon=icon,
    )


def _opening(records: Sequence[RunRecord], mention: str | None) -> list[str]:
    """Return the lines below the header: for a regression its figures, else the reasons of the verdict."""
    lead = records[0]
    if not lead.verdict.is_measured:
        return [f"• {escape(reason, 500)}" for reason in (*lead.validity, *lead.reasons)]
    changed = worse_of(lead) + improved(lead)
    if not lead.verdict.is_failure or not (changed or lead.has_findings):
        return [f"• {escape(reason, 500)}" for reason in lead.reasons]
    lines = [_deviation(deviation, lead=changed[0], record=lead) for deviation in changed[:MAX_DEVIATIONS]]
    return [
        _status(records, mention),
        *words.cause_line(records),
        *_limit_lines(lead),
        *lines,
        *_rest(len(changed), MAX_DEVIATIONS),
    ]


def _limit_lines(record: RunRecord) -> list[str]:
    beyond = exceeded_of(record)
    happened = record.collapse.happened if record.collapse else ()
    lines = [f"• the service {escape(what, 300)}" for what in happened]
    lines += [words.limit_line(exceeded, lead=beyond[0]) for exceeded in beyond[:MAX_DEVIATIONS]]
    return [*lines, *_rest(len(beyond), MAX_DEVIATIONS)]


def _deviation(deviation: Deviation, *, lead: Deviation, record: RunRecord) -> str:
    if deviation.is_worse:
        return words.deviation_line(deviation, lead=lead, now=record.started_at)
    return f"• better: {words.figures_of(deviation)}"


def _status(records: Sequence[RunRecord], mention: str | None) -> str:
    """Return what decides whether to get up: severity, environment, first night, version, and who is mentioned."""
    lead = records[0]
    severity, worse = words.highest_severity(records), worse_of(lead)
    parts = [f"*{severity.value.capitalize()}*", escape(lead.environment, 80)]
    if worse:
        parts.append(words.since(worse[0], now=lead.started_at))
        parts += [version] if (version := words.version(lead, worse[0])) else []
    elif version := words.running_version(lead):
        parts.append(version)
    mentioned = mention_of(mention) if severity is Severity.CRITICAL else ""
    return " · ".join(parts) + (f" {mentioned}" if mentioned else "")


def _since_first_alert(record: RunRecord, problem: Problem) -> list[str]:
    """Return the deviations with their change in the first alert; metrics that were not in it are marked as new."""
    worse = worse_of(record)
    lines = []
    for deviation in worse[:MAX_DEVIATIONS]:
        line = words.deviation_line(deviation, lead=worse[0], now=record.started_at)
        first = _first_change(deviation, record, problem)
        lines.append(f"{line}; first alert: {first}" if first else f"{line}; *not in the first alert*")
    return [*lines, *_rest(len(worse), MAX_DEVIATIONS)]


def _first_change(deviation: Deviation, record: RunRecord, problem: Problem) -> str:
    """Return the change in the first alert, which has the figures of the problem's first cell only."""
    is_first = problem.cells[:1] == (CellName(record.service, record.scenario),)
    return words.first_change(deviation, problem) if is_first else ""


def _brief(deviation: Deviation, first: str) -> str:
    """Write a change with that of the first alert: ``p95 +44 % (first alert: +45 %)``."""
    change = change_of(deviation.metric, deviation.shift)
    before = f" (first alert: {first})" if first not in ("", change) else ""
    return f"{words.short_name(deviation.metric)} {change}{before}"


def _rest(number: int, shown: int) -> list[str]:
    return [f"… and {number - shown} more"] if number > shown else []


def _cells(lead: RunRecord, others: Sequence[RunRecord]) -> list[str]:
    if not others:
        return []
    lines = [words.cell_line(record, lead=lead) for record in others[:MAX_CELLS]]
    return [f"*Also affected ({len(others)})*", *lines, *_rest(len(others), MAX_CELLS)]


def _facts(record: RunRecord) -> dict[str, str]:
    worse = worse_of(record) if record.verdict.is_failure else ()
    evidence = [record.collapse.evidence] if record.collapse else []
    evidence += [*(exceeded.evidence for exceeded in exceeded_of(record)), *(deviation.evidence for deviation in worse)]
    facts = {"Why": escape(evidence[0], 400)} if evidence else {}
    facts["Compared with"] = words.compared_with(record)
    return facts


def _small_print(record: RunRecord) -> list[str]:
    load = record.load
    achieved = format_value(load.achieved_rate_rps, Unit.REQUESTS_PER_SECOND)
    requested = format_value(load.requested_rate_rps, Unit.REQUESTS_PER_SECOND)
    return [
        utc_window(record.window) if record.window else "no measured window",
        f"achieved {achieved} of {requested} requested",
        f"run `{escape(record.run_id, 200)}`",
    ]


def _with_baseline(record: RunRecord, name: str) -> str:
    """Write a metric with its baseline: ``p95 42.0 ms (baseline 42.1 ms)``."""
    value, unit = record.value_of(name), METRICS[name].unit
    baseline = record.baseline.metrics.get(name) if record.baseline else None
    compared = "" if baseline is None else f" (baseline {format_value(baseline, unit)})"
    return f"{words.short_name(name)} {format_value(value, unit)}{compared}"


def _small(record: RunRecord) -> list[Deviation]:
    return [deviation for deviation in worse_of(record) if deviation.severity is Severity.DIGEST]


def _suspicions(record: RunRecord) -> list[Deviation]:
    return [deviation for deviation in record.deviations if deviation.is_suspicion]


def _digest_line(record: RunRecord, found: Sequence[Deviation], judgement: str) -> str:
    if not found:
        return ""
    more = f", and {counted(len(found) - 1, 'more metric')}" if len(found) > 1 else ""
    return f"• *{escape(record.service, 80)}* {words.figures_of(found[0])}{more}: {judgement}"


def _scenario_of(records: Sequence[RunRecord]) -> str:
    return fit([plain(records[0].scenario)], 63) if records else "nothing ran"
