"""The files that the workers of one load write, and how they are joined to the record of the load.

A single worker writes the record directly. Several workers write one part each, and the parts are joined when all have
ended: the rows are concatenated, the summaries combined.
"""

import errno
import gzip
import os
import shutil
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from include.perf.load.load_plan import JOURNEY_COLUMNS, REQUEST_COLUMNS, GeneratorLog
from include.perf.model.errors import LoadError
from include.perf.model.file_reader import open_item, read_item, regular_file
from include.perf.model.file_writer import write_atomically
from include.perf.model.histogram import Histogram
from include.perf.model.json_files import from_json, to_json
from include.perf.runs.figures import COMPLETED
from include.perf.runs.results_store import GENERATOR_FILE, MAX_RAW_BYTES, REQUESTS_FILE, max_bytes

CHUNK = 1 << 18
PIECE_BYTES = 1 << 20
MAX_TEXT_BYTES = 16 * 1024**3
"""An hour at 24,000/s has 10 GiB; what decompresses to more is no record of a load."""
MAX_LINE_BYTES = 4 * PIECE_BYTES
"""A row has some hundred bytes; a worker that is not ours may send a line without end."""


@dataclass(frozen=True, slots=True)
class Part:
    """The files of one worker."""

    requests: Path
    summary: Path


def part_of(folder: Path, *, worker: int, workers: int) -> Part:
    """Return the files of a worker; a single worker writes the record directly."""
    if workers == 1:
        return Part(folder / REQUESTS_FILE, folder / GENERATOR_FILE)
    return Part(folder / f"requests.{worker + 1}.csv.gz", folder / f"generator.{worker + 1}.json")


def forget(folder: Path) -> None:
    """Remove the files of an earlier load with any number of workers."""
    for pattern in (REQUESTS_FILE, GENERATOR_FILE, "requests.[0-9]*.csv.gz", "generator.[0-9]*.json"):
        for path in folder.glob(pattern):
            path.unlink()


def join(folder: Path, *, workers: int, hosts: Sequence[str] = ()) -> None:
    """Join the parts to one record, and remove them; the load must be over.

    A killed worker left no summary, but the rows up to its last second; these are kept.

    Args:
        hosts: the host of each worker, when they ran on other machines.

    Raises:
        LoadError: the rows of a worker are damaged.
    """
    if workers == 1:
        return
    parts = [part_of(folder, worker=worker, workers=workers) for worker in range(workers)]
    present = [part for part in parts if part.requests.exists() and part.requests.stat().st_size]
    if present:
        with (folder / REQUESTS_FILE).open("wb") as record:
            try:
                # the header is in the file of the first worker
                if present[0] is not parts[0] or not any(complete_lines(present[0].requests)):
                    record.write(gzip.compress(_header(parts), mtime=0))
                for part in present:
                    _append(part.requests, record)
            except zlib.error as err:
                raise LoadError(f"the rows of a worker are damaged ({err}); run the load again") from err
    logs = [_log_of(part) for part in parts]
    if any(logs):
        write_atomically(folder / GENERATOR_FILE, to_json(joined(logs, hosts=hosts)), follow_link=False)
    for part in parts:
        part.requests.unlink(missing_ok=True)
        part.summary.unlink(missing_ok=True)


def _header(parts: Sequence[Part]) -> bytes:
    """Return the header of rows that lack it: those of a load with journeys have more fields."""
    pieces = (piece for part in parts if part.requests.exists() for piece in complete_lines(part.requests))
    fields = next(pieces, b"").partition(b"\n")[0].count(b",") + 1
    further = JOURNEY_COLUMNS if fields > len(REQUEST_COLUMNS) else ()
    return ",".join((*REQUEST_COLUMNS, *further)).encode() + b"\n"


def _log_of(part: Part) -> GeneratorLog | None:
    content = read_item(part.summary, what=str(part.summary), limit=max_bytes(GENERATOR_FILE))
    return None if content is None else from_json(GeneratorLog, content, where=str(part.summary))


def _append(path: Path, record: IO[bytes]) -> None:
    """Append a gzip file; a truncated file is recompressed up to its last complete line."""
    with regular_file(path, what=str(path)) as file:
        if _has_end(file):
            file.seek(0)
            shutil.copyfileobj(file, record)
            return
    with gzip.GzipFile(fileobj=record, mode="wb", compresslevel=1) as repaired:
        repaired.writelines(complete_lines(path))


def _has_end(file: IO[bytes]) -> bool:
    decompressor = zlib.decompressobj(31)
    while chunk := file.read(CHUNK):
        for _ in _pieces(decompressor, chunk):
            pass
    return decompressor.eof


def complete_lines(path: Path) -> Iterator[bytes]:
    """Yield the lines of a gzip file, many at a time; a truncated last line is left out.

    Raises:
        zlib.error: the file is damaged, or decompresses to more than `MAX_TEXT_BYTES`.
        ItemError: it cannot be read, is no regular file, or is too large.
        FileNotFoundError: it does not exist.
    """
    unfinished, total = b"", 0
    for text in _texts(path):
        total += len(text)
        if total > MAX_TEXT_BYTES:
            raise zlib.error(f"it has more than {MAX_TEXT_BYTES // 1024**2:,} MiB of text")
        if len(unfinished) > MAX_LINE_BYTES:
            raise zlib.error(f"a line has more than {MAX_LINE_BYTES:,} bytes")
        lines, newline, unfinished = (unfinished + text).rpartition(b"\n")
        yield lines + newline


def _texts(path: Path) -> Iterator[bytes]:
    """Yield the content of a gzip file in pieces; it may have several members, and the last may be truncated."""
    decompressor = zlib.decompressobj(31)
    opened = open_item(path, what=str(path), limit=MAX_RAW_BYTES)
    if opened is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    with opened as file:
        while chunk := file.read(CHUNK):
            yield from _pieces(decompressor, chunk)
            while decompressor.eof and decompressor.unused_data:
                chunk = decompressor.unused_data
                decompressor = zlib.decompressobj(31)
                yield from _pieces(decompressor, chunk)


def _pieces(decompressor: "zlib._Decompress", chunk: bytes) -> Iterator[bytes]:
    """Yield what a chunk decompresses to, in pieces: a few bytes may stand for gigabytes."""
    while True:
        text = decompressor.decompress(chunk, PIECE_BYTES)
        yield text
        chunk = decompressor.unconsumed_tail
        if decompressor.eof or (not chunk and len(text) < PIECE_BYTES):
            return


def joined(logs: Sequence[GeneratorLog | None], *, hosts: Sequence[str] = ()) -> GeneratorLog:
    """Combine the summaries of the workers.

    Counts and processor time are added, and the histograms of delays merged. Of the figures that say whether a worker
    kept up, the worst one counts.

    Args:
        logs: one summary per worker, ``None`` for a lost worker; at least one is not.
        hosts: the host of each worker, also of lost ones, when they ran on other machines.
    """
    present = [log for log in logs if log is not None]
    lags = Histogram()
    for log in present:
        lags.merge(log.schedule_lags)
    return GeneratorLog(
        ended=_first_end(present),
        version=present[0].version,
        started_at=present[0].started_at,
        measured_from=min(log.measured_from for log in present),
        measured_to=min(log.measured_to for log in present),
        arrivals=sum(log.arrivals for log in present),
        schedule_lags=lags.counts,
        cpu_cores=sum(log.cpu_cores for log in present),
        wanted_cores=_worst([log.wanted_cores for log in present]),
        wait_ratio=_worst([log.wait_ratio for log in present]),
        steal_ratio=_worst([log.steal_ratio for log in present]),
        concurrency_peak=sum(log.concurrency_peak for log in present),
        capped=sum(log.capped for log in present),
        clock_step_s=max((log.clock_step_s for log in present), key=abs),
        error_examples=_first_examples([log.error_examples for log in present]),
        feed_rows=present[0].feed_rows,
        workers=len(logs),
        lost_workers=tuple(number for number, log in enumerate(logs, start=1) if log is None),
        hosts=tuple(hosts),
        clock_uncertainty_s=_worst([log.clock_uncertainty_s for log in present]),
        clock_drift_s=_worst([log.clock_drift_s for log in present]),
        resent=sum(log.resent for log in present),
        requests_by_address=sum((Counter(log.requests_by_address) for log in present), Counter()),
        rows=_sum([log.rows for log in present]),
        measured_arrivals=_sum([log.measured_arrivals for log in present]),
        notes=sum((Counter(log.notes) for log in present), Counter()),
    )


def _sum(counts: Sequence[int | None]) -> int | None:
    """Return the sum of counts, ``None`` if there are none."""
    present = [count for count in counts if count is not None]
    return sum(present) if present else None


def _first_end(logs: Sequence[GeneratorLog]) -> str:
    """Return why the load ended: when a worker ends early, the others are stopped, so the first one is the cause."""
    early = [log for log in logs if log.ended != COMPLETED]
    return min(early, key=lambda log: log.measured_to).ended if early else COMPLETED


def _worst(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return max(known, default=None)


def _first_examples(examples: Sequence[Mapping[str, str]]) -> dict[str, str]:
    return {name: text for found in reversed(examples) for name, text in found.items()}
