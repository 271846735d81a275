"""The halt of all load: who set it, when and why.

It is stored as text, in a file or a Variable. Any text except an empty one halts all load.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from include.perf.model.text import one_line, utc_time

MAX_CHARACTERS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Halt:
    """A halt of all load.

    Attributes:
        by: who set it; ``None`` if unknown.
        reason: as given by that person.
    """

    by: str | None
    reason: str
    at: datetime | None = None

    def describe(self, remedy: str) -> str:
        """Describe the halt while it lasts.

        Args:
            remedy: how to resume: ``remove the file …``.
        """
        since = f" since {utc_time(self.at)}" if self.at else ""
        return f"load is halted{self._who}{since}: {self.reason} (to resume, {remedy})"

    def describe_former(self) -> str:
        """Describe the halt after it was removed."""
        at = f" at {utc_time(self.at)}" if self.at else ""
        return f"The halt was set{self._who}{at}: {self.reason}"

    @property
    def _who(self) -> str:
        return f" by {self.by}" if self.by else ""

    def to_text(self) -> str:
        """Return the text to store, which `halt_of` reads."""
        return json.dumps({"by": self.by, "reason": self.reason, "at": self.at.isoformat() if self.at else None})


class HaltState(Protocol):
    """Stores the halt for the command line."""

    def read(self) -> Halt | None:
        """Return the halt, or ``None`` if load is not halted."""

    def reason(self) -> str | None:
        """Return why load is halted, or ``None``."""

    def set(self, halt: Halt) -> None:
        """Halt all load."""

    def clear(self) -> None:
        """Resume load."""


def halt_of(text: str | None) -> Halt | None:
    """Parse the stored text: ``{"by": …, "reason": …, "at": …}``, or the reason alone; ``None`` for no text."""
    if text is None or not text.strip():
        return None
    try:
        given = json.loads(text)
    except ValueError:
        given = None
    if not isinstance(given, dict):
        return Halt(by=None, reason=_short(text))
    by = given.get("by")
    return Halt(
        by=_short(str(by)) if by else None,
        reason=_short(str(given.get("reason") or "no reason was given")),
        at=_moment(given.get("at")),
    )


def _short(text: str) -> str:
    return one_line(text)[:MAX_CHARACTERS]


def _moment(given: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(given))
    except ValueError:
        return None
    return moment if moment.tzinfo else None
