"""The load of one run: how many requests come when, whatever the target does.

The model is the ``load`` of an entry in ``scenarios.yaml``; the load process reads it too, so it imports little.
"""

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from include.perf.catalogue.scenario.arrival_rate import CurvePoint, RateCurve, Shape, count_of
from include.perf.model.yaml_entries import Entry

MIN_DURATION_S = 10
MAX_DURATION_S = 4 * 3600
MIN_RATE_RPS = 0.1
MAX_RATE_PER_WORKER_RPS = 3000
"""What one load process on one core holds honestly (measured: p99 within 10 % of the truth)."""

MAX_WORKERS = 64
"""More than one machine's: workers may be on many."""
MAX_RATE_RPS = MAX_WORKERS * MAX_RATE_PER_WORKER_RPS
MAX_FACTOR = 100
MAX_PROFILE_POINTS = 20
"""A run's profile is told in words, in reports and in messages; more of them nobody would read."""

Rate = Annotated[float, Field(ge=MIN_RATE_RPS, le=MAX_RATE_RPS)]
Duration = Annotated[int, Field(ge=MIN_DURATION_S, le=MAX_DURATION_S)]


class RatePoint(Entry):
    """A point of a load's rate profile.

    Attributes:
        at_s: seconds after the beginning of the measured part.
        factor: the rate from here on, in multiples of the load's ``rate_rps``.
        by: how the rate gets here from the point before: ``line``; ``step``, which holds the old rate and then
            jumps; or ``decay``, which falls (or grows) by the same share each second. Of the first point it
            says nothing.
    """

    at_s: Annotated[int, Field(ge=0, le=MAX_DURATION_S)]
    factor: Annotated[float, Field(gt=0, le=MAX_FACTOR)]
    by: Shape = Shape.LINE


class LoadProfile(Entry):
    """The load of one run, as requested.

    Attributes:
        rate_rps: arrivals per second, whatever the target does (open model).
        duration_s: length of the measured part.
        warmup_s: the part before it at ``rate_rps``; recorded, but left out of the figures.
        ramp_s: the beginning of the warm-up, in which the rate rises from 0 in a line.
        profile: the rate over the measured part; empty is ``rate_rps`` throughout. The factor of the last
            point holds to the end, and points beyond the end are not reached.
        arrivals: ``constant`` spacing, or ``poisson`` (exponential gaps, seeded).
        max_concurrency: most requests in flight; arrivals beyond wait, timed from when they were due.
        drain_s: how long after the last arrival answers are still waited for; by default the service's
            request time-out.
        workers: load processes that share the arrivals, each with a core of its own; by default as many as the
            peak rate needs. Where workers on other machines send the load, all that are there take part instead.
    """

    rate_rps: Rate
    duration_s: Duration
    warmup_s: Annotated[int, Field(ge=0, le=3600)] = 60
    ramp_s: Annotated[int, Field(ge=0, le=3600)] = 0
    profile: Annotated[tuple[RatePoint, ...], Field(max_length=MAX_PROFILE_POINTS)] = ()
    arrivals: Literal["constant", "poisson"] = "constant"
    max_concurrency: Annotated[int, Field(ge=1, le=5000)] = 1000
    drain_s: Annotated[float, Field(ge=0, le=300)] | None = None
    seed: int = 20260101
    workers: Annotated[int, Field(ge=1, le=MAX_WORKERS)] | None = None

    @field_validator("profile")
    @classmethod
    def _in_order(cls, profile: tuple[RatePoint, ...]) -> tuple[RatePoint, ...]:
        if profile and profile[0].at_s != 0:
            raise ValueError(f"the first point must be at_s 0, but is at_s {profile[0].at_s}")
        for number, (before, point) in enumerate(pairwise(profile), start=1):
            if point.at_s <= before.at_s:
                raise ValueError(
                    f"at_s of point {number} must be more than {before.at_s}, where the point before is, but is "
                    f"{point.at_s}; for a jump use by: step"
                )
        return profile

    @model_validator(mode="after")
    def _can_be_sent(self) -> Self:
        problems = list(self._problems())
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _problems(self) -> Iterator[str]:
        if self.ramp_s > self.warmup_s:
            yield (
                f"ramp_s must be at most warmup_s ({self.warmup_s}), but is {self.ramp_s}; the ramp is part of the "
                "warm-up, so that it is in no figure"
            )
            return
        peak = f"the peak rate of {self.peak_rate_rps:.12g}/s"
        if self.peak_rate_rps > MAX_RATE_RPS:
            yield f"{peak} is more than the {MAX_RATE_RPS}/s that {MAX_WORKERS} workers hold; lower rate_rps or profile"
        elif self.peak_rate_rps > self.worker_count * MAX_RATE_PER_WORKER_RPS:
            yield (
                f"{peak} is too much for workers: {self.workers}, each holds {MAX_RATE_PER_WORKER_RPS}/s; "
                f"set workers to {_workers_for(self.peak_rate_rps)}, or lower rate_rps or profile"
            )
        if self.measured_arrivals == 0:
            yield f"no request would be due in the measured {self.duration_s} s; raise rate_rps, duration_s or profile"

    @property
    def is_flat(self) -> bool:
        """Whether the rate is the same throughout."""
        return not (self.ramp_s or self.profile)

    @property
    def curve(self) -> RateCurve:
        """The rate from the beginning of the warm-up on."""
        return RateCurve.through(self.curve_points)

    @property
    def curve_points(self) -> tuple[CurvePoint, ...]:
        """The points of `curve`."""
        points = [CurvePoint(at_s=0, rate_rps=0)] if self.ramp_s else []
        points.append(CurvePoint(at_s=self.ramp_s, rate_rps=self.rate_rps))
        for number, point in enumerate(self.profile):
            at_s, rate_rps = self.warmup_s + point.at_s, self.rate_rps * point.factor
            points.append(CurvePoint(at_s=at_s, rate_rps=rate_rps, by=point.by if number else Shape.STEP))
        return tuple(points)

    @property
    def total_s(self) -> int:
        """Length of warm-up and measured part together."""
        return self.warmup_s + self.duration_s

    def longest_s(self, timeout_s: float) -> float:
        """Return how long the load may take, to the last answer of a service that has so long for one."""
        return self.total_s + (timeout_s if self.drain_s is None else self.drain_s)

    @property
    def peak_rate_rps(self) -> float:
        """The highest rate of the whole load."""
        return self.curve.peak(self.total_s)

    @property
    def mean_rate_rps(self) -> float:
        """The mean rate of the measured part."""
        return self.curve.mean(self.warmup_s, self.total_s) if self.profile else self.rate_rps

    @property
    def warmup_arrivals(self) -> int:
        """Arrivals before the measured part."""
        return count_of(self.curve.arrivals(self.warmup_s))

    @property
    def measured_arrivals(self) -> int:
        """Arrivals of the measured part, which counts by itself."""
        curve = self.curve
        return count_of(curve.arrivals(self.total_s) - curve.arrivals(self.warmup_s))

    @property
    def total_arrivals(self) -> int:
        """Arrivals of the whole load."""
        return self.warmup_arrivals + self.measured_arrivals

    @property
    def worker_count(self) -> int:
        """Load processes on this machine that share the arrivals."""
        return self.workers or self.least_workers

    @property
    def least_workers(self) -> int:
        """Load processes without which the peak rate cannot be held, wherever they run."""
        return _workers_for(self.peak_rate_rps)


def _workers_for(peak_rate_rps: float) -> int:
    return max(1, math.ceil(peak_rate_rps / MAX_RATE_PER_WORKER_RPS))
