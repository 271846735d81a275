"""Slack channels that keep what was posted, as often as it was posted."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from include.perf.alerts.book import Delivery, Message, Posted
from include.perf.model.errors import DeliveryError, DeliveryRefused, DeliveryUnknown

Request = Callable[[str, Callable[[], None], Callable[[], Exception]], None]
"""Makes a request: its name, its effect, and what to raise where it fails."""


@dataclass(slots=True)
class Channels:
    """What people see.

    Attributes:
        posted: the ids of the messages, in order; an id that is there twice was posted twice.
        texts: by id, channel and first line.
    """

    posted: list[str] = field(default_factory=list)
    texts: dict[str, tuple[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelMessenger:
    """Posts into the channels; a request may fail before or after it had its effect."""

    channels: Channels
    request: Request
    has_threads: bool = True

    def moment(self) -> str | None:
        """Return a time of Slack's own clock."""
        self.request("asks for the time", lambda: None, lambda: DeliveryError("Slack is down"))
        return "100.000000"

    def post(self, delivery: Delivery, *, thread: Posted | None, broadcast: bool) -> Posted | None:
        """Post a message."""
        arrived = False

        def arrive() -> None:
            nonlocal arrived
            arrived = True
            self.channels.posted.append(delivery.id)
            self.channels.texts[delivery.id] = (delivery.channel, delivery.message.text)

        def failure() -> DeliveryError:
            return DeliveryUnknown("no answer") if arrived else DeliveryError("Slack is down")

        self.request(f"posts {delivery.event}", arrive, failure)
        return Posted("C1", f"ts-{delivery.id}") if self.has_threads else None

    def find(self, delivery: Delivery, *, thread: Posted | None) -> Posted | None:
        """Look a message up."""
        if not self.has_threads:
            raise DeliveryRefused("a webhook cannot search")
        self.request(f"searches {delivery.event}", lambda: None, lambda: DeliveryError("Slack is down"))
        return Posted("C1", f"ts-{delivery.id}") if delivery.id in self.channels.posted else None

    def replace(self, posted: Posted, message: Message) -> None:
        """Change a message."""
        self.request("marks a message", lambda: None, lambda: DeliveryError("Slack is down"))

    def attach(self, posted: Posted, charts: Sequence[Path], *, alt: str) -> None:
        """Upload charts."""
        self.request("uploads charts", lambda: None, lambda: DeliveryError("Slack is down"))
