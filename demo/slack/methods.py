"""The Web API methods for messages, channels and reactions.

Source: https://docs.slack.dev/reference/methods for arguments, responses and error codes.
"""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from demo.slack.arguments import as_bool, as_int
from demo.slack.content import Content, read_content, read_metadata
from demo.slack.refusals import SlackRefusal
from demo.slack.state import (
    BOT_ID,
    BOT_NAME,
    TEAM_ID,
    USER_ID,
    SlackChannel,
    SlackMessage,
    Workspace,
)

PAGE_CHANNELS = 100
MOST_PAGE_CHANNELS = 1000
REACTIONS = 23

_EMOJI_NAME = re.compile(r"[a-z0-9_+\-']{1,100}(?:::skin-tone-[2-6])?\Z")
_CHANNEL_KINDS = frozenset({"public_channel", "private_channel", "mpim", "im"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The workspace, and the server's base URL, which ends with a slash."""

    workspace: Workspace
    base_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A Web API method and its arguments."""

    run: Callable[[Context, dict[str, Any]], dict[str, Any]]
    required: Collection[str] = ()
    optional: Collection[str] = ()

    def check_names(self, values: Mapping[str, Any]) -> None:
        """Check that all required arguments are there, and all others are known.

        Raises:
            SlackRefusal: ``invalid_arguments``. Slack ignores some unknown arguments; the stand-in refuses them all.
        """
        missing = [f"[ERROR] missing required field: {key}" for key in self.required if not values.get(key)]
        unknown = [
            f"[ERROR] unsupported argument: {key}"
            for key in values
            if key not in self.required and key not in self.optional
        ]
        if missing or unknown:
            raise SlackRefusal("invalid_arguments", missing + unknown)


def test_auth(context: Context, values: dict[str, Any]) -> dict[str, Any]:
    """auth.test: return the owner of the token."""
    return {
        "url": context.base_url,
        "team": "Stand-in",
        "team_id": TEAM_ID,
        "user": BOT_NAME.lower(),
        "user_id": USER_ID,
        "bot_id": BOT_ID,
        "is_enterprise_install": False,
    }


def post_message(context: Context, values: dict[str, Any]) -> dict[str, Any]:
    """chat.postMessage: store a message.

    ``username`` and ``icon_*`` are accepted and have no effect, as without ``chat:write.customize``.
    """
    workspace = context.workspace
    channel = workspace.named_channel(values["channel"])
    content = read_content(values, workspace.files)
    if content.is_empty:
        raise SlackRefusal("no_text")
    metadata = read_metadata(values)
    is_broadcast = as_bool(values, "reply_broadcast")
    is_mrkdwn = as_bool(values, "mrkdwn", default=True)
    for key in ("unfurl_links", "unfurl_media", "link_names", "as_user"):
        as_bool(values, key)
    thread_ts = workspace.thread_parent(channel, values.get("thread_ts"))
    workspace.check_rate(channel)
    message = workspace.add(
        SlackMessage(
            channel=channel.id,
            ts=workspace.next_ts(),
            text=content.text,
            blocks=content.blocks,
            attachments=content.attachments,
            thread_ts=thread_ts,
            metadata=metadata,
            is_mrkdwn=is_mrkdwn,
            is_broadcast=is_broadcast and thread_ts is not None,
        )
    )
    return {"channel": channel.id, "ts": message.ts, "message": described(message)}


def update_message(context: Context, values: dict[str, Any]) -> dict[str, Any]:
    """chat.update: replace the content of a message.

    Blocks and attachments that are not sent are kept only if no text is sent either.
    """
    workspace = context.workspace
    channel = workspace.channel(values["channel"])
    message = workspace.find(channel, values["ts"])
    if message.via != "api":
        raise SlackRefusal("cant_update_message")
    content = read_content(values, workspace.files)
    if content.is_empty and not {"blocks", "attachments"} & values.keys():
        raise SlackRefusal("no_text")
    is_kept = not values.get("text")
    updated = Content(
        text=content.text or message.text,
        blocks=content.blocks if "blocks" in values or not is_kept else message.blocks,
        attachments=content.attachments if "attachments" in values or not is_kept else message.attachments,
    )
    if updated.is_empty and not message.files:
        raise SlackRefusal("no_text")
    message = workspace.change(
        message,
        text=updated.text,
        blocks=updated.blocks,
        attachments=updated.attachments,
        metadata=read_metadata(values) or message.metadata,
        is_broadcast=message.is_broadcast or (as_bool(values, "reply_broadcast") and bool(message.thread_ts)),
        is_edited=True,
    )
    return {"channel": channel.id, "ts": message.ts, "text": message.text, "message": described(message)}


def get_permalink(context: Context, values: dict[str, Any]) -> dict[str, Any]:
    """chat.getPermalink: return the URL of a message's page."""
    channel = context.workspace.channel(values["channel"])
    message = context.workspace.find(channel, values["message_ts"])
    link = f"{context.base_url}archives/{channel.id}/p{message.ts.replace('.', '')}"
    if message.thread_ts:
        link += f"?thread_ts={message.thread_ts}&cid={channel.id}"
    return {"channel": channel.id, "permalink": link}


def list_channels(context: Context, values: dict[str, Any]) -> dict[str, Any]:
    """conversations.list: return a page of channels; all of them are public."""
    kinds = set(str(values.get("types") or "public_channel").replace(" ", "").split(","))
    if not kinds <= _CHANNEL_KINDS:
        raise SlackRefusal("invalid_types")
    limit = as_int(values, "limit", default=PAGE_CHANNELS)
    if not 1 <= limit <= MOST_PAGE_CHANNELS:
        raise SlackRefusal("invalid_limit")
    cursor = values.get("cursor") or "0"
    if not isinstance(cursor, str) or not re.fullmatch(r"[0-9]{1,6}", cursor):
        raise SlackRefusal("invalid_cursor")
    start = int(cursor)
    found = list(context.workspace.channels.values()) if "public_channel" in kinds else []
    following = str(start + limit) if start + limit < len(found) else ""
    return {
        "channels": [_described_channel(channel) for channel in found[start : start + limit]],
        "response_metadata": {"next_cursor": following},
    }


def add_reaction(context: Context, values: dict[str, Any]) -> dict[str, Any]:
    """reactions.add: add the bot's emoji to a message."""
    message, name = _reaction(context, values)
    if name in message.reactions:
        raise SlackRefusal("already_reacted")
    if len(message.reactions) >= REACTIONS:
        raise SlackRefusal("too_many_reactions")
    context.workspace.change(message, reactions=(*message.reactions, name))
    return {}


def remove_reaction(context: Context, values: dict[str, Any]) -> dict[str, Any]:
    """reactions.remove: remove the bot's emoji from a message."""
    message, name = _reaction(context, values)
    if name not in message.reactions:
        raise SlackRefusal("no_reaction")
    left = tuple(reaction for reaction in message.reactions if reaction != name)
    context.workspace.change(message, reactions=left)
    return {}


def _reaction(context: Context, values: dict[str, Any]) -> tuple[SlackMessage, str]:
    channel = context.workspace.channel(values["channel"])
    message = context.workspace.find(channel, values["timestamp"])
    name = values["name"]
    if not isinstance(name, str) or not _EMOJI_NAME.match(name):
        raise SlackRefusal("invalid_name")
    return message, name


def described(message: SlackMessage) -> dict[str, Any]:
    """Return a message in the format of the API."""
    described: dict[str, Any] = {
        "type": "message",
        "user": USER_ID,
        "bot_id": BOT_ID,
        "team": TEAM_ID,
        "ts": message.ts,
        "text": message.text,
    }
    optional = {
        "thread_ts": message.thread_ts,
        "blocks": message.blocks,
        "attachments": message.attachments,
        "metadata": message.metadata,
    }
    return described | {key: value for key, value in optional.items() if value}


def _described_channel(channel: SlackChannel) -> dict[str, Any]:
    return {
        "id": channel.id,
        "name": channel.name,
        "is_channel": True,
        "is_private": False,
        "is_archived": False,
        "is_member": True,
    }


METHODS = {
    "auth.test": Method(run=test_auth),
    "chat.postMessage": Method(
        run=post_message,
        required=("channel",),
        # Slack also has markdown_text; Bellwether sends mrkdwn, so it is refused here.
        optional=(
            "as_user",
            "attachments",
            "blocks",
            "icon_emoji",
            "icon_url",
            "link_names",
            "metadata",
            "mrkdwn",
            "parse",
            "reply_broadcast",
            "text",
            "thread_ts",
            "unfurl_links",
            "unfurl_media",
            "username",
        ),
    ),
    "chat.update": Method(
        run=update_message,
        required=("channel", "ts"),
        optional=(
            "as_user",
            "attachments",
            "blocks",
            "link_names",
            "metadata",
            "parse",
            "reply_broadcast",
            "text",
        ),
    ),
    "chat.getPermalink": Method(run=get_permalink, required=("channel", "message_ts")),
    "conversations.list": Method(
        run=list_channels, optional=("cursor", "exclude_archived", "limit", "team_id", "types")
    ),
    "reactions.add": Method(run=add_reaction, required=("channel", "name", "timestamp")),
    "reactions.remove": Method(run=remove_reaction, required=("channel", "name", "timestamp")),
}
