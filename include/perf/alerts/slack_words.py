"""Phrases of Slack's messages: the news in one sentence, and a line for each metric and each further cell."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from include.perf.alerts.book import Problem
from include.perf.alerts.slack_blocks import MAX_ALT, MAX_HEADER, escape, fit, plain
from include.perf.model.metric import METRICS, SHORT_NAMES, Unit, title_of
from include.perf.model.numbers import format_value
from include.perf.model.text import counted
from include.perf.runs.phrases import (
    change_of,
    exceeded_of,
    headline,
    interval_of,
    is_compared,
    limited_name,
    shift_of,
    worsened,
)
from include.perf.runs.record import Cause, Deviation, ExceededLimit, RunRecord, Severity, Shift

ICONS = {
    Severity.CRITICAL: ":rotating_light:",
    Severity.WARNING: ":warning:",
    Severity.DIGEST: ":information_source:",
}

OTHER_METRICS = ("cpu_usage", "memory_usage", "error_rate")
"""Metrics that help to find a cause; shown even where they did not change."""

_WORSE = {
    "latency_p50": "slower",
    "latency_p95": "slower",
    "latency_p99": "slower",
    "throughput": "handle less",
    "error_rate": "fail more often",
    "cpu_usage": "use more CPU",
    "memory_usage": "use more memory",
    "disk_usage": "fill more disk",
}

_CAUSES = {
    Cause.PLATFORM: "All services changed together: check the platform or the test bed first.",
    Cause.SERVICE: "The scenarios of the service changed together: check the service, not one scenario.",
}


# The news in one sentence


def icon(records: Sequence[RunRecord]) -> str:
    """Return the emoji code for runs with one cause; empty where the lead run has no problem."""
    return ICONS[highest_severity(records)] if _is_problem(records[0]) else ""


def first_line(records: Sequence[RunRecord], *, before: str = "") -> str:
    """Return what happened, where and how much; names are shortened where needed, figures never.

    ``engine is slower under market_open: p95 61.2 ms, +45 % (was 42.1 ms)``

    Args:
        records: runs with one cause, the lead run first.
        before: words in front of the sentence.
    """
    lead, room = records[0], MAX_HEADER - len(f"{icon(records)} ")
    if not _is_problem(lead):
        return fit([plain(headline(lead))], MAX_HEADER)
    beyond = exceeded_of(lead)
    figures = _news(lead)
    start = f"{before} ".lstrip()
    services, scenarios = len({record.service for record in records}), len({record.scenario for record in records})
    metrics = [worse[0].metric for record in records if (worse := worsened(record))]
    what = verb(metrics, is_plural=services > 1)
    if lead.collapse is not None:
        what = "failed"
    elif beyond:
        what = "are over their limits" if services > 1 else "is over its limit"

    def line(service: str, scenario: str) -> str:
        if services > 1:
            where = f" under {scenario}" if scenarios == 1 else ""
            return f"{start}{services} services {what}{where}: {service} {figures}"
        if scenarios > 1:
            return f"{start}{service} {what} under {scenarios} scenarios: {scenario} {figures}"
        return f"{start}{service} {what} under {scenario}: {figures}"

    return _with_names(line, plain(lead.service), plain(lead.scenario), room=room)


def _news(record: RunRecord) -> str:
    """Return what matters most: that the service failed, then a limit, then a change."""
    if record.collapse is not None:
        return plain(record.collapse.happened[0])
    beyond = exceeded_of(record)
    return limit_figures(beyond[0]) if beyond else figures_of(worsened(record)[0])


def _is_problem(record: RunRecord) -> bool:
    return record.verdict.is_failure and record.has_findings


def _with_names(line: Callable[[str, str], str], service: str, scenario: str, *, room: int) -> str:
    """Return a line of at most ``room`` characters; its two names are shortened first."""
    complete = line(service, scenario)
    if len(complete) <= room:
        return complete
    left = max(4, room - len(line("", "")))
    half = left // 2
    service = fit([service], max(half, left - len(scenario)))
    scenario = fit([scenario], max(half, left - len(service)))
    return fit([line(service, scenario)], room)


def verb(metrics: Sequence[str], *, is_plural: bool) -> str:
    """Return what is worse: ``is slower``, ``use more CPU``; ``is worse`` where the metrics differ."""
    found = {_WORSE.get(metric, "worse") for metric in metrics}
    what = found.pop() if len(found) == 1 else "worse"
    if what in ("slower", "worse"):
        return f"{'are' if is_plural else 'is'} {what}"
    first, _, rest = what.partition(" ")
    return what if is_plural else f"{first}s {rest}"


def highest_severity(records: Sequence[RunRecord]) -> Severity:
    """Return the highest severity of all regressions and exceeded limits."""
    found = [deviation.severity for record in records for deviation in worsened(record)]
    found += [exceeded.severity for record in records for exceeded in record.exceeded]
    found += [record.collapse.severity for record in records if record.collapse is not None]
    return max(found, key=lambda severity: severity.rank, default=Severity.DIGEST)


def figures_of(deviation: Deviation) -> str:
    """Write a deviation briefly: ``p95 61.2 ms, +45 % (was 42.1 ms)``."""
    change = change_of(deviation.metric, deviation.shift)
    return f"{short_name(deviation.metric)} {_value(deviation)}, {change} (was {_baseline(deviation)})"


def limit_figures(exceeded: ExceededLimit) -> str:
    """Write an exceeded limit briefly: ``p95 of orders 520 ms (limit 450 ms)``."""
    where = f" of {fit([plain(exceeded.endpoint)], 40)}" if exceeded.endpoint else ""
    value, limit = (format_value(number, exceeded.unit) for number in (exceeded.value, exceeded.limit))
    return f"{short_name(exceeded.metric)}{where} {value} (limit {limit})"


def limit_line(exceeded: ExceededLimit, *, lead: ExceededLimit) -> str:
    """Write an exceeded limit, with its severity where it differs from the lead's.

    ``• *Latency p95 of orders* *520 ms*, limit 450 ms``
    """
    value, limit = (format_value(number, exceeded.unit) for number in (exceeded.value, exceeded.limit))
    parts = [f"• *{escape(limited_name(exceeded), 160)}* *{value}*, limit {limit}"]
    parts += [exceeded.severity.value] if exceeded.severity is not lead.severity else []
    return ", ".join(parts)


def short_name(metric: str) -> str:
    """Return a metric's name within a sentence."""
    return SHORT_NAMES.get(metric) or fit([plain(metric).replace("&", "+")], 40)


def _value(deviation: Deviation) -> str:
    return format_value(deviation.value, deviation.unit)


def _baseline(deviation: Deviation) -> str:
    return format_value(deviation.baseline, deviation.unit)


# Line by line


def deviation_line(deviation: Deviation, *, lead: Deviation, now: datetime) -> str:
    """Write a deviation with its interval, and its severity and first night where they differ from the lead's.

    ``• *Latency p95* 61.2 ms, *+45 %* (+38 to +52 %), was 42.1 ms``
    """
    title = escape(title_of(deviation.metric), 80)
    change, interval = change_of(deviation.metric, deviation.shift), interval_of(deviation.metric, deviation.shift)
    shown = f"*{change}* ({interval})" if interval else f"*{change}*"
    parts = [f"• *{title}* {_value(deviation)}, {shown}, was {_baseline(deviation)}"]
    parts += [deviation.severity.value] if deviation.severity is not lead.severity else []
    parts += [since(deviation, now=now)] if since(deviation, now=now) != since(lead, now=now) else []
    return ", ".join(parts)


def since(deviation: Deviation, *, now: datetime) -> str:
    """Return when a deviation started: ``since 3 Nov``, or ``new tonight``."""
    return "new tonight" if deviation.since is None else f"since {day(deviation.since, now=now)}"


def day(moment: datetime, *, now: datetime) -> str:
    """Write a day in UTC: ``3 Nov``, with the year where it is not the current one."""
    moment = moment.astimezone(UTC)
    year = f" {moment:%Y}" if moment.year != now.astimezone(UTC).year else ""
    return f"{moment.day} {moment:%b}{year}"


def running_version(record: RunRecord) -> str:
    """Return the version that the service reports; empty if unknown."""
    return f"version {escape(record.deploy_version, 60)}" if record.deploy_version else ""


def version(record: RunRecord, deviation: Deviation) -> str:
    """Return the version that the deviation came with: ``first seen with 2.4.1 (before: 2.4.0)``.

    Without a deployment it is ``version 2.4.0 (not a new deployment)``. Empty where no version is known.
    """
    running, first, previous = record.deploy_version, deviation.first_version, deviation.previous_version
    if first is None:
        return running_version(record)
    now = f", now {escape(running, 60)}" if running not in (None, first) else ""
    if first == previous:
        return f"version {escape(first, 60)} (not a new deployment){now}"
    before = f" (before: {escape(previous, 60)})" if previous else ""
    return f"first seen with {escape(first, 60)}{before}{now}"


def cause_line(records: Sequence[RunRecord]) -> list[str]:
    """Return where to look first, where one cause is behind several cells."""
    worse = worsened(records[0])
    return [_CAUSES[worse[0].cause]] if worse and worse[0].cause in _CAUSES else []


def cell_line(record: RunRecord, *, lead: RunRecord) -> str:
    """Write one more affected cell (a service under a scenario), named by what differs from the lead.

    ``• *orders-service*: p95 +40 % (58.9 ms, was 42.1 ms)``
    """
    worse = worsened(record)
    names = ((record.service, lead.service), (record.scenario, lead.scenario))
    other = [escape(own, 80) for own, leading in names if own != leading]
    more = f" and {counted(len(worse) - 1, 'more metric')}" if len(worse) > 1 else ""
    what = f"{_change_first(worse[0])}{more}" if worse else "no significant change"
    if beyond := exceeded_of(record):
        more = f" and {counted(len(beyond) - 1, 'more limit')}" if len(beyond) > 1 else ""
        what = f"{limit_figures(beyond[0])}{more}"
    if record.collapse is not None:
        what = escape(record.collapse.happened[0], 200)
    return f"• *{' under '.join(other) or escape(record.service, 80)}*: {what}"


def _change_first(deviation: Deviation) -> str:
    change = change_of(deviation.metric, deviation.shift)
    return f"{short_name(deviation.metric)} {change} ({_value(deviation)}, was {_baseline(deviation)})"


def other_metrics(record: RunRecord) -> list[str]:
    """Return a line for each of `OTHER_METRICS` that is not among the deviations."""
    if not record.verdict.is_measured:
        return []
    shown = {deviation.metric for deviation in record.deviations}
    return [_other_metric(record, name) for name in OTHER_METRICS if name not in shown]


def _other_metric(record: RunRecord, name: str) -> str:
    metric, measured, shift = METRICS[name], record.metrics.get(name), shift_of(record, name)
    if measured is None or measured.value is None:
        return f"• {metric.title}: no value, {escape((measured and measured.reason) or 'not measured', 300)}"
    value = f"• {metric.title} {format_value(record.value_of(name), metric.unit)}"
    baseline = record.baseline.metrics.get(name) if record.baseline else None
    if shift is None or baseline is None:
        return value
    return f"{value}, {change_of(name, shift)} (was {format_value(baseline, metric.unit)})"


def first_change(deviation: Deviation, problem: Problem) -> str:
    """Return the change of a metric in the first alert of its problem; empty where the metric is new to it."""
    name = deviation.metric
    if name not in problem.values or name not in problem.levels:
        return ""
    level, change = problem.levels[name], problem.values[name] - problem.levels[name]
    return change_of(name, Shift(ratio=change / level if level else None, absolute=change))


def compared_with(record: RunRecord) -> str:
    """Describe what a run was compared with: ``10 nights since 3 Nov, baseline version 3 (approved)``."""
    baseline = record.baseline
    if baseline is None:
        return "nothing: there is no baseline yet"
    name = f"baseline version {baseline.version} ({escape(baseline.state, 40)})"
    if not baseline.nights:
        approved = day(baseline.approved_at, now=record.started_at)
        return f"{name} of {counted(baseline.runs, 'run')}, approved on {approved}"
    start = f" since {day(baseline.since, now=record.started_at)}" if baseline.since else ""
    return f"{counted(baseline.nights, 'night')}{start}, {name}"


def image_alt(record: RunRecord) -> str:
    """Describe the latency chart for people who cannot see it."""
    values = [(SHORT_NAMES[name], record.metrics.get(name)) for name in ("latency_p50", "latency_p95", "latency_p99")]
    figures = [
        f"{name} {format_value(measured.value, measured.unit)}"
        for name, measured in values
        if measured and measured.value is not None
    ]
    baseline = record.baseline.metrics.get("latency_p95") if record.baseline and is_compared(record) else None
    was = "" if baseline is None else f"; baseline p95 {format_value(baseline, Unit.SECONDS)}"
    where = f"{plain(record.service)} under {plain(record.scenario)}"
    return fit([f"Latency over time of {where}: {', '.join(figures) or 'no figures'}{was}"], MAX_ALT)
