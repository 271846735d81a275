"""Slack's limits, kept in one place: text that is escaped, blocks that fit, and a whole within its budget.

Text that comes from elsewhere goes through :func:`escape` or :func:`plain`, after which it can neither link
anywhere, mention anyone, show an emoji nor be bold. So every ``*``, ``<`` and backtick in a block is our own.

Sources: Block Kit's reference (https://docs.slack.dev/reference/block-kit/blocks). The total is documented nowhere;
it is what the API was seen to refuse as ``msg_blocks_too_long`` (https://github.com/slackapi/bolt-js/issues/2867).

The two short shapes of a Slack message: a reply of one line, and a notice of a header and some lines.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
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
"""Characters of our context line; Slack gives no limit of its own for it."""

MAX_URL = 3000
"""Characters of a button's address; a longer one makes Slack refuse the whole message."""

MAX_ALT = 2000
"""Characters of an image's alternative text."""

MAX_BLOCKS = 50
"""Blocks of a message."""

BUDGET = 10_000
"""Characters of all blocks as JSON; Slack refuses about 12,000."""

_MOST_READ = 4000
"""Characters of a foreign text that are looked at; no place has room for more."""

_BROKEN_ENTITY = re.compile(r"&[a-z]{0,3}$")

_BROADCAST = re.compile(r"@(?=(?:channel|here|everyone)\b)", re.IGNORECASE)

_ADDRESS = re.compile(r"(?<=:)/(?=/(?!/))")

_EMOJI = re.compile(r":(?=[\w+'-]{0,100}[a-z+-][\w+'-]{0,100}:)", re.IGNORECASE)

# within a word, as in market_open, it is no mark
_OUTER_UNDERSCORE = re.compile(r"(?<!\w)_+|_+(?!\w)")

_LOOKALIKES = str.maketrans({"*": "∗", "~": "∼", "`": "'"})

_WEB = re.compile(r"https?://[^\s/?#<>|`*\"]+[^\s<>|`*\"]*\Z", re.IGNORECASE)

_GROUP = re.compile(r"S[A-Z0-9]{2,20}\Z")

_OWN_MARKS = re.compile(r"<!subteam\^[^<>]*>|[*`]")

Block = dict[str, Any]


def escape(text: str, most: int | None = None) -> str:
    """Return foreign text for mrkdwn: one line that is read as it stands, of at most so many characters.

    Source: https://docs.slack.dev/messaging/formatting-message-text#escaping
    """
    escaped = _inert(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return escaped if most is None else fit([escaped], most)


def plain(text: str) -> str:
    """Return foreign text for headers and notifications, which know no entities everywhere and parse ``<…>``."""
    return _inert(text).replace("<", "‹").replace(">", "›")


def _inert(text: str) -> str:
    """Return text on one line without marks: lookalikes, and a zero-width space where an address would begin."""
    marked = one_line(fit([text], _MOST_READ)).translate(_LOOKALIKES)
    marked = _OUTER_UNDERSCORE.sub(lambda found: "ˍ" * len(found[0]), marked)
    return _BROADCAST.sub("@\u200b", _ADDRESS.sub("/\u200b", _EMOJI.sub("∶", marked)))


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


def mention_of(group: str | None) -> str:
    """Return the mention of a user group; empty without one.

    Nobody can be mentioned by something else than an id, which is said rather than kept quiet.
    """
    if group is None:
        return ""
    if _GROUP.match(group):
        return f"<!subteam^{group}>"
    return f"(nobody is mentioned: {escape(group, 50)} is no id of a user group)"


def is_web(url: str) -> bool:
    """Tell whether Slack takes an address for a button, and whether it can stand in text as it is."""
    return len(url) <= MAX_URL and bool(_WEB.match(url))


def header(line: str) -> Block:
    """Return a header; cut off where it is too long."""
    return {"type": "header", "text": {"type": "plain_text", "text": fit([line], MAX_HEADER), "emoji": True}}


def section(lines: Sequence[str]) -> Block | None:
    """Return a section of lines; ``None`` without any."""
    return {"type": "section", "text": _mrkdwn(fit(lines, MAX_SECTION))} if any(lines) else None


def fields(facts: Mapping[str, str]) -> Block | None:
    """Return titles and what they say, two beside each other where there is room; ``None`` without any."""
    told = [f"*{title}*\n{said}" for title, said in facts.items() if said]
    if len(told) > MAX_FIELDS:
        told = [*told[: MAX_FIELDS - 1], f"… and {len(told) - MAX_FIELDS + 1} more"]
    return {"type": "section", "fields": [_mrkdwn(fit([each], MAX_FIELD)) for each in told]} if told else None


def context(lines: Sequence[str]) -> Block | None:
    """Return lines in small print; ``None`` without any."""
    return {"type": "context", "elements": [_mrkdwn(fit(lines, MAX_CONTEXT))]} if any(lines) else None


def buttons(links: Links) -> Block | None:
    """Return a button for every address of the web; ``None`` without any."""
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
    """Return the addresses that cannot be buttons, as text: a path is worth knowing too."""
    return [f"{name}: `{escape(url, 300)}`" for name, url in _named(links) if not is_web(url)]


def _named(links: Links) -> list[tuple[str, str]]:
    """Return the addresses that there are, the most useful first."""
    named = (("Report", links.report), ("Airflow run", links.airflow_run), ("Prometheus", links.prometheus))
    return [(name, url) for name, url in named if url]


def _mrkdwn(text: str) -> Block:
    # verbatim: Slack looks for no addresses, channels or names of its own in the text
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def within_budget(blocks: Mapping[str, Block | None], *, least_urgent: Sequence[str] = ()) -> list[Block]:
    """Return the blocks that fit the total, in order.

    Args:
        blocks: by what they tell; ``None`` is left out.
        least_urgent: what is left out first, and named at the end, until the rest fits.
    """
    kept = {name: block for name, block in blocks.items() if block}
    left_out: list[str] = []
    for name in least_urgent:
        if len(kept) <= MAX_BLOCKS and _size(kept) <= BUDGET:
            break
        if kept.pop(name, None):
            left_out.append(name)
            note = context([f"… left out, too long for Slack: {', '.join(left_out)}"])
            kept |= {"left out": note} if note else {}
    return list(kept.values())


def _size(blocks: Mapping[str, Block]) -> int:
    return len(json.dumps(list(blocks.values()), ensure_ascii=False))


def plain_of(blocks: Sequence[Block]) -> str:
    """Return what blocks say beside their header, as plain text within the budget."""
    return fit([line for block in blocks for line in _plain_lines(block)], BUDGET)


def _plain_lines(block: Block) -> Iterator[str]:
    if block["type"] == "actions":
        yield from (f"{each['text']['text']}: {each['url']}" for each in block["elements"])
    elif block["type"] != "header":
        for part in (block.get("text"), *block.get("elements", [])):
            yield from _unmarked(part["text"]).splitlines() if part else ()
        yield from (_unmarked(each["text"]).replace("\n", ": ", 1) for each in block.get("fields", []))


def _unmarked(text: str) -> str:
    bare = _OWN_MARKS.sub("", text).replace("&lt;", "‹").replace("&gt;", "›").replace("&amp;", "&")
    return bare.strip()


NOWHERE = Links()


def reply(line: str, lines: Sequence[str] = (), links: Links = NOWHERE) -> Message:
    """Return what goes into a thread, small; foreign text must be plain in ``line`` and escaped in ``lines``."""
    text = fit([line], MAX_HEADER)
    return _message(text, section([text.replace("&", "&amp;")]), lines, links)


def notice(line: str, lines: Sequence[str], links: Links) -> Message:
    """Return a message of its own; foreign text must be plain in ``line`` and escaped in ``lines``."""
    return _message(fit([line], MAX_HEADER), header(line), lines, links)


def _message(text: str, first: Block | None, lines: Sequence[str], links: Links) -> Message:
    rest = {"lines": section(lines), "links": buttons(links), "context": context(paths(links))}
    blocks = within_budget({"first": first, **rest}, least_urgent=("links", "context", "lines"))
    return Message(text=text, plain=plain_of([block for block in rest.values() if block]), blocks=blocks)
