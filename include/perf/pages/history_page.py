"""The history of a cell: every metric over time, and the runs behind it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from include.perf.alert import AlertBook, CellName
from include.perf.baseline_entry import Baseline
from include.perf.pages.ages import age, minute
from include.perf.pages.baselines_page import ShownBaseline, shown_baseline
from include.perf.pages.figures import change, shown
from include.perf.pages.history_chart import history_chart
from include.perf.pages.marks import VERDICT_LOOKS, Look
from include.perf.pages.problems_page import OpenProblem, open_problems
from include.perf.run_index import RunEntry

RANGES = {
    "month": ("30 nights", timedelta(days=30)),
    "quarter": ("quarter", timedelta(days=92)),
    "year": ("year", timedelta(days=365)),
    "all": ("all", None),
}
DEFAULT_RANGE = "quarter"
ROWS = 50
"""Runs on one page of the table."""

COLUMNS = ("latency_p95", "throughput", "error_rate")


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryRow:
    """A run in the table.

    Attributes:
        figures: of `COLUMNS`: the value, and its change.
    """

    entry: RunEntry
    look: Look
    moment: str
    figures: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryPage:
    """A cell over time.

    Attributes:
        chosen: which of `RANGES`.
        page, pages: of the table, from 1; the latest runs are on the first.
        data: what the charts draw.
    """

    cell: CellName
    chosen: str
    look: Look | None
    finding: str
    age: str
    baseline: ShownBaseline | None
    problems: tuple[OpenProblem, ...]
    rows: tuple[HistoryRow, ...]
    runs: int
    page: int
    pages: int
    data: dict[str, Any]


def since_of(chosen: str, *, now: datetime) -> datetime | None:
    """Return where a range begins; ``None`` for all there is."""
    length = RANGES[chosen][1]
    return None if length is None else now - length


def history_page(
    cell: CellName,
    entries: Sequence[RunEntry],
    *,
    baseline: Baseline | None,
    book: AlertBook,
    chosen: str,
    page: int,
    now: datetime,
) -> HistoryPage:
    """Return the history of a cell.

    Args:
        entries: of the chosen range, oldest first, re-runs among them.
        page: of the table; one that is not there means the nearest that is.
    """
    pages = max(1, -(-len(entries) // ROWS))
    page = min(max(page, 1), pages)
    newest_first = list(reversed(entries))
    last = next((entry for entry in newest_first if entry.rerun_of is None), None)
    problems = open_problems(book, may_read=cell.scenario.__eq__, now=now)
    return HistoryPage(
        cell=cell,
        chosen=chosen,
        look=VERDICT_LOOKS[last.verdict] if last else None,
        finding=_finding(last) if last else "",
        age=age(last.started_at, now=now) if last else "",
        baseline=shown_baseline(cell, baseline, now=now) if baseline else None,
        problems=tuple(problem for problem in problems if cell in problem.cells),
        rows=tuple(map(_row, newest_first[(page - 1) * ROWS : page * ROWS])),
        runs=len(entries),
        page=page,
        pages=pages,
        data=history_chart(entries, book.silences, cell=cell),
    )


def _finding(entry: RunEntry) -> str:
    """Return what the latest run found, without the names that the page has already."""
    return entry.headline.partition(" – ")[2] or entry.headline


def _row(entry: RunEntry) -> HistoryRow:
    return HistoryRow(
        entry=entry,
        look=VERDICT_LOOKS[entry.verdict],
        moment=minute(entry.started_at),
        figures=tuple((shown(entry, name), change(entry, name)) for name in COLUMNS),
    )
