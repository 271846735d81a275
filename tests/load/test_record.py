"""The raw record: written rows can be read, also from the file of a killed process."""

import gzip
import threading
import zlib
from pathlib import Path
from typing import IO, Any

import gevent
import pytest

from include.load.outcome import EXAMPLE_BYTES, example_of
from include.load.record import BATCH_ROWS, EXAMPLE_LENGTH, MAX_EXAMPLES, RequestLog, RequestRow
from include.perf.load.load_plan import REQUEST_COLUMNS
from include.perf.measure.request_rows import read_requests
from include.perf.model.histogram import Histogram
from tests.fakes.generator import counts_of
from tests.socket_servers import python


def row(number: int, **changes: Any) -> RequestRow:
    """Return a request due at ``number`` hundredths of a second, sent 1 ms later and answered after 20 ms or more."""
    due_s = number / 100
    made = RequestRow(
        due_s, "measured", "orders", 200, due_s + 0.0005, due_s + 0.001, due_s + 0.021 + number / 1000, 17
    )
    return made._replace(**changes)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "requests.csv.gz"


def test_a_row_describes_the_request(path: Path) -> None:
    """One line per request, times in seconds with six decimals, latency from the due time."""
    log = RequestLog(path.open("wb"))
    log.started_at = 1_767_787_200.5
    log.add(row(1))
    log.add(
        RequestRow(0.02, "warmup", "positions", 0, 0.0204, 0.52, 10.52, 0, "timeout", "no complete answer within 10 s")
    )
    log.close()
    assert gzip.decompress(path.read_bytes()).decode().splitlines() == [
        ",".join(REQUEST_COLUMNS),
        "1767787200.510000,measured,orders,200,0.000500,0.001000,0.021000,0.022000,17,",
        "1767787200.520000,warmup,positions,0,0.000400,0.500000,10.000000,10.500000,0,timeout",
    ]


def test_counts_and_examples(path: Path) -> None:
    """Failures are counted, and the first example of every endpoint and kind is kept, shortened."""
    log = RequestLog(path.open("wb"))
    for number in range(3):
        log.add(row(number))
    log.add(row(3, status=503, error="HTTP 503", example="busy"))
    log.add(row(4, status=503, error="HTTP 503", example="another"))
    log.add(row(5, status=503, error="HTTP 503", example="elsewhere", endpoint="positions"))
    log.add(row(6, status=0, error="broken answer", example="x" * 1000))
    log.close()
    assert (log.rows, log.finished, log.failed) == (7, 3, 4)
    assert log.examples == {
        "orders HTTP 503": "busy",
        "positions HTTP 503": "elsewhere",
        "orders broken answer": "x" * EXAMPLE_LENGTH,
    }
    assert list(read_requests(path)["error"]) == ["", "", "", "HTTP 503", "HTTP 503", "HTTP 503", "broken answer"]


def test_rows_are_written_in_batches_and_none_is_lost(path: Path) -> None:
    """25 at once: of 60 rows 50 are counted before a flush, all of them after it, and all are in the file."""
    log = RequestLog(path.open("wb"))
    for number in range(60):
        log.add(row(number))
    assert (BATCH_ROWS, log.rows) == (25, 50)
    log.flush()
    assert log.rows == len(read_requests(path)) == 60
    log.add(row(60))
    log.close()
    assert log.rows == len(read_requests(path)) == 61


def test_latencies_are_taken_once(path: Path) -> None:
    """A report takes them; the next one has only those that were added since."""
    log = RequestLog(path.open("wb"))
    log.add(row(0))
    log.flush()
    assert sum(log.latencies.take().values()) == 1
    for number in range(3):
        log.add(row(number))
    log.flush()
    taken = Histogram(log.latencies.take())
    # 1 ms until it was sent and 20 ms, 21 ms and 22 ms until the answer
    assert [taken.quantile(share) for share in (0.3, 0.6, 1.0)] == pytest.approx([0.021, 0.022, 0.023], rel=0.005)
    assert log.latencies.take() == {}
    log.close()


def test_a_fast_failure_has_no_latency(path: Path) -> None:
    """It must not make a service look fast; a request without an answer counts with the time that it waited."""
    log = RequestLog(path.open("wb"))
    log.add(row(0, ended_s=0.020))
    log.add(row(0, ended_s=0.001, status=503, error="HTTP 503"))
    log.add(row(0, ended_s=0.001, status=0, error="connection refused"))
    log.add(row(0, ended_s=5.0, status=0, error="timeout"))
    log.add(row(0, ended_s=7.0, status=0, error="unfinished"))
    log.flush()
    assert (log.finished, log.failed) == (1, 4)
    assert log.latencies.take() == counts_of(0.020, 5.0, 7.0)
    log.close()


class _SlowDisk:
    """A file whose writes wait until they are allowed; records their threads."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.began, self.may_go_on = threading.Event(), threading.Event()
        self.threads: set[int] = set()

    def write(self, data: bytes) -> None:
        self.threads.add(threading.get_ident())
        self.began.set()
        assert self.may_go_on.wait(10)
        self._file.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def test_a_slow_disk_delays_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flush waits for its disk in a thread; meanwhile the loop runs and rows are added."""
    disk = _SlowDisk(path.open("wb"))
    monkeypatch.setattr(Path, "open", lambda *_: disk)
    log = RequestLog(path.open("wb"))
    monkeypatch.undo()
    for number in range(BATCH_ROWS):
        log.add(row(number))
    flush = gevent.spawn(log.flush)
    while not disk.began.is_set():
        gevent.sleep(0.001)
    for number in range(BATCH_ROWS):
        log.add(row(number))
    assert (log.rows, flush.ready(), path.stat().st_size) == (2 * BATCH_ROWS, False, 0)
    disk.may_go_on.set()
    flush.get(timeout=10)
    assert threading.get_ident() not in disk.threads
    log.close()
    assert len(read_requests(path)) == 2 * BATCH_ROWS


def test_a_flush_can_be_read_while_the_record_grows(path: Path) -> None:
    """Everything up to the flush, nothing after it."""
    log = RequestLog(path.open("wb"))
    for number in range(5):
        log.add(row(number))
    log.flush()
    log.add(row(5))
    assert len(read_requests(path)) == 5
    log.flush()
    assert len(read_requests(path)) == 6
    log.close()
    assert len(read_requests(path)) == 6


def test_the_files_of_several_workers_make_up_one_record(tmp_path: Path) -> None:
    """Only the first one has the header."""
    complete = tmp_path / "complete.csv.gz"
    with complete.open("wb") as file:
        for worker in range(2):
            path = tmp_path / f"{worker}.csv.gz"
            log = RequestLog(path.open("wb"), has_header=worker == 0)
            log.add(row(worker))
            log.close()
            file.write(path.read_bytes())
    assert gzip.decompress(complete.read_bytes()).decode().splitlines() == [
        ",".join(REQUEST_COLUMNS),
        "0.000000,measured,orders,200,0.000500,0.001000,0.020000,0.021000,17,",
        "0.010000,measured,orders,200,0.000500,0.001000,0.021000,0.022000,17,",
    ]


@pytest.mark.parametrize(
    ("secret", "answer", "kept"),
    [
        ("Bearer t0ken", "who is Bearer t0ken?", "who is ***?"),
        ("Bearer t0ken", '{"token": "t0ken"}', '{"token": "***"}'),  # without its scheme
        ("Token token=k3y-55", "k3y-55, k3y-55", "***, ***"),
        (
            "a-l0ng-k3y",
            "x" * (EXAMPLE_LENGTH - 1) + "a-l0ng-k3y",
            "x" * (EXAMPLE_LENGTH - 1) + "*",
        ),  # no half of it either
        ("1", "version 1.4.1", "version 1.4.1"),  # too short to be secret
        ("", "nothing", "nothing"),
    ],
)
def test_no_example_shows_a_secret(path: Path, secret: str, answer: str, kept: str) -> None:
    """A server may repeat the request in its answer."""
    log = RequestLog(path.open("wb"), secrets=["another", secret])
    log.add(row(0, error="HTTP 403", status=403, example=answer))
    log.close()
    assert log.examples == {"orders HTTP 403": kept}


def test_no_example_shows_a_token_of_its_time(path: Path) -> None:
    """A request in flight may have the token before the current one; later tokens do not matter."""
    tokens = ["t0ken-before", "t0ken-now"]
    log = RequestLog(path.open("wb"), secrets=["s3cret"], tokens=lambda: tuple(tokens))
    log.add(row(0, error="HTTP 401", status=401, example="t0ken-before t0ken-now s3cret"))
    log.flush()
    tokens[:] = ["t0ken-now", "t0ken-later"]
    log.add(row(1, error="HTTP 403", status=403, example="t0ken-later"))
    log.close()
    assert log.examples == {"orders HTTP 401": "*** *** ***", "orders HTTP 403": "***"}


def test_an_empty_record_has_a_header(path: Path) -> None:
    """A load stopped before its first arrival has no rows, but a record."""
    RequestLog(path.open("wb")).close()
    rows = read_requests(path)
    assert (len(rows), list(rows.columns)) == (0, list(REQUEST_COLUMNS))


def test_a_record_truncated_at_any_byte_gives_its_complete_rows(path: Path) -> None:
    """A full disk or a kill may truncate a file in the middle of a row or of a compressed block."""
    log = RequestLog(path.open("wb"))
    for number in range(120):
        log.add(row(number))
        if number % 20 == 0:
            log.flush()
    log.close()
    content = path.read_bytes()
    complete = gzip.decompress(content)
    counts = []
    for cut in range(len(content)):
        text = zlib.decompressobj(31).decompress(content[:cut])
        assert complete.startswith(text)
        counts.append(text.count(b"\n"))
    assert counts == sorted(counts)
    assert set(counts) >= {2, 22, 42, 62, 82, 102}  # the header, and what each flush wrote
    for cut in range(100, len(content), 97):
        path.write_bytes(content[:cut])
        assert len(read_requests(path)) == counts[cut] - 1


WRITER = """
import sys, time
from pathlib import Path
from include.load.record import RequestLog, RequestRow
log = RequestLog(Path(sys.argv[1]).open("wb"))
def add(count):
    for number in range(count):
        log.add(RequestRow(number, "measured", "orders", 200, number, number, number + 0.01, 1))
add(1000)
log.flush()
add(500)
print("flushed", flush=True)
time.sleep(60)
"""


@pytest.mark.integration
def test_a_killed_process_leaves_every_flushed_row(path: Path) -> None:
    """After SIGKILL the file has no proper end, but the kernel has the flushed rows."""
    with python("-c", WRITER, str(path), stdout=-1) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"flushed\n"
        writer.kill()
        writer.wait(timeout=10)
    assert len(read_requests(path)) == 1000
    with pytest.raises(zlib.error):
        zlib.decompress(path.read_bytes(), 31)


def test_the_number_of_examples_is_limited(path: Path) -> None:
    """A service that answers each request with another status fills no memory."""
    log = RequestLog(path.open("wb"))
    for number in range(MAX_EXAMPLES + 50):
        log.add(row(1, status=number, error=f"HTTP {number}", example="busy"))
    log.close()
    assert (len(log.examples), log.failed) == (MAX_EXAMPLES, MAX_EXAMPLES + 50)


def test_a_secret_that_an_example_is_cut_in_is_not_kept(path: Path) -> None:
    """Half a secret is not recognised; after masking, it could stand among the first characters."""
    secret = "s3cret-" + "x" * 1000
    body = (f"{secret} " * 40).encode()
    log = RequestLog(path.open("wb"), secrets=[secret])
    log.add(row(1, status=500, error="HTTP 500", example=example_of(body), size=len(body)))
    log.add(row(2, status=501, error="HTTP 501", example=f"not cut {secret}", size=len(secret) + 8))
    log.close()
    assert len(body) > EXAMPLE_BYTES
    assert "s3cret" not in "".join(log.examples.values())
    assert log.examples["orders HTTP 501"] == "not cut ***"


def test_rows_that_the_disk_does_not_take_are_limited(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a flush hangs, rows wait in memory; the load ends when they are too many."""
    monkeypatch.setattr("include.load.record.MAX_UNWRITTEN_BYTES", 1000)
    log = RequestLog(path.open("wb"))
    problems: list[Exception] = []
    log.on_behind = problems.append
    for number in range(10 * BATCH_ROWS):
        log.add(row(number))
        if number % BATCH_ROWS == 0:
            log.flush()
    assert problems == []
    for number in range(10_000):
        log.add(row(number * 7919 % 10_007))
    assert {str(problem) for problem in problems} == {"[Errno 28] the disk does not take the rows of the record"}
    log.close()
