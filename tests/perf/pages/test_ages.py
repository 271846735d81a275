"""How ages and moments are written."""

from datetime import UTC, datetime, timedelta

import pytest

from include.perf.pages.marks import age, day, minute

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("ago", "words"),
    [
        (timedelta(seconds=-30), "just now"),  # clock skew
        (timedelta(seconds=59), "just now"),
        (timedelta(minutes=1), "1 min ago"),
        (timedelta(minutes=59), "59 min ago"),
        (timedelta(hours=1), "1 h ago"),
        (timedelta(hours=47), "47 h ago"),
        (timedelta(days=2), "2 days ago"),
        (timedelta(days=59), "59 days ago"),
        (timedelta(days=62), "2 months ago"),  # 62 / 30.44 = 2.04
        (timedelta(days=800), "2 years ago"),  # 800 / 365.25 = 2.19
    ],
)
def test_ages(ago: timedelta, words: str) -> None:
    """The unit grows with the age."""
    assert age(NOW - ago, now=NOW) == words


def test_moments_are_shown_in_utc() -> None:
    """A moment in another time zone is converted."""
    tokyo = datetime.fromisoformat("2026-03-02T08:30:00+09:00")
    assert minute(tokyo) == "2026-03-01 23:30 UTC"
    assert day(tokyo) == "2026-03-01"
