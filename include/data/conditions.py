"""The market conditions of a scenario: its minutes, and how volatile and busy they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from include.data.sessions import Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """Scheduled news.

    Attributes:
        minute: minutes after the start of its window.
        currency: the affected currency; pairs without it move by a third.
        jump: return of its minute, in standard deviations of a normal one; its sign is random.
    """

    minute: int
    currency: str
    jump: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionWindow:
    """Consecutive minutes from ``start`` (UTC)."""

    start: datetime
    minutes: int
    release: Release | None = None

    @property
    def times(self) -> list[datetime]:
        """The start of every bar."""
        return [self.start + timedelta(minutes=m) for m in range(self.minutes)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """The kind of market.

    Attributes:
        level: volatility, 1 is normal.
        arch: α of the GARCH recursion, the weight of the last squared return.
        garch: β of the GARCH recursion, the weight of the last variance.
        open_burst: how much busier the start of a session is than its body.
        open_spread: how much wider spreads are at 08:00 London.
        jumps_per_hour: rate of small random jumps, three to six standard deviations.
    """

    level: float = 1.0
    arch: float = 0.04
    garch: float = 0.92
    open_burst: float = 0.5
    open_spread: float = 0.2
    jumps_per_hour: float = 0.0


def minutes_from_release(windows: Sequence[ConditionWindow]) -> Floats:
    """Return minutes from the window's release, (n, 1); a large negative number without a release."""
    parts = [np.arange(w.minutes, dtype=np.float64) - (w.release.minute if w.release else 1e6) for w in windows]
    return np.concatenate(parts)[:, np.newaxis]
