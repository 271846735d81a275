"""A run's deviations in the words of Slack's messages: the story in a line, then a line for each metric."""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from include.perf.alerts.book import Problem
from include.perf.alerts.slack_blocks import MAX_ALT, MAX_HEADER, escape, fit, plain
from include.perf.model.metric import METRICS, SHORT_NAMES, Unit, is_in_points, title_of
from include.perf.model.numbers import format_change, format_value, signed_points
from include.perf.model.text import counted
from include.perf.runs.phrases import change_of, headline, is_compared, shift_of, worsened
from include.perf.runs.record import Cause, Deviation, RunRecord, Severity, Shift, Verdict

ICONS = {
    Severity.CRITICAL: ":rotating_light:",
    Severity.WARNING: ":warning:",
    Severity.DIGEST: ":information_source:",
}
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
BESIDE = ("cpu_usage", "memory_usage", "error_rate")
"""What helps to tell a cause, shown even when it moved by less than its floors."""
_CAUSES = {
    Cause.PLATFORM: "The services moved together: look at the platform or the test bed first, not at one service.",
    Cause.SERVICE: "The scenarios of the service moved together: look at the service, not at one scenario.",
}
_FIRST_SEEN = re.compile(r"; first seen(?: on \d{4}-\d{2}-\d{2})?(?: with (?P<version>.+))?\Z", re.DOTALL)


# The story in a line


def first_line(records: Sequence[RunRecord], *, before: str = "") -> str:
    """Return the story of runs that are told together, the first of them the lead; figures are never cut off.

    ``:rotating_light: engine is slower at market_open: p95 61.2 ms, +45 % (was 42.1 ms)``

    Args:
        before: words between the icon and the story.
    """
    lead = records[0]
    worse = worsened(lead)
    if lead.verdict is not Verdict.REGRESSION or not worse:
        return fit([plain(headline(lead))], MAX_HEADER)
    icon, figures = f"{ICONS[gravest(records)]} {before}".rstrip(), figures_of(worse[0])
    services, scenarios = len({each.service for each in records}), len({each.scenario for each in records})
    what = verb([worsened(each)[0].metric for each in records if worsened(each)], is_plural=services > 1)

    def line(service: str, scenario: str) -> str:
        if services > 1:
            where = f" at {scenario}" if scenarios == 1 else ""
            return f"{icon} {services} services {what}{where}: {service} {figures}"
        if scenarios > 1:
            return f"{icon} {service} {what} in {scenarios} scenarios: {scenario} {figures}"
        return f"{icon} {service} {what} at {scenario}: {figures}"

    return with_names(line, plain(lead.service), plain(lead.scenario))


def with_names(line: Callable[[str, str], str], service: str, scenario: str) -> str:
    """Return a first line; where it is too long, its two names are cut before anything else is."""
    whole = line(service, scenario)
    if len(whole) <= MAX_HEADER:
        return whole
    room = max(4, MAX_HEADER - len(line("", "")))
    half = room // 2
    most = max(half, room - len(scenario)), max(half, room - len(service))
    return fit([line(fit([service], most[0]), fit([scenario], most[1]))], MAX_HEADER)


def verb(metrics: Sequence[str], *, is_plural: bool) -> str:
    """Say what is worse about metrics: ``is slower``, ``use more CPU``; ``is worse`` where it is not the same."""
    said = {_WORSE.get(metric, "worse") for metric in metrics}
    what = said.pop() if len(said) == 1 else "worse"
    if what in ("slower", "worse"):
        return f"{'are' if is_plural else 'is'} {what}"
    first, _, rest = what.partition(" ")
    return what if is_plural else f"{first}s {rest}"


def gravest(records: Sequence[RunRecord]) -> Severity:
    """Return the gravest severity of what is surely worse."""
    found = [each.severity for record in records for each in worsened(record)]
    return max(found, key=lambda each: each.rank, default=Severity.DIGEST)


def figures_of(deviation: Deviation) -> str:
    """Write a deviation briefly: ``p95 61.2 ms, +45 % (was 42.1 ms)``."""
    value, baseline = (format_value(each, deviation.unit) for each in (deviation.value, deviation.baseline))
    change = change_of(deviation.metric, deviation.shift)
    return f"{short_name(deviation.metric)} {value}, {change} (was {baseline})"


def short_name(metric: str) -> str:
    """Return a metric's name within a sentence."""
    return SHORT_NAMES.get(metric) or fit([plain(metric).replace("&", "+")], 40)


# Line by line


def deviation_line(deviation: Deviation, *, lead: Deviation, now: datetime) -> str:
    """Tell a deviation with its interval, and where it differs from the lead, its severity and since when."""
    value, baseline = (format_value(each, deviation.unit) for each in (deviation.value, deviation.baseline))
    title = escape(title_of(deviation.metric), 80)
    change = change_of(deviation.metric, deviation.shift)
    parts = [f"• *{title}* {value}, *{change}*{interval(deviation)}, was {baseline}"]
    parts += [deviation.severity.value] if deviation.severity is not lead.severity else []
    parts += [since(deviation, now=now)] if since(deviation, now=now) != since(lead, now=now) else []
    return ", ".join(parts)


def interval(deviation: Deviation) -> str:
    """Write the 95 % interval of a change: ``(+38 to +52 %)``; nothing where there is none."""
    shift = deviation.shift
    if is_in_points(deviation.metric):
        low, high, unit = _hundredfold(shift.absolute_low), _hundredfold(shift.absolute_high), " points"
    else:
        low, high, unit = _percent(shift.low), _percent(shift.high), " %"
    return f" ({low} to {high}{unit})" if low and high else ""


def _hundredfold(bound: float | None) -> str:
    return "" if bound is None else signed_points(bound)


def _percent(bound: float | None) -> str:
    return "" if bound is None else format_change(bound).removesuffix(" %")


def since(deviation: Deviation, *, now: datetime) -> str:
    """Say since when: ``since 3 Nov``, or ``new tonight``."""
    return "new tonight" if deviation.since is None else f"since {day(deviation.since, now=now)}"


def day(moment: datetime, *, now: datetime) -> str:
    """Write a day in UTC: ``3 Nov``, with the year where it is another."""
    moment = moment.astimezone(UTC)
    year = f" {moment:%Y}" if moment.year != now.astimezone(UTC).year else ""
    return f"{moment.day} {moment:%b}{year}"


def version(record: RunRecord, deviation: Deviation) -> str:
    """Say with which version it was first seen, and which runs now: ``first seen with 2.4.1 (before: 2.4.0)``."""
    running = record.deploy_version
    found = _FIRST_SEEN.search(deviation.reason)
    seen = found["version"] if found else None
    if seen is None:
        return f"version {escape(running, 60)}" if running else ""
    is_same = running is None or re.match(rf"{re.escape(running)}(?:[ ,]|\Z)", seen)
    now = "" if is_same else f", now {escape(running or '', 60)}"
    return f"first seen with {escape(seen, 120)}{now}"


def why(deviation: Deviation) -> str:
    """Return why it is sure: its reason without the figures before and the version behind."""
    said = _FIRST_SEEN.sub("", deviation.reason)
    _, _, how = said.partition("; ")
    return escape(how or said, 400)


def cause_line(records: Sequence[RunRecord]) -> list[str]:
    """Say where to look first, where one cause is behind several cells."""
    worse = worsened(records[0])
    return [_CAUSES[worse[0].cause]] if worse and worse[0].cause in _CAUSES else []


def cell_line(record: RunRecord, *, lead: RunRecord) -> str:
    """Tell another cell in a line, by what tells it from the lead.

    ``• *orders-service*: p95 +40 % (58.9 ms, was 42.1 ms)``
    """
    worse = worsened(record)
    names = ((record.service, lead.service), (record.scenario, lead.scenario))
    other = [escape(own, 80) for own, leading in names if own != leading]
    more = f" and {counted(len(worse) - 1, 'more metric')}" if len(worse) > 1 else ""
    told = f"{_change_first(worse[0])}{more}" if worse else "nothing sure"
    return f"• *{' at '.join(other) or escape(record.service, 80)}*: {told}"


def _change_first(deviation: Deviation) -> str:
    value, baseline = (format_value(each, deviation.unit) for each in (deviation.value, deviation.baseline))
    change = change_of(deviation.metric, deviation.shift)
    return f"{short_name(deviation.metric)} {change} ({value}, was {baseline})"


def beside(record: RunRecord) -> list[str]:
    """Return what moved beside the deviations, also where it stayed within its floors."""
    if not record.verdict.is_measured:
        return []
    told = {each.metric for each in record.deviations}
    return [_beside_line(record, name) for name in BESIDE if name not in told]


def _beside_line(record: RunRecord, name: str) -> str:
    metric, measured, shift = METRICS[name], record.metrics.get(name), shift_of(record, name)
    if measured is None or measured.value is None:
        return f"• {metric.title}: no value, {escape((measured and measured.reason) or 'not measured', 300)}"
    value = f"• {metric.title} {format_value(record.value_of(name), metric.unit)}"
    baseline = record.baseline.metrics.get(name) if record.baseline else None
    if shift is None or baseline is None:
        return value
    return f"{value}, {change_of(name, shift)} (was {format_value(baseline, metric.unit)})"


def change_at_first(deviation: Deviation, problem: Problem) -> str:
    """Write the change of a metric when its problem was told first; empty where it was not among it."""
    name = deviation.metric
    if name not in problem.values or name not in problem.levels:
        return ""
    level, change = problem.levels[name], problem.values[name] - problem.levels[name]
    return change_of(name, Shift(ratio=change / level if level else None, absolute=change))


def compared_with(record: RunRecord) -> str:
    """Say what a run was held to: ``10 nights since 3 Nov, baseline version 3 (approved)``."""
    baseline = record.baseline
    if baseline is None:
        return "nothing: there is no baseline yet"
    version = f"baseline version {baseline.version} ({escape(baseline.state, 40)})"
    if not baseline.nights:
        approved = day(baseline.approved_at, now=record.started_at)
        return f"{version} of {counted(baseline.runs, 'run')}, approved on {approved}"
    begun = f" since {day(baseline.since, now=record.started_at)}" if baseline.since else ""
    return f"{counted(baseline.nights, 'night')}{begun}, {version}"


def image_alt(record: RunRecord) -> str:
    """Say what the latency chart shows, for those who cannot see it."""
    values = [(SHORT_NAMES[name], record.metrics.get(name)) for name in ("latency_p50", "latency_p95", "latency_p99")]
    figures = [f"{name} {format_value(one.value, one.unit)}" for name, one in values if one and one.value is not None]
    baseline = record.baseline.metrics.get("latency_p95") if record.baseline and is_compared(record) else None
    was = "" if baseline is None else f"; baseline p95 {format_value(baseline, Unit.SECONDS)}"
    where = f"{plain(record.service)} at {plain(record.scenario)}"
    return fit([f"Latency over time of {where}: {', '.join(figures) or 'no figures'}{was}"], MAX_ALT)
