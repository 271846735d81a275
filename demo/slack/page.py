"""The page that shows the messages, roughly like Slack does."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from demo.slack import drawings, emoji, mrkdwn
from demo.slack.content import slack_file_id
from demo.slack.files import File
from demo.slack.refusals import SlackRefusal
from demo.slack.standin import stand_in
from demo.slack.state import BOT_NAME, SlackChannel, SlackMessage, Workspace

_TEMPLATES = Path(__file__).parent / "templates"
# No other site is loaded and no script runs, whatever a message contains.
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

router = APIRouter()


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A message on the page.

    Attributes:
        is_echo: whether this is a broadcast reply, which the channel shows a second time.
        parent: for an echo, the message it replies to, if it still exists.
        opens_day: whether it is the first message of its day.
    """

    message: SlackMessage
    files: list[File]
    replies: list["Shown"]
    is_echo: bool = False
    parent: SlackMessage | None = None
    opens_day: bool = False


@router.get("/")
async def show_latest(request: Request) -> Response:
    """Show the channel with the latest message."""
    workspace = stand_in(request).workspace
    messages = workspace.messages()
    if messages:
        channel: SlackChannel | None = workspace.channels[messages[-1].channel]
    else:
        channel = next(iter(workspace.channels.values()), None)
    return _channel_page(workspace, channel)


@router.get("/channel/{reference}")
async def show_channel(reference: str, request: Request) -> Response:
    """Show one channel by ID or name."""
    workspace = stand_in(request).workspace
    for channel in workspace.channels.values():
        if reference in (channel.id, channel.name):
            return _channel_page(workspace, channel)
    raise HTTPException(404, "no such channel")


@router.get("/message/{ts}")
async def show_message(ts: str, request: Request) -> Response:
    """Show a single message with its replies."""
    workspace = stand_in(request).workspace
    message = workspace.message(ts)
    if message is None:
        raise HTTPException(404, "no such message")
    channel = workspace.channels[message.channel]
    shown = _shown(workspace, message)
    return _page(workspace, "message.html", channel=channel, shown=shown)


@router.get("/archives/{channel_id}/p{digits}")
async def follow_permalink(channel_id: str, digits: str, request: Request) -> Response:
    """Redirect a permalink to the message's page."""
    ts = f"{digits[:-6]}.{digits[-6:]}"
    workspace = stand_in(request).workspace
    try:
        message = workspace.find(workspace.channels[channel_id], ts)
    except (KeyError, SlackRefusal) as err:
        raise HTTPException(404, "no such message") from err
    return RedirectResponse(f"/message/{message.ts}")


@router.get("/files/{file_id}")
async def get_file(file_id: str, request: Request) -> Response:
    """Return a shared file: pictures for display, other files as a download."""
    file = stand_in(request).workspace.files.find(file_id)
    if file is None or file.data is None:
        raise HTTPException(404, "no such file, or newer files have replaced it")
    headers = dict(_HEADERS)
    if file.picture_type is None:
        headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(file.name, safe='')}"
    return Response(file.data, media_type=file.picture_type or "application/octet-stream", headers=headers)


@router.get("/emoji/{name}.svg")
async def get_drawing(name: str) -> Response:
    """Return the drawing of an emoji."""
    svg = drawings.svg(name)
    if svg is None:
        raise HTTPException(404, "no such drawing")
    return Response(svg, media_type="image/svg+xml", headers=_HEADERS | {"Cache-Control": "max-age=3600"})


@router.get("/slack.css")
async def get_style() -> Response:
    """Return the style sheet."""
    text = (_TEMPLATES / "slack.css").read_text(encoding="utf-8")
    return PlainTextResponse(text, media_type="text/css", headers=_HEADERS)


def _channel_page(workspace: Workspace, channel: SlackChannel | None) -> Response:
    timeline = list(_timeline(workspace, channel)) if channel else []
    return _page(workspace, "channel.html", channel=channel, timeline=timeline)


def _timeline(workspace: Workspace, channel: SlackChannel) -> Iterator[Shown]:
    """Yield the entries of a channel: messages with their replies, and broadcast replies a second time."""
    day = ""
    for message in workspace.messages():
        if message.channel != channel.id:
            continue
        parent = workspace.message(message.thread_ts)
        if parent is not None and not message.is_broadcast:
            continue
        is_first = _time(message.ts, "%Y-%m-%d") != day
        day = _time(message.ts, "%Y-%m-%d")
        yield _shown(workspace, message, is_echo=message.is_broadcast, parent=parent, opens_day=is_first)


def _shown(
    workspace: Workspace,
    message: SlackMessage,
    *,
    is_echo: bool = False,
    parent: SlackMessage | None = None,
    opens_day: bool = False,
) -> Shown:
    files = [file for file in map(workspace.files.find, message.files) if file is not None]
    replies = [_shown(workspace, reply) for reply in workspace.replies(message)]
    return Shown(message=message, files=files, replies=replies, is_echo=is_echo, parent=parent, opens_day=opens_day)


def _page(workspace: Workspace, template: str, **values: Any) -> Response:
    def picture_of(image: dict[str, Any]) -> str | None:
        """Return the path of a block's picture if the stand-in has it."""
        file_id = slack_file_id(image.get("slack_file") or {}, workspace.files)
        return f"/files/{file_id}" if file_id else None

    html = _ENVIRONMENT.get_template(template).render(
        channels=sorted(workspace.channels.values(), key=lambda channel: channel.name),
        bot_name=BOT_NAME,
        picture_of=picture_of,
        **values,
    )
    return HTMLResponse(html, headers=_HEADERS)


def _time(ts: str, pattern: str = "%H:%M") -> str:
    return datetime.fromtimestamp(int(ts.partition(".")[0]), UTC).strftime(pattern)


def _size(length_bytes: int) -> str:
    if length_bytes < 1024:
        return f"{length_bytes} bytes"
    if length_bytes < 1024 * 1024:
        return f"{length_bytes / 1024:.0f} kB"
    return f"{length_bytes / 1024 / 1024:.1f} MB"


def _color(value: object) -> str:
    """Return the CSS class of an attachment's bar; other colours would need inline styles."""
    names = {"good": "good", "warning": "warning", "danger": "danger"}
    return names.get(str(value), "neutral")


def _emoji(name: str) -> Markup:
    return emoji.shown(f":{name}:")


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "mrkdwn": mrkdwn.mrkdwn,
        "plain": mrkdwn.plain,
        "literal": emoji.shown,
        "link_target": mrkdwn.link_target,
        "emoji": _emoji,
        "time": _time,
        "size": _size,
        "color": _color,
    }
    return environment


_ENVIRONMENT = _environment()
