"""Limits that a run must stay within, whatever its baseline: ``hard_limits`` of a service and of its endpoints.

``{latency_p95: 0.25, error_rate: 0.02}``, in base units, are promises to users: a run beyond one is ``OVER_LIMIT``, and
no alert rule has a higher limit. Throughput has a lower limit instead of an upper one. Every service has a limit on its
error rate, `DEFAULT_ERROR_RATE` unless its entry says otherwise, because the figures of a failing run mean little.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator

from include.perf.model.metric import METRICS, Direction, Source, Unit
from include.perf.model.yaml_entries import Entry

DEFAULT_ERROR_RATE = 0.05
"""Share of the requests that may fail. A healthy service is far below, and one that is above does not do its work."""

ERROR_RATE = "error_rate"

OF_ENDPOINTS = tuple(name for name, metric in METRICS.items() if metric.source is Source.CLIENT)
"""The metrics that are known for each endpoint."""

LimitSeverity = Literal["warning", "critical"]


class LimitEntry(Entry):
    """A limit with the severity of its alert, as the catalogue has it."""

    limit: float
    severity: LimitSeverity = "critical"


@dataclass(frozen=True, slots=True, kw_only=True)
class HardLimit:
    """A limit of one metric.

    Attributes:
        value: in the metric's unit; an upper limit, for throughput a lower one.
        endpoint: empty for the service as a whole.
        is_inherited: whether it is the service's limit on the error rate, applied to an endpoint. Then a few failures
            among a few requests do not exceed it.
    """

    metric: str
    value: float
    severity: LimitSeverity = "critical"
    endpoint: str = ""
    is_inherited: bool = False

    def is_exceeded_by(self, value: float) -> bool:
        """Return whether a value is beyond the limit; a value equal to it is not."""
        return METRICS[self.metric].worsening(baseline=self.value, value=value) > 0


DEFAULT_LIMITS = (HardLimit(metric=ERROR_RATE, value=DEFAULT_ERROR_RATE),)
"""The limits of a service whose entry sets none."""

_GivenLimits = dict[str, float | LimitEntry]


def _check(limits: _GivenLimits) -> _GivenLimits:
    return _checked(limits, tuple(METRICS))


def _check_of_endpoint(limits: _GivenLimits) -> _GivenLimits:
    return _checked(limits, OF_ENDPOINTS)


def _checked(limits: _GivenLimits, known: tuple[str, ...]) -> _GivenLimits:
    problems = [problem for name, given in limits.items() if (problem := _problem_of(name, given, known))]
    if problems:
        raise ValueError("; ".join(problems))
    return limits


def _problem_of(name: str, given: float | LimitEntry, known: tuple[str, ...]) -> str | None:
    if name not in known:
        return f"{name!r} has no hard limit; known: {', '.join(known)}"
    unit, limit = METRICS[name].unit, _value_of(given)
    if unit is Unit.RATIO and not 0 < limit < 1:
        return f"{name} must be a ratio between 0 and 1, but is {limit:g}"
    return None if 0 < limit < float("inf") else f"{name} must be above 0 ({unit.value}), but is {limit:g}"


def _value_of(given: float | LimitEntry) -> float:
    return given.limit if isinstance(given, LimitEntry) else given


HardLimits = Annotated[_GivenLimits, AfterValidator(_check)]
"""The limits of a service by metric: a number, or a limit with its severity."""

EndpointLimits = Annotated[_GivenLimits, AfterValidator(_check_of_endpoint)]
"""The limits of an endpoint."""


def limits_of(service: _GivenLimits, endpoints: Mapping[str, _GivenLimits]) -> Iterator[HardLimit]:
    """Yield the limits of a service and of its endpoints.

    Args:
        service: the limits that its entry sets.
        endpoints: those of its endpoints, by name.
    """
    own = service if ERROR_RATE in service else {**service, ERROR_RATE: DEFAULT_ERROR_RATE}
    yield from (_limit(name, given) for name, given in own.items())
    for endpoint, given_limits in endpoints.items():
        yield from (_limit(name, given, endpoint=endpoint) for name, given in given_limits.items())
        if ERROR_RATE not in given_limits:
            yield _limit(ERROR_RATE, own[ERROR_RATE], endpoint=endpoint, is_inherited=True)


def _limit(name: str, given: float | LimitEntry, *, endpoint: str = "", is_inherited: bool = False) -> HardLimit:
    severity: LimitSeverity = given.severity if isinstance(given, LimitEntry) else "critical"
    value = _value_of(given)
    return HardLimit(metric=name, value=value, severity=severity, endpoint=endpoint, is_inherited=is_inherited)


def upper_limits(limits: tuple[HardLimit, ...]) -> dict[str, float]:
    """Return by metric the upper limits of a service as a whole, which cap the limits of its alert rules."""
    return {
        limit.metric: limit.value
        for limit in limits
        if not limit.endpoint and METRICS[limit.metric].direction is Direction.LOWER_IS_BETTER
    }
