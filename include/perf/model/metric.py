"""The eight metrics: unit, direction, and minimum effect.

A change counts only if it reaches both minimum effects of its metric:

* ``min_effect_ratio``: relative to the baseline. A significant change of 1 % is not worth an alert at night.
* ``min_effect_absolute``: in the metric's own unit. 30 % of a 2 ms latency is 0.6 ms: no user notices it, and any
  scheduler causes it.
"""

import math
from dataclasses import dataclass
from enum import StrEnum

from include.perf.model.bounds import Amount, Text
from include.perf.model.text import one_line

PROVISIONAL_MIN_EFFECT_RATIO = 0.30


class Unit(StrEnum):
    """Base units; `include.perf.model.numbers.format_value` converts them for display."""

    SECONDS = "s"
    REQUESTS_PER_SECOND = "1/s"
    RATIO = "ratio"
    CORES = "cores"
    BYTES = "bytes"


class Direction(StrEnum):
    """Which way is better."""

    LOWER_IS_BETTER = "lower is better"
    HIGHER_IS_BETTER = "higher is better"


class Source(StrEnum):
    """Where a metric is measured."""

    CLIENT = "client"
    PROMETHEUS = "prometheus"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """The meaning of a figure, and which change of it matters.

    Attributes:
        min_effect_ratio: smallest relative change that counts, as a ratio of the baseline.
        min_effect_absolute: smallest absolute change that counts, in ``unit``.
    """

    name: str
    title: str
    unit: Unit
    direction: Direction
    source: Source
    min_effect_ratio: float
    min_effect_absolute: float

    def minimum_effect(self, *, baseline: float, is_provisional: bool) -> float:
        """Return the smallest change that counts, in ``unit``: the larger of the two minimum effects.

        A provisional baseline, of one or two runs, does not show how much runs vary: its relative minimum effect is
        at least 30 %. A metric without a relative one (the error rate) keeps its absolute one.
        """
        ratio = self.min_effect_ratio
        if is_provisional and ratio > 0:
            ratio = max(ratio, PROVISIONAL_MIN_EFFECT_RATIO)
        return max(ratio * abs(baseline), self.min_effect_absolute)

    def worsening(self, *, baseline: float, value: float) -> float:
        """Return how much worse ``value`` is than ``baseline``, in ``unit``; negative means better."""
        change = value - baseline
        return change if self.direction is Direction.LOWER_IS_BETTER else -change


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricValue:
    """One figure of a run, or the reason why there is none.

    Attributes:
        value: in ``unit``; ``None`` if it is not available, never zero for "no data".
        reason: why there is no value; ``None`` if there is one.
    """

    value: Amount | None
    unit: Unit
    reason: Text | None = None

    def __post_init__(self) -> None:
        if (self.value is None) == (self.reason is None):
            raise ValueError(f"a metric has either a value or a reason, not value={self.value}, reason={self.reason}")
        if self.value is not None and not math.isfinite(self.value):
            raise ValueError(f"a metric's value must be finite, but is {self.value}; use None and a reason")


def _metric(
    name: str, title: str, unit: Unit, source: Source, min_effect_ratio: float, min_effect_absolute: float
) -> Metric:
    direction = Direction.HIGHER_IS_BETTER if name == "throughput" else Direction.LOWER_IS_BETTER
    return Metric(
        name=name,
        title=title,
        unit=unit,
        direction=direction,
        source=source,
        min_effect_ratio=min_effect_ratio,
        min_effect_absolute=min_effect_absolute,
    )


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        _metric("latency_p50", "Latency p50", Unit.SECONDS, Source.CLIENT, 0.05, 0.002),
        _metric("latency_p95", "Latency p95", Unit.SECONDS, Source.CLIENT, 0.05, 0.005),
        _metric("latency_p99", "Latency p99", Unit.SECONDS, Source.CLIENT, 0.10, 0.010),
        _metric("throughput", "Throughput", Unit.REQUESTS_PER_SECOND, Source.CLIENT, 0.05, 0.5),
        _metric("error_rate", "Error rate", Unit.RATIO, Source.CLIENT, 0.0, 0.005),
        _metric("cpu_usage", "CPU", Unit.CORES, Source.PROMETHEUS, 0.10, 0.05),
        _metric("memory_usage", "Memory", Unit.BYTES, Source.PROMETHEUS, 0.05, 16 * 1024**2),
        _metric("disk_usage", "Disk used", Unit.RATIO, Source.PROMETHEUS, 0.10, 0.02),
    )
}
"""The eight metrics by name, in display order."""

LATENCY_SHARES = {"latency_p50": 0.50, "latency_p95": 0.95, "latency_p99": 0.99}
"""The quantile of each latency metric."""

MIN_SAMPLES = {"latency_p50": 5, "latency_p95": 59, "latency_p99": 299}
"""Fewer latencies give no upper bound of the quantile with 95 % confidence: qⁿ must be at most 0.05 for a share q
(Hahn & Meeker, Statistical Intervals, 1991, section 5.2)."""

SHORT_NAMES = {
    "latency_p50": "p50",
    "latency_p95": "p95",
    "latency_p99": "p99",
    "throughput": "throughput",
    "error_rate": "error rate",
    "cpu_usage": "CPU",
    "memory_usage": "memory",
    "disk_usage": "disk used",
}
"""Names of the eight metrics inside a sentence."""


def is_in_points(name: str) -> bool:
    """Return whether changes of a metric are shown in percentage points.

    A relative change of a rate near zero is misleading: 0.01 % to 0.03 % would read as +200 %.
    """
    return name in METRICS and METRICS[name].unit is Unit.RATIO


def title_of(name: str) -> str:
    """Return a metric's title, or its name if it is not one of the eight."""
    metric = METRICS.get(name)
    return metric.title if metric else one_line(name)
