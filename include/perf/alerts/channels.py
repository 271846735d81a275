"""The places that messages go to: Slack, and other channels that people configured."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from include.perf.alerts.book import Delivery, Message, Posted
from include.perf.model.errors import DeliveryError


class Messenger(Protocol):
    """Sends messages to people in Slack.

    Each method raises `DeliveryError` if Slack cannot be used at the moment, whatever the message is.

    Attributes:
        has_threads: whether a message can be answered, edited and looked up.
    """

    has_threads: bool

    def moment(self) -> str | None:
        """Return Slack's own time, from which on a message that is sent now can be looked up; ``None`` if unknown."""

    def post(self, delivery: Delivery, *, thread: Posted | None, broadcast: bool) -> Posted | None:
        """Send a message, as a reply where a thread is given; return its place, where that is known.

        Args:
            broadcast: also show a reply in the channel.

        Raises:
            DeliveryUnknown: the message may have arrived.
            DeliveryRefused: Slack does not accept this message, or not in this channel.
            ThreadGone: there is no message to reply to.
        """

    def find(self, delivery: Delivery, *, thread: Posted | None) -> Posted | None:
        """Look up a message that was sent before; return ``None`` when it is not there.

        Raises:
            DeliveryRefused: the channel cannot be searched at all.
            ThreadGone: there is no message that it can be a reply to.
        """

    def replace(self, posted: Posted, message: Message) -> None:
        """Replace the content of a message; doing so twice has no further effect.

        Raises:
            DeliveryRefused: Slack does not accept the replacement.
            ThreadGone: there is no such message.
        """

    def attach(self, posted: Posted, charts: Sequence[Path], *, alt: str) -> None:
        """Upload charts into the thread of a message.

        Raises:
            DeliveryUnknown: some or all of the charts may have been uploaded.
            DeliveryRefused: Slack does not accept these charts.
            ThreadGone: there is no such message.
        """


class OtherChannels(Protocol):
    """Sends messages to other channels than Slack; each has an address."""

    def names(self) -> Sequence[str]:
        """Return the name of each address, without its secret; none if there is no other channel.

        Raises:
            DeliveryError: the addresses cannot be read.
        """

    def is_repeatable(self, name: str) -> bool:
        """Whether a message that may have arrived can be sent to an address again, and changes nothing there.

        Raises:
            DeliveryError: the addresses cannot be read.
        """

    def send(self, name: str, delivery: Delivery) -> None:
        """Send a message to one address.

        Raises:
            DeliveryRefused: the message did not arrive.
            DeliveryUnknown: the message may have arrived.
        """


class NoMessenger:
    """Stands in for Slack where it is not configured: nothing is sent, and nothing is lost.

    Args:
        error: raised by each method.
    """

    has_threads = True

    def __init__(self, error: DeliveryError) -> None:
        self._error = error

    def moment(self) -> str | None:
        """Refuse."""
        raise self._error

    def post(self, delivery: Delivery, *, thread: Posted | None, broadcast: bool) -> Posted | None:
        """Refuse."""
        raise self._error

    def find(self, delivery: Delivery, *, thread: Posted | None) -> Posted | None:
        """Refuse."""
        raise self._error

    def replace(self, posted: Posted, message: Message) -> None:
        """Refuse."""
        raise self._error

    def attach(self, posted: Posted, charts: Sequence[Path], *, alt: str) -> None:
        """Refuse."""
        raise self._error


class NoOtherChannels:
    """Stands in where Slack is the only channel."""

    def names(self) -> Sequence[str]:
        """Return none."""
        return ()

    def is_repeatable(self, name: str) -> bool:
        """Whether a repeated message changes nothing: nothing is sent."""
        return True

    def send(self, name: str, delivery: Delivery) -> None:
        """Do nothing."""
