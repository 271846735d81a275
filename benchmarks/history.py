"""Measure what three years of nights cost: the index of runs, the pages over it, and what clearing the results takes.

Run from the project's root::

    python -m benchmarks.history [--nights 1100] [--repeats 15] [--json history.json]

Method. Synthetic years of the catalogue's 24 cells (`benchmarks.synthetic_years`) are written into a temporary folder.
The index is built once; then each look at it is repeated. A ``sync`` that follows another by less than a second does
nothing, so the clock that the index is given runs two seconds ahead with every question. Named are the median and the
slowest, and the median of the CPU time, because the wall clock also says what else the machine did; the file system's
cache is warm. Another run that is finished between two looks is a copy of the last one.
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
    """How long something took, and how much of that it computed."""

    wall_ms: float
    cpu_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Years:
    """What is looked at."""

    folder: Path
    store: FolderStore
    index: SqliteIndex
    cell: CellName

    @classmethod
    def in_folder(cls, folder: Path) -> "Years":
        """Return what was written into a folder, with an index that was never built."""
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


def looks(years: Years) -> Iterator[tuple[str, Callable[[], object]]]:
    """Return what is repeated, by name."""
    index, cell, store = years.index, years.cell, years.store
    run_id = index.history(cell)[0].run_id
    yield "sync, nothing new", index.sync
    yield "latest 30 runs of every cell", lambda: index.latest(runs=30)
    yield "history of a cell", lambda: index.history(cell)
    yield "history of a cell, 90 days", lambda: index.history(cell, since=END - timedelta(days=90))
    yield "a run by its id, in the index", lambda: index.find(run_id)
    yield "a run by its id, in the store", lambda: find_run(store, run_id)


def measure(years: Years, *, repeats: int) -> list[Row]:
    """Return the figures, a row each."""
    rows = [_row("first build", [_timed(years.index.sync)])]
    pages = views(years.folder, store=years.store, index=years.index, cell=years.cell)
    for name, look in (*looks(years), *pages):
        rows.append(_row(name, [_timed(look) for _ in range(repeats)]))
    news = []
    for _ in range(repeats):
        years.finish_another()
        news.append(_timed(years.index.sync))
    rows.append(_row("sync, one run more", news))
    rows.append(_row("rebuild", [_timed(years.index.rebuild)]))
    rows.append(_row("clear, nothing too old", [_timed(lambda: _clear(years))]))
    return rows


def _clear(years: Years) -> None:
    keep = Retention(requests=timedelta(days=30), unfinished=timedelta(days=7))
    referenced = referenced_runs(BaselineFile(years.folder / "baselines.json").read())
    clear(years.store, retention=keep, referenced=referenced, now=datetime.now(UTC), is_dry_run=True)


def _timed(look: Callable[[], object]) -> Took:
    wall, cpu = time.perf_counter(), time.process_time()
    look()
    return Took(wall_ms=1e3 * (time.perf_counter() - wall), cpu_ms=1e3 * (time.process_time() - cpu))


def _row(name: str, took: Sequence[Took]) -> Row:
    return {
        "what": name,
        "median ms": statistics.median(each.wall_ms for each in took),
        "slowest ms": max(each.wall_ms for each in took),
        "CPU ms": statistics.median(each.cpu_ms for each in took),
        "times": len(took),
    }


def main() -> None:
    """Write years, measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nights", type=int, default=NIGHTS)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--json", type=Path, help="write the figures there, too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bellwether-years-") as name:
        folder = Path(name)
        started = time.perf_counter()
        runs = SyntheticYears(nights=options.nights).write(folder)
        written_s = time.perf_counter() - started
        rows = measure(Years.in_folder(folder), repeats=options.repeats)
        size_mib = (folder / "index.sqlite").stat().st_size / 1024**2
    notes = (f"{runs:,} runs, written in {written_s:.0f} s; the index takes {size_mib:.0f} MiB.",)
    sys.stdout.write(Table(title="history: three years of nights", rows=rows, notes=notes).text())
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
