"""The arrival rate over time: how many arrivals there are by a moment, and when each of them is due.

A curve runs through points. Between two of them, x seconds after the first, the rate r(x) goes from r0 to r1
within L seconds; Λ(x) is its integral, the arrivals until then:

========  ===========================  ========================  ============================
shape     r(x), 1/s                    Λ(x), arrivals            its inverse x(n), s
========  ===========================  ========================  ============================
`step`    r0, then a jump to r1        r0·x                      n / r0
`line`    r0 + a·x, a = (r1 − r0) / L  r0·x + a·x² / 2           2n / (r0 + √(r0² + 2·a·n))
`decay`   r0·e^(q·x), q = ln(r1/r0)/L  r0·(e^(q·x) − 1) / q      ln(1 + q·n / r0) / q
========  ===========================  ========================  ============================

The root is written without the difference of two nearly equal numbers, so a slope near zero costs no digits
(Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., section 1.8); e^y − 1 and ln(1 + y) are
`expm1` and `log1p` for the same reason.

No NumPy: the load process reads this too.

Sharing whole things out by weight.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from itertools import pairwise
from typing import Protocol

HALF_GAP = 0.5
"""Arrival k is due where the curve has given k + ½ arrivals: none lies on the edge of a whole second or of a
part of the load, and n arrivals lie evenly within the time in which n are due."""

ROUNDING = 1e-9
"""Arrivals by which a sum of products may be off and still be the whole number that it stands for."""


class Shape(StrEnum):
    """How the rate gets from one point to the next."""

    STEP = "step"
    LINE = "line"
    DECAY = "decay"


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePoint:
    """A point of a curve.

    Attributes:
        at_s: seconds after the curve's beginning.
        rate_rps: arrivals per second from here on.
        by: how the rate got here from the point before; of the first point it says nothing.
    """

    at_s: float
    rate_rps: float
    by: Shape = Shape.LINE


def count_of(arrivals: float) -> int:
    """Return how many of the arrivals k = 0, 1, … are due within ``arrivals`` of a curve: those with k + ½ below it."""
    return max(0, math.ceil(arrivals - HALF_GAP - ROUNDING))


class _Course(Protocol):
    """How the rate runs between two points, x in seconds after the first."""

    def rate(self, x: float) -> float: ...

    def arrivals(self, x: float) -> float: ...

    def elapsed(self, arrivals: float) -> float:
        """Return the x by which there are so many; they are more than 0 and not more than there can be."""


@dataclass(frozen=True, slots=True)
class _Hold:
    rps: float

    def rate(self, x: float) -> float:
        return self.rps

    def arrivals(self, x: float) -> float:
        return self.rps * x if self.rps else 0.0  # 0/s for ever are none, where 0 × inf is no number

    def elapsed(self, arrivals: float) -> float:
        return arrivals / self.rps


@dataclass(frozen=True, slots=True)
class _Line:
    rps: float
    slope: float

    def rate(self, x: float) -> float:
        return self.rps + self.slope * x

    def arrivals(self, x: float) -> float:
        return (self.rps + self.slope * x / 2) * x

    def elapsed(self, arrivals: float) -> float:
        under_root = self.rps * self.rps + 2 * self.slope * arrivals
        return 2 * arrivals / (self.rps + math.sqrt(max(0.0, under_root)))  # a hair below 0 at the end of a fall to 0


@dataclass(frozen=True, slots=True)
class _Decay:
    rps: float
    growth: float

    def rate(self, x: float) -> float:
        return self.rps * math.exp(self.growth * x)

    def arrivals(self, x: float) -> float:
        return self.rps * math.expm1(self.growth * x) / self.growth

    def elapsed(self, arrivals: float) -> float:
        return math.log1p(self.growth * arrivals / self.rps) / self.growth


def _course(start: CurvePoint, end: CurvePoint) -> _Course:
    length_s = end.at_s - start.at_s
    if end.by is Shape.LINE and end.rate_rps != start.rate_rps:
        return _Line(start.rate_rps, (end.rate_rps - start.rate_rps) / length_s)
    if end.by is Shape.DECAY and (growth := math.log(end.rate_rps / start.rate_rps) / length_s):
        return _Decay(start.rate_rps, growth)
    return _Hold(start.rate_rps)


@dataclass(frozen=True, slots=True)
class _Piece:
    """The curve from one point to the next.

    Attributes:
        end_rps: the rate just before its end, as it was given: a course comes to it only within rounding.
        before, after: arrivals until its two ends.
    """

    start_s: float
    end_s: float
    end_rps: float
    before: float
    after: float
    course: _Course


@dataclass(frozen=True, slots=True)
class RateCurve:
    """An arrival rate over time, from 0 s on; the rate of the last point holds for ever."""

    pieces: tuple[_Piece, ...]

    @staticmethod
    def through(points: Sequence[CurvePoint]) -> "RateCurve":
        """Return the curve through points, of which the first is at 0 s.

        Of several points at one time the last counts from there on.

        Raises:
            ValueError: the times do not begin at 0 or go back, a rate is negative, or a decay touches 0.
        """
        _check(points)
        pieces: list[_Piece] = []
        before = 0.0
        for start, end in pairwise([*points, CurvePoint(at_s=math.inf, rate_rps=points[-1].rate_rps, by=Shape.STEP)]):
            if end.at_s > start.at_s:
                course = _course(start, end)
                after = before + course.arrivals(end.at_s - start.at_s)
                end_rps = start.rate_rps if end.by is Shape.STEP else end.rate_rps
                pieces.append(_Piece(start.at_s, end.at_s, end_rps, before, after, course))
                before = after
        return RateCurve(tuple(pieces))

    def rate(self, at_s: float) -> float:
        """Return the rate at a moment, in 1/s; at a jump the one after it."""
        piece = self._piece_at(at_s)
        return piece.course.rate(at_s - piece.start_s)

    def arrivals(self, until_s: float) -> float:
        """Return ∫ rate from 0 to ``until_s``; not a whole number, as a rule."""
        piece = self._piece_at(until_s)
        return piece.before + piece.course.arrivals(until_s - piece.start_s)

    def _piece_at(self, at_s: float) -> _Piece:
        if not 0 <= at_s < math.inf:
            raise ValueError(f"a rate curve is known from 0 s on, but was asked for {at_s} s")
        return self.pieces[bisect_right(self.pieces, at_s, key=lambda piece: piece.start_s) - 1]

    def peak(self, until_s: float) -> float:
        """Return the highest rate from 0 until ``until_s``, in 1/s; every course is highest at one of its ends."""
        reached = [piece for piece in self.pieces if piece.start_s < until_s]
        rates = [piece.course.rate(0.0) for piece in reached]
        rates += [piece.end_rps if piece.end_s <= until_s else self.rate(until_s) for piece in reached]
        return max(rates)

    def mean(self, from_s: float, until_s: float) -> float:
        """Return the mean rate between two moments, in 1/s."""
        return (self.arrivals(until_s) - self.arrivals(from_s)) / (until_s - from_s)

    def time_of(self, arrivals: float) -> float:
        """Return the first moment by which there are so many arrivals, in seconds.

        Raises:
            ValueError: there are never so many.
        """
        if arrivals <= 0:
            return 0.0
        return next(self._times([arrivals], first=bisect_left(self.pieces, arrivals, key=lambda piece: piece.after)))

    def times(self, arrivals: Iterable[float]) -> Iterator[float]:
        """Yield `time_of` of each of many positive numbers that never go back; no search, and none are held.

        Raises:
            ValueError: there are never so many.
        """
        return self._times(arrivals, first=0)

    def _times(self, arrivals: Iterable[float], *, first: int) -> Iterator[float]:
        pieces = iter(self.pieces[first:])
        after = -math.inf
        for number in arrivals:
            while number > after:
                piece = next(pieces, None)
                if piece is None:
                    raise ValueError(f"there are never {number:g} arrivals: the last rate of the curve is 0")
                start_s, before, after, elapsed = piece.start_s, piece.before, piece.after, piece.course.elapsed
            yield start_s + elapsed(number - before)


def _check(points: Sequence[CurvePoint]) -> None:
    if not points or points[0].at_s != 0:
        raise ValueError(f"a rate curve must begin at 0 s, but has the points {list(points)}")
    for start, end in pairwise(points):
        if not start.at_s <= end.at_s < math.inf:
            raise ValueError(f"a rate curve cannot go from {start.at_s} s back to {end.at_s} s")
        if end.by is Shape.DECAY and not min(start.rate_rps, end.rate_rps) > 0:
            raise ValueError(f"a decay needs two rates above 0, but is from {start.rate_rps} to {end.rate_rps}")
    for point in points:
        if not 0 <= point.rate_rps < math.inf:
            raise ValueError(f"a rate must be 0 or more, but is {point.rate_rps}")


def shared_out(weights: Sequence[int], count: int) -> list[int]:
    """Return how many of ``count`` fall to each weight: whole parts first, then the largest remainders.

    Each block of ``sum(weights)`` holds each exactly ``weight`` times; of equal remainders the first counts.
    """
    total = sum(weights)
    shares = [Fraction(weight * count, total) for weight in weights]
    counts = [int(share) for share in shares]
    by_remainder = sorted(range(len(weights)), key=lambda index: shares[index] - counts[index], reverse=True)
    for index in by_remainder[: count - sum(counts)]:
        counts[index] += 1
    return counts
