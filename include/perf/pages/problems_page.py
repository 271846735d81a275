"""Open problems, and what somebody wants to hear no more of."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from include.perf.alerts.book import AlertBook, Problem, ProblemKind, Silence
from include.perf.alerts.silence import about
from include.perf.model.cell import CellName
from include.perf.model.metric import METRICS, SHORT_NAMES
from include.perf.model.text import counted
from include.perf.pages.marks import SEVERITY_LOOKS, MarkStyle, age, minute

MayDo = Callable[[str], bool]
"""Whether somebody may see, or change, what belongs to a scenario."""

_SLACK_ICON = re.compile(r"\A:[a-z0-9_+-]+:\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenProblem:
    """A problem that is still there.

    Attributes:
        cells: those of its cells that may be seen.
        metrics: that got worse; none where nothing could be judged.
        is_silenced: whether somebody knows of all of it.
        may_acknowledge: whether who looks on may say that somebody knows.
    """

    id: str
    title: str
    look: MarkStyle
    cells: tuple[CellName, ...]
    metrics: str
    since: str
    age: str
    nights: str
    is_silenced: bool
    may_acknowledge: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownSilence:
    """A silence, active or over."""

    id: str
    about: str
    by: str
    reason: str
    since: str
    until: str
    may_lift: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemsPage:
    """What is open and what is silenced.

    Attributes:
        services, scenarios, metrics: what a new silence may be about; without scenarios there may be none.
        may_silence_all: whether it may be about every scenario.
    """

    problems: tuple[OpenProblem, ...]
    active: tuple[ShownSilence, ...]
    over: tuple[ShownSilence, ...]
    services: tuple[str, ...]
    scenarios: tuple[str, ...]
    metrics: tuple[tuple[str, str], ...]
    may_silence_all: bool


def problems_page(
    book: AlertBook,
    names: tuple[CellName, ...],
    *,
    every: tuple[str, ...],
    may_read: MayDo,
    may_change: MayDo,
    now: datetime,
) -> ProblemsPage:
    """Return what somebody may see of the book.

    Args:
        names: the cells that somebody may see, in the order of the catalogue.
        every: all scenarios, seen or not: a silence may be about every one.
    """
    silences = sorted(book.silences, key=lambda each: each.until, reverse=True)
    visible = [each for each in silences if each.scenario is None or may_read(each.scenario)]
    scenarios = tuple(dict.fromkeys(name.scenario for name in names))
    return ProblemsPage(
        problems=open_problems(book, may_read=may_read, may_change=may_change, now=now),
        active=tuple(_shown(each, every, may_change) for each in visible if each.is_active(now)),
        over=tuple(_shown(each, every, may_change) for each in visible if not each.is_active(now)),
        services=tuple(dict.fromkeys(name.service for name in names)),
        scenarios=tuple(filter(may_change, scenarios)),
        metrics=tuple((metric.name, metric.title) for metric in METRICS.values()),
        may_silence_all=may_silence(None, every, may_change),
    )


def open_problems(
    book: AlertBook, *, may_read: MayDo, now: datetime, may_change: MayDo = lambda _: False
) -> tuple[OpenProblem, ...]:
    """Return the open problems that somebody may see, the gravest first, of these the latest."""
    found = [problem for problem in book.problems if problem.is_open and any(_visible(problem, may_read))]
    found.sort(key=lambda each: (each.severity.rank, each.opened_at), reverse=True)
    return tuple(_open(each, book, may_read=may_read, may_change=may_change, now=now) for each in found)


def _visible(problem: Problem, may_read: MayDo) -> tuple[CellName, ...]:
    return tuple(cell for cell in problem.cells if may_read(cell.scenario))


def _open(problem: Problem, book: AlertBook, *, may_read: MayDo, may_change: MayDo, now: datetime) -> OpenProblem:
    cells = _visible(problem, may_read)
    is_whole = cells == problem.cells
    return OpenProblem(
        id=problem.id,
        title=_SLACK_ICON.sub("", problem.title) if is_whole else "A problem that other scenarios have, too",
        look=SEVERITY_LOOKS[problem.severity],
        cells=cells,
        metrics=", ".join(SHORT_NAMES.get(name, name) for name in problem.worst),
        since=minute(problem.opened_at),
        age=age(problem.opened_at, now=now),
        nights=counted(problem.nights, "night"),
        is_silenced=_is_silenced(problem, book, now=now),
        may_acknowledge=can_acknowledge(problem, may_change=may_change),
    )


def can_acknowledge(problem: Problem, *, may_change: MayDo) -> bool:
    """Whether somebody may say that a problem is known: it is about services, and about no scenario but theirs."""
    return problem.kind is ProblemKind.REGRESSION and all(may_change(cell.scenario) for cell in problem.cells)


def _is_silenced(problem: Problem, book: AlertBook, *, now: datetime) -> bool:
    active = [silence for silence in book.silences if silence.is_active(now)]
    return bool(problem.worst) and all(
        any(silence.covers(cell, name) for silence in active) for cell in problem.cells for name in problem.worst
    )


def _shown(silence: Silence, scenarios: tuple[str, ...], may_change: MayDo) -> ShownSilence:
    return ShownSilence(
        id=silence.id,
        about=about(silence),
        by=silence.by,
        reason=silence.reason,
        since=minute(silence.created_at),
        until=minute(silence.until),
        may_lift=may_silence(silence.scenario, scenarios, may_change),
    )


def may_silence(scenario: str | None, scenarios: tuple[str, ...], may_change: MayDo) -> bool:
    """Whether somebody may silence a scenario; of every one only who may change them all."""
    return may_change(scenario) if scenario is not None else bool(scenarios) and all(map(may_change, scenarios))
