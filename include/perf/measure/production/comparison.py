"""The comparison of both sides: ``production.json``.

A figure of production is the median over its days, with their range. The quantiles of both sides are estimated from
their common buckets.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from statistics import median
from typing import Self

from pydantic import AwareDatetime

from include.perf.catalogue.scenario.load_profile import LoadProfile
from include.perf.measure.production.buckets import Bucket, Buckets, common_bounds
from include.perf.measure.production.observed import Observed
from include.perf.model.json_files import from_json
from include.perf.model.metric import LATENCY_SHARES
from include.perf.runs.figures import Window

SCHEMA_VERSION = 1


class RequestSource(StrEnum):
    """Who measured a run's requests."""

    SERVICE = "service"
    CLIENT = "client"


@dataclass(frozen=True, slots=True, kw_only=True)
class DailyFigure:
    """A figure of production over several days."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float | None]) -> Self | None:
        """Return the figure over the days that have it; ``None`` when none has."""
        known = [value for value in values if value is not None]
        return cls(median=median(known), low=min(known), high=max(known)) if known else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedFigure:
    """A figure of both sides.

    Attributes:
        name: a latency metric, ``error_rate``, or ``cpu_per_request`` in seconds of one processor.
        ratio: of the run to production's median; ``None`` where it would mean nothing.
        run_bucket, production_bucket: the buckets that contain the exact latencies.
    """

    name: str
    run: float | None
    production: DailyFigure | None
    ratio: float | None
    run_bucket: Bucket | None = None
    production_bucket: Bucket | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedShare:
    """The share of one kind of request; production's is the mean over its days."""

    kind: str
    run: float
    production: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedRate:
    """A scenario's rate and that of production at those hours, all instances together, in requests per second.

    Attributes:
        scenario_rps, scenario_peak_rps: mean over the measured part, and maximum.
        production: mean over the hours of each day.
        busiest: in the busiest five minutes of these hours.
        proposed_rps: the ``rate_rps`` whose peak is the median of the busiest five minutes, rounded to two digits;
            ``None`` when these are unknown.
    """

    scenario_rps: float
    scenario_peak_rps: float
    production: DailyFigure
    busiest: DailyFigure | None
    proposed_rps: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A day that is left out, and why."""

    window: Window
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductionComparison:
    """``production.json``; it is additional information and no part of a verdict.

    Attributes:
        hours: of production, in words.
        days: the compared windows, latest first.
        measured_by: who measured the run's latencies; the client's include the network.
        bounds: finite upper bounds of the common buckets, in seconds.
        mix: shares of the kinds of request, largest difference first.
        remarks: notes for the reader.
        problem: why there is no comparison.
    """

    compared_at: AwareDatetime
    hours: str
    days: tuple[Window, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    measured_by: RequestSource = RequestSource.SERVICE
    bounds: tuple[float, ...] = ()
    figures: tuple[ComparedFigure, ...] = ()
    mix: tuple[ComparedShare, ...] = ()
    rate: ComparedRate | None = None
    remarks: tuple[str, ...] = ()
    problem: str | None = None
    schema_version: int = field(default=SCHEMA_VERSION)


def read_comparison(content: bytes | None, *, where: str) -> ProductionComparison | None:
    """Parse the file; ``None`` without one.

    Raises:
        ItemError: it is damaged.
    """
    return None if content is None else from_json(ProductionComparison, content, where=where)


def latency_figures(run: Buckets, days: Sequence[Buckets]) -> tuple[ComparedFigure, ...]:
    """Return the latency percentiles of both sides; none when the common buckets are too coarse."""
    bounds = common_bounds((run, *days))
    if not bounds:
        return ()
    own, others = run.coarsened(bounds), [day.coarsened(bounds) for day in days]
    figures = tuple(_latency(name, share, own, others) for name, share in LATENCY_SHARES.items())
    buckets = {bucket for figure in figures for bucket in (figure.run_bucket, figure.production_bucket)}
    has_all_buckets = all(histogram.finite_bounds == bounds for histogram in (run, *days))
    return figures if has_all_buckets or len(buckets) > 1 else ()


def _latency(name: str, share: float, run: Buckets, days: Sequence[Buckets]) -> ComparedFigure:
    own, others = run.quantile(share), [estimate for day in days if (estimate := day.quantile(share))]
    production = DailyFigure.of([estimate.value for estimate in others])
    is_open = any(estimate.bucket.high is None for estimate in (*others, own) if estimate)
    return ComparedFigure(
        name=name,
        run=own.value if own else None,
        production=production,
        ratio=None if is_open else _ratio(own.value if own else None, production),
        run_bucket=own.bucket if own else None,
        production_bucket=_bucket_of(production, run, is_open=any(estimate.bucket.high is None for estimate in others)),
    )


def _bucket_of(figure: DailyFigure | None, buckets: Buckets, *, is_open: bool) -> Bucket | None:
    """Return the bucket of a median over days; without an upper bound when that of any day has none."""
    if figure is None:
        return None
    return Bucket(low=buckets.bounds[-2], high=None) if is_open else buckets.bucket_of(figure.median)


def other_figures(run: Observed, days: Sequence[Observed]) -> tuple[ComparedFigure, ...]:
    """Return the error rate and the CPU per request of both sides."""
    errors, cpu = DailyFigure.of([day.error_ratio for day in days]), DailyFigure.of([day.cpu_s for day in days])
    return (
        ComparedFigure(
            name="error_rate", run=run.error_ratio, production=errors, ratio=_ratio(run.error_ratio, errors)
        ),
        ComparedFigure(name="cpu_per_request", run=run.cpu_s, production=cpu, ratio=_ratio(run.cpu_s, cpu)),
    )


def _ratio(run: float | None, production: DailyFigure | None) -> float | None:
    return None if run is None or production is None or production.median <= 0 else run / production.median


def compared_mix(run: Mapping[str, float], days: Sequence[Mapping[str, float]]) -> tuple[ComparedShare, ...]:
    """Return the shares of both sides, largest difference first; empty when one side has none."""
    known = [day for day in days if day]
    if not run or not known:
        return ()
    kinds = sorted({*run, *(kind for day in known for kind in day)})
    shares = [
        ComparedShare(
            kind=kind, run=run.get(kind, 0.0), production=sum(day.get(kind, 0.0) for day in known) / len(known)
        )
        for kind in kinds
    ]
    return tuple(sorted(shares, key=lambda share: -abs(share.run - share.production)))


def compared_rate(load: LoadProfile, days: Sequence[Observed]) -> ComparedRate | None:
    """Return the rates of a scenario and of production; ``None`` when production's is unknown."""
    rate, busiest = DailyFigure.of([day.rate_rps for day in days]), DailyFigure.of([day.busiest_rps for day in days])
    if rate is None:
        return None
    return ComparedRate(
        scenario_rps=load.mean_rate_rps,
        scenario_peak_rps=load.peak_rate_rps,
        production=rate,
        busiest=busiest,
        proposed_rps=_two_digits(busiest.median * load.rate_rps / load.peak_rate_rps) if busiest else None,
    )


def _two_digits(value: float) -> float | None:
    return float(f"{value:.2g}") if value > 0 and math.isfinite(value) else None
