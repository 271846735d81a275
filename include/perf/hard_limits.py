"""What a service must never exceed, whatever its baseline says: what was promised to those who use it.

The ``hard_limits`` of an entry in ``services.yaml``, such as ``{latency_p95: 0.25, error_rate: 0.02}``, in base units.
What is beyond one is critical as soon as it is sure, and no limit of an alert rule is beyond it.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated

from pydantic import AfterValidator

from include.perf.metric import METRICS, Direction, Metric, MetricValue, Unit

LIMITED = {name: metric for name, metric in METRICS.items() if metric.direction is Direction.LOWER_IS_BETTER}
"""The metrics that may have one. Throughput follows the rate of the load, which is the scenario's."""


def _check(limits: dict[str, float]) -> dict[str, float]:
    problems = [problem for name, limit in limits.items() if (problem := _problem_of(name, limit))]
    if problems:
        raise ValueError("; ".join(problems))
    return limits


def _problem_of(name: str, limit: float) -> str | None:
    if name not in LIMITED:
        return f"{name!r} has no hard limit; there are {', '.join(LIMITED)}"
    unit = LIMITED[name].unit
    if unit is Unit.RATIO and not 0 < limit < 1:
        return f"{name} must be a ratio between 0 and 1, but is {limit:g}"
    return None if 0 < limit < float("inf") else f"{name} must be above 0 ({unit.value}), but is {limit:g}"


HardLimits = Annotated[dict[str, float], AfterValidator(_check)]


def exceeded(limits: Mapping[str, float], metrics: Mapping[str, MetricValue]) -> Iterator[tuple[Metric, float]]:
    """Return each metric whose value is beyond its hard limit, with the limit."""
    for name, limit in limits.items():
        value = metrics[name].value if name in metrics else None
        if value is not None and value > limit:
            yield METRICS[name], limit
