"""The raw record as a table: read in pieces, and only the requested columns."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from include.perf.load.load_plan import REQUEST_COLUMNS
from include.perf.load.worker_parts import CHUNK
from include.perf.measure.request_rows import read_requests

ROWS = 60_000
LATENCIES = np.round(np.random.default_rng(3).lognormal(-4, 0.5, ROWS), 6).tolist()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Write a record of several pieces, whose second half has another endpoint and an error."""
    lines = [",".join(REQUEST_COLUMNS)]
    for number, latency_s in enumerate(LATENCIES):
        name, error = ("orders", "") if number < ROWS // 2 else ("positions", "HTTP 503")
        due_at = 1_767_787_200 + number / 500
        lines.append(f"{due_at:.6f},measured,{name},200,0.0001,0.0002,{latency_s:.6f},{latency_s:.6f},90,{error}")
    path = tmp_path / "requests.csv.gz"
    path.write_bytes(gzip.compress(("\n".join(lines) + "\n").encode(), 1))
    assert path.stat().st_size > 2 * CHUNK
    return path


def test_pieces_are_one_table(path: Path) -> None:
    """No row is lost or cut between two pieces, and categories that appear late are complete."""
    rows = read_requests(path)
    assert tuple(rows.columns) == REQUEST_COLUMNS
    assert len(rows) == ROWS
    assert rows["latency_s"].tolist() == LATENCIES
    assert rows["endpoint"].value_counts().to_dict() == {"orders": ROWS // 2, "positions": ROWS // 2}
    assert sorted(rows["error"].cat.categories) == ["", "HTTP 503"]


def test_only_requested_columns_are_kept(path: Path) -> None:
    """In small types: a text takes a byte, a status two."""
    rows = read_requests(path, ("due_at", "status", "error"))
    assert list(rows.columns) == ["due_at", "status", "error"]
    assert rows.memory_usage(index=False, deep=True).sum() < ROWS * (8 + 2 + 1) + 1_000


@pytest.mark.parametrize("cut", [100, 5_000, 2 * CHUNK])
def test_a_truncated_record_is_read_up_to_its_last_complete_line(path: Path, cut: int) -> None:
    """A killed process may leave it truncated anywhere."""
    path.write_bytes(path.read_bytes()[:-cut])
    left = read_requests(path, ("latency_s",))["latency_s"].tolist()
    assert 0 < len(left) < ROWS
    assert left == LATENCIES[: len(left)]
