"""Open problems, and the silences that suppress their alerts."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from include.perf.alerts.book import AlertBook, Problem, ProblemKind, Silence
from include.perf.alerts.silence import about
from include.perf.model.cell import CellName
from include.perf.model.metric import METRICS, SHORT_NAMES
from include.perf.model.text import counted
from include.perf.pages.marks import SEVERITY_MARKS, MarkStyle, age, minute
from include.perf.pages.undelivered import ALL_DELIVERED, Undelivered

MayDo = Callable[[str], bool]
"""Returns whether the viewer may see, or change, what belongs to a scenario."""

HIDDEN_TITLE = "A problem shared with scenarios that you may not view"
"""Replaces a title that may name cells the viewer may not see."""

_SLACK_ICON = re.compile(r"\A:[a-z0-9_+-]+:\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenProblem:
    """A problem that is not resolved yet.

    Attributes:
        cells: those that the viewer may see.
        metrics: the metrics that got worse; empty where nothing could be judged.
        is_silenced: whether active silences cover all of it.
        may_acknowledge: whether the viewer may acknowledge it.
    """

    id: str
    title: str
    mark: MarkStyle
    cells: tuple[CellName, ...]
    metrics: str
    since: str
    age: str
    nights: str
    is_silenced: bool
    may_acknowledge: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SilenceRow:
    """A silence, active or expired."""

    id: str
    scope: str
    by: str
    reason: str
    since: str
    until: str
    may_lift: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemsPage:
    """Open problems and silences.

    Attributes:
        services, scenarios, metrics: the choices for a new silence; without scenarios the viewer may add none.
        may_silence_all: whether a new silence may cover every scenario.
        undelivered: empty for a viewer who may not see every scenario.
    """

    problems: tuple[OpenProblem, ...]
    active: tuple[SilenceRow, ...]
    expired: tuple[SilenceRow, ...]
    services: tuple[str, ...]
    scenarios: tuple[str, ...]
    metrics: tuple[tuple[str, str], ...]
    may_silence_all: bool
    undelivered: Undelivered = ALL_DELIVERED


def problems_page(
    book: AlertBook,
    names: tuple[CellName, ...],
    *,
    all_scenarios: tuple[str, ...],
    may_read: MayDo,
    may_change: MayDo,
    now: datetime,
    undelivered: Undelivered = ALL_DELIVERED,
) -> ProblemsPage:
    """Return the open problems and silences that the viewer may see.

    Args:
        names: the cells that the viewer may see, in the order of the catalogue.
        all_scenarios: including those that the viewer may not see, since a silence may cover every scenario.
        undelivered: what the viewer may know of.
    """
    silences = sorted(book.silences, key=lambda silence: silence.until, reverse=True)
    visible = [silence for silence in silences if silence.scenario is None or may_read(silence.scenario)]
    scenarios = tuple(dict.fromkeys(name.scenario for name in names))
    return ProblemsPage(
        problems=open_problems(book, may_read=may_read, may_change=may_change, now=now),
        active=tuple(_silence_row(silence, all_scenarios, may_change) for silence in visible if silence.is_active(now)),
        expired=tuple(
            _silence_row(silence, all_scenarios, may_change) for silence in visible if not silence.is_active(now)
        ),
        services=tuple(dict.fromkeys(name.service for name in names)),
        scenarios=tuple(filter(may_change, scenarios)),
        metrics=tuple((metric.name, metric.title) for metric in METRICS.values()),
        may_silence_all=may_silence(None, all_scenarios, may_change),
        undelivered=undelivered,
    )


def open_problems(
    book: AlertBook, *, may_read: MayDo, now: datetime, may_change: MayDo = lambda _: False
) -> tuple[OpenProblem, ...]:
    """Return the open problems that the viewer may see, by severity (most severe first), then latest first."""
    found = [problem for problem in book.problems if problem.is_open and any(_visible_cells(problem, may_read))]
    found.sort(key=lambda problem: (problem.severity.rank, problem.opened_at), reverse=True)
    return tuple(_open_problem(problem, book, may_read=may_read, may_change=may_change, now=now) for problem in found)


def _visible_cells(problem: Problem, may_read: MayDo) -> tuple[CellName, ...]:
    return tuple(cell for cell in problem.cells if may_read(cell.scenario))


def _open_problem(
    problem: Problem, book: AlertBook, *, may_read: MayDo, may_change: MayDo, now: datetime
) -> OpenProblem:
    cells = _visible_cells(problem, may_read)
    sees_all_cells = cells == problem.cells
    return OpenProblem(
        id=problem.id,
        title=_SLACK_ICON.sub("", problem.title) if sees_all_cells else HIDDEN_TITLE,
        mark=SEVERITY_MARKS[problem.severity],
        cells=cells,
        metrics=", ".join(SHORT_NAMES.get(name, name) for name in problem.metrics),
        since=minute(problem.opened_at),
        age=age(problem.opened_at, now=now),
        nights=counted(problem.nights, "night"),
        is_silenced=_is_silenced(problem, book, now=now),
        may_acknowledge=can_acknowledge(problem, may_change=may_change),
    )


def can_acknowledge(problem: Problem, *, may_change: MayDo) -> bool:
    """Return whether the viewer may acknowledge a problem: a regression, only in scenarios that they may change."""
    return problem.kind is ProblemKind.REGRESSION and all(may_change(cell.scenario) for cell in problem.cells)


def _is_silenced(problem: Problem, book: AlertBook, *, now: datetime) -> bool:
    active = [silence for silence in book.silences if silence.is_active(now)]
    return bool(problem.worst) and all(
        any(silence.covers(cell, name) for silence in active) for cell in problem.cells for name in problem.metrics
    )


def _silence_row(silence: Silence, scenarios: tuple[str, ...], may_change: MayDo) -> SilenceRow:
    return SilenceRow(
        id=silence.id,
        scope=about(silence),
        by=silence.by,
        reason=silence.reason,
        since=minute(silence.created_at),
        until=minute(silence.until),
        may_lift=may_silence(silence.scenario, scenarios, may_change),
    )


def may_silence(scenario: str | None, scenarios: tuple[str, ...], may_change: MayDo) -> bool:
    """Return whether the viewer may silence a scenario; ``None`` (every scenario) takes the right to change all."""
    return may_change(scenario) if scenario is not None else bool(scenarios) and all(map(may_change, scenarios))
