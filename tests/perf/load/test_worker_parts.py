"""The parts of several workers become one record: all rows that were written, and the combined summaries."""

import gzip
import tracemalloc
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from include.perf.load.load_plan import REQUEST_COLUMNS, GeneratorLog
from include.perf.load.worker_parts import MAX_LINE_BYTES, complete_lines, forget, join, joined, part_of
from include.perf.measure.request_rows import read_record, read_requests
from include.perf.model.errors import LoadError, StoreError
from include.perf.model.json_files import from_json, to_json
from tests.fakes.generator import counts_of

START = 1_767_787_200.0


def log_of(**changes: Any) -> GeneratorLog:
    made = GeneratorLog(
        ended="completed",
        version="2 (locust 2.47.0, python 3.11.2)",
        started_at=START,
        measured_from=START + 10,
        measured_to=START + 20,
        arrivals=100,
        schedule_lags=counts_of(0.001),
        cpu_cores=0.25,
        wanted_cores=0.30,
        wait_ratio=0.10,
        steal_ratio=0.01,
        concurrency_peak=12,
        capped=3,
        clock_step_s=0.0,
        error_examples={},
        feed_rows={"orders": 3, "positions": 2},
    )
    return replace(made, **changes)


def lines_of(worker: int, *, count: int = 100) -> list[str]:
    """Return the rows of a worker: arrivals worker, worker + 2, … at 10/s."""
    lines = [",".join(REQUEST_COLUMNS)] if worker == 0 else []
    for number in range(worker, 2 * count, 2):
        times = f"0.000050,0.000100,0.01{number:04d},0.01{number:04d}"
        lines.append(f"{START + number / 10:.6f},measured,orders,200,{times},17,")
    return lines


def compressed(lines: Sequence[str], *, flush_every: int = 20) -> bytes:
    """Return the lines as the load process writes them: flushed now and then, with a proper end."""
    compressor = zlib.compressobj(1, zlib.DEFLATED, 31)
    content = b""
    for at in range(0, len(lines), flush_every):
        content += compressor.compress("".join(f"{line}\n" for line in lines[at : at + flush_every]).encode())
        content += compressor.flush(zlib.Z_SYNC_FLUSH)
    return content + compressor.flush(zlib.Z_FINISH)


def write_part(folder: Path, worker: int, content: bytes, log: GeneratorLog | None) -> None:
    part = part_of(folder, worker=worker, workers=2)
    part.requests.write_bytes(content)
    if log is not None:
        part.summary.write_bytes(to_json(log))


def log_in(folder: Path) -> GeneratorLog:
    path = folder / "generator.json"
    return from_json(GeneratorLog, path.read_bytes(), where=str(path))


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_the_connections_did_is_added_up() -> None:
    """The requests by address, and those that were sent again."""
    first = log_of(resent=2, requests_by_address={"10.0.0.1": 5, "10.0.0.2": 4})
    second = log_of(resent=1, requests_by_address={"10.0.0.2": 6, "10.0.0.3": 1})
    log = joined([first, None, second])
    assert log.resent == 3
    assert log.requests_by_address == {"10.0.0.1": 5, "10.0.0.2": 10, "10.0.0.3": 1}


def test_every_worker_has_its_own_files(tmp_path: Path) -> None:
    """Numbered from 1; a single worker writes the record directly."""
    assert part_of(tmp_path, worker=0, workers=1).requests == tmp_path / "requests.csv.gz"
    assert part_of(tmp_path, worker=0, workers=1).summary == tmp_path / "generator.json"
    parts = [part_of(tmp_path, worker=worker, workers=2) for worker in range(2)]
    assert [part.requests.name for part in parts] == ["requests.1.csv.gz", "requests.2.csv.gz"]
    assert [part.summary.name for part in parts] == ["generator.1.json", "generator.2.json"]


def test_two_complete_parts_become_one_record(tmp_path: Path) -> None:
    """The files are concatenated byte by byte; the parts are removed."""
    contents = [compressed(lines_of(worker)) for worker in range(2)]
    for worker, content in enumerate(contents):
        write_part(tmp_path, worker, content, log_of())
    join(tmp_path, workers=2)
    assert names_in(tmp_path) == ["generator.json", "requests.csv.gz"]
    assert (tmp_path / "requests.csv.gz").read_bytes() == b"".join(contents)
    rows = read_requests(tmp_path / "requests.csv.gz")
    assert sorted(rows["due_at"] - START) == pytest.approx([number / 10 for number in range(200)])
    assert (log_in(tmp_path).workers, log_in(tmp_path).lost_workers, log_in(tmp_path).arrivals) == (2, (), 200)


@pytest.mark.parametrize("cut_off", [0, 1])
def test_the_complete_rows_of_a_killed_worker_are_kept(tmp_path: Path, cut_off: int) -> None:
    """Its part ends in the middle of a compressed block; the parts after it in the record are readable."""
    for worker in range(2):
        content = compressed(lines_of(worker))
        if worker == cut_off:
            write_part(tmp_path, worker, content[: len(content) // 2], None)
        else:
            write_part(tmp_path, worker, content, log_of())
    join(tmp_path, workers=2)
    rows = read_requests(tmp_path / "requests.csv.gz")
    of_worker = [((rows["due_at"] - START) * 10).round().astype(int) % 2 == worker for worker in range(2)]
    assert of_worker[1 - cut_off].sum() == 100
    assert 20 <= of_worker[cut_off].sum() < 100
    assert rows["latency_s"].tolist() == sorted(rows["latency_s"][of_worker[0]]) + sorted(
        rows["latency_s"][of_worker[1]]
    )
    log = log_in(tmp_path)
    assert (log.workers, log.lost_workers, log.arrivals) == (2, (cut_off + 1,), 100)


def test_a_part_truncated_at_any_byte_gives_complete_rows(tmp_path: Path) -> None:
    """Also within the gzip header and the gzip trailer."""
    content = compressed(lines_of(1, count=40), flush_every=7)
    text_of_all = gzip.decompress(content)
    counts = []
    for cut in range(len(content) + 1):
        write_part(tmp_path, 0, compressed(lines_of(0, count=2)), log_of())
        write_part(tmp_path, 1, content[:cut], None)
        join(tmp_path, workers=2)
        text = gzip.decompress((tmp_path / "requests.csv.gz").read_bytes()).decode()
        rows = text.splitlines(keepends=True)[3:]  # the header, and two rows of the other
        assert text_of_all.decode().startswith("".join(rows))
        assert all(line.endswith("\n") for line in rows)
        counts.append(len(rows))
    assert counts == sorted(counts)
    assert (counts[0], counts[-1]) == (0, 40)


def test_rows_without_a_summary_are_kept(tmp_path: Path) -> None:
    """A worker that was killed between its rows and its summary is lost; its rows are kept."""
    write_part(tmp_path, 0, compressed(lines_of(0)), None)
    write_part(tmp_path, 1, compressed(lines_of(1)), log_of())
    join(tmp_path, workers=2)
    assert len(read_requests(tmp_path / "requests.csv.gz")) == 200
    assert (log_in(tmp_path).lost_workers, log_in(tmp_path).arrivals) == ((1,), 100)


def test_a_load_without_any_summary_has_rows_only(tmp_path: Path) -> None:
    """All workers were killed."""
    for worker in range(2):
        write_part(tmp_path, worker, compressed(lines_of(worker))[:600], None)
    join(tmp_path, workers=2)
    assert names_in(tmp_path) == ["requests.csv.gz"]
    assert len(read_requests(tmp_path / "requests.csv.gz")) > 0


@pytest.mark.parametrize("first", [None, b"", compressed(lines_of(0))[:12]], ids=["none", "empty", "cut off"])
def test_rows_are_readable_without_those_of_the_first_worker(tmp_path: Path, first: bytes | None) -> None:
    """The first worker writes the header, and was killed within its first second."""
    if first is not None:
        write_part(tmp_path, 0, first, None)
    write_part(tmp_path, 1, compressed(lines_of(1)), log_of())
    join(tmp_path, workers=2)
    assert len(read_requests(tmp_path / "requests.csv.gz")) == 100
    assert log_in(tmp_path).lost_workers == (1,)


def test_a_load_that_never_began_leaves_no_record(tmp_path: Path) -> None:
    """No worker wrote a row: an empty record would look like a load that was killed."""
    write_part(tmp_path, 1, b"", None)
    join(tmp_path, workers=2)
    assert names_in(tmp_path) == []


def test_the_record_of_a_single_worker_is_not_changed(tmp_path: Path) -> None:
    """It already is the record, truncated or not."""
    (tmp_path / "requests.csv.gz").write_bytes(b"unchanged")
    join(tmp_path, workers=1)
    assert (tmp_path / "requests.csv.gz").read_bytes() == b"unchanged"
    assert names_in(tmp_path) == ["requests.csv.gz"]


def test_an_invalid_summary_is_refused(tmp_path: Path) -> None:
    """The error names the file."""
    write_part(tmp_path, 0, compressed(lines_of(0)), None)
    part_of(tmp_path, worker=0, workers=2).summary.write_text("{}", encoding="utf-8")
    with pytest.raises(StoreError, match=r"generator\.1\.json cannot be read: "):
        join(tmp_path, workers=2)


@pytest.mark.parametrize("workers", [1, 3])
def test_the_files_of_an_earlier_load_are_removed(tmp_path: Path, workers: int) -> None:
    """The record and all its parts, and nothing else."""
    kept = ["aborted-1.requests.csv.gz", "feed.jsonl"]
    names = ["requests.csv.gz", "generator.json", *kept]
    if workers > 1:
        names += [f"requests.{number}.csv.gz" for number in (1, 2, 3)] + ["generator.2.json"]
    for name in names:
        (tmp_path / name).write_text("old", encoding="utf-8")
    forget(tmp_path)
    assert names_in(tmp_path) == kept
    forget(tmp_path)


def test_counts_are_added_and_delays_are_merged() -> None:
    """99 lags of 1 ms from one, 1 of 50 ms from the other: together the 99th of 100 is 1 ms, the last 50 ms."""
    log = joined(
        [
            log_of(schedule_lags=counts_of(*[0.001] * 99), arrivals=99, cpu_cores=0.5, concurrency_peak=7, capped=1),
            log_of(schedule_lags=counts_of(0.050), arrivals=1, cpu_cores=0.25, concurrency_peak=5, capped=2),
        ]
    )
    assert log.schedule_lags == counts_of(*[0.001] * 99, 0.050)
    assert (log.arrivals, log.cpu_cores, log.concurrency_peak, log.capped) == (100, 0.75, 12, 3)
    assert (log.workers, log.lost_workers, log.ended) == (2, (), "completed")


@pytest.mark.parametrize(
    ("first", "second", "worst"),
    [(0.2, 0.4, 0.4), (0.4, 0.2, 0.4), (None, 0.2, 0.2), (0.0, None, 0.0), (None, None, None)],
)
def test_the_worst_worker_decides_whether_the_generator_kept_up(
    first: float | None, second: float | None, worst: float | None
) -> None:
    """An average would hide a saturated worker; and unknown is not zero."""
    log = joined(
        [
            log_of(wanted_cores=first, wait_ratio=first, steal_ratio=first),
            log_of(wanted_cores=second, wait_ratio=second, steal_ratio=second),
        ]
    )
    assert (log.wanted_cores, log.wait_ratio, log.steal_ratio) == (worst, worst, worst)


@pytest.mark.parametrize(("first", "second", "step"), [(0.1, -0.7, -0.7), (-0.1, 0.0, -0.1)])
def test_the_largest_clock_step_counts(first: float, second: float, step: float) -> None:
    """In either direction."""
    assert joined([log_of(clock_step_s=first), log_of(clock_step_s=second)]).clock_step_s == step


def test_counts_of_requests_are_added_where_an_arrival_is_not_exactly_one() -> None:
    """Without them, each arrival was one request."""
    log = joined([log_of(rows=20, measured_arrivals=4), None, log_of(rows=22, measured_arrivals=5)])
    assert (log.rows, log.measured_arrivals) == (42, 9)
    assert (joined([log_of(), log_of()]).rows, joined([log_of()]).measured_arrivals) == (None, None)


def test_a_load_is_completed_only_if_all_workers_completed_it() -> None:
    """The window ends when the first worker ended."""
    stopped = log_of(ended="stopped by SIGTERM", measured_to=START + 14)
    for logs in ([log_of(), stopped], [stopped, log_of()], [None, stopped]):
        log = joined(logs)
        assert (log.ended, log.measured_to) == ("stopped by SIGTERM", START + 14)
        assert (log.started_at, log.measured_from) == (START, START + 10)


def test_the_first_worker_to_end_early_has_the_reason() -> None:
    """The others were stopped because of it, a little later."""
    cause = log_of(ended="the load generator ran out of memory", measured_to=START + 14)
    effect = log_of(ended="stopped: worker 2 of 3 ended early", measured_to=START + 14.01)
    assert joined([effect, cause, effect]).ended == "the load generator ran out of memory"
    assert joined([effect, None, log_of()]).ended == "stopped: worker 2 of 3 ended early"


def test_lost_workers_are_numbered() -> None:
    """Numbers from 1, as in the names of their files."""
    log = joined([None, log_of(), None])
    assert (log.workers, log.lost_workers, log.arrivals) == (3, (1, 3), 100)


def test_the_example_of_an_error_is_from_the_first_worker() -> None:
    """All kinds of errors are kept."""
    log = joined(
        [
            log_of(error_examples={"orders HTTP 503": "busy"}),
            log_of(error_examples={"orders HTTP 503": "also busy", "orders timeout": "late"}),
        ]
    )
    assert log.error_examples == {"orders HTTP 503": "busy", "orders timeout": "late"}


def test_a_part_decompresses_in_pieces(tmp_path: Path) -> None:
    """A few bytes may stand for gigabytes; the memory does not depend on how many."""
    path = tmp_path / "requests.csv.gz"
    line = b"0" * 99 + b"\n"
    with gzip.open(path, "wb") as file:
        for _ in range(64):
            file.write(line * 10_000)
    assert path.stat().st_size < 300_000
    tracemalloc.start()
    length = sum(map(len, complete_lines(path)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert length == 64 * 10_000 * len(line)
    assert peak < 10_000_000


@pytest.mark.parametrize("length", [1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3 << 20])
def test_pieces_leave_out_nothing(tmp_path: Path, length: int) -> None:
    """Whatever the length of the content, and with several members in one file."""
    path, content = tmp_path / "requests.csv.gz", b"x" * (length - 1) + b"\n"
    path.write_bytes(gzip.compress(content) + gzip.compress(b"end\n"))
    assert b"".join(complete_lines(path)) == content + b"end\n"


def test_a_line_without_end_is_damage(tmp_path: Path) -> None:
    """It would have to be kept in memory until its end."""
    path = tmp_path / "requests.csv.gz"
    path.write_bytes(gzip.compress(b"x" * (2 * MAX_LINE_BYTES)))
    with pytest.raises(zlib.error, match="a line has more than 4,194,304 bytes"):
        list(complete_lines(path))


@pytest.mark.parametrize("content", [b"no gzip at all", gzip.compress(b"x" * (2 * MAX_LINE_BYTES))[:-8]])
def test_damaged_rows_of_a_worker_are_an_error_of_the_load(tmp_path: Path, content: bytes) -> None:
    """A worker may send anything; the run is invalid with that reason."""
    write_part(tmp_path, 0, compressed(lines_of(0)), log_of())
    write_part(tmp_path, 1, content, log_of())
    with pytest.raises(LoadError, match="the rows of a worker are damaged"):
        join(tmp_path, workers=2)


@pytest.mark.parametrize("part", ["step", "journey"])
def test_rows_of_journeys_get_their_header_when_the_first_worker_is_lost(tmp_path: Path, part: str) -> None:
    """They have two fields more than others."""
    row = f"{START:.6f},measured,life/quote,200,0.000000,0.000000,0.010000,0.010000,2,,1,{part}"
    write_part(tmp_path, 1, compressed([row]), log_of())
    join(tmp_path, workers=2)
    rows = read_record(tmp_path / "requests.csv.gz")
    assert (len(rows.requests), len(rows.journeys)) == ((1, 0) if part == "step" else (0, 1))
