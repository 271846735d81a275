"""The Slack message of a deviation: what on-call reads at 3 a.m. on a phone. Pure; nothing is sent here.

The first line alone tells the story. Text that comes from elsewhere is escaped, so that it can neither
link anywhere nor mention anyone.

Sources of the limits: Slack's Block Kit reference (https://docs.slack.dev/reference/block-kit/blocks), and
for the total, which is documented nowhere, what the API was seen to refuse as ``msg_blocks_too_long``.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from include.perf.metric import METRICS, Unit, format_value
from include.perf.phrase import (
    SHORT_NAMES,
    baseline_of,
    change_of,
    headline,
    improved,
    is_compared,
    one_line,
    shift_of,
    title_of,
    utc_window,
    worsened,
)
from include.perf.run import Deviation, RunRecord, Severity, Verdict

MAX_HEADER = 150
"""Characters of a header block's text."""
MAX_SECTION = 3000
"""Characters of a section block's text."""
MAX_FIELD = 2000
"""Characters of one of a section's fields."""
MAX_CONTEXT = 1500
"""Characters of our context line; Slack gives no limit of its own for it."""
MAX_URL = 3000
"""Characters of a button's address; a longer one makes Slack refuse the whole message."""
MAX_ALT = 2000
"""Characters of an image's alternative text."""
BUDGET = 10_000
"""Characters of all blocks as JSON; Slack refuses about 12,000."""
MAX_DEVIATIONS = 5
"""Deviations shown; the rest is counted, and the report has it all."""

ICONS = {
    Severity.CRITICAL: ":rotating_light:",
    Severity.WARNING: ":warning:",
    Severity.DIGEST: ":information_source:",
}
WORSE = {
    "latency_p50": "is slower",
    "latency_p95": "is slower",
    "latency_p99": "is slower",
    "throughput": "handles less",
    "error_rate": "fails more often",
    "cpu_usage": "uses more CPU",
    "memory_usage": "uses more memory",
    "disk_usage": "fills more disk",
}
BESIDE = ("cpu_usage", "memory_usage", "error_rate")
"""What helps to tell a cause, shown even when it moved by less than its floors."""

_BROKEN_ENTITY = re.compile(r"&[a-z]{0,3}$")
_BROADCAST = re.compile(r"@(?=(?:channel|here|everyone)\b)", re.IGNORECASE)

Block = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """Where to look further; ``None`` where there is nothing to link to."""

    airflow_run: str | None = None
    report: str | None = None
    prometheus: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SlackMessage:
    """A message ready to be posted.

    Attributes:
        text: the notification's line, the same sentence as the header.
        blocks: Block Kit.
        image_alt: what the latency chart shows, for those who cannot see it.
    """

    text: str
    blocks: list[Block]
    image_alt: str


def deviation_message(record: RunRecord, *, links: Links) -> SlackMessage:
    """Return what to post about a run whose metrics deviate from its baseline.

    Any other verdict gives a message too, led by the run's headline, and never says that a service got worse.
    """
    line = _first_line(record)
    blocks = {
        "header": {"type": "header", "text": {"type": "plain_text", "text": line, "emoji": True}},
        "deviations": _section(fit(_deviation_lines(record), MAX_SECTION)),
        "beside": _section(fit(_beside(record), MAX_FIELD)),
        "facts": _facts(record),
        "links": _buttons(links),
        "context": _context(record, links),
    }
    return SlackMessage(text=line, blocks=_within_budget(blocks), image_alt=_image_alt(record))


def escape(text: str) -> str:
    """Return text as it is read, on one line: no control sequences, no links, no mentions.

    Source: https://docs.slack.dev/messaging/formatting-message-text#escaping
    """
    plain = one_line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _BROADCAST.sub("@\u200b", plain.replace("`", "'"))


def fit(lines: Sequence[str], limit: int) -> str:
    """Join lines within ``limit`` characters, saying how many were left out: ``… and 3 more``.

    The first line is always there, cut off where it alone is too long.
    """
    text = "\n".join(lines)
    if len(text) <= limit:
        return text
    for kept in range(len(lines) - 1, 0, -1):
        text = "\n".join([*lines[:kept], f"… and {len(lines) - kept} more"])
        if len(text) <= limit:
            return text
    more = f"\n… and {len(lines) - 1} more" if len(lines) > 1 else ""
    return _BROKEN_ENTITY.sub("", lines[0][: limit - 1 - len(more)]).rstrip() + "…" + more


def _first_line(record: RunRecord) -> str:
    """Return the story in a line; names are cut before figures are."""
    worse = worsened(record)
    if record.verdict is not Verdict.REGRESSION or not worse:
        return fit([_plain(headline(record))], MAX_HEADER)
    lead = worse[0]
    what = WORSE.get(lead.metric, "is worse")
    name = SHORT_NAMES.get(lead.metric, _plain(title_of(lead.metric)))
    value, baseline = (format_value(each, lead.unit) for each in (lead.value, lead.baseline))
    figures = f"{name} {value}, {change_of(lead.metric, lead.shift)} (was {baseline})"
    icon, service, scenario = ICONS[lead.severity], _plain(record.service), _plain(record.scenario)
    line = f"{icon} {service} {what} at {scenario}: {figures}"
    if len(line) > MAX_HEADER:
        room = max(2, (MAX_HEADER - len(f"{icon}  {what} at : {figures}")) // 2)
        line = f"{icon} {fit([service], room)} {what} at {fit([scenario], room)}: {figures}"
    return fit([line], MAX_HEADER)


def _plain(text: str) -> str:
    """Return text for plain-text objects and the notification, which both may parse ``<…>``."""
    return _BROADCAST.sub("@\u200b", one_line(text).replace("<", "‹").replace(">", "›"))


def _deviation_lines(record: RunRecord) -> list[str]:
    if not record.verdict.is_measured:
        return [f"• {escape(reason)}" for reason in (*record.validity, *record.reasons)]
    moved = worsened(record) + improved(record)
    if not moved:
        return [f"• {escape(reason)}" for reason in record.reasons]
    lines = [_deviation_line(each) for each in moved[:MAX_DEVIATIONS]]
    rest = len(moved) - MAX_DEVIATIONS
    return [*lines, f"… and {rest} more"] if rest > 0 else lines


def _deviation_line(deviation: Deviation) -> str:
    value, baseline = (format_value(each, deviation.unit) for each in (deviation.value, deviation.baseline))
    change = change_of(deviation.metric, deviation.shift)
    better = "" if deviation.is_worse else ", better"
    return f"• *{escape(title_of(deviation.metric))}* {value}, *{change}* (was {baseline}){better}"


def _beside(record: RunRecord) -> list[str]:
    """Return what moved beside the deviations, also where it stayed within its floors."""
    if not record.verdict.is_measured:
        return []
    told = {each.metric for each in record.deviations}
    lines = [_beside_line(record, name) for name in BESIDE if name not in told]
    return ["Beside it:", *lines] if lines else []


def _beside_line(record: RunRecord, name: str) -> str:
    metric, measured, shift = METRICS[name], record.metrics.get(name), shift_of(record, name)
    if measured is None or measured.value is None:
        why = (measured and measured.reason) or "not measured"
        return f"• {metric.title}: no value, {fit([escape(why)], 300)}"
    baseline = record.baseline.metrics.get(name) if record.baseline else None
    if shift is None or baseline is None:
        return f"• {metric.title} {format_value(measured.value, metric.unit)}"
    was = format_value(baseline, metric.unit)
    return f"• {metric.title} {format_value(measured.value, metric.unit)}, {change_of(name, shift)} (was {was})"


def _facts(record: RunRecord) -> Block:
    worse = worsened(record) if record.verdict is Verdict.REGRESSION else ()
    severity = worse[0].severity.value if worse else f"none ({record.verdict})"
    why = f"\n{fit([escape(worse[0].reason)], 400)}" if worse else ""
    fields = (f"*Severity*\n{severity}{why}", f"*Environment*\n{fit([escape(record.environment)], 200)}")
    return {"type": "section", "fields": [_mrkdwn(fit([field], MAX_FIELD)) for field in fields]}


def _context(record: RunRecord, links: Links) -> Block:
    load = record.load
    achieved = format_value(load.achieved_rate_rps, Unit.REQUESTS_PER_SECOND)
    requested = format_value(load.requested_rate_rps, Unit.REQUESTS_PER_SECOND)
    lines = [
        utc_window(record.window) if record.window else "no measured window",
        f"sent {achieved} of {requested} requested",
        f"baseline: {fit([escape(baseline_of(record))], 200)}",
        f"run `{fit([escape(record.run_id)], 200)}`",
    ]
    # Slack refuses buttons to anything but the web; a path is still worth knowing.
    lines += [f"{name}: `{fit([escape(url)], 300)}`" for name, url in _addresses(links) if not _is_web(url)]
    return {"type": "context", "elements": [_mrkdwn(fit(lines, MAX_CONTEXT))]}


def _addresses(links: Links) -> list[tuple[str, str]]:
    named = (("Report", links.report), ("Airflow run", links.airflow_run), ("Prometheus", links.prometheus))
    return [(name, url) for name, url in named if url]


def _is_web(url: str) -> bool:
    return url.startswith(("https://", "http://"))


def _buttons(links: Links) -> Block | None:
    buttons = [
        {
            "type": "button",
            "text": {"type": "plain_text", "text": name, "emoji": False},
            "url": url,
            "action_id": f"open_{name.lower().replace(' ', '_')}",
        }
        for name, url in _addresses(links)
        if _is_web(url) and len(url) <= MAX_URL
    ]
    return {"type": "actions", "elements": buttons} if buttons else None


def _section(text: str) -> Block | None:
    return {"type": "section", "text": _mrkdwn(text)} if text else None


def _mrkdwn(text: str) -> Block:
    # verbatim: Slack looks for no addresses, channels or names of its own in the text
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _within_budget(blocks: dict[str, Block | None]) -> list[Block]:
    """Return the blocks that fit the total, the least urgent left out first and named."""
    kept = {name: block for name, block in blocks.items() if block}
    left_out: list[str] = []
    for name in ("links", "beside", "facts", "deviations"):
        if _size(kept) <= BUDGET:
            break
        if kept.pop(name, None):
            left_out.append(name)
            note = f"… left out, too long for Slack: {', '.join(left_out)}"
            kept["left out"] = {"type": "context", "elements": [_mrkdwn(note)]}
    return list(kept.values())


def _size(blocks: dict[str, Block]) -> int:
    return len(json.dumps(list(blocks.values()), ensure_ascii=False))


def _image_alt(record: RunRecord) -> str:
    figures = []
    for name in ("latency_p50", "latency_p95", "latency_p99"):
        value = record.metrics.get(name)
        if value and value.value is not None:
            figures.append(f"{SHORT_NAMES[name]} {format_value(value.value, value.unit)}")
    shown = ", ".join(figures) or "no figures"
    baseline = record.baseline.metrics.get("latency_p95") if record.baseline and is_compared(record) else None
    was = "" if baseline is None else f"; baseline p95 {format_value(baseline, Unit.SECONDS)}"
    where = f"{_plain(record.service)} at {_plain(record.scenario)}"
    return fit([f"Latency over time of {where}: {shown}{was}"], MAX_ALT)
