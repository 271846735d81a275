"""The history of a cell: every metric over time, and the runs behind it.

What the charts of a cell's history draw, in short arrays that scripts read.

Times are seconds since 1970, values are in base units. Whatever seldom changes (levels, versions) is given where it
changes only.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from include.perf.alerts.book import AlertBook, Silence
from include.perf.baselines.entry import Baseline
from include.perf.model.cell import CellName
from include.perf.model.metric import METRICS, Metric
from include.perf.pages.baselines_page import ShownBaseline, shown_baseline
from include.perf.pages.marks import VERDICT_LOOKS, MarkStyle, age, band_of, change, minute, shown
from include.perf.pages.problems_page import OpenProblem, open_problems
from include.perf.reporting.document import Tone
from include.perf.runs.record import Verdict
from include.perf.runs.run_index import EntryDeviation, RunEntry

_VERDICTS = tuple(VERDICT_LOOKS)


def history_chart(entries: Sequence[RunEntry], silences: Iterable[Silence], *, cell: CellName) -> dict[str, Any]:
    """Return the data of a cell's charts.

    Args:
        entries: oldest first, re-runs among them.
        silences: all there are; those of other cells are left out.
    """
    runs = [entry for entry in entries if entry.rerun_of is None]
    measured = [entry for entry in runs if entry.verdict.is_measured]
    quiet = [silence for silence in silences if any(silence.covers(cell, name) for name in METRICS)]
    return {
        "verdicts": [look.word for look in VERDICT_LOOKS.values()],
        "times": [_seconds(entry) for entry in measured],
        "ids": [entry.run_id for entry in measured],
        "verdict": [_VERDICTS.index(entry.verdict) for entry in measured],
        "deploy": [entry.deploy_version for entry in measured],
        "unmeasured": [
            [_seconds(entry), _VERDICTS.index(entry.verdict), entry.run_id]
            for entry in runs
            if not entry.verdict.is_measured
        ],
        "deploys": list(_changes((_seconds(entry), entry.deploy_version) for entry in measured)),
        "baselines": list(_changes((_seconds(entry), entry.baseline_version) for entry in measured)),
        "silences": [_span(silence) for silence in quiet],
        "metrics": [_metric(metric, entries, measured) for metric in METRICS.values()],
    }


def _metric(metric: Metric, entries: Sequence[RunEntry], measured: Sequence[RunEntry]) -> dict[str, Any]:
    name = metric.name
    return {
        "name": name,
        "title": metric.title,
        "unit": metric.unit.value,
        "values": [_short(entry.value_of(name)) for entry in measured],
        "levels": list(_levels(metric, measured)),
        "singles": [[_seconds(entry), _short(entry.metrics.get(name))] for entry in _repeated(entries, name)],
        "marks": list(_marks(name, measured)),
        "changes": list(_change_points(name, measured)),
    }


def _seconds(entry: RunEntry) -> int:
    return round(entry.started_at.timestamp())


def _short(value: float | None) -> float | None:
    """Return a value with as many digits as anyone can see."""
    return None if value is None else float(f"{value:.5g}")


def _span(silence: Silence) -> list[Any]:
    return [
        silence.created_at.timestamp(),
        silence.until.timestamp(),
        silence.metric,
        f"{silence.by}: {silence.reason}",
    ]


def _changes(values: Iterable[tuple[int, object]]) -> Iterator[list[object]]:
    """Yield each value where it differs from the one before; runs that do not know it are passed over."""
    known = [(at, value) for at, value in values if value is not None]
    for at, value in known[:1]:
        yield [at, value]
    for (_, before), (at, value) in pairwise(known):
        if value != before:
            yield [at, value]


def _levels(metric: Metric, measured: Sequence[RunEntry]) -> Iterator[list[float | None]]:
    """Yield where the level changes: when, the level, and between what a value is in line with it."""
    before: float | None = None
    for entry in measured:
        level = entry.levels.get(metric.name)
        if level != before:
            low, high = (None, None) if level is None else band_of(metric, level)
            yield [_seconds(entry), _short(level), _short(low), _short(high)]
        before = level


def _repeated(entries: Sequence[RunEntry], name: str) -> Iterator[RunEntry]:
    """Yield the runs behind medians: the re-runs, and the first runs whose own value is not what was judged."""
    for entry in entries:
        is_single = entry.rerun_of is not None and entry.verdict.is_measured
        if name in entry.metrics and (is_single or name in entry.judged):
            yield entry


def _marks(name: str, measured: Sequence[RunEntry]) -> Iterator[list[object]]:
    """Yield which runs stand out in a metric, by their place, and how: everything else was in line."""
    for place, entry in enumerate(measured):
        found = next((each for each in entry.deviations if each.metric == name), None)
        if entry.verdict is Verdict.NOT_COMPARABLE or (found is not None and not found.is_confirmed):
            yield [place, Tone.DOUBT.value]
        elif found is not None:
            yield [place, (Tone.BAD if found.is_worse else Tone.GOOD).value]


def _change_points(name: str, measured: Sequence[RunEntry]) -> Iterator[list[object]]:
    """Yield where a spell of sure deviations began: its first night, whether it got worse, and by how much."""
    before: EntryDeviation | None = None
    for entry in measured:
        found = next((each for each in entry.deviations if each.metric == name and each.is_confirmed), None)
        if found is not None and (before is None or before.is_worse is not found.is_worse):
            since = found.since or entry.started_at
            yield [round(since.timestamp()), int(found.is_worse), change(entry, name)]
        if entry.verdict is not Verdict.NOT_COMPARABLE:
            before = found


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
    look: MarkStyle
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
    look: MarkStyle | None
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
