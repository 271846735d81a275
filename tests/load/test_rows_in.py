"""The rows of a worker at the master: written in a thread, and refused when they cannot be used."""

import gzip
import threading
from pathlib import Path

import gevent
import pytest

from include.load import rows_in
from include.load.conversation import MessageMalformed
from include.load.rows_in import ROW_BYTES, SPARE_BYTES, DiskProblem, RowsIn, write_in_time
from include.load.rows_out import PIECE_BYTES
from include.perf.load.worker_parts import complete_lines


def ended(rows: RowsIn) -> None:
    """Wait until all rows are written."""
    rows.end()
    rows.await_end(timeout_s=60.0)


def test_rows_are_written_while_more_are_expected(tmp_path: Path) -> None:
    """In pieces of any size, and from more than one gzip stream."""
    path = tmp_path / "rows.gz"
    rows = RowsIn(path, arrivals=2)
    content = gzip.compress(b"one\n") + gzip.compress(b"two\n")
    for at in range(0, len(content), 7):
        rows.write(content[at : at + 7])
    with gevent.Timeout(60):
        while not path.exists() or path.read_bytes() != content:
            gevent.sleep(0.01)
    ended(rows)
    assert gzip.decompress(path.read_bytes()) == b"one\ntwo\n"


def test_rows_before_the_damage_are_kept(tmp_path: Path) -> None:
    """Damaged rows would make the record of all workers unreadable."""
    path = tmp_path / "rows.gz"
    rows = RowsIn(path, arrivals=10)
    good = gzip.compress(b"one\n" * 1_000)
    rows.write(good[:-4])
    with pytest.raises(MessageMalformed, match="its rows cannot be decompressed"):
        rows.write(b"\x00\x01\x02\x03")
    ended(rows)
    assert b"".join(complete_lines(path)) == b"one\n" * 1_000


def test_rows_that_are_no_gzip_are_refused(tmp_path: Path) -> None:
    """Nothing of them is written."""
    rows = RowsIn(tmp_path / "rows.gz", arrivals=10)
    with pytest.raises(MessageMalformed, match="its rows cannot be decompressed"):
        rows.write(b"due_at,phase\n")
    ended(rows)
    assert (tmp_path / "rows.gz").read_bytes() == b""


def test_a_disk_that_hangs_blocks_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows wait in memory up to a limit, and the end is awaited for a limited time; other greenlets go on."""
    repaired = threading.Event()
    monkeypatch.setattr(rows_in, "_append", lambda *_: repaired.wait(60))
    monkeypatch.setattr(rows_in, "MAX_UNWRITTEN", 3)
    rows, stream = RowsIn(tmp_path / "rows.gz", arrivals=1_000), gzip.compress(b"one\n" * 10)
    for _ in range(3):
        rows.write(stream)
    with pytest.raises(DiskProblem, match=r"^the disk is too slow$"):
        rows.write(stream)
    with pytest.raises(DiskProblem, match=r"^the disk took longer than 0\.1 s$"):
        rows.await_end(timeout_s=0.1)
    with pytest.raises(DiskProblem, match=r"^the disk took longer than 0\.1 s$"):
        write_in_time(lambda: repaired.wait(60), timeout_s=0.1)
    repaired.set()
    assert write_in_time(lambda: 7, timeout_s=60.0) == 7
    gevent.sleep(0)
    ended(rows)


def test_a_full_disk_is_reported(tmp_path: Path) -> None:
    """With the next rows, and at the end."""
    rows = RowsIn(Path("/dev/full"), arrivals=10)
    stream = gzip.compress(b"one\n")
    rows.write(stream)
    rows.end()
    with pytest.raises(DiskProblem, match=r"^No space left on device$"):
        rows.await_end(timeout_s=60.0)
    with pytest.raises(DiskProblem, match=r"^No space left on device$"):
        rows.write(stream)


def test_a_piece_that_is_too_long_is_refused(tmp_path: Path) -> None:
    """Workers send pieces of 256 KiB."""
    rows = RowsIn(tmp_path / "rows.gz", arrivals=10)
    with pytest.raises(MessageMalformed, match="its rows are too many at once"):
        rows.write(bytes(PIECE_BYTES + 1))
    ended(rows)


def test_a_bomb_is_refused(tmp_path: Path) -> None:
    """64 KiB that stand for 64 MiB, where a part of ten arrivals has 5 kB; only the first pieces are decompressed."""
    rows = RowsIn(tmp_path / "rows.gz", arrivals=10)
    assert 10 * ROW_BYTES + SPARE_BYTES < 64 << 20
    with pytest.raises(MessageMalformed, match="its rows are longer than those of its part of the load"):
        rows.write(gzip.compress(bytes(64 << 20)))
    ended(rows)
