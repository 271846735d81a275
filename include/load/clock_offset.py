"""The offset between the clock of another machine and this one's.

A query is sent at t0 and received at t1; its answer is sent at t2 and received at t3. t0 and t3 are read on this clock,
t1 and t2 on the other one. With the round-trip delay δ = (t3 − t0) − (t2 − t1), the other clock is ahead by

    θ = ((t1 − t0) + (t2 − t3)) / 2,   off by at most δ/2.

The error is largest when all of the delay was in one direction. Of several rounds the one with the least delay counts.

Source: Network Time Protocol Version 4, RFC 5905, section 8; its clock filter (section 10) also takes the least delay.
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One query and its answer; times in seconds.

    Attributes:
        asked, answered: when the query was sent and its answer received, on this clock (t0, t3).
        came, went: when the query was received and its answer sent, on the other clock (t1, t2).
    """

    asked: float
    came: float
    went: float
    answered: float

    @property
    def ahead_s(self) -> float:
        """By how much the other clock is ahead (θ)."""
        return ((self.came - self.asked) + (self.went - self.answered)) / 2

    @property
    def delay_s(self) -> float:
        """The round-trip delay (δ)."""
        return (self.answered - self.asked) - (self.went - self.came)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockOffset:
    """By how much another clock is ahead of this one, ± ``uncertainty_s``."""

    ahead_s: float
    uncertainty_s: float


def offset_of(rounds: Iterable[Round]) -> ClockOffset | None:
    """Return the offset of the round with the least delay; ``None`` without any answer."""
    best = min(rounds, key=lambda query: query.delay_s, default=None)
    if best is None:
        return None
    return ClockOffset(ahead_s=best.ahead_s, uncertainty_s=max(0.0, best.delay_s) / 2)
