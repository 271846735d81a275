"""Build Slack blocks: text that is escaped, blocks that fit Slack's limits, and a total within the budget.

Text from elsewhere goes through `escape` or `plain`. After that it cannot link anywhere, mention anyone, show an emoji
or be bold, so that every ``*``, ``<`` and backtick in a block is our own.

The two short forms of a message are built here, too: `reply`, one line in a thread, and `notice`, a header with lines.

Sources: Block Kit's reference (https://docs.slack.dev/reference/block-kit/blocks). The limit of the total is not
documented; it is where the API was observed to refuse messages with ``msg_blocks_too_long``
(https://github.com/slackapi/bolt-js/issues/2867).
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from include.perf.alerts.book import Links, Message
from include.perf.model.text import one_line

MAX_HEADER = 150
"""Characters of a header block's text, and of every message's first line."""

MAX_SECTION = 3000
"""Characters of a section block's text."""

MAX_FIELD = 2000
"""Characters of one of a section's fields."""

MAX_FIELDS = 10
"""Fields of a section."""

MAX_CONTEXT = 1500
"""Characters of the context line; Slack documents no limit for it."""

MAX_URL = 3000
"""Characters of a button's address; with a longer one Slack refuses the message."""

MAX_ALT = 2000
"""Characters of an image's alternative text."""

MAX_BLOCKS = 50
"""Blocks of a message."""

BUDGET = 10_000
"""Characters of all blocks as JSON; Slack refuses about 12,000."""

RESOLVED = ":white_check_mark:"
"""The emoji of messages about a problem that is over."""

NO_LINKS = Links()

_MAX_READ = 4000
"""Characters of a foreign text that are processed; no block has room for more."""

_BROKEN_ENTITY = re.compile(r"&[a-z]{0,3}$")

_BROADCAST = re.compile(r"@(?=(?:channel|here|everyone)\b)", re.IGNORECASE)

_ADDRESS = re.compile(r"(?<=:)/(?=/(?!/))")

_EMOJI = re.compile(r":(?=[\w+'-]{0,100}[a-z+-][\w+'-]{0,100}:)", re.IGNORECASE)

# an underscore within a word, as in market_open, does not format it
_OUTER_UNDERSCORE = re.compile(r"(?<!\w)_+|_+(?!\w)")

_LOOKALIKES = str.maketrans({"*": "∗", "~": "∼", "`": "'"})

_WEB = re.compile(r"https?://[^\s/?#<>|`*\"]+[^\s<>|`*\"]*\Z", re.IGNORECASE)

_GROUP = re.compile(r"S[A-Z0-9]{2,20}\Z")

_OWN_MARKS = re.compile(r"<!subteam\^[^<>]*>|[*`]")

Block = dict[str, Any]


def escape(text: str, limit: int | None = None) -> str:
    """Return foreign text for mrkdwn: one line without any formatting, of at most ``limit`` characters.

    Source: https://docs.slack.dev/messaging/formatting-message-text#escaping
    """
    escaped = _inert(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return escaped if limit is None else fit([escaped], limit)


def plain(text: str) -> str:
    """Return foreign text for headers and notifications, where Slack does not always decode entities."""
    return _inert(text).replace("<", "‹").replace(">", "›")


def _inert(text: str) -> str:
    """Return text on one line without formatting: lookalike characters, and zero-width spaces within addresses."""
    marked = one_line(fit([text], _MAX_READ)).translate(_LOOKALIKES)
    marked = _OUTER_UNDERSCORE.sub(lambda found: "ˍ" * len(found[0]), marked)
    return _BROADCAST.sub("@\u200b", _ADDRESS.sub("/\u200b", _EMOJI.sub("∶", marked)))


def fit(lines: Sequence[str], limit: int) -> str:
    """Join lines within ``limit`` characters, and count the omitted ones: ``… and 3 more``.

    The first line is always kept, and cut off where it alone is too long.
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


def mention_of(group: str | None) -> str:
    """Return the mention of a user group; empty without a group, and a note where the id is malformed."""
    if group is None:
        return ""
    if _GROUP.match(group):
        return f"<!subteam^{group}>"
    return f"(nobody is mentioned: {escape(group, 50)} is not the id of a user group)"


def is_web(url: str) -> bool:
    """Whether Slack accepts an address for a button."""
    return len(url) <= MAX_URL and bool(_WEB.match(url))


def header(line: str, *, icon: str = "") -> Block:
    """Return a header; cut off where it is too long."""
    text = fit([_with_icon(icon, line)], MAX_HEADER)
    return {"type": "header", "text": {"type": "plain_text", "text": text, "emoji": True}}


def _with_icon(icon: str, line: str) -> str:
    return f"{icon} {line}".lstrip()


def section(lines: Sequence[str]) -> Block | None:
    """Return a section of lines; ``None`` without lines."""
    return {"type": "section", "text": _mrkdwn(fit(lines, MAX_SECTION))} if any(lines) else None


def fields(facts: Mapping[str, str]) -> Block | None:
    """Return titles with their text, in two columns where there is room; ``None`` without any text."""
    texts = [f"*{title}*\n{text}" for title, text in facts.items() if text]
    if len(texts) > MAX_FIELDS:
        texts = [*texts[: MAX_FIELDS - 1], f"… and {len(texts) - MAX_FIELDS + 1} more"]
    return {"type": "section", "fields": [_mrkdwn(fit([text], MAX_FIELD)) for text in texts]} if texts else None


def context(lines: Sequence[str]) -> Block | None:
    """Return lines in small print; ``None`` without lines."""
    return {"type": "context", "elements": [_mrkdwn(fit(lines, MAX_CONTEXT))]} if any(lines) else None


def buttons(links: Links) -> Block | None:
    """Return a button for each web address; ``None`` without one."""
    made = [
        {
            "type": "button",
            "text": {"type": "plain_text", "text": name, "emoji": False},
            "url": url,
            "action_id": f"open_{name.lower().replace(' ', '_')}",
        }
        for name, url in _named(links)
        if is_web(url)
    ]
    return {"type": "actions", "elements": made} if made else None


def paths(links: Links) -> list[str]:
    """Return the addresses that cannot be buttons as text, such as the path of a file."""
    return [f"{name}: `{escape(url, 300)}`" for name, url in _named(links) if not is_web(url)]


def _named(links: Links) -> list[tuple[str, str]]:
    """Return the known addresses by name, the most useful first."""
    named = (("Report", links.report), ("Airflow run", links.airflow_run), ("Prometheus", links.prometheus))
    return [(name, url) for name, url in named if url]


def _mrkdwn(text: str) -> Block:
    # verbatim: Slack does not turn addresses, channels or names in the text into links
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def within_budget(blocks: Mapping[str, Block | None], *, least_urgent: Sequence[str] = ()) -> list[Block]:
    """Return the blocks that fit into the budget, in order.

    Args:
        blocks: by name; ``None`` is skipped.
        least_urgent: names of the blocks to omit until the rest fits, the least urgent first. Omitted blocks are named
            at the end.
    """
    kept = {name: block for name, block in blocks.items() if block}
    omitted: list[str] = []
    for name in least_urgent:
        if len(kept) <= MAX_BLOCKS and _size(kept) <= BUDGET:
            break
        if kept.pop(name, None):
            omitted.append(name)
            note = context([f"… omitted, too long for Slack: {', '.join(omitted)}"])
            kept |= {"omitted": note} if note else {}
    return list(kept.values())


def _size(blocks: Mapping[str, Block]) -> int:
    return len(json.dumps(list(blocks.values()), ensure_ascii=False))


def plain_of(blocks: Sequence[Block]) -> str:
    """Return the content of all blocks except headers as plain text, within the budget."""
    return fit([line for block in blocks for line in _plain_lines(block)], BUDGET)


def _plain_lines(block: Block) -> Iterator[str]:
    if block["type"] == "actions":
        yield from (f"{button['text']['text']}: {button['url']}" for button in block["elements"])
    elif block["type"] != "header":
        for part in (block.get("text"), *block.get("elements", [])):
            yield from _unmarked(part["text"]).splitlines() if part else ()
        yield from (_unmarked(field["text"]).replace("\n", ": ", 1) for field in block.get("fields", []))


def _unmarked(text: str) -> str:
    bare = _OWN_MARKS.sub("", text).replace("&lt;", "‹").replace("&gt;", "›").replace("&amp;", "&")
    return bare.strip()


def reply(line: str, lines: Sequence[str] = (), links: Links = NO_LINKS, *, icon: str = "") -> Message:
    """Return a small message for a thread; foreign text must be plain in ``line`` and escaped in ``lines``."""
    text = _first_line(line, icon)
    return _message(text, section([_with_icon(icon, text.replace("&", "&amp;"))]), lines, links, icon=icon)


def notice(line: str, lines: Sequence[str], links: Links, *, icon: str = "") -> Message:
    """Return a message with a header; foreign text must be plain in ``line`` and escaped in ``lines``."""
    text = _first_line(line, icon)
    return _message(text, header(text, icon=icon), lines, links, icon=icon)


def resolved(outcome: str, title: str) -> Message:
    """Return what replaces the first message of a closed problem: ``Recovered after 3 nights: …``.

    Args:
        title: of the problem; titles stored by earlier versions start with an emoji code, which is dropped.
    """
    first, _, rest = title.partition(" ")
    is_code = len(first) > 2 and first.startswith(":") and first.endswith(":")
    return reply(f"{outcome}: {plain(rest if is_code else title)}", icon=RESOLVED)


def titled(message: Message, title: str) -> Message:
    """Return a reply with the title of its problem, for a place where it is not in the thread of the problem."""
    text = fit([f"{message.text} ({title})"], MAX_HEADER)
    above = context([escape(title)])
    return replace(
        message,
        text=text,
        plain="\n".join(filter(None, (title, message.plain))),
        blocks=[*([above] if above else []), *message.blocks],
    )


def _first_line(line: str, icon: str) -> str:
    return fit([line], MAX_HEADER - len(_with_icon(icon, "")))


def _message(text: str, first: Block | None, lines: Sequence[str], links: Links, *, icon: str) -> Message:
    rest = {"lines": section(lines), "links": buttons(links), "context": context(paths(links))}
    blocks = within_budget({"first": first, **rest}, least_urgent=("links", "context", "lines"))
    return Message(text=text, plain=plain_of([block for block in rest.values() if block]), blocks=blocks, icon=icon)
