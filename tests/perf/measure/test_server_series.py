"""The server-side metrics over time: the queries and the file."""

import logging
from datetime import UTC, datetime, timedelta

import pytest

from include.perf.measure.metrics_source import Sample
from include.perf.measure.server_series import MAX_POINTS, ServerSeries, read_server_series, scrape_series
from include.perf.model.errors import NoData, PrometheusError, PrometheusUnavailable, QueryRejected, StoreError
from tests.fakes.metrics import FakeMetrics
from tests.fakes.small_catalogue import SELECTOR, small_service

BEGIN = datetime(2026, 3, 2, 6, 40, 0, 250_000, tzinfo=UTC)
HEADER = "second,cpu_usage,memory_usage,disk_usage"


def query(metric: str, window: str) -> str:
    return small_service().prometheus.query(metric, window=window)


def scraped(metrics: FakeMetrics, *, total_s: float = 20, interval_s: float = 1) -> ServerSeries | None:
    service = small_service(prometheus={"selector": SELECTOR, "scrape_interval_s": interval_s})
    return scrape_series(service, started_at=BEGIN, ended_at=BEGIN + timedelta(seconds=total_s), source=metrics)


def samples(*values: tuple[float, float]) -> tuple[Sample, ...]:
    """Return samples at these seconds after the begin."""
    return tuple(Sample(at=BEGIN + timedelta(seconds=asked_s), value=value) for asked_s, value in values)


def test_a_value_has_the_time_of_the_middle_of_its_average() -> None:
    """Scraped every second, a value averages 4 s: a query at 4 s is the value of second 2."""
    metrics = FakeMetrics({})
    metrics.over_time[query("cpu_usage", "4000ms")] = samples((4, 1.5), (5, 1.75))
    metrics.over_time[query("memory_usage", "4000ms")] = samples((5, 2**30), (6, 2**31))
    found = scraped(metrics)
    assert found == ServerSeries(
        seconds=(2, 3, 4),
        values={
            "cpu_usage": (1.5, 1.75, None),
            "memory_usage": (None, 2.0**30, 2.0**31),
            "disk_usage": (None, None, None),
        },
    )
    assert found.to_csv().decode().splitlines() == [HEADER, "2,1.5,,", "3,1.75,1.07374182e+09,", "4,,2.14748365e+09,"]


@pytest.mark.parametrize(
    ("total_s", "interval_s", "window", "first_s", "step_s"),
    [
        (20, 1, "4000ms", 4, 1),
        (10, 0.2, "2000ms", 2, 1),  # never finer than a second
        (960, 5, "20000ms", 20, 5),
        (960, 15, "60000ms", 60, 15),
        (3660, 1, "4000ms", 4, 6),  # 3 660 / 720 = 5.1
    ],
)
def test_only_the_run_is_queried(total_s: float, interval_s: float, window: str, first_s: float, step_s: float) -> None:
    """The first average ends four scrapes after the begin, the last with the run: nothing outside it is included."""
    metrics = FakeMetrics({})
    scraped(metrics, total_s=total_s, interval_s=interval_s)
    expected = (BEGIN + timedelta(seconds=first_s), BEGIN + timedelta(seconds=total_s), step_s)
    assert [asked[0] for asked in metrics.asked_over_time] == [
        query(name, window) for name in ("cpu_usage", "memory_usage", "disk_usage")
    ]
    assert {asked[1:] for asked in metrics.asked_over_time} == {expected}
    assert total_s / step_s <= MAX_POINTS


@pytest.mark.parametrize("error", [NoData("no data"), QueryRejected("parse error"), PrometheusUnavailable("down")])
def test_a_metric_that_cannot_be_read_is_only_logged(error: PrometheusError, caplog: pytest.LogCaptureFixture) -> None:
    """The run keeps its verdict, and the other metrics are kept."""
    metrics = FakeMetrics({})
    metrics.over_time[query("cpu_usage", "4000ms")] = error
    metrics.over_time[query("disk_usage", "4000ms")] = samples((4, 0.4))
    with caplog.at_level(logging.INFO):
        found = scraped(metrics)
    assert found is not None
    assert (found.seconds, found.values["disk_usage"], found.values["cpu_usage"]) == ((2,), (0.4,), (None,))
    assert f"cannot read CPU of orders-service over time: {error}" in caplog.messages


def test_without_any_sample_there_is_no_series() -> None:
    """Nor for a run shorter than the averaging window, about which nothing is queried."""
    assert scraped(FakeMetrics({})) is None
    short = FakeMetrics({})
    assert scraped(short, total_s=3) is None
    assert short.asked_over_time == []


def test_a_written_series_is_read_unchanged() -> None:
    """Gaps stay gaps and do not become zeros."""
    series = ServerSeries(
        seconds=(2, 7),
        values={"cpu_usage": (1.5, None), "memory_usage": (None, 2.0**20), "disk_usage": (0.25, 0.5)},
    )
    assert read_server_series(series.to_csv(), where="server.csv") == series
    assert read_server_series(f"{HEADER}\n".encode(), where="server.csv") is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the columns must be"),
        ("second,cpu\n1,2\n", "the columns must be second,cpu_usage,memory_usage,disk_usage, but are second,cpu"),
        (f"{HEADER}\n1,2\n", "every row must have 4 fields, but one has"),
        (f"{HEADER}\n1,2,3,4\n2,3\n", "every row must have 4 fields, but one has"),
        (f"{HEADER}\nx,2,3,4\n", "'x' is not an integer"),
        (f"{HEADER}\n1,2,x,4\n", "'x' is not a number"),
        (f"{HEADER}\n1,2,nan,4\n", "a value must be finite, but is nan"),
    ],
)
def test_an_invalid_series_is_refused(content: str, message: str) -> None:
    """The error names the file and the problem."""
    with pytest.raises(StoreError, match=r"server\.csv is not a series of server-side metrics: .*" + message):
        read_server_series(content.encode(), where="server.csv")
