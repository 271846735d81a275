"""Measure what three years of nights cost: the index of runs, its pages, and the removal of old results.

Run from the project's root::

    python -m benchmarks.history [--nights 1100] [--repeats 15] [--quick] [--json history.json]

Method. Synthetic years of the catalogue's 24 cells (a cell is one service under one scenario) are written to a
temporary folder by `benchmarks.synthetic_years`. The index is built once, then each query is repeated. A ``sync`` less
than a second after another does nothing, so the clock of the index advances by two seconds with every call. The table
shows the median and the slowest time, and the median CPU time, which other processes do not influence. The file
system's cache is warm. For "sync, one more run", a copy of the last run is added before each call.
"""

import argparse
import itertools
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.options import notes_of, parse, parser_of
from benchmarks.pages import views
from benchmarks.synthetic_years import END, NIGHTS, SyntheticYears
from benchmarks.tables import Row, Table
from include.perf.adapters.files.baseline_file import BaselineFile
from include.perf.adapters.files.folder_store import FolderStore
from include.perf.adapters.files.sqlite_index import SqliteIndex
from include.perf.baselines.promotion import referenced_runs
from include.perf.model.cell import CellName
from include.perf.model.json_files import to_json
from include.perf.runs.results_store import RECORD_FILE
from include.perf.runs.retention import Retention, clear
from include.perf.runs.stage_files import StageFiles, find_run


@dataclass(frozen=True, slots=True, kw_only=True)
class Took:
    """The wall-clock and CPU time of a call."""

    wall_ms: float
    cpu_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Years:
    """Synthetic results, and an index of them."""

    folder: Path
    store: FolderStore
    index: SqliteIndex
    cell: CellName

    @classmethod
    def in_folder(cls, folder: Path) -> "Years":
        """Return the results in a folder, with an index that is not yet built."""
        store = FolderStore(str(folder / "results"))
        seconds = itertools.count(step=2)
        index = SqliteIndex(
            folder / "index.sqlite", store=store, clock=lambda: datetime.now(UTC) + timedelta(seconds=next(seconds))
        )
        return cls(folder=folder, store=store, index=index, cell=next(store.cells()))

    def finish_another(self) -> None:
        """Add a run to the first cell."""
        last = next(self.store.latest(service=self.cell.service, scenario=self.cell.scenario))
        record = StageFiles(self.store, last).read_record()
        at = record.started_at + timedelta(minutes=1)
        record = replace(record, run_id=f"{at:%Y%m%dT%H%M%SZ}-000000", started_at=at)
        uri = self.store.create(service=record.service, scenario=record.scenario, run_id=record.run_id)
        self.store.write(uri, RECORD_FILE, to_json(record))


def queries(years: Years) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield the names and calls of the queries that are repeated."""
    index, cell, store = years.index, years.cell, years.store
    run_id = index.history(cell)[0].run_id
    yield "sync, nothing new", index.sync
    yield "latest 30 runs of every cell", lambda: index.latest(runs=30)
    yield "history of a cell", lambda: index.history(cell)
    yield "history of a cell, 90 days", lambda: index.history(cell, since=END - timedelta(days=90))
    yield "a run by its id, in the index", lambda: index.find(run_id)
    yield "a run by its id, in the store", lambda: find_run(store, run_id)


def measure(years: Years, *, repeats: int) -> list[Row]:
    """Return a row for each query."""
    rows = [_row("first build", [_timed(years.index.sync)])]
    pages = views(years.folder, store=years.store, index=years.index, cell=years.cell)
    for name, query in (*queries(years), *pages):
        rows.append(_row(name, [_timed(query) for _ in range(repeats)]))
    syncs = []
    for _ in range(repeats):
        years.finish_another()
        syncs.append(_timed(years.index.sync))
    rows.append(_row("sync, one more run", syncs))
    rows.append(_row("rebuild", [_timed(years.index.rebuild)]))
    rows.append(_row("clear, nothing too old", [_timed(lambda: _clear(years))]))
    return rows


def _clear(years: Years) -> None:
    keep = Retention(requests=timedelta(days=30), unfinished=timedelta(days=7))
    referenced = referenced_runs(BaselineFile(years.folder / "baselines.json").read())
    clear(years.store, retention=keep, referenced=referenced, now=datetime.now(UTC), is_dry_run=True)


def _timed(call: Callable[[], object]) -> Took:
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return Took(wall_ms=1e3 * (time.perf_counter() - wall), cpu_ms=1e3 * (time.process_time() - cpu))


def _row(name: str, took: Sequence[Took]) -> Row:
    return {
        "what": name,
        "median ms": statistics.median(call.wall_ms for call in took),
        "slowest ms": max(call.wall_ms for call in took),
        "CPU ms": statistics.median(call.cpu_ms for call in took),
        "times": len(took),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Write synthetic results, measure, and print a table."""
    options = _options(arguments)
    with tempfile.TemporaryDirectory(prefix="bellwether-years-") as name:
        folder = Path(name)
        started = time.perf_counter()
        runs = SyntheticYears(nights=options.nights).write(folder)
        written_s = time.perf_counter() - started
        rows = measure(Years.in_folder(folder), repeats=options.repeats)
        size_mib = (folder / "index.sqlite").stat().st_size / 1024**2
    notes = (
        *notes_of(options),
        f"{runs:,} runs, written in {written_s:.0f} s; the index takes {size_mib:.0f} MiB.",
    )
    sys.stdout.write(Table(title="history: three years of nights", rows=rows, notes=notes).text())
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = parser_of("history", __doc__)
    parser.add_argument("--nights", type=int, default=NIGHTS, help="runs of each cell")
    parser.add_argument("--repeats", type=int, default=15, help="calls of each query")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    return parse(parser, arguments, quick={"nights": 12, "repeats": 1})


if __name__ == "__main__":
    main()
