"""The matrix: the latest verdict of every service under every scenario."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from include.perf.alerts.book import AlertBook, Silence
from include.perf.model.cell import CellName
from include.perf.model.metric import METRICS, SHORT_NAMES
from include.perf.model.numbers import format_value
from include.perf.model.text import counted
from include.perf.pages.marks import (
    NOT_RUN,
    VERDICT_MARKS,
    MarkStyle,
    age,
    change_text,
    confirmed_deviations,
    minute,
    trend_of,
    value_text,
)
from include.perf.pages.problems_page import OpenProblem, open_problems
from include.perf.reporting.document import Trend
from include.perf.runs.record import Verdict
from include.perf.runs.run_index import RunEntry

NIGHTS = 30
"""How many recent runs a sparkline shows."""

HEADLINE_METRIC = "latency_p95"


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixCell:
    """One service under one scenario, at a glance.

    Attributes:
        last: the latest run; ``None`` before the first one.
        before: where the latest run is not a measurement (invalid or skipped), the latest one that is.
        figure: the most important metric with its change.
        problems: the number of open problems that include this cell.
        silenced: the metrics that a silence covers; empty for none.
    """

    name: CellName
    mark: MarkStyle
    last: RunEntry | None
    before: RunEntry | None
    age: str
    moment: str
    figure: str
    trend: Trend | None
    problems: int
    silenced: str


@dataclass(frozen=True, slots=True)
class VerdictCount:
    """How many cells have a verdict."""

    verdict: Verdict
    mark: MarkStyle
    cells: int

    @property
    def words(self) -> str:
        """The count with its verdict, such as ``2 regressions`` or ``3 pass``."""
        if self.verdict in (Verdict.REGRESSION, Verdict.IMPROVEMENT):
            return counted(self.cells, self.mark.word)
        return f"{self.cells} {self.mark.word}"


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixRow:
    """A service with its cells in the order of the scenarios; ``None`` where a scenario does not load it."""

    service: str
    cells: tuple[MatrixCell | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixPage:
    """All cells that the viewer may see.

    Attributes:
        counts: cells by verdict, most severe first.
        not_run: the number of cells without a run.
        wanted: the verdict to filter by; ``None`` for no filter.
        environments: of the latest runs.
        left_out: why items of the results store are left out, in sentences that name them.
        undelivered: the number of alerts that were set aside, and of parts of the alert book that cannot be used.
    """

    total: int
    counts: tuple[VerdictCount, ...]
    not_run: int
    wanted: Verdict | None
    environments: tuple[str, ...]
    scenarios: tuple[str, ...]
    rows: tuple[MatrixRow, ...]
    problems: tuple[OpenProblem, ...]
    left_out: tuple[str, ...] = ()
    undelivered: int = 0

    @property
    def summary(self) -> str:
        """The heading: open problems first, since the latest run of a cell may not show them."""
        parts = [count.words for count in self.counts]
        parts += [f"{self.not_run} {NOT_RUN.word}"] if self.not_run else []
        cells = f"{counted(self.total, 'cell')}: {', '.join(parts)}" if parts else "no cells"
        return f"{counted(len(self.problems), 'open problem')} · {cells}" if self.problems else cells


def matrix_page(
    names: Sequence[CellName],
    runs: Mapping[CellName, Sequence[RunEntry]],
    *,
    book: AlertBook,
    now: datetime,
    wanted: Verdict | None = None,
    left_out: Collection[str] = (),
    undelivered: int = 0,
) -> MatrixPage:
    """Return the matrix of the cells that the viewer may see.

    Args:
        names: in the order of the catalogue.
        runs: the recent runs of each cell, oldest first.
        wanted: show only cells with this verdict.
        left_out: why items of the results store are left out.
        undelivered: the number of alerts that the viewer may know of and that were not delivered.
    """
    problems = open_problems(book, may_read={name.scenario for name in names}.__contains__, now=now)
    cells = {name: _cell(name, runs.get(name, ()), problems=problems, book=book, now=now) for name in names}
    last = [cell.last for cell in cells.values() if cell.last is not None]
    counts = [VerdictCount(verdict, mark, _count(last, verdict)) for verdict, mark in VERDICT_MARKS.items()]
    scenarios = tuple(dict.fromkeys(name.scenario for name in names))
    return MatrixPage(
        total=len(cells),
        counts=tuple(count for count in counts if count.cells or count.verdict is wanted),
        not_run=len(cells) - len(last),
        wanted=wanted,
        environments=tuple(sorted({entry.environment for entry in last})),
        scenarios=scenarios,
        rows=_rows(cells, scenarios, wanted),
        problems=problems,
        left_out=tuple(left_out),
        undelivered=undelivered,
    )


def _count(last: Sequence[RunEntry], verdict: Verdict) -> int:
    return sum(entry.verdict is verdict for entry in last)


def _rows(
    cells: Mapping[CellName, MatrixCell], scenarios: Sequence[str], wanted: Verdict | None
) -> tuple[MatrixRow, ...]:
    def is_shown(cell: MatrixCell) -> bool:
        return wanted is None or (cell.last is not None and cell.last.verdict is wanted)

    shown = {name: cell for name, cell in cells.items() if is_shown(cell)}
    return tuple(
        MatrixRow(service=service, cells=tuple(shown.get(CellName(service, scenario)) for scenario in scenarios))
        for service in dict.fromkeys(name.service for name in shown)
    )


def _cell(
    name: CellName, runs: Sequence[RunEntry], *, problems: Collection[OpenProblem], book: AlertBook, now: datetime
) -> MatrixCell:
    last = runs[-1] if runs else None
    return MatrixCell(
        name=name,
        mark=VERDICT_MARKS[last.verdict] if last else NOT_RUN,
        last=last,
        before=_before(runs),
        age=age(last.started_at, now=now) if last else "",
        moment=minute(last.started_at) if last else "",
        figure=_figure(last) if last else "",
        trend=trend_of(runs, HEADLINE_METRIC),
        problems=sum(name in problem.cells for problem in problems),
        silenced=_silenced(name, [silence for silence in book.silences if silence.is_active(now)]),
    )


def _before(runs: Sequence[RunEntry]) -> RunEntry | None:
    if not runs or runs[-1].verdict.is_measured:
        return None
    return next((entry for entry in reversed(runs) if entry.verdict.is_measured), None)


def _silenced(name: CellName, active: Sequence[Silence]) -> str:
    covered = [metric for metric in METRICS if any(silence.covers(name, metric) for silence in active)]
    return "all metrics" if len(covered) == len(METRICS) else ", ".join(SHORT_NAMES[metric] for metric in covered)


def _figure(last: RunEntry) -> str:
    """Return an exceeded limit, the worst metric of a regression, or the best of an improvement.

    Otherwise the figure is that of `HEADLINE_METRIC`.
    """
    if not last.verdict.is_measured:
        return ""
    if last.has_collapsed:
        return "the service failed under the load"
    if last.exceeded:
        exceeded = last.exceeded[0]
        name = " of ".join(filter(None, (SHORT_NAMES.get(exceeded.metric, exceeded.metric), exceeded.endpoint)))
        value, limit = (format_value(number, exceeded.unit) for number in (exceeded.value, exceeded.limit))
        return f"{name} {value}, limit {limit}"
    deviations = confirmed_deviations(last, is_worse=True) or confirmed_deviations(last, is_worse=False)
    name = deviations[0].metric if deviations and deviations[0].metric in METRICS else HEADLINE_METRIC
    return " ".join(filter(None, (SHORT_NAMES[name], value_text(last, name), change_text(last, name))))
