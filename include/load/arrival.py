"""Arrivals: what is due, and the prepared requests that it sends."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from include.load.connection import Connection
from include.load.schedule import Due
from include.load.tokens import CurrentTokens
from include.perf.catalogue.expectation import Check
from include.perf.load.answer_reader import Answer
from include.perf.load.slots import Moment, SlotRequests

if TYPE_CHECKING:
    from include.load.drive import Drive

Judge = Callable[[Answer], tuple[str, str] | None]
"""Takes what a journey needs of a good answer; returns the kind of error and an example if it is not there."""


@dataclass(slots=True)
class Arrival:
    """One request that is due, or one journey; times are in seconds after the start of the schedule.

    Attributes:
        due: its place in the schedule; ``None`` for a later request of a journey.
        wire: the bytes of the request, with the values of its own; empty for a journey.
        released_s, started_s, ended_s: negative until then.
        number: of the arrival, if it is a journey or a part of one.
        part: as in the record.
        judge: takes what is needed of a good answer.
        secrets: captured values that must not be shown.
        status, size: of a journey: the last status, and the bytes of all answers.
    """

    due_s: float
    requests: "EndpointRequests | JourneyCarrier"
    wire: bytes
    is_measured: bool
    released_s: float = -1.0
    started_s: float = -1.0
    ended_s: float = -1.0
    user: Any = None
    due: Due | None = None
    number: int | None = None
    part: str = ""
    judge: Judge | None = None
    secrets: tuple[str, ...] = ()
    status: int = 0
    size: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointRequests:
    """All requests to one endpoint, as bytes for the wire, and the check of their answers.

    Attributes:
        slots: fills the values of the requests' own; ``None`` if they have none.
        tokens: the current tokens, one of which each request takes when it is due; ``None`` if they need none.
    """

    name: str
    method: str
    weight: int
    wires: Sequence[bytes]
    check: Check
    slots: SlotRequests | None = None
    tokens: CurrentTokens | None = None

    def start(self, started_at: float) -> None:
        """Set when the schedule starts, in Unix seconds."""
        if self.slots is not None:
            self.slots.start(started_at)

    def wire(self, moment: Moment) -> bytes:
        """Return the bytes of a request, still without its token."""
        row = moment.ordinal % len(self.wires)
        return self.wires[row] if self.slots is None else self.slots.wire(row, moment)

    @property
    def feed_rows(self) -> Mapping[str, int]:
        """The number of different requests by name."""
        return {self.name: len(self.wires)}


class JourneyCarrier(Protocol):
    """Arrivals that are more than one request; `include.load.journey` has them."""

    @property
    def name(self) -> str:
        """The name in the record."""

    @property
    def weight(self) -> int:
        """The share of the arrivals."""

    @property
    def first(self) -> EndpointRequests:
        """What an arrival sends first."""

    @property
    def cleans_up(self) -> bool:
        """Whether an arrival goes on for a while after the end of the load."""

    @property
    def feed_rows(self) -> Mapping[str, int]:
        """The number of different requests by name."""

    def start(self, started_at: float) -> None:
        """Set when the schedule starts, in Unix seconds."""

    def carry(self, drive: "Drive", connection: Connection, arrival: Arrival) -> None:
        """Carry an arrival to its end, in the greenlet of its user."""
