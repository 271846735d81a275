"""From rows to figures: the expected numbers are computed by hand or by NumPy."""

import dataclasses
import gzip
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from include.perf.load.load_plan import REQUEST_COLUMNS, GeneratorLog
from include.perf.measure.distribution import read_distribution
from include.perf.measure.measurement import figures, measure, per_second
from include.perf.measure.request_rows import read_requests
from include.perf.model.errors import LoadError, StoreError
from include.perf.model.json_files import to_json
from include.perf.model.metric import MetricValue, Unit
from include.perf.runs.figures import EndpointFigures, ErrorGroup, LoadFigures, Stall
from tests.fakes.generator import counts_of

# 2026-01-07 12:00:00 UTC
START = 1_767_787_200.0
LOG = GeneratorLog(
    ended="completed",
    version="1 (locust 2.47.0, python 3.11.2)",
    started_at=START,
    measured_from=START + 10,
    measured_to=START + 20,
    arrivals=0,
    schedule_lags=counts_of(*[0.0001] * 98, 0.0011, 0.0011),
    cpu_cores=0.17,
    wanted_cores=0.18,
    wait_ratio=0.05,
    steal_ratio=None,
    concurrency_peak=12,
    capped=3,
    clock_step_s=0.0,
    error_examples={"orders HTTP 503": "busy", "positions timeout": "no complete answer within 10 s"},
    feed_rows={"orders": 3, "positions": 2},
)
LATENCIES = ("latency_p50", "latency_p95", "latency_p99")


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """One request; ``due_s`` counts from the first arrival, and the window is 10 s … 20 s."""

    due_s: float
    latency_s: float = 0.02
    error: str = ""
    status: int = 200
    endpoint: str = "orders"
    lag_s: float = 0.0
    schedule_lag_s: float = 0.0
    phase: str = ""

    def line(self) -> str:
        phase = self.phase or ("measured" if self.due_s >= 10 else "warmup")
        service_s = self.latency_s - self.lag_s
        return (
            f"{START + self.due_s:.6f},{phase},{self.endpoint},{self.status},"
            f"{min(self.lag_s, self.schedule_lag_s):.6f},{self.lag_s:.6f},"
            f"{service_s:.6f},{self.latency_s:.6f},17,{self.error}"
        )


def write(folder: Path, rows: Sequence[Row], log: GeneratorLog | None = LOG) -> Path:
    lines = [",".join(REQUEST_COLUMNS), *(row.line() for row in rows)]
    (folder / "requests.csv.gz").write_bytes(gzip.compress(("\n".join(lines) + "\n").encode()))
    if log is not None:
        arrivals = dataclasses.replace(log, arrivals=len(rows))
        (folder / "generator.json").write_bytes(to_json(arrivals))
    return folder


def measured(folder: Path, rows: Sequence[Row], log: GeneratorLog = LOG) -> LoadFigures:
    return measure(write(folder, rows, log))


def value(load: LoadFigures, name: str) -> float | None:
    return load.metrics[name].value


def test_percentiles_are_exact_over_all_rows(tmp_path: Path) -> None:
    """The same as NumPy's of all rows: no buckets, no averages over endpoints or seconds."""
    random = np.random.default_rng(11)
    latencies = np.round(random.lognormal(-3.5, 0.8, 5_000), 6)
    rows = [
        Row(10 + number / 500, latency, endpoint="orders" if number % 3 else "positions")
        for number, latency in enumerate(latencies)
    ]
    load = measured(tmp_path, rows)
    expected = np.quantile(latencies, [0.50, 0.95, 0.99])
    assert [value(load, name) for name in LATENCIES] == pytest.approx(list(expected), rel=1e-12)
    by_endpoint = {endpoint.name: endpoint for endpoint in load.endpoints}
    assert [getattr(by_endpoint["positions"], name) for name in LATENCIES] == pytest.approx(
        list(np.quantile(latencies[::3], [0.50, 0.95, 0.99])), rel=1e-12
    )
    # 5 000 rows, every third of them from the first on
    assert (by_endpoint["positions"].due, by_endpoint["orders"].due) == (1_667, 3_333)


def test_a_percentile_between_two_rows_is_interpolated(tmp_path: Path) -> None:
    """0.1 … 0.5: p50 is the third, p95 lies at 3.8 of 0 … 4: 0.4 + 0.8 · 0.1."""
    load = measured(tmp_path, [Row(10 + number, number / 10) for number in range(1, 6)])
    assert value(load, "latency_p50") == pytest.approx(0.3)
    assert value(load, "latency_p95") == pytest.approx(0.48)
    assert value(load, "latency_p99") == pytest.approx(0.496)


def test_the_warm_up_is_left_out(tmp_path: Path) -> None:
    """A cold start of 5 s and a failure, both in the warm-up, affect no figure."""
    warmup = [Row(0.0, 5.0), Row(1.0, 0.001, error="HTTP 503", status=503)]
    load = measured(tmp_path, [*warmup, *(Row(10 + number) for number in range(10))])
    assert [value(load, name) for name in LATENCIES] == [0.02, 0.02, 0.02]
    assert (value(load, "error_rate"), value(load, "throughput")) == (0.0, 1.0)
    assert (load.due, load.sent, load.finished, load.failed) == (10, 10, 10, 0)
    assert (load.rows, load.arrivals, load.errors) == (12, 12, ())


def test_fast_failures_do_not_improve_latency(tmp_path: Path) -> None:
    """Half of the requests refused in 1 ms: the latency is that of the other half."""
    good = [Row(10 + number / 100, 0.1) for number in range(300)]
    refused = [Row(10 + number, 0.001, error="connection refused", status=0) for number in range(5)]
    errors = [Row(10 + number, 0.002, error="HTTP 500", status=500) for number in range(5)]
    load = measured(tmp_path, [*good, *refused, *errors])
    assert [value(load, name) for name in LATENCIES] == [0.1, 0.1, 0.1]
    assert value(load, "error_rate") == pytest.approx(10 / 310)


def test_failures_that_leave_too_few_latencies_leave_no_percentile(tmp_path: Path) -> None:
    """60 good answers of 310 requests are enough for p50 and p95, not for p99; the reason names the failures."""
    good = [Row(10 + number / 100, 0.1) for number in range(60)]
    refused = [Row(10 + number / 100, 0.001, error="HTTP 401", status=401) for number in range(250)]
    load = measured(tmp_path, [*good, *refused])
    assert [load.metrics[name].value for name in LATENCIES] == [0.1, 0.1, None]
    assert load.metrics["latency_p99"].reason == (
        "250 of 310 requests failed, mostly with HTTP 401, and the 60 others are too few for it (at least 299 are "
        "needed)"
    )


def test_timeouts_and_unfinished_requests_count_with_the_time_they_waited(tmp_path: Path) -> None:
    """18 answers at 0.1 s, one given up after 10 s, one unfinished after 4 s: p95 and p99 include them."""
    rows = [Row(10 + number / 10, 0.1) for number in range(18)]
    rows += [Row(12, 10.0, error="timeout", status=0), Row(13, 4.0, error="unfinished", status=0)]
    load = measured(tmp_path, rows)
    counted = [0.1] * 18 + [4.0, 10.0]
    assert [value(load, name) for name in LATENCIES] == pytest.approx(list(np.quantile(counted, [0.5, 0.95, 0.99])))
    assert value(load, "latency_p99") == pytest.approx(4.0 + 0.81 * 6.0)  # 0.99 · 19 = 18.81
    assert (load.timed_out, load.unfinished, load.failed, load.finished) == (1, 1, 2, 18)
    assert value(load, "error_rate") == pytest.approx(0.1)


def test_throughput_is_what_was_delivered_within_the_window(tmp_path: Path) -> None:
    """Good answers received in its 10 s, also to requests of the warm-up; not those received afterwards."""
    rows = [
        Row(9.5, 0.4),  # answered at 9.9: before the window
        Row(9.5, 0.6),  # answered at 10.1: counts, though due in the warm-up
        *(Row(10 + number, 0.5) for number in range(10)),  # answered at 10.5 … 19.5
        Row(12.0, 0.5, error="HTTP 503", status=503),
        Row(19.5, 2.0),  # answered at 21.5, when the last answers were waited for
    ]
    load = measured(tmp_path, rows)
    assert value(load, "throughput") == pytest.approx(11 / 10)
    assert (load.due, load.finished, load.failed) == (12, 11, 1)
    assert value(load, "error_rate") == pytest.approx(1 / 12)


def test_a_service_at_its_limit_shows_its_limit(tmp_path: Path) -> None:
    """100/s for 10 s to a service that handles 50/s: it answers all, half of them after the window."""
    rows = [Row(10 + number / 100, (number + 1) / 50 - number / 100, lag_s=0.0) for number in range(1_000)]
    load = measured(tmp_path, rows)
    assert (load.finished, load.failed) == (1_000, 0)
    assert value(load, "throughput") == pytest.approx(50.0)


def test_the_achieved_rate_counts_requests_sent_in_the_window(tmp_path: Path) -> None:
    """10 due; one got its connection only after the window, one never: 8 in 10 s."""
    rows = [Row(10 + number) for number in range(8)]
    rows += [
        Row(19.0, 3.0, lag_s=2.5),  # sent at 21.5
        Row(19.5, 10.0, lag_s=10.0, error="unfinished", status=0),  # never sent
    ]
    load = measured(tmp_path, rows)
    assert (load.due, load.sent) == (10, 8)
    assert load.achieved_rate_rps == pytest.approx(0.8)


def test_the_achieved_rate_of_a_full_run_is_the_requested_one(tmp_path: Path) -> None:
    """500/s × 10 s = 5 000 arrivals."""
    load = measured(tmp_path, [Row(10 + number / 500) for number in range(5_000)])
    assert load.achieved_rate_rps == pytest.approx(500.0)
    assert value(load, "throughput") == pytest.approx(500.0, rel=0.005)


def test_errors_are_grouped_with_an_example(tmp_path: Path) -> None:
    """By endpoint and kind, the most frequent first."""
    rows = [Row(10 + number) for number in range(4)]
    rows += [Row(14, error="HTTP 503", status=503) for _ in range(3)]
    rows += [Row(15, error="HTTP 503", status=503, endpoint="positions") for _ in range(2)]
    rows += [Row(16, 10.0, error="timeout", status=0, endpoint="positions") for _ in range(5)]
    load = measured(tmp_path, rows)
    assert load.errors == (
        ErrorGroup(kind="timeout", endpoint="positions", count=5, example="no complete answer within 10 s"),
        ErrorGroup(kind="HTTP 503", endpoint="orders", count=3, example="busy"),
        ErrorGroup(kind="HTTP 503", endpoint="positions", count=2, example=""),
    )
    assert [(endpoint.name, endpoint.due, endpoint.failed) for endpoint in load.endpoints] == [
        ("orders", 7, 3),
        ("positions", 7, 7),
    ]


def test_requests_are_aggregated_by_second(tmp_path: Path) -> None:
    """By the second in which a request was due; seconds without an answer have no latency."""
    rows = [
        Row(9.0, 0.3),
        Row(9.9999, 0.1),
        Row(10.0, 0.2),
        Row(10.5, 0.4),
        Row(10.6, 0.001, error="HTTP 500", status=500),
        Row(11.2, 0.001, error="connection refused", status=0),
        Row(13.0, 2.0, error="unfinished", status=0, lag_s=2.0),
    ]
    measured(tmp_path, rows)
    table = pd.read_csv(tmp_path / "timeseries.csv")
    assert table.columns.tolist() == [
        *("second", "phase", "due", "sent", "finished", "failed"),
        *("latency_p50_s", "latency_p95_s", "latency_p99_s"),
    ]
    assert table.iloc[:, :6].to_numpy().tolist() == [
        [9, "warmup", 2, 2, 2, 0],
        [10, "measured", 3, 3, 2, 1],
        [11, "measured", 1, 1, 0, 1],
        [13, "measured", 1, 0, 0, 1],
    ]
    assert table["latency_p50_s"].tolist() == pytest.approx([0.2, 0.3, np.nan, 2.0], nan_ok=True)
    assert table["latency_p99_s"].tolist() == pytest.approx([0.298, 0.398, np.nan, 2.0], nan_ok=True)


def test_a_request_due_on_the_second_belongs_to_it(tmp_path: Path) -> None:
    """Times are written with six decimals, and a float of 10.0 may read 9.9999999."""
    rows = read_requests(write(tmp_path, [Row(number / 10) for number in range(100)]) / "requests.csv.gz")
    assert per_second(rows, started_at=START)["due"].tolist() == [10] * 10


def test_a_truncated_record_is_measured_up_to_the_cut(tmp_path: Path) -> None:
    """The end of a gzip file may be missing, and half of its last row."""
    write(tmp_path, [Row(10 + number / 100, 0.001 * (1 + number % 7)) for number in range(1_000)])
    path = tmp_path / "requests.csv.gz"
    path.write_bytes(path.read_bytes()[:-400])
    load = measure(tmp_path)
    assert 500 < load.rows < 1_000
    assert load.arrivals == 1_000
    assert value(load, "latency_p50") == pytest.approx(0.004, abs=1e-9)


def test_a_missing_summary_means_a_killed_generator(tmp_path: Path) -> None:
    """The error says where the requests up to then are."""
    write(tmp_path, [Row(10)], log=None)
    with pytest.raises(LoadError, match="ended without a summary: it was killed, or the machine ran out of memory"):
        measure(tmp_path)


def test_a_damaged_summary_is_refused(tmp_path: Path) -> None:
    """The error names the file and the field."""
    write(tmp_path, [Row(10)])
    (tmp_path / "generator.json").write_text('{"ended": "completed"}', encoding="utf-8")
    with pytest.raises(StoreError, match=r"generator\.json cannot be read: version is missing"):
        measure(tmp_path)


def test_without_a_record_the_load_never_started(tmp_path: Path) -> None:
    """The file is missing."""
    write(tmp_path, [Row(10)])
    (tmp_path / "requests.csv.gz").unlink()
    with pytest.raises(LoadError, match=r"there is no .*requests\.csv\.gz; the load never started"):
        measure(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"is not a record of requests: it begins with ''"),
        (gzip.compress(b"a,b\n1,2\n"), r"is not a record of requests: it begins with 'a,b'"),
        (b"due_at,phase\n", r"is damaged and cannot be decompressed"),
    ],
    ids=["empty", "another table", "not compressed"],
)
def test_another_file_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    """The error shows its beginning, or says that it is damaged."""
    path = tmp_path / "requests.csv.gz"
    path.write_bytes(content)
    with pytest.raises(LoadError, match=message):
        read_requests(path)


def test_a_record_damaged_in_the_middle_is_refused(tmp_path: Path) -> None:
    """Half of the rows would look like a complete run."""
    path = write(tmp_path, [Row(10 + number, 0.001 * number) for number in range(500)]) / "requests.csv.gz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(bytes(content))
    with pytest.raises(LoadError, match="is damaged"):
        read_requests(path)


def test_no_rows_are_no_figures(tmp_path: Path) -> None:
    """No data is never zero: every metric has its reason."""
    load = measured(tmp_path, [])
    nothing_due = "nothing was due in the measured window"
    assert load.metrics == {
        **{name: MetricValue(value=None, unit=Unit.SECONDS, reason=nothing_due) for name in LATENCIES},
        "throughput": MetricValue(value=None, unit=Unit.REQUESTS_PER_SECOND, reason=nothing_due),
        "error_rate": MetricValue(value=None, unit=Unit.RATIO, reason=nothing_due),
    }
    assert (load.due, load.rows, load.endpoints, load.errors) == (0, 0, (), ())
    assert (tmp_path / "timeseries.csv").read_text(encoding="utf-8").splitlines() == [
        "second,phase,due,sent,finished,failed,latency_p50_s,latency_p95_s,latency_p99_s"
    ]


def test_a_load_that_ended_in_its_warm_up_has_no_rate(tmp_path: Path) -> None:
    """Its window is empty: 0 requests in 0 s is not a rate of zero."""
    stopped = dataclasses.replace(LOG, ended="stopped by SIGTERM", measured_from=START + 4, measured_to=START + 4)
    load = measured(tmp_path, [Row(1.0), Row(2.0)], stopped)
    assert (load.achieved_rate_rps, value(load, "throughput"), value(load, "latency_p50")) == (None, None, None)
    assert (load.rows, load.due, load.generator.ended) == (2, 0, "stopped by SIGTERM")


def test_when_every_request_failed_there_is_no_latency(tmp_path: Path) -> None:
    """Throughput is then really 0, and the error rate 1."""
    load = measured(tmp_path, [Row(10 + number, 0.001, error="HTTP 500", status=500) for number in range(10)])
    assert (value(load, "throughput"), value(load, "error_rate")) == (0.0, 1.0)
    assert {load.metrics[name].reason for name in LATENCIES} == {"10 of 10 requests failed, mostly with HTTP 500"}
    nothing = dict.fromkeys(LATENCIES)
    assert load.endpoints == (EndpointFigures(name="orders", due=10, failed=10, **nothing, rows=3, throughput=0.0),)


def test_the_generator_s_own_figures_are_reported(tmp_path: Path) -> None:
    """Its schedule lag is separate from the wait for a free connection, which the target causes."""
    load = measured(tmp_path, [Row(10 + number, 0.5, lag_s=0.4 if number == 9 else 0.0) for number in range(10)])
    generator = load.generator
    assert generator.schedule_lag_p99_s == pytest.approx(0.0011, rel=0.005)  # the 99th of 100
    assert generator.start_lag_p99_s == pytest.approx(0.4 * 0.91)  # 0.99 · 9 = 8.91
    assert (generator.cpu_cores, generator.wanted_cores, generator.concurrency_peak) == (0.17, 0.18, 12)
    assert (generator.capped, generator.ended, generator.clock_step_s) == (3, "completed", 0.0)


def test_the_generator_s_share_of_a_latency_is_known(tmp_path: Path) -> None:
    """100 requests of 20 ms, released 1 ms late; 3 more waited 0.4 s for a free connection, because of the target."""
    rows = [Row(10 + number / 10, 0.021, lag_s=0.001, schedule_lag_s=0.001) for number in range(97)]
    rows += [Row(19.8, 0.42, lag_s=0.4, schedule_lag_s=0.001) for _ in range(3)]
    generator = measured(tmp_path, rows).generator
    assert generator.distortion == pytest.approx(dict.fromkeys(LATENCIES, 0.001), abs=1e-9)


def test_rows_are_counted_by_endpoint(tmp_path: Path) -> None:
    """The number of different requests, from the summary of the load process."""
    load = measured(tmp_path, [Row(11.0), Row(12.0, endpoint="positions")])
    assert {endpoint.name: endpoint.rows for endpoint in load.endpoints} == {"orders": 3, "positions": 2}


def test_the_window_is_the_one_that_was_driven(tmp_path: Path) -> None:
    """In UTC, to the millisecond, so that Prometheus is queried about the same window."""
    log = dataclasses.replace(LOG, measured_from=START + 10.125, measured_to=START + 20.5)
    load = measured(tmp_path, [Row(11.0)], log)
    assert load.window.start.isoformat() == "2026-01-07T12:00:10.125000+00:00"
    assert load.window.duration_s == pytest.approx(10.375)
    assert load.started_at.isoformat() == "2026-01-07T12:00:00+00:00"


def test_figures_of_rows_are_those_of_the_file(tmp_path: Path) -> None:
    """Reading and computing are separate, so that rows may come from anywhere."""
    folder = write(tmp_path, [Row(10 + number) for number in range(10)])
    rows = read_requests(folder / "requests.csv.gz")
    assert figures(rows, dataclasses.replace(LOG, arrivals=10)) == measure(folder)


def test_nothing_here_imports_locust() -> None:
    """Measuring runs in Airflow's processes, where Locust must never be imported."""
    assert "locust" not in sys.modules


# The other files of a load


def test_the_distribution_has_the_latencies_of_the_window(tmp_path: Path) -> None:
    """Good answers and timeouts; not the warm-up, and no failure that was answered."""
    rows = [Row(5, 0.5), *(Row(10 + number, 0.02) for number in range(3)), Row(14, 10.0, error="timeout", status=0)]
    measured(tmp_path, [*rows, Row(15, 0.001, error="HTTP 503", status=503)])
    found = read_distribution((tmp_path / "distribution.csv").read_bytes(), where="distribution.csv")
    assert found is not None
    assert found.counts == (3, 1)
    assert [round(middle, 2) for middle in found.quantiles([0.5, 1.0])] == [0.02, pytest.approx(10.0, rel=0.01)]


def test_without_an_answer_the_distribution_is_empty(tmp_path: Path) -> None:
    """The file has only its header."""
    measured(tmp_path, [])
    assert (tmp_path / "distribution.csv").read_text(encoding="ascii") == "lower_s,upper_s,count\n"


def test_a_stall_is_part_of_the_figures(tmp_path: Path) -> None:
    """From 15 s on the service sleeps for two seconds, in which 40 requests become due."""
    rows = [Row(number / 20, 0.02 if not 15 <= number / 20 < 17 else 17 - number / 20) for number in range(400)]
    assert measured(tmp_path, rows).stalls == (Stall(start_s=15.0, duration_s=2.0),)


# How a run varies within itself

MINUTES = dataclasses.replace(LOG, measured_to=START + 10 + 300)


def minutes(*latencies_s: float) -> list[Row]:
    """Return a request every second; each minute of the window has its own latency."""
    return [Row(10 + 60 * n + s, latency_s=latency_s) for n, latency_s in enumerate(latencies_s) for s in range(60)]


def test_the_spread_within_a_run_is_that_of_its_minutes(tmp_path: Path) -> None:
    """Log latencies of −2δ, −δ, 0, δ, 2δ: the standard deviation of five is δ · √(10 / 4)."""
    steps = [20.0 * np.exp(0.1 * step) / 1000 for step in (-2, -1, 0, 1, 2)]
    found = measured(tmp_path, minutes(*steps), MINUTES).within_run
    assert found == {name: pytest.approx(0.1 * np.sqrt(2.5), rel=1e-3) for name in LATENCIES}


def test_a_steady_run_has_no_spread(tmp_path: Path) -> None:
    """All five minutes are the same."""
    found = measured(tmp_path, minutes(*[0.02] * 5), MINUTES).within_run
    assert found == {name: pytest.approx(0.0, abs=1e-12) for name in LATENCIES}


def test_the_spread_of_a_short_run_is_unknown(tmp_path: Path) -> None:
    """Four minutes and 59 seconds are four minutes: too few."""
    short = dataclasses.replace(LOG, measured_to=START + 10 + 299)
    assert measured(tmp_path, minutes(0.02, 0.03, 0.02, 0.03), short).within_run == {}


def test_an_incomplete_minute_is_left_out(tmp_path: Path) -> None:
    """The last half minute of 5:30 is ten times as slow and does not count; nor does the warm-up."""
    long = dataclasses.replace(LOG, measured_to=START + 10 + 330)
    rows = [Row(5, latency_s=9.0), *minutes(*[0.02] * 5), *(Row(310 + s, latency_s=0.2) for s in range(30))]
    assert measured(tmp_path, rows, long).within_run["latency_p50"] == pytest.approx(0.0, abs=1e-12)


def test_minutes_without_an_answer_are_left_out(tmp_path: Path) -> None:
    """Fast failures have no latency; with one minute left there is nothing to compare."""
    failed = [dataclasses.replace(row, error="HTTP 500") for row in minutes(*[0.001] * 5)]
    assert measured(tmp_path, failed, MINUTES).within_run == {}
    one = [*minutes(0.02), *failed[60:]]
    assert measured(tmp_path, one, MINUTES).within_run == {}
