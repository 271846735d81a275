"""Silence known regressions for a while: create, acknowledge, describe and lift silences."""

import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from include.perf.alerts.alert_writer import AlertWriter
from include.perf.alerts.book import AlertBook, Event, Message, Problem, Silence
from include.perf.catalogue.catalogue import Catalogue
from include.perf.model.errors import ConfigurationError, collected
from include.perf.model.metric import METRICS

MOST_DAYS = 90
"""The longest silence. A problem that is silenced for longer needs a new baseline, not a silence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SilenceRequest:
    """A request for a silence.

    Attributes:
        service, scenario, metric: ``None`` matches every one; at least one must be given.
    """

    by: str
    reason: str
    days: float
    service: str | None = None
    scenario: str | None = None
    metric: str | None = None


def silence_of(request: SilenceRequest, catalogue: Catalogue, *, now: datetime) -> Silence:
    """Return the requested silence.

    Raises:
        ConfigurationError: the request is invalid; lists every problem.
    """
    problems: list[str] = []
    service = request.service
    if service is not None:
        with collected(problems):
            service = catalogue.service(service).name
    if request.scenario is not None:
        with collected(problems):
            catalogue.scenario(request.scenario)
    if request.metric is not None and request.metric not in METRICS:
        problems.append(f"metric {request.metric!r} is unknown; known: {', '.join(METRICS)}")
    if (request.service, request.scenario, request.metric) == (None, None, None):
        problems.append("a silence needs a service, a scenario or a metric; name at least one of them")
    problems += _problems_of(request)
    if problems:
        raise ConfigurationError(problems)
    return _silence(replace(request, service=service), now=now)


def _problems_of(request: SilenceRequest) -> Iterator[str]:
    if not 0 < request.days <= MOST_DAYS:
        yield f"days must be more than 0 and at most {MOST_DAYS}, but is {request.days:g}"
    if not request.reason.strip():
        yield "a silence needs a reason, which is shown wherever the silence is listed"


def _silence(request: SilenceRequest, *, now: datetime) -> Silence:
    return Silence(
        id=secrets.token_hex(3),
        by=request.by,
        reason=request.reason.strip(),
        created_at=now,
        until=now + timedelta(days=request.days),
        service=request.service,
        scenario=request.scenario,
        metric=request.metric,
    )


def acknowledge(
    writer: AlertWriter, problem: Problem, request: SilenceRequest, acknowledged: Callable[[Silence], Message]
) -> None:
    """Silence the scenarios and metrics of a problem, and acknowledge it once in its thread.

    A problem of several services is silenced for every service.

    Args:
        request: who silences it, why and for how long; its service, scenario and metric are taken from the problem.
        acknowledged: writes the reply.

    Raises:
        ConfigurationError: the request is invalid; lists every problem.
    """
    if problems := list(_problems_of(request)):
        raise ConfigurationError(problems)
    services = {cell.service for cell in problem.cells}
    service = services.pop() if len(services) == 1 else None
    silences = [
        _silence(replace(request, service=service, scenario=scenario, metric=metric), now=writer.now)
        for scenario in dict.fromkeys(cell.scenario for cell in problem.cells)
        for metric in problem.metrics
    ]
    writer.book.silences += silences
    for silence in silences[:1]:
        writer.send(problem.channel, Event.ACKNOWLEDGED, acknowledged(silence), problem_id=problem.id)


def about(silence: Silence) -> str:
    """Describe what a silence matches: ``engine, every scenario, latency_p95``."""
    parts = (("service", silence.service), ("scenario", silence.scenario), ("metric", silence.metric))
    return ", ".join(value or f"every {name}" for name, value in parts)


def lift(book: AlertBook, silence_id: str, *, now: datetime) -> Silence:
    """End an active silence early, and return it.

    Raises:
        ConfigurationError: no active silence has this id.
    """
    active: Mapping[str, Silence] = {silence.id: silence for silence in book.silences if silence.is_active(now)}
    if silence_id not in active:
        known = ", ".join(active) or "none"
        raise ConfigurationError(f"there is no active silence {silence_id!r}; active silences: {known}")
    book.silences = [silence for silence in book.silences if silence.id != silence_id]
    return active[silence_id]
