"""The offset between two clocks, by queries and answers that take time."""

import pytest

from include.load.clock_offset import Round, offset_of


def a_round(*, ahead_s: float, there_s: float, thinking_s: float = 0.001, back_s: float, at: float = 100.0) -> Round:
    """Return a round to a clock that is ahead."""
    came = at + there_s + ahead_s
    return Round(asked=at, came=came, went=came + thinking_s, answered=at + there_s + thinking_s + back_s)


@pytest.mark.parametrize("ahead_s", [0.0, 10_800.0, -7_200.0, 0.25])
def test_the_same_delay_both_ways_gives_the_offset_exactly(ahead_s: float) -> None:
    """The time that the other side takes to answer does not matter."""
    offset = offset_of([a_round(ahead_s=ahead_s, there_s=0.02, thinking_s=3.0, back_s=0.02)])
    assert offset is not None
    assert offset.ahead_s == pytest.approx(ahead_s, abs=1e-9)
    assert offset.uncertainty_s == pytest.approx(0.020)  # half of there and back


@pytest.mark.parametrize(("there_s", "back_s"), [(0.04, 0.0), (0.0, 0.04), (0.03, 0.01)])
def test_the_error_is_never_more_than_half_of_the_delay(there_s: float, back_s: float) -> None:
    """The worst case is when all of the delay is in one direction."""
    offset = offset_of([a_round(ahead_s=5.0, there_s=there_s, back_s=back_s)])
    assert offset is not None
    assert offset.ahead_s - 5.0 == pytest.approx((there_s - back_s) / 2)
    assert abs(offset.ahead_s - 5.0) <= offset.uncertainty_s + 1e-9


def test_the_round_with_the_least_delay_counts() -> None:
    """Slower rounds waited somewhere, in an unknown direction."""
    slow = a_round(ahead_s=5.0, there_s=0.5, back_s=0.0)
    fast = a_round(ahead_s=5.0, there_s=0.001, back_s=0.001)
    offset = offset_of([slow, fast, slow])
    assert offset is not None
    assert offset.ahead_s == pytest.approx(5.0, abs=1e-9)
    assert offset.uncertainty_s == pytest.approx(0.001)


def test_without_an_answer_the_offset_is_unknown() -> None:
    """Unknown is not zero."""
    assert offset_of([]) is None
