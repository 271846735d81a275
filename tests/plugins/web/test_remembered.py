"""What is asked for again only after a while."""

from collections.abc import Iterator

import pytest
from bellwether.web.remembered import Remembered


class Clock:
    """Stands still until it is moved."""

    now = 0.0

    def __call__(self) -> float:
        """Say what time it is."""
        return self.now


def test_an_answer_holds_for_a_while() -> None:
    """Within five seconds it is the same, after them it is asked for again."""
    answers: Iterator[int] = iter(range(9))
    clock = Clock()
    remembered = Remembered(lambda: next(answers), for_s=5, clock=clock)
    told = []
    for clock.now in (0.0, 4.9, 5.0, 9.9, 20.0):
        told.append(remembered())
    assert told == [0, 0, 1, 1, 2]


def test_an_error_is_not_remembered() -> None:
    """Whoever mends it need not wait."""
    answers = iter([ValueError("broken"), 1])

    def ask() -> int:
        found = next(answers)
        if isinstance(found, ValueError):
            raise found
        return found

    remembered = Remembered(ask, for_s=5, clock=Clock())
    with pytest.raises(ValueError, match="broken"):
        remembered()
    assert remembered() == 1
