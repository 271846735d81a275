"""The tokens of a running load: requests take the current ones when they are due.

The process that ordered the load fetches and renews them. Here they only arrive, and are put into prepared requests.
"""

from collections.abc import Sequence

from include.perf.load.slots import Moment, SlotRequests

PLACE = "\x00"
"""Stands for the token in a prepared request; neither a path nor a header can have it."""

_PLACE = PLACE.encode()


class CurrentTokens:
    """The tokens of a load.

    Attributes:
        in_use: the current ones, and those before, which requests in flight may still have.
    """

    def __init__(self) -> None:
        self.in_use: tuple[str, ...] = ()
        self._current: tuple[str, ...] = ()
        self._encoded: Sequence[bytes] = ()

    def renew(self, values: Sequence[str]) -> None:
        """Replace all tokens by those of a message."""
        self._current, before = tuple(values), self._current
        self.in_use = tuple(dict.fromkeys([*self._current, *before]))
        self._encoded = [value.encode("latin-1") for value in values]

    def of(self, number: int) -> bytes:
        """Return the token of a request by the number of its arrival: they take turns."""
        return self._encoded[number % len(self._encoded)]


class TokenRequests:
    """The requests of an endpoint, whose token is put in when they are due.

    Args:
        wires: (rows,) the bytes of each prepared request, with `PLACE` in its head.
        slots: fills their other slots; ``None`` if they have none.
    """

    def __init__(self, wires: Sequence[bytes], slots: SlotRequests | None, tokens: CurrentTokens) -> None:
        self._wires = wires
        self._slots = slots
        self._tokens = tokens

    def start(self, started_at: float) -> None:
        """Set when the schedule starts, in Unix seconds."""
        if self._slots is not None:
            self._slots.start(started_at)

    def wire(self, row: int, moment: Moment) -> bytes:
        """Return the bytes of a request."""
        wire = self._wires[row] if self._slots is None else self._slots.wire(row, moment)
        return wire.replace(_PLACE, self._tokens.of(moment.number), 1)
