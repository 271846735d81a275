"""When all load of a run must be over, and why."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadline:
    """A moment at which no load may run any more.

    Attributes:
        occasion: what makes it one, as a clause: ``the London session opens at 08:00 Europe/London``.
    """

    at: datetime
    occasion: str
