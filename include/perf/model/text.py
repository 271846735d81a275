"""Text for people: times, durations and counts in words, and one-line text."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Clock = Callable[[], datetime]
"""Returns the current time, with a time zone."""


def utc_now() -> datetime:
    """Return the current time; the clock of production code."""
    return datetime.now(UTC)


# C0 and C1 controls, zero-width and bidirectional marks, line and paragraph separators, characters not allowed in XML
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff\ufffe\uffff]+")


def utc_time(moment: datetime) -> str:
    """Format a time in UTC, to the second."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def span(seconds: float) -> str:
    """Format a duration: ``15 min``, ``1 h 30 min``, ``90 s``."""
    rounded = round(seconds)
    if rounded < 120 or rounded % 60:
        return f"{seconds:g} s" if rounded < 600 else str(timedelta(seconds=rounded))
    hours, minutes = divmod(rounded // 60, 60)
    return " ".join(part for part in (f"{hours} h" * bool(hours), f"{minutes} min" * bool(minutes)) if part)


def counted(number: int, noun: str) -> str:
    """Format a count with its noun: ``1 run``, ``3 runs``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def one_line(text: str) -> str:
    """Return text on one line: control characters and white space are replaced by single spaces."""
    return " ".join(without_controls(text).split())


def without_controls(text: str) -> str:
    """Return text with spaces instead of control characters, which could hide or reverse what follows."""
    return _CONTROL.sub(" ", text)
