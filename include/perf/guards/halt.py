"""The switch that stops all load: who set it, when and why.

It is one text, the content of a file or the value of a Variable. Whatever stands there halts; only nothing does not.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from include.perf.model.text import one_line, utc_time

MOST_CHARACTERS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Halt:
    """Somebody stopped all load.

    Attributes:
        by: who; ``None`` where a text alone was set that does not say so.
        reason: in the words of who set it.
    """

    by: str | None
    reason: str
    at: datetime | None = None

    def told(self, where: str) -> str:
        """Return it as a reason: who halted load, since when, why, and where to lift it."""
        who = f" by {self.by}" if self.by else ""
        since = f" since {utc_time(self.at)}" if self.at else ""
        return f"load is halted{who}{since}: {self.reason} (to go on, {where})"

    def to_text(self) -> str:
        """Return the text that `halt_of` reads."""
        return json.dumps({"by": self.by, "reason": self.reason, "at": self.at.isoformat() if self.at else None})


class HaltSwitch(Protocol):
    """Where the command line halts load."""

    def reason(self) -> str | None:
        """Return why no load may run, or ``None``."""

    def set(self, halt: Halt) -> None:
        """Stop all load."""

    def clear(self) -> None:
        """Let load start again."""


def halt_of(text: str | None) -> Halt | None:
    """Read the switch: ``{"by": …, "reason": …, "at": …}``, or any other text as the reason; ``None`` for nothing."""
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
    return one_line(text)[:MOST_CHARACTERS]


def _moment(given: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(given))
    except ValueError:
        return None
    return moment if moment.tzinfo else None
