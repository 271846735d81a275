"""Asking for silence: about what, how long, by whom and why."""

import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from include.perf.alerts.book import AlertBook, Event, Message, Problem, Silence
from include.perf.alerts.desk import AlertWriter
from include.perf.catalogue.catalogue import Catalogue
from include.perf.model.errors import ConfigurationError, collected
from include.perf.model.metric import METRICS

MOST_DAYS = 90
"""Who wants to hear nothing for longer wants another baseline, or another metric."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SilenceRequest:
    """What somebody wants to hear no more of.

    Attributes:
        service, scenario, metric: ``None`` for every one, but not all three.
    """

    by: str
    reason: str
    days: float
    service: str | None = None
    scenario: str | None = None
    metric: str | None = None


def silence_of(request: SilenceRequest, catalogue: Catalogue, *, now: datetime) -> Silence:
    """Return the silence that was asked for.

    Raises:
        ConfigurationError: with everything that is wrong with the request.
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
        problems.append(f"metric {request.metric!r} is unknown; there are {', '.join(METRICS)}")
    if (request.service, request.scenario, request.metric) == (None, None, None):
        problems.append("a silence is about a service, a scenario or a metric; name at least one of them")
    problems += _problems_of(request)
    if problems:
        raise ConfigurationError(problems)
    return _silence(replace(request, service=service), now=now)


def _problems_of(request: SilenceRequest) -> Iterator[str]:
    if not 0 < request.days <= MOST_DAYS:
        yield f"days must be more than 0 and at most {MOST_DAYS}, but is {request.days:g}"
    if not request.reason.strip():
        yield "a silence needs a reason: it is shown wherever the silence is listed"


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
    desk: AlertWriter, problem: Problem, request: SilenceRequest, acknowledged: Callable[[Silence], Message]
) -> None:
    """Silence what a problem is about, and say once in its thread that somebody knows.

    Its scenarios and metrics are silenced; of one service, or of every one where several moved together.

    Args:
        request: by whom, why and how long; what it is about, the problem says.
        acknowledged: puts the reply into words.

    Raises:
        ConfigurationError: with everything that is wrong with the request.
    """
    if problems := list(_problems_of(request)):
        raise ConfigurationError(problems)
    services = {cell.service for cell in problem.cells}
    service = services.pop() if len(services) == 1 else None
    silences = [
        _silence(replace(request, service=service, scenario=scenario, metric=metric), now=desk.now)
        for scenario in dict.fromkeys(cell.scenario for cell in problem.cells)
        for metric in problem.worst
    ]
    desk.book.silences += silences
    for silence in silences[:1]:
        desk.send(problem.channel, Event.ACKNOWLEDGED, acknowledged(silence), problem_id=problem.id)


def about(silence: Silence) -> str:
    """Say what a silence is about: ``engine, every scenario, latency_p95``."""
    parts = (("service", silence.service), ("scenario", silence.scenario), ("metric", silence.metric))
    return ", ".join(value or f"every {name}" for name, value in parts)


def lift(book: AlertBook, silence_id: str, *, now: datetime) -> Silence:
    """End a silence before its time, and return it.

    Raises:
        ConfigurationError: there is none of that id.
    """
    active: Mapping[str, Silence] = {each.id: each for each in book.silences if each.is_active(now)}
    if silence_id not in active:
        known = ", ".join(active) or "none"
        raise ConfigurationError(f"there is no silence {silence_id!r}; active ones are {known}")
    book.silences = [each for each in book.silences if each.id != silence_id]
    return active[silence_id]
