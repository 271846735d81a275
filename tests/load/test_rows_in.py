"""The rows of a worker at the master: written at once, and refused when they cannot be used."""

import gzip
from pathlib import Path

import pytest

from include.load.conversation import MessageMalformed
from include.load.rows_in import ROW_BYTES, SPARE_BYTES, RowsIn
from include.load.rows_out import PIECE_BYTES
from include.perf.load.worker_parts import complete_lines


def test_rows_are_on_the_disk_at_once(tmp_path: Path) -> None:
    """In pieces of any size, and from more than one gzip stream."""
    path = tmp_path / "rows.gz"
    rows = RowsIn(path, arrivals=2)
    content = gzip.compress(b"one\n") + gzip.compress(b"two\n")
    for at in range(0, len(content), 7):
        rows.write(content[at : at + 7])
        assert path.read_bytes() == content[: at + 7]
    rows.close()
    assert gzip.decompress(path.read_bytes()) == b"one\ntwo\n"


def test_rows_before_the_damage_are_kept(tmp_path: Path) -> None:
    """Damaged rows would make the record of all workers unreadable."""
    path = tmp_path / "rows.gz"
    rows = RowsIn(path, arrivals=10)
    good = gzip.compress(b"one\n" * 1_000)
    rows.write(good[:-4])
    with pytest.raises(MessageMalformed, match="its rows cannot be decompressed"):
        rows.write(b"\x00\x01\x02\x03")
    rows.close()
    assert b"".join(complete_lines(path)) == b"one\n" * 1_000


def test_rows_that_are_no_gzip_are_refused(tmp_path: Path) -> None:
    """Nothing of them is written."""
    rows = RowsIn(tmp_path / "rows.gz", arrivals=10)
    with pytest.raises(MessageMalformed, match="its rows cannot be decompressed"):
        rows.write(b"due_at,phase\n")
    rows.close()
    assert (tmp_path / "rows.gz").read_bytes() == b""


def test_a_piece_that_is_too_old_is_refused(tmp_path: Path) -> None:
    """Workers send pieces of 256 KiB."""
    rows = RowsIn(tmp_path / "rows.gz", arrivals=10)
    with pytest.raises(MessageMalformed, match="its rows are too many at once"):
        rows.write(bytes(PIECE_BYTES + 1))
    rows.close()


def test_a_bomb_is_refused(tmp_path: Path) -> None:
    """64 KiB that stand for 64 MiB, where a part of ten arrivals has 5 kB; only the first pieces are decompressed."""
    rows = RowsIn(tmp_path / "rows.gz", arrivals=10)
    assert 10 * ROW_BYTES + SPARE_BYTES < 64 << 20
    with pytest.raises(MessageMalformed, match="its rows are longer than those of its part of the load"):
        rows.write(gzip.compress(bytes(64 << 20)))
    rows.close()
