"""A load as others see it: of what, from when, and until when."""

from collections.abc import Set
from dataclasses import dataclass
from datetime import datetime, timedelta

GRACE = timedelta(minutes=1)
"""A load may end so much later than planned: its processes have to start, and to be ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SentLoad:
    """A load that goes out, or went out.

    Attributes:
        rate_rps: its peak.
        ends_by: the latest moment at which it was planned to be over.
        ended_at: ``None`` while it goes out, and for ever when whoever sent it was killed.
    """

    run_id: str
    service: str
    scenario: str
    environment: str
    rate_rps: float
    started_at: datetime
    ends_by: datetime
    ended_at: datetime | None = None

    def is_running(self, now: datetime, *, held: Set[str] | None) -> bool:
        """Return whether it still goes out.

        A load that was killed leaves no word of its end, so that nothing is believed for longer than was planned, and
        less where locks tell more.

        Args:
            held: the runs that hold a lock for their load; ``None`` where nobody can tell.
        """
        if self.ended_at is not None or now > self.ends_by + GRACE:
            return False
        return held is None or self.run_id in held
