"""The arrival rate over time: the number of arrivals until a time, and the due time of each.

A curve is defined by points. Between two points, x seconds after the first, the rate r(x) changes from r0 to r1 within
L seconds; its integral Λ(x) is the number of arrivals until x:

========  ===========================  ========================  ============================
shape     r(x), 1/s                    Λ(x), arrivals            its inverse x(n), s
========  ===========================  ========================  ============================
`step`    r0, then a jump to r1        r0·x                      n / r0
`line`    r0 + a·x, a = (r1 − r0) / L  r0·x + a·x² / 2           2n / (r0 + √(r0² + 2·a·n))
`decay`   r0·e^(q·x), q = ln(r1/r0)/L  r0·(e^(q·x) − 1) / q      ln(1 + q·n / r0) / q
========  ===========================  ========================  ============================

The root avoids the difference of two nearly equal numbers, so a slope near zero does not lose precision (Higham,
Accuracy and Stability of Numerical Algorithms, 2nd ed., section 1.8); `expm1` and `log1p` are used for the same reason.

This module does not use NumPy, because the load process imports it.
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
"""Arrival k is due when the integral reaches k + ½: no arrival is on the boundary of a second or of a part of the
load, and n arrivals are spread evenly over the time in which n are due."""

ROUNDING = 1e-9
"""Tolerance, in arrivals, for rounding errors in a sum that should be an integer."""


class Shape(StrEnum):
    """How the rate changes from one point to the next."""

    STEP = "step"
    LINE = "line"
    DECAY = "decay"


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePoint:
    """A point of a curve.

    Attributes:
        at_s: seconds after the start of the curve.
        rate_rps: arrivals per second from this point on.
        by: how the rate changes from the previous point to this one; ignored for the first point.
    """

    at_s: float
    rate_rps: float
    by: Shape = Shape.LINE


def count_of(arrivals: float) -> int:
    """Return how many of the arrivals k = 0, 1, … have k + ½ below the integral ``arrivals``."""
    return max(0, math.ceil(arrivals - HALF_GAP - ROUNDING))


class _Course(Protocol):
    """The rate between two points, x seconds after the first."""

    def rate(self, x: float) -> float: ...

    def arrivals(self, x: float) -> float: ...

    def elapsed(self, arrivals: float) -> float:
        """Return the x at which the integral reaches ``arrivals``, which is above 0 and not above its maximum."""


@dataclass(frozen=True, slots=True)
class _Hold:
    rps: float

    def rate(self, x: float) -> float:
        return self.rps

    def arrivals(self, x: float) -> float:
        return self.rps * x if self.rps else 0.0  # 0 × inf is not a number

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
        return (
            2 * arrivals / (self.rps + math.sqrt(max(0.0, under_root)))
        )  # may be slightly below 0 where the rate reaches 0


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
        end_rps: the given rate just before the end; the course reaches it only within rounding.
        before, after: arrivals until the start and until the end.
    """

    start_s: float
    end_s: float
    end_rps: float
    before: float
    after: float
    course: _Course


@dataclass(frozen=True, slots=True)
class RateCurve:
    """An arrival rate over time, from 0 s on; the rate of the last point applies forever."""

    pieces: tuple[_Piece, ...]

    @staticmethod
    def through(points: Sequence[CurvePoint]) -> "RateCurve":
        """Return the curve through points, the first of which is at 0 s.

        Of several points at the same time, the last one counts from there on.

        Raises:
            ValueError: the times do not start at 0 or are not in order, a rate is negative, or a decay reaches 0.
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
        """Return the rate at a time, in 1/s; at a step, the rate after it."""
        piece = self._piece_at(at_s)
        return piece.course.rate(at_s - piece.start_s)

    def arrivals(self, until_s: float) -> float:
        """Return the integral of the rate from 0 to ``until_s``; usually not an integer."""
        piece = self._piece_at(until_s)
        return piece.before + piece.course.arrivals(until_s - piece.start_s)

    def _piece_at(self, at_s: float) -> _Piece:
        if not 0 <= at_s < math.inf:
            raise ValueError(f"a rate curve is defined from 0 s on, but the time is {at_s} s")
        return self.pieces[bisect_right(self.pieces, at_s, key=lambda piece: piece.start_s) - 1]

    def peak(self, until_s: float) -> float:
        """Return the highest rate from 0 until ``until_s``, in 1/s; each course has its maximum at one of its ends."""
        reached = [piece for piece in self.pieces if piece.start_s < until_s]
        rates = [piece.course.rate(0.0) for piece in reached]
        rates += [piece.end_rps if piece.end_s <= until_s else self.rate(until_s) for piece in reached]
        return max(rates)

    def mean(self, from_s: float, until_s: float) -> float:
        """Return the mean rate between two times, in 1/s."""
        return (self.arrivals(until_s) - self.arrivals(from_s)) / (until_s - from_s)

    def time_of(self, arrivals: float) -> float:
        """Return the first time at which the integral reaches ``arrivals``, in seconds.

        Raises:
            ValueError: the integral never reaches it.
        """
        if arrivals <= 0:
            return 0.0
        return next(self._times([arrivals], first=bisect_left(self.pieces, arrivals, key=lambda piece: piece.after)))

    def times(self, arrivals: Iterable[float]) -> Iterator[float]:
        """Yield `time_of` for many positive numbers in ascending order, without a search and in constant memory.

        Raises:
            ValueError: the integral never reaches one of them.
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
    """Distribute ``count`` by weight: integer parts first, then the largest remainders.

    A count of ``sum(weights)`` gives each exactly its weight; of equal remainders the first one counts.
    """
    total = sum(weights)
    shares = [Fraction(weight * count, total) for weight in weights]
    counts = [int(share) for share in shares]
    by_remainder = sorted(range(len(weights)), key=lambda index: shares[index] - counts[index], reverse=True)
    for index in by_remainder[: count - sum(counts)]:
        counts[index] += 1
    return counts
