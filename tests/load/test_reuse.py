"""For how long a connection is used."""

import pytest

from include.load.reuse import Lifetime, ReuseLimits


@pytest.mark.parametrize(
    ("own", "of_server", "usable_s"),
    [
        (None, None, None),
        (10.0, None, 10.0),
        (None, 5.0, 4.0),  # a second earlier than the server
        (None, 1.0, 0.5),  # or half of its time
        (2.0, 5.0, 2.0),
        (10.0, 5.0, 4.0),
        (None, 0.0, 0.0),
    ],
)
def test_idle_limits(own: float | None, of_server: float | None, usable_s: float | None) -> None:
    """The shorter one counts, from the last answer."""
    lifetime = Lifetime(ReuseLimits(idle_timeout_s=own), opened=0.0)
    lifetime.is_last(100.0, server_idle_s=of_server)
    assert lifetime.is_over(1e9) is (usable_s is not None)
    if usable_s is not None:
        assert lifetime.is_over(100.0 + usable_s)
        assert not lifetime.is_over(100.0 + usable_s - 0.01)


def test_connections_of_one_moment_end_at_different_ones() -> None:
    """Within the last tenth of the maximum age, and none later."""
    lives = [Lifetime(ReuseLimits(max_age_s=100.0), opened=50.0) for _ in range(200)]
    assert not any(life.is_over(139.9) for life in lives)
    assert all(life.is_over(150.0) for life in lives)
    assert 20 < sum(life.is_over(145.0) for life in lives) < 180


def test_the_last_request() -> None:
    lifetime = Lifetime(ReuseLimits(max_requests=3), opened=0.0)
    assert [lifetime.is_last(1.0, server_idle_s=None) for _ in range(3)] == [False, False, True]
