"""The load of a run: when requests are due, independently of the target.

The model is the ``load`` of an entry in ``scenarios.yaml``. It has few imports, because the load process uses it, too.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from include.perf.catalogue.scenario.arrival_rate import CurvePoint, RateCurve, Shape, count_of
from include.perf.model.yaml_entries import Entry

MIN_DURATION_S = 10
MAX_DURATION_S = 4 * 3600
MIN_RATE_RPS = 0.1
MAX_WORKERS = 64
"""Workers may run on several machines."""
MAX_RATE_RPS = MAX_WORKERS * 8000
"""`include.perf.catalogue.worker_rates` says what a worker holds."""
MAX_FACTOR = 100
MAX_PROFILE_POINTS = 20
"""A profile is described in reports and messages, which more points would make unreadable."""

Rate = Annotated[float, Field(ge=MIN_RATE_RPS, le=MAX_RATE_RPS)]
Duration = Annotated[int, Field(ge=MIN_DURATION_S, le=MAX_DURATION_S)]


class RatePoint(Entry):
    """A point of a load's rate profile.

    Attributes:
        at_s: seconds after the start of the measured part.
        factor: the rate from this point on, in multiples of the load's ``rate_rps``.
        by: how the rate changes from the previous point: ``line``; ``step``, which keeps the old rate and then jumps;
            or ``decay``, which changes by the same share each second. Ignored for the first point.
    """

    at_s: Annotated[int, Field(ge=0, le=MAX_DURATION_S)]
    factor: Annotated[float, Field(gt=0, le=MAX_FACTOR)]
    by: Shape = Shape.LINE


class LoadProfile(Entry):
    """The load of one run, as requested.

    Attributes:
        rate_rps: arrivals per second, independent of the target (open model).
        duration_s: length of the measured part.
        warmup_s: the part before it, at ``rate_rps``; it is recorded, but excluded from the figures.
        ramp_s: the start of the warm-up, in which the rate rises linearly from 0.
        profile: the rate over the measured part; by default ``rate_rps`` throughout. The factor of the last point
            applies until the end; points after the end have no effect.
        arrivals: ``constant`` spacing, or ``poisson`` (exponential gaps, seeded).
        max_concurrency: maximum number of requests, or of journeys, in flight; further arrivals wait, and their latency
            counts from the due time.
        drain_s: how long to wait for responses after the last arrival; by default the service's request time-out, and
            the longest time for which the user of a journey may think.
        workers: load processes that share the arrivals, each on its own core; by default as many as the peak rate
            needs, given how the service is called. With workers on other machines, all of them take part instead.
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
                    f"at_s of point {number} must be more than that of the point before, {before.at_s}, but is "
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
                "warm-up, which is excluded from the figures"
            )
            return
        if self.peak_rate_rps > MAX_RATE_RPS:
            yield (
                f"the peak rate of {self.peak_rate_rps:.12g}/s is more than the {MAX_RATE_RPS}/s of {MAX_WORKERS} "
                "workers; lower rate_rps or profile"
            )
        if self.measured_arrivals == 0:
            yield f"no request would be due in the measured {self.duration_s} s; raise rate_rps, duration_s or profile"

    @property
    def is_flat(self) -> bool:
        """Whether the rate never changes."""
        return not (self.ramp_s or self.profile)

    @property
    def curve(self) -> RateCurve:
        """The rate from the start of the warm-up on."""
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
        """Length of the warm-up and the measured part."""
        return self.warmup_s + self.duration_s

    def longest_s(self, timeout_s: float) -> float:
        """Return the maximum duration of the load, including the wait for the last response."""
        return self.total_s + (timeout_s if self.drain_s is None else self.drain_s)

    @property
    def peak_rate_rps(self) -> float:
        """The highest rate, warm-up included."""
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
        """Arrivals in the measured part, which are counted separately."""
        curve = self.curve
        return count_of(curve.arrivals(self.total_s) - curve.arrivals(self.warmup_s))

    @property
    def total_arrivals(self) -> int:
        """Arrivals in the warm-up and the measured part."""
        return self.warmup_arrivals + self.measured_arrivals
