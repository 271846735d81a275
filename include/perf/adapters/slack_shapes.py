"""The two short shapes of a Slack message: a reply of one line, and a notice of a header and some lines."""

from collections.abc import Sequence

from include.perf.adapters.slack_limits import (
    MAX_HEADER,
    Block,
    buttons,
    context,
    fit,
    header,
    paths,
    plain_of,
    section,
    within_budget,
)
from include.perf.alert import Links, Message

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
