"""The state of the stand-in: channels, messages and calls, in memory and bounded."""

import hashlib
import re
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from demo.slack.files import Shelf
from demo.slack.refusals import RateLimited, SlackRefusal

MESSAGES = 1000
CALLS = 1000
CHANNELS = 200
# About one message a second in a channel: https://docs.slack.dev/apis/web-api/rate-limits
SECONDS_BETWEEN_MESSAGES = 1.0

TEAM_ID = "T0BELLWETHER"
BOT_ID = "B0BELLWETHER"
USER_ID = "U0BELLWETHER"
BOT_NAME = "Bellwether"

TS = re.compile(r"\d{10}\.\d{6}\Z")
_CHANNEL_ID = re.compile(r"[CG][A-Z0-9]{6,20}\Z")
_CHANNEL_NAME = re.compile(r"[a-z0-9_\-]{1,80}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class SlackChannel:
    """A channel: its name, and its ID in the API."""

    id: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SlackMessage:
    """A message.

    Attributes:
        channel: ID of the channel.
        ts: the ID of the message: epoch seconds, a point and six digits.
        thread_ts: the parent's ``ts`` if this is a reply.
        files: IDs of shared files.
        reactions: emoji names, all from the bot.
        via: ``api`` or ``webhook``.
        is_broadcast: whether a reply is also shown in the channel.
    """

    channel: str
    ts: str
    text: str = ""
    thread_ts: str | None = None
    blocks: list[dict[str, Any]] = field(default_factory=list)
    attachments: list[dict[str, Any]] = field(default_factory=list)
    files: tuple[str, ...] = ()
    reactions: tuple[str, ...] = ()
    metadata: dict[str, Any] | None = None
    via: str = "api"
    is_mrkdwn: bool = True
    is_broadcast: bool = False
    is_edited: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """An entry of the calls log; it contains no token.

    Attributes:
        method: a Web API method, ``upload`` or ``webhook``.
        error: Slack's code, ``fault:<kind>`` for an injected fault, None for success.
        status: the HTTP status; 0 without a response.
    """

    method: str
    ok: bool
    error: str | None
    status: int


class Workspace:
    """The channels and messages of one team.

    Args:
        clock: epoch seconds.
        channels: entries ``name`` or ``name=ID``; with any, no other channels are created.
        is_rate_limited: whether more than one message per second in a channel is refused.
        shelf: of the files.

    Raises:
        ValueError: an entry of ``channels`` is invalid.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        channels: Sequence[str] = (),
        is_rate_limited: bool = False,
        shelf: Shelf | None = None,
    ) -> None:
        self._clock = clock
        self._is_fixed = bool(channels)
        self._is_rate_limited = is_rate_limited
        self._last_ts_micros = 0
        self._last_post_s: dict[str, float] = {}
        self._messages: OrderedDict[str, SlackMessage] = OrderedDict()
        self.files = Shelf() if shelf is None else shelf
        self.calls: deque[Call] = deque(maxlen=CALLS)
        self.channels: dict[str, SlackChannel] = {}
        for entry in channels:
            self._add_channel(_listed_channel(entry))

    def _add_channel(self, channel: SlackChannel) -> SlackChannel:
        self.channels[channel.id] = channel
        return channel

    def channel(self, reference: object) -> SlackChannel:
        """Return the channel with this ID.

        Raises:
            SlackRefusal: ``channel_not_found``, also for a name: most methods need an ID.
        """
        known = self.channels.get(reference) if isinstance(reference, str) else None
        if known is not None:
            return known
        if isinstance(reference, str) and _CHANNEL_ID.match(reference):
            return self._create(SlackChannel(id=reference, name=reference.lower()))
        raise SlackRefusal("channel_not_found")

    def named_channel(self, reference: object) -> SlackChannel:
        """Return the channel with this ID, name or #name, creating it unless the list is fixed.

        Raises:
            SlackRefusal: ``channel_not_found``.
        """
        if not isinstance(reference, str):
            raise SlackRefusal("channel_not_found")
        name = reference.removeprefix("#")
        for channel in self.channels.values():
            if channel.name == name:
                return channel
        if reference in self.channels or not _CHANNEL_NAME.match(name):
            return self.channel(reference)
        return self._create(SlackChannel(id=_id_of(name), name=name))

    def _create(self, channel: SlackChannel) -> SlackChannel:
        if self._is_fixed or len(self.channels) >= CHANNELS:
            raise SlackRefusal("channel_not_found")
        return self._add_channel(channel)

    def check_rate(self, channel: SlackChannel) -> None:
        """Count a message towards the rate limit of a channel.

        Raises:
            RateLimited: the last message was less than a second ago.
        """
        now = self._clock()
        last = self._last_post_s.get(channel.id)
        if self._is_rate_limited and last is not None and 0 <= now - last < SECONDS_BETWEEN_MESSAGES:
            raise RateLimited(1)
        self._last_post_s[channel.id] = now

    def next_ts(self) -> str:
        """Return a ``ts`` later than all earlier ones, such as ``1763838000.000100``."""
        first_of_second = int(self._clock()) * 1_000_000 + 100
        self._last_ts_micros = max(first_of_second, self._last_ts_micros + 100)
        seconds, micros = divmod(self._last_ts_micros, 1_000_000)
        return f"{seconds}.{micros:06d}"

    def add(self, message: SlackMessage) -> SlackMessage:
        """Store a message; above the limit, remove the oldest one with its files."""
        self._messages[message.ts] = message
        while len(self._messages) > MESSAGES:
            _, oldest = self._messages.popitem(last=False)
            self.files.drop(oldest.files)
        return message

    def change(self, message: SlackMessage, **changes: Any) -> SlackMessage:
        """Replace fields of a stored message and return the new one."""
        changed = replace(message, **changes)
        self._messages[message.ts] = changed
        return changed

    def find(self, channel: SlackChannel, ts: object) -> SlackMessage:
        """Return a message of a channel.

        Raises:
            SlackRefusal: ``message_not_found``.
        """
        message = self.message(ts)
        if message is None or message.channel != channel.id:
            raise SlackRefusal("message_not_found")
        return message

    def message(self, ts: object) -> SlackMessage | None:
        """Return the message with this ``ts``, whatever its channel."""
        return self._messages.get(ts) if isinstance(ts, str) else None

    def thread_parent(self, channel: SlackChannel, thread_ts: object) -> str | None:
        """Check that a reply may go to ``thread_ts``, and return it; None without one.

        Raises:
            SlackRefusal: ``invalid_thread_ts``, ``thread_not_found`` or ``cannot_reply_to_message``.
        """
        if thread_ts is None or thread_ts == "":
            return None
        if not isinstance(thread_ts, str) or not TS.match(thread_ts):
            # A number would lose digits: Slack would respond with ok, but not thread the message.
            raise SlackRefusal("invalid_thread_ts", ["[ERROR] not a valid thread_ts: send the ts as a string"])
        parent = self.message(thread_ts)
        if parent is None or parent.channel != channel.id:
            raise SlackRefusal("thread_not_found")
        if parent.thread_ts is not None:
            raise SlackRefusal("cannot_reply_to_message", ["[ERROR] reply to the parent, not to a reply"])
        return thread_ts

    def messages(self) -> list[SlackMessage]:
        """Return every message, oldest first."""
        return list(self._messages.values())

    def replies(self, message: SlackMessage) -> list[SlackMessage]:
        """Return the replies to a message, oldest first."""
        return [reply for reply in self._messages.values() if reply.thread_ts == message.ts]

    def clear(self) -> None:
        """Remove messages and files; channels and the calls log are kept."""
        self._messages.clear()
        self._last_post_s.clear()
        self.files.clear()


def _listed_channel(entry: str) -> SlackChannel:
    name, has_id, channel_id = entry.partition("=")
    if not _CHANNEL_NAME.match(name) or (has_id and not _CHANNEL_ID.match(channel_id)):
        raise ValueError(f"channel {entry!r}: must be a lower-case name or name=ID, such as perf-alerts=C0PERF0001")
    return SlackChannel(id=channel_id or _id_of(name), name=name)


def _id_of(name: str) -> str:
    """Return the ID of a channel created by name, the same at every start."""
    return "C" + hashlib.sha256(name.encode()).hexdigest()[:10].upper()
