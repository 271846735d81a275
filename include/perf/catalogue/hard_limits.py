"""Limits that a service must never exceed.

``hard_limits`` such as ``{latency_p95: 0.25, error_rate: 0.02}``, in base units, are promises to users: a significant
change that exceeds one is critical regardless of the baseline, and no alert rule has a higher limit.
"""

from typing import Annotated

from pydantic import AfterValidator

from include.perf.model.metric import METRICS, Direction, Unit

LIMITED = {name: metric for name, metric in METRICS.items() if metric.direction is Direction.LOWER_IS_BETTER}
"""The metrics that may have a hard limit; throughput depends on the rate of the scenario."""


def _check(limits: dict[str, float]) -> dict[str, float]:
    problems = [problem for name, limit in limits.items() if (problem := _problem_of(name, limit))]
    if problems:
        raise ValueError("; ".join(problems))
    return limits


def _problem_of(name: str, limit: float) -> str | None:
    if name not in LIMITED:
        return f"{name!r} has no hard limit; known: {', '.join(LIMITED)}"
    unit = LIMITED[name].unit
    if unit is Unit.RATIO and not 0 < limit < 1:
        return f"{name} must be a ratio between 0 and 1, but is {limit:g}"
    return None if 0 < limit < float("inf") else f"{name} must be above 0 ({unit.value}), but is {limit:g}"


HardLimits = Annotated[dict[str, float], AfterValidator(_check)]
