"""A clock that stands still until it is moved."""

from datetime import UTC, datetime, timedelta

START = datetime(2026, 3, 2, 6, 30, tzinfo=UTC)


class FixedClock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: datetime = START) -> None:
        self.now = now
        self.waits_s: list[float] = []

    def __call__(self) -> datetime:
        """Say what time it is."""
        return self.now

    def move(self, seconds: float) -> None:
        """Let time go by."""
        self.now += timedelta(seconds=seconds)

    def wait(self, seconds: float) -> None:
        """Be waited on, without anyone waiting."""
        self.waits_s.append(seconds)
        self.move(seconds)
