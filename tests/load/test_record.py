"""The raw record: what is written is read back, also from a file that a killed process left."""

import gzip
import time
import zlib
from pathlib import Path

import pytest

from include.load.record import EXAMPLE_LENGTH, Outcome, ProcessorClock, RequestLog
from include.perf.load_plan import REQUEST_COLUMNS
from include.perf.measurement import read_requests
from tests.socket_servers import python


def add(log: RequestLog, number: int, outcome: Outcome | None = None) -> None:
    log.add(
        due_s=number / 100,
        phase="measured",
        endpoint="orders",
        start_lag_s=0.001,
        service_time_s=0.02 + number / 1000,
        outcome=outcome or Outcome(200, 17),
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "requests.csv.gz"


def test_a_row_is_what_happened(path: Path) -> None:
    """One line a request, times in seconds with six decimals, the latency counted from the due time."""
    log = RequestLog(path)
    log.first_due_at = 1_767_787_200.5
    add(log, 1)
    log.add(
        due_s=0.02,
        phase="warmup",
        endpoint="positions",
        start_lag_s=0.5,
        service_time_s=10.0,
        outcome=Outcome(error="timeout", example="no whole answer within 10 s"),
    )
    log.close()
    assert gzip.decompress(path.read_bytes()).decode().splitlines() == [
        ",".join(REQUEST_COLUMNS),
        "1767787200.510000,measured,orders,200,0.001000,0.021000,0.022000,17,",
        "1767787200.520000,warmup,positions,0,0.500000,10.000000,10.500000,0,timeout",
    ]


def test_counts_and_examples(path: Path) -> None:
    """Failures are counted by hand of their kind, and the first example of each is kept, cut short."""
    log = RequestLog(path)
    for number in range(3):
        add(log, number)
    add(log, 3, Outcome(503, 4, "HTTP 503", "busy"))
    add(log, 4, Outcome(503, 4, "HTTP 503", "another"))
    add(log, 5, Outcome(error="broken answer", example="x" * 1000))
    log.close()
    assert (log.rows, log.finished, log.failed) == (6, 3, 3)
    assert log.examples == {"orders HTTP 503": "busy", "orders broken answer": "x" * EXAMPLE_LENGTH}
    assert list(read_requests(path)["error"]) == ["", "", "", "HTTP 503", "HTTP 503", "broken answer"]


def test_a_flush_can_be_read_while_the_record_grows(path: Path) -> None:
    """Everything up to the flush, nothing after it."""
    log = RequestLog(path)
    for number in range(5):
        add(log, number)
    log.flush()
    add(log, 5)
    assert len(read_requests(path)) == 5
    log.flush()
    assert len(read_requests(path)) == 6
    log.close()
    assert len(read_requests(path)) == 6


def test_an_empty_record_has_a_header(path: Path) -> None:
    """A load that was stopped before its first arrival left no rows, but a record."""
    RequestLog(path).close()
    rows = read_requests(path)
    assert (len(rows), list(rows.columns)) == (0, list(REQUEST_COLUMNS))


def test_a_record_cut_anywhere_gives_its_whole_rows(path: Path) -> None:
    """A full disk or a kill may cut a file in the middle of a row or of a compressed block."""
    log = RequestLog(path)
    for number in range(200):
        add(log, number)
        if number % 20 == 0:
            log.flush()
    log.close()
    whole, content = read_requests(path), path.read_bytes()
    counts = []
    for cut in range(100, len(content), 97):
        path.write_bytes(content[:cut])
        rows = read_requests(path)
        counts.append(len(rows))
        assert rows["latency_s"].tolist() == whole["latency_s"].tolist()[: len(rows)]
    assert counts == sorted(counts)
    assert counts[0] < 50 < counts[-1]


WRITER = """
import sys, time
from pathlib import Path
from include.load.record import Outcome, RequestLog
log = RequestLog(Path(sys.argv[1]))
def add(count):
    for number in range(count):
        log.add(due_s=number, phase="measured", endpoint="orders", start_lag_s=0.0, service_time_s=0.01,
                outcome=Outcome(200, 1))
add(1000)
log.flush()
add(500)
print("flushed", flush=True)
time.sleep(60)
"""


@pytest.mark.integration
def test_a_killed_process_leaves_every_flushed_row(path: Path) -> None:
    """SIGKILL gives no chance to end the file; what was flushed is with the kernel."""
    with python("-c", WRITER, str(path), stdout=-1) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"flushed\n"
        writer.kill()
        writer.wait(timeout=10)
    assert len(read_requests(path)) == 1000
    with pytest.raises(zlib.error):
        zlib.decompress(path.read_bytes(), 31)


def test_the_processor_clock_sees_what_was_used() -> None:
    """A process that works all the time uses up to one core, and wants at least as much."""
    clock = ProcessorClock()
    wall, used = time.perf_counter(), time.process_time()
    while time.process_time() - used < 0.2:
        pass
    cores, wanted = clock.since_start()
    share = (time.process_time() - used) / (time.perf_counter() - wall)
    assert cores == pytest.approx(share, rel=0.1)
    assert wanted is None or wanted >= cores


def test_a_waiting_process_uses_nothing() -> None:
    """Waiting for answers is no work."""
    clock = ProcessorClock()
    time.sleep(0.3)
    cores, _ = clock.since_start()
    assert cores < 0.1
