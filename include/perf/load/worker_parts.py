"""What the workers of one load leave, and how it becomes the record of the load.

A load of one worker writes the record itself. Several write a part each, and their parts are joined when all
have ended: the rows one part after another, the summaries added up.
"""

import gzip
import shutil
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from include.perf.load.load_plan import REQUEST_COLUMNS, GeneratorLog
from include.perf.model.histogram import Histogram
from include.perf.model.json_files import from_json, to_json, write_atomically
from include.perf.runs.figures import COMPLETED
from include.perf.runs.results_store import GENERATOR_FILE, REQUESTS_FILE

CHUNK = 1 << 18


@dataclass(frozen=True, slots=True)
class Part:
    """The files of one worker."""

    requests: Path
    summary: Path


def part_of(folder: Path, *, worker: int, workers: int) -> Part:
    """Return where a worker writes; the only one writes the record itself."""
    if workers == 1:
        return Part(folder / REQUESTS_FILE, folder / GENERATOR_FILE)
    return Part(folder / f"requests.{worker + 1}.csv.gz", folder / f"generator.{worker + 1}.json")


def forget(folder: Path) -> None:
    """Remove what an earlier load left in the folder, of however many workers."""
    for pattern in (REQUESTS_FILE, GENERATOR_FILE, "requests.[0-9]*.csv.gz", "generator.[0-9]*.json"):
        for path in folder.glob(pattern):
            path.unlink()


def join(folder: Path, *, workers: int, hosts: Sequence[str] = ()) -> None:
    """Make one record of the parts, which are removed; the load must be over.

    A worker that was killed left no summary, and rows up to its last second; they are kept.

    Args:
        hosts: where each worker ran, when they ran elsewhere.
    """
    if workers == 1:
        return
    parts = [part_of(folder, worker=worker, workers=workers) for worker in range(workers)]
    there = [part for part in parts if part.requests.exists() and part.requests.stat().st_size]
    if there:
        with (folder / REQUESTS_FILE).open("wb") as whole:
            if there[0] is not parts[0] or not any(whole_lines(there[0].requests)):  # the first worker has the header
                whole.write(gzip.compress((",".join(REQUEST_COLUMNS) + "\n").encode(), mtime=0))
            for part in there:
                _append(part.requests, whole)
    logs = [_log_of(part) for part in parts]
    if any(logs):
        write_atomically(folder / GENERATOR_FILE, to_json(joined(logs, hosts=hosts)))
    for part in parts:
        part.requests.unlink(missing_ok=True)
        part.summary.unlink(missing_ok=True)


def _log_of(part: Part) -> GeneratorLog | None:
    if not part.summary.exists():
        return None
    return from_json(GeneratorLog, part.summary.read_bytes(), where=str(part.summary))


def _append(path: Path, whole: IO[bytes]) -> None:
    """Append a gzip file; one that was cut off gets a proper end after its last whole line."""
    with path.open("rb") as file:
        if _has_end(file):
            file.seek(0)
            shutil.copyfileobj(file, whole)
            return
    with gzip.GzipFile(fileobj=whole, mode="wb", compresslevel=1) as mended:
        mended.writelines(whole_lines(path))


def _has_end(file: IO[bytes]) -> bool:
    decompressor = zlib.decompressobj(31)
    while chunk := file.read(CHUNK):
        decompressor.decompress(chunk)
    return decompressor.eof


def whole_lines(path: Path) -> Iterator[bytes]:
    """Return the lines of a gzip file, many at a time; a last one that was cut off is left out.

    Raises:
        zlib.error: the file is damaged.
    """
    unfinished = b""
    for text in _texts(path):
        lines, newline, unfinished = (unfinished + text).rpartition(b"\n")
        yield lines + newline


def _texts(path: Path) -> Iterator[bytes]:
    """Return what is in a gzip file, piece by piece: of one part or of several, the last of which may have no end."""
    decompressor = zlib.decompressobj(31)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield decompressor.decompress(chunk)
            while decompressor.eof and decompressor.unused_data:
                chunk = decompressor.unused_data
                decompressor = zlib.decompressobj(31)
                yield decompressor.decompress(chunk)


def joined(logs: Sequence[GeneratorLog | None], *, hosts: Sequence[str] = ()) -> GeneratorLog:
    """Add up what the workers say of themselves, ``None`` for one that was lost; at least one was not.

    Counts and processor time are sums, delays are merged exactly; of what tells whether a worker kept up the
    worst one counts.

    Args:
        hosts: where each worker ran, when they ran elsewhere; of those that were lost as well.
    """
    there = [log for log in logs if log is not None]
    lags = Histogram()
    for log in there:
        lags.merge(log.schedule_lags)
    return GeneratorLog(
        ended=_first_end(there),
        version=there[0].version,
        started_at=there[0].started_at,
        measured_from=min(log.measured_from for log in there),
        measured_to=min(log.measured_to for log in there),
        arrivals=sum(log.arrivals for log in there),
        schedule_lags=lags.counts,
        cpu_cores=sum(log.cpu_cores for log in there),
        wanted_cores=_worst([log.wanted_cores for log in there]),
        wait_ratio=_worst([log.wait_ratio for log in there]),
        steal_ratio=_worst([log.steal_ratio for log in there]),
        concurrency_peak=sum(log.concurrency_peak for log in there),
        capped=sum(log.capped for log in there),
        clock_step_s=max((log.clock_step_s for log in there), key=abs),
        error_examples=_first_examples([log.error_examples for log in there]),
        feed_rows=there[0].feed_rows,
        workers=len(logs),
        lost_workers=tuple(number for number, log in enumerate(logs, start=1) if log is None),
        hosts=tuple(hosts),
        clock_uncertainty_s=_worst([log.clock_uncertainty_s for log in there]),
        clock_drift_s=_worst([log.clock_drift_s for log in there]),
    )


def _first_end(logs: Sequence[GeneratorLog]) -> str:
    """Return why the load ended early: when one worker does, the others are stopped, and the first is the cause."""
    early = [log for log in logs if log.ended != COMPLETED]
    return min(early, key=lambda log: log.measured_to).ended if early else COMPLETED


def _worst(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return max(known, default=None)


def _first_examples(examples: Sequence[Mapping[str, str]]) -> dict[str, str]:
    return {name: text for each in reversed(examples) for name, text in each.items()}
