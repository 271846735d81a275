"""The tokens of a running load: requests take the current ones when they are due.

The process that ordered the load fetches and renews them. Here they only arrive, and are put into prepared requests.
"""

from collections.abc import Sequence

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

    def put_into(self, wire: bytes, number: int) -> bytes:
        """Return a request with its token instead of `PLACE`."""
        return wire.replace(_PLACE, self.of(number), 1)
