"""The figures of a record with journeys: no request counts twice."""

import gzip
from dataclasses import replace
from pathlib import Path

import pytest

from include.perf.load.load_plan import JOURNEY_COLUMNS, REQUEST_COLUMNS
from include.perf.measure.measurement import COLUMNS, figures, per_second
from include.perf.measure.request_rows import read_record, read_requests
from tests.perf.measure.test_measurement import LOG, START

ROWS = [
    # due, phase, endpoint, status, latency, error, arrival, part
    (10.0, "measured", "positions", 200, 0.010, "", "", ""),
    (10.0, "measured", "orders/quote", 200, 0.020, "", "1", "step"),
    (10.1, "measured", "orders/place", 201, 0.030, "", "1", "step"),
    (10.0, "measured", "orders", 201, 0.130, "", "1", "journey"),
    (11.0, "measured", "orders/quote", 200, 0.040, "", "2", "step"),
    (11.1, "measured", "orders/place", 503, 0.001, "HTTP 503", "2", "step"),
    (11.0, "measured", "orders", 503, 0.101, "abandoned at orders/place", "2", "journey"),
    (12.0, "measured", "orders/quote", 0, 0.300, "timeout", "3", "step"),
    (12.0, "measured", "orders", 0, 0.300, "timeout", "3", "journey"),
    (1.0, "warmup", "orders", 0, 9.0, "timeout", "0", "journey"),
]


@pytest.fixture
def record(tmp_path: Path) -> Path:
    """A record with one request of an endpoint, and three journeys: one good, one abandoned, one timed out."""
    lines = [",".join((*REQUEST_COLUMNS, *JOURNEY_COLUMNS))]
    for due_s, phase, endpoint, status, latency_s, error, arrival, part in ROWS:
        times = f"0.000000,0.000000,{latency_s:.6f},{latency_s:.6f}"
        lines.append(f"{START + due_s:.6f},{phase},{endpoint},{status},{times},2,{error},{arrival},{part}")
    path = tmp_path / "requests.csv.gz"
    path.write_bytes(gzip.compress("\n".join([*lines, ""]).encode()))
    return path


def test_requests_and_journeys_are_read_apart(record: Path) -> None:
    """Whoever asks for requests gets no journeys."""
    rows = read_record(record)
    assert (len(rows.requests), len(rows.journeys)) == (6, 4)
    assert list(rows.requests.columns) == list(REQUEST_COLUMNS)
    assert len(read_requests(record, ("latency_s",))) == 6
    assert set(read_requests(record, (*REQUEST_COLUMNS, *JOURNEY_COLUMNS))["part"]) == {"", "step"}


def test_the_figures_of_the_load_are_those_of_requests(record: Path) -> None:
    """Six requests, of which two failed; three journeys, of which two were abandoned."""
    rows, journeys = read_record(record, COLUMNS)
    found = figures(rows, replace(LOG, rows=6, measured_arrivals=4), journeys=journeys)
    assert (found.due, found.finished, found.failed, found.timed_out) == (6, 4, 2, 1)
    assert found.metrics["error_rate"].value == pytest.approx(2 / 6)
    assert found.metrics["latency_p50"].value == pytest.approx(0.030)  # of 10, 20, 30, 40, 300 ms
    names = [(endpoint.name, endpoint.due, endpoint.failed) for endpoint in found.endpoints]
    assert names == [("orders/place", 2, 1), ("orders/quote", 3, 1), ("positions", 1, 0)]
    (orders,) = found.journeys
    assert (orders.name, orders.due, orders.abandoned) == ("orders", 3, 2)
    assert orders.reasons == {"abandoned at orders/place": 1, "timeout": 1}
    assert orders.latency_p50 == pytest.approx((0.130 + 0.300) / 2)  # a fast failure makes no journey fast
    assert found.achieved_rate_rps == pytest.approx(4 / found.window.duration_s)


def test_the_time_series_counts_requests(record: Path) -> None:
    """Three are due in the first of these seconds."""
    seconds = per_second(read_record(record, COLUMNS).requests, started_at=START)
    assert list(seconds["due"]) == [3, 2, 1]
