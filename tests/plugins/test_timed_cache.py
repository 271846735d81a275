"""A value is read again only after its period."""

from collections.abc import Iterator

import pytest
from bellwether.timed_cache import TimedCache


class Clock:
    """A clock that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        """Return the time in seconds."""
        return self.now


def test_a_value_is_cached_for_its_period() -> None:
    """Within five seconds the value is the same; afterwards it is read again."""
    values: Iterator[int] = iter(range(9))
    clock = Clock()
    cached = TimedCache(lambda: next(values), for_s=5, clock=clock)
    returned = []
    for clock.now in (0.0, 4.9, 5.0, 9.9, 20.0):
        returned.append(cached())
    assert returned == [0, 0, 1, 1, 2]


def test_an_error_is_not_cached() -> None:
    """A fix takes effect at once."""
    values = iter([ValueError("broken"), 1])

    def read() -> int:
        value = next(values)
        if isinstance(value, ValueError):
            raise value
        return value

    cached = TimedCache(read, for_s=5, clock=Clock())
    with pytest.raises(ValueError, match="broken"):
        cached()
    assert cached() == 1
