"""The Web API methods that read messages: conversations.history and conversations.replies.

Source: https://docs.slack.dev/reference/methods/conversations.history and …/conversations.replies
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from demo.slack.arguments import as_bool, as_int, as_text
from demo.slack.methods import Context, Method, described
from demo.slack.refusals import SlackRefusal
from demo.slack.state import SlackMessage, Workspace

PAGE_MESSAGES = 100
PAGE_REPLIES = 1000
MOST_MESSAGES = 999
MOST_REPLIES = 1000

_MOMENT = re.compile(r"\d{1,10}(?:\.\d{1,6})?\Z")
_CURSOR = re.compile(r"after:(\d{10}\.\d{6})\Z")
_OPTIONAL = ("cursor", "include_all_metadata", "inclusive", "latest", "limit", "oldest")


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """The requested time range, in epoch microseconds."""

    oldest: int
    latest: int | None
    is_inclusive: bool

    def holds(self, ts: str) -> bool:
        """Return whether a message is in the range."""
        at = _micros(ts)
        if self.is_inclusive and at in (self.oldest, self.latest):
            return True
        return self.oldest < at and (self.latest is None or at < self.latest)


def read_history(context: Context, values: dict[str, Any]) -> dict[str, Any]:
    """conversations.history: return the messages of a channel, newest first.

    Replies are left out, unless they were also sent to the channel.
    """
    workspace = context.workspace
    channel = workspace.channel(values["channel"])
    span = _span(values)
    found = [
        message
        for message in reversed(workspace.messages())
        if message.channel == channel.id
        and (message.thread_ts is None or message.is_broadcast)
        and span.holds(message.ts)
    ]
    page = _page(found, values, default=PAGE_MESSAGES, most=MOST_MESSAGES)
    return _answer(workspace, page, values) | {"pin_count": 0}


def read_replies(context: Context, values: dict[str, Any]) -> dict[str, Any]:
    """conversations.replies: return a message and the replies to it, oldest first.

    The message itself is included whatever its time.
    """
    workspace = context.workspace
    channel = workspace.channel(values["channel"])
    parent = workspace.message(values["ts"])
    if parent is None or parent.channel != channel.id:
        raise SlackRefusal("thread_not_found")
    span = _span(values)
    found = [parent, *(reply for reply in workspace.replies(parent) if span.holds(reply.ts))]
    page = _page(found, values, default=PAGE_REPLIES, most=MOST_REPLIES)
    return _answer(workspace, page, values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page of messages, and the cursor of the next page."""

    messages: Sequence[SlackMessage]
    next_cursor: str


def _page(found: Sequence[SlackMessage], values: dict[str, Any], *, default: int, most: int) -> Page:
    limit = as_int(values, "limit", default=default)
    if not 1 <= limit <= most:
        raise SlackRefusal("invalid_limit")
    start = _start(found, as_text(values, "cursor"))
    page = found[start : start + limit]
    has_more = start + limit < len(found)
    return Page(messages=page, next_cursor=f"after:{page[-1].ts}" if has_more else "")


def _start(found: Sequence[SlackMessage], cursor: str) -> int:
    """Return the start of a page; the cursor names the message before it, so new messages do not shift it."""
    if not cursor:
        return 0
    match = _CURSOR.match(cursor)
    for i, message in enumerate(found):
        if match and message.ts == match[1]:
            return i + 1
    raise SlackRefusal("invalid_cursor")


def _span(values: dict[str, Any]) -> Span:
    oldest, latest = as_text(values, "oldest"), as_text(values, "latest")
    for moment, refusal in ((oldest, "invalid_ts_oldest"), (latest, "invalid_ts_latest")):
        if moment and not _MOMENT.match(moment):
            raise SlackRefusal(refusal)
    return Span(
        oldest=_micros(oldest) if oldest else -1,
        latest=_micros(latest) if latest else None,
        is_inclusive=as_bool(values, "inclusive"),
    )


def _micros(ts: str) -> int:
    seconds, _, fraction = ts.partition(".")
    return int(seconds) * 1_000_000 + int(fraction.ljust(6, "0") or "0")


def _answer(workspace: Workspace, page: Page, values: dict[str, Any]) -> dict[str, Any]:
    has_metadata = as_bool(values, "include_all_metadata")
    answer: dict[str, Any] = {
        "messages": [_as_read(workspace, message, has_metadata=has_metadata) for message in page.messages],
        "has_more": bool(page.next_cursor),
    }
    if page.next_cursor:
        answer["response_metadata"] = {"next_cursor": page.next_cursor}
    return answer


def _as_read(workspace: Workspace, message: SlackMessage, *, has_metadata: bool) -> dict[str, Any]:
    shown = described(message)
    if not has_metadata:
        shown.pop("metadata", None)
    if message.via == "webhook":
        shown["subtype"] = "bot_message"
    if message.is_broadcast:
        shown["subtype"] = "thread_broadcast"
    replies = workspace.replies(message)
    if replies:
        shown |= {"thread_ts": message.ts, "reply_count": len(replies), "latest_reply": replies[-1].ts}
    return shown


METHODS = {
    "conversations.history": Method(run=read_history, required=("channel",), optional=_OPTIONAL),
    "conversations.replies": Method(run=read_replies, required=("channel", "ts"), optional=_OPTIONAL),
}
