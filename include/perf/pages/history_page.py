"""The history of a cell: charts of every metric over time, and a table of the runs behind them.

The charts get their data as short JSON arrays: times in seconds since 1970, values in base units. Baselines and
versions, which seldom change, are given only where they change.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from include.perf.alerts.book import AlertBook, Silence
from include.perf.baselines.entry import Baseline
from include.perf.model.cell import CellName
from include.perf.model.metric import METRICS, Metric
from include.perf.pages.baselines_page import BaselineVersion, baseline_version
from include.perf.pages.marks import (
    VERDICT_MARKS,
    MarkStyle,
    age,
    change_text,
    minimum_effect_band,
    minute,
    value_text,
)
from include.perf.pages.problems_page import OpenProblem, open_problems
from include.perf.reporting.document import Tone
from include.perf.runs.record import Verdict
from include.perf.runs.run_index import EntryDeviation, RunEntry

RANGES = {
    "month": ("30 days", timedelta(days=30)),
    "quarter": ("3 months", timedelta(days=92)),
    "year": ("1 year", timedelta(days=365)),
    "all": ("all", None),
}

DEFAULT_RANGE = "quarter"

ROWS = 50
"""Runs per page of the table."""

COLUMNS = ("latency_p95", "throughput", "error_rate")

_VERDICTS = tuple(VERDICT_MARKS)


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryRow:
    """A run in the table.

    Attributes:
        figures: the value and the change of every metric in `COLUMNS`.
    """

    entry: RunEntry
    mark: MarkStyle
    moment: str
    figures: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryPage:
    """A cell over time.

    Attributes:
        chosen: a key of `RANGES`.
        page, pages: of the table, from 1; the latest runs are on page 1.
        data: of the charts, see `history_chart`.
        left_out: why items of the results store are left out, in sentences that name them.
    """

    cell: CellName
    chosen: str
    mark: MarkStyle | None
    finding: str
    age: str
    baseline: BaselineVersion | None
    problems: tuple[OpenProblem, ...]
    rows: tuple[HistoryRow, ...]
    runs: int
    page: int
    pages: int
    data: dict[str, Any]
    left_out: tuple[str, ...] = ()


def since_of(chosen: str, *, now: datetime) -> datetime | None:
    """Return when a range starts; ``None`` for all runs."""
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
    left_out: Collection[str] = (),
) -> HistoryPage:
    """Return the history of a cell.

    Args:
        entries: runs and re-runs in the chosen range, oldest first.
        page: of the table; clamped to the pages that exist.
        left_out: why items of the results store are left out.
    """
    pages = max(1, -(-len(entries) // ROWS))
    page = min(max(page, 1), pages)
    newest_first = list(reversed(entries))
    last = next((entry for entry in newest_first if entry.rerun_of is None), None)
    problems = open_problems(book, may_read=cell.scenario.__eq__, now=now)
    return HistoryPage(
        cell=cell,
        chosen=chosen,
        mark=VERDICT_MARKS[last.verdict] if last else None,
        finding=_finding(last) if last else "",
        age=age(last.started_at, now=now) if last else "",
        baseline=baseline_version(cell, baseline, now=now) if baseline else None,
        problems=tuple(problem for problem in problems if cell in problem.cells),
        rows=tuple(map(_row, newest_first[(page - 1) * ROWS : page * ROWS])),
        runs=len(entries),
        page=page,
        pages=pages,
        data=history_chart(entries, book.silences, cell=cell),
        left_out=tuple(left_out),
    )


def history_chart(entries: Sequence[RunEntry], silences: Iterable[Silence], *, cell: CellName) -> dict[str, Any]:
    """Return the data of a cell's charts.

    Args:
        entries: runs and re-runs, oldest first.
        silences: of any cell; those of other cells are left out.
    """
    runs = [entry for entry in entries if entry.rerun_of is None]
    measured = [entry for entry in runs if entry.verdict.is_measured]
    covering = [silence for silence in silences if any(silence.covers(cell, name) for name in METRICS)]
    return {
        "verdicts": [mark.word for mark in VERDICT_MARKS.values()],
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
        "silences": [_silence_span(silence) for silence in covering],
        "metrics": [_metric(metric, entries, measured) for metric in METRICS.values()],
    }


def _finding(entry: RunEntry) -> str:
    """Return the finding of the latest run, without the verdict and names that the page shows elsewhere."""
    return entry.headline.partition(" – ")[2] or entry.headline


def _row(entry: RunEntry) -> HistoryRow:
    return HistoryRow(
        entry=entry,
        mark=VERDICT_MARKS[entry.verdict],
        moment=minute(entry.started_at),
        figures=tuple((value_text(entry, name), change_text(entry, name)) for name in COLUMNS),
    )


def _metric(metric: Metric, entries: Sequence[RunEntry], measured: Sequence[RunEntry]) -> dict[str, Any]:
    name = metric.name
    return {
        "name": name,
        "title": metric.title,
        "unit": metric.unit.value,
        "values": [_rounded(entry.value_of(name)) for entry in measured],
        "baseline": list(_baseline_steps(metric, measured)),
        "singles": [[_seconds(entry), _rounded(entry.metrics.get(name))] for entry in _behind_medians(entries, name)],
        "marks": list(_marks(name, measured)),
        "changes": list(_change_points(name, measured)),
    }


def _seconds(entry: RunEntry) -> int:
    return round(entry.started_at.timestamp())


def _rounded(value: float | None) -> float | None:
    """Return a value with five significant digits, more than a chart can show."""
    return None if value is None else float(f"{value:.5g}")


def _silence_span(silence: Silence) -> list[Any]:
    return [
        silence.created_at.timestamp(),
        silence.until.timestamp(),
        silence.metric,
        f"{silence.by}: {silence.reason}",
    ]


def _changes(values: Iterable[tuple[int, object]]) -> Iterator[list[object]]:
    """Yield every value that differs from the one before; runs with an unknown value are skipped."""
    known = [(at, value) for at, value in values if value is not None]
    for at, value in known[:1]:
        yield [at, value]
    for (_, before), (at, value) in pairwise(known):
        if value != before:
            yield [at, value]


def _baseline_steps(metric: Metric, measured: Sequence[RunEntry]) -> Iterator[list[float | None]]:
    """Yield where the baseline changes: the time, its value, and the band of the minimum effect around it."""
    before: float | None = None
    for entry in measured:
        baseline = entry.levels.get(metric.name)
        if baseline != before:
            low, high = (None, None) if baseline is None else minimum_effect_band(metric, baseline)
            yield [_seconds(entry), _rounded(baseline), _rounded(low), _rounded(high)]
        before = baseline


def _behind_medians(entries: Sequence[RunEntry], name: str) -> Iterator[RunEntry]:
    """Yield the runs behind medians: re-runs, and first runs that were judged by a median instead of their value."""
    for entry in entries:
        is_rerun = entry.rerun_of is not None and entry.verdict.is_measured
        if name in entry.metrics and (is_rerun or name in entry.judged):
            yield entry


def _marks(name: str, measured: Sequence[RunEntry]) -> Iterator[list[object]]:
    """Yield the index and the tone of every run that stands out in a metric."""
    for index, entry in enumerate(measured):
        found = next((deviation for deviation in entry.deviations if deviation.metric == name), None)
        if any(exceeded.metric == name for exceeded in entry.exceeded):
            yield [index, Tone.BAD.value]
        elif entry.verdict is Verdict.NOT_COMPARABLE or (found is not None and not found.is_confirmed):
            yield [index, Tone.DOUBT.value]
        elif found is not None:
            yield [index, (Tone.BAD if found.is_worse else Tone.GOOD).value]


def _change_points(name: str, measured: Sequence[RunEntry]) -> Iterator[list[object]]:
    """Yield the start of every series of confirmed deviations: the time, whether it is worse, and by how much."""
    before: EntryDeviation | None = None
    for entry in measured:
        found = next(
            (deviation for deviation in entry.deviations if deviation.metric == name and deviation.is_confirmed), None
        )
        if found is not None and (before is None or before.is_worse is not found.is_worse):
            since = found.since or entry.started_at
            yield [round(since.timestamp()), int(found.is_worse), change_text(entry, name)]
        if entry.verdict is not Verdict.NOT_COMPARABLE:
            before = found
