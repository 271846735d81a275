"""How far the clock of another machine is from ours.

A request goes out at t0 and comes in there at t1, the answer goes out at t2 and is here at t3; t0 and t3 are read on
our clock, t1 and t2 on the other one. With a delay δ = (t3 − t0) − (t2 − t1) on the way, there and back together, the
other clock is ahead by

    θ = ((t1 − t0) + (t2 − t3)) / 2,   off by at most δ/2,

which is reached when all of the delay was on one of the two ways. Of several rounds the one with the least delay
counts.

Source: Network Time Protocol Version 4, RFC 5905, section 8; its clock filter (section 10) also takes the least delay.
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One question and its answer; all in seconds.

    Attributes:
        asked, answered: on our clock.
        came, went: on the other clock.
    """

    asked: float
    came: float
    went: float
    answered: float

    @property
    def ahead_s(self) -> float:
        """By how much the other clock is ahead."""
        return ((self.came - self.asked) + (self.went - self.answered)) / 2

    @property
    def delay_s(self) -> float:
        """How long both ways took together."""
        return (self.answered - self.asked) - (self.went - self.came)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockOffset:
    """By how much another clock is ahead of ours, give or take ``uncertainty_s``."""

    ahead_s: float
    uncertainty_s: float


def offset_of(rounds: Iterable[Round]) -> ClockOffset | None:
    """Return the offset by the round with the least delay; ``None`` when no answer came."""
    best = min(rounds, key=lambda each: each.delay_s, default=None)
    if best is None:
        return None
    return ClockOffset(ahead_s=best.ahead_s, uncertainty_s=max(0.0, best.delay_s) / 2)
