"""The server-side metrics: the queries, their times, and the figures from the answers."""

from datetime import UTC, datetime, timedelta

import pytest

from include.perf.measure.scraping import is_scraped, scrape_figures
from include.perf.model.errors import NoData, PartialAnswer, PrometheusUnavailable, QueryRejected
from include.perf.runs.figures import ServerFigures, Window
from tests.fakes.metrics import IS_SCRAPED, FakeMetrics, coverage_query, healthy_answers, started_query
from tests.fakes.small_catalogue import SELECTOR, small_service

BEGIN = datetime(2026, 3, 2, 6, 40, tzinfo=UTC)
WINDOW = Window(start=BEGIN, end=BEGIN + timedelta(seconds=10))


def scraped(metrics: FakeMetrics, window: Window = WINDOW, *, interval_s: float = 1) -> ServerFigures:
    target = {"selector": SELECTOR, "scrape_interval_s": interval_s}
    return scrape_figures(small_service(prometheus=target), window, metrics)


def test_figures_and_coverage() -> None:
    """Each metric has the value and unit of its query; ten of ten scrapes are full coverage."""
    figures = scraped(FakeMetrics(healthy_answers()))
    assert figures.coverage_ratio == 1.0
    assert figures.problem is None
    assert {name: (metric.value, metric.unit.value) for name, metric in figures.metrics.items()} == {
        "cpu_usage": (1.5, "cores"),
        "memory_usage": (512.0 * 1024**2, "bytes"),
        "disk_usage": (0.40, "ratio"),
    }


def test_exactly_the_measured_window_is_queried() -> None:
    """The window goes into every query in milliseconds, and each is evaluated at the window's end."""
    window = Window(start=BEGIN, end=BEGIN + timedelta(seconds=60.0084))  # rounded to 60 008 ms
    metrics = FakeMetrics(healthy_answers("60008ms") | {coverage_query("60008ms"): 60.0})
    scraped(metrics, window)
    selector = f"{{{SELECTOR}}}"
    selected = f"{{{SELECTOR}}}[60008ms]"
    disk = f'{{{SELECTOR},mountpoint="/"}}[60008ms]'
    assert metrics.asked[1:4] == [
        (f"min(sum_over_time(up{selector}[2000ms]))", window.start + timedelta(seconds=2)),
        (f"min(sum_over_time(up{selector}[2000ms]))", window.end),
        (f"max(max_over_time(process_start_time_seconds{selector}[62008ms]))", window.end + timedelta(seconds=2)),
    ]
    of_the_window = [metrics.asked[0], *metrics.asked[4:]]
    assert [query for query, _ in of_the_window] == [
        f"min(sum_over_time(up{selected}))",
        f"sum(rate(process_cpu_seconds_total{selected}))",
        f"sum(avg_over_time(process_resident_memory_bytes{selected}))",
        f"1 - min(avg_over_time(node_filesystem_avail_bytes{disk}) / avg_over_time(node_filesystem_size_bytes{disk}))",
    ]
    assert {at for _, at in of_the_window} == {window.end}


@pytest.mark.parametrize(
    ("scrapes", "interval_s", "coverage"),
    [
        (10.0, 1.0, 1.0),  # 10 of 10 − 1, capped
        (9.0, 1.0, 1.0),  # the window may begin just after a scrape
        (8.0, 1.0, 8 / 9),
        (0.0, 1.0, 0.0),  # scraped, and down all the time
        (3.0, 2.5, 1.0),  # 10 / 2.5 − 1 = 3
        (2.0, 2.5, 2 / 3),
        (1.0, 15.0, 1.0),  # shorter than an interval: one is expected
    ],
)
def test_coverage(scrapes: float, interval_s: float, coverage: float) -> None:
    """The expected number is window / interval − 1, because the window may just miss one scrape."""
    began = {started_query(f"{10_000 + 2000 * interval_s:g}ms"): BEGIN.timestamp() - 60}
    at_the_ends = {coverage_query(f"{2000 * interval_s:g}ms"): 1.0}
    metrics = FakeMetrics(healthy_answers() | at_the_ends | began | {coverage_query(): scrapes})
    figures = scraped(metrics, interval_s=interval_s)
    assert figures.coverage_ratio == pytest.approx(coverage)
    reasons = {metric.reason for metric in figures.metrics.values()}
    assert reasons == ({None} if coverage == 1 else {f"only {coverage:.0%} of the scrapes succeeded"})


@pytest.mark.parametrize("missing", [0.0, NoData("no data for up")])
@pytest.mark.parametrize(("which", "end_s"), [("first", 2), ("last", 10)])
def test_a_window_without_a_scrape_at_an_end_has_no_figures(which: str, end_s: int, missing: float | Exception) -> None:
    """A rate without the end of the window is too small, although the coverage is high."""
    end = BEGIN + timedelta(seconds=end_s)

    class Gap(FakeMetrics):
        def value(self, query: str, *, at: datetime) -> float:
            if query == coverage_query("2000ms"):
                self.answers[query] = missing if at == end else 2.0
            return super().value(query, at=at)

    figures = scraped(Gap(healthy_answers()))
    assert figures.problem == (
        f"Prometheus has no scrape of orders-service in the {which} 2 s of the measured window; check the target in "
        "Prometheus and scrape_interval_s"
    )
    assert figures.coverage_ratio == 1.0
    assert {(metric.value, metric.reason) for metric in figures.metrics.values()} == {(None, figures.problem)}


def test_a_window_of_few_scrapes_is_not_checked_at_its_ends() -> None:
    """For 10 s with a scrape every 5 s the coverage is enough."""
    metrics = FakeMetrics(healthy_answers() | {started_query("20000ms"): BEGIN.timestamp() - 60})
    figures = scraped(metrics, interval_s=5)
    assert (figures.problem, figures.coverage_ratio) == (None, 1.0)
    assert coverage_query("10000ms") == metrics.asked[0][0]
    assert len([query for query, _ in metrics.asked if query.startswith("min(sum_over_time(up")]) == 1


@pytest.mark.parametrize(
    ("started_s", "is_restarted"),
    [
        (-86_400.0, False),  # yesterday
        (0.0, False),  # with the window
        (0.001, True),
        (10.0, True),  # with its end
        (10.001, False),  # after it: the figures are those of the old one
        (4e9, False),  # a clock that is wrong
    ],
)
def test_a_process_started_within_the_window_is_reported(started_s: float, is_restarted: bool) -> None:
    """By the start time that it exports; a start time that merely shifted with the clock does not count."""
    began = BEGIN.timestamp() + started_s
    figures = scraped(FakeMetrics(healthy_answers() | {started_query(): began}))
    assert figures.restarted_at == (datetime.fromtimestamp(began, tz=UTC) if is_restarted else None)
    assert figures.metrics["cpu_usage"].value == 1.5


@pytest.mark.parametrize("unknown", [NoData("no data"), PartialAnswer("a part"), QueryRejected("no"), 1e300])
def test_without_a_start_time_a_restart_is_unknown(unknown: float | Exception) -> None:
    """Many services do not export it; that is no problem."""
    figures = scraped(FakeMetrics(healthy_answers() | {started_query(): unknown}))
    assert (figures.restarted_at, figures.problem) == (None, None)


@pytest.mark.parametrize(
    "error", [NoData("no data for up"), QueryRejected("parse error"), PartialAnswer("Prometheus has only a part")]
)
def test_a_missing_metric_has_a_reason(error: Exception) -> None:
    """It does not affect the others, and is not zero."""
    cpu = small_service().prometheus.query("cpu_usage", window="10000ms")
    figures = scraped(FakeMetrics(healthy_answers() | {cpu: error}))
    assert (figures.metrics["cpu_usage"].value, figures.metrics["cpu_usage"].reason) == (None, str(error))
    assert figures.metrics["disk_usage"].value == 0.40
    assert figures.problem is None


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (NoData("no data for up"), "Prometheus has no scrapes of orders-service: no data for up"),
        (QueryRejected("parse error"), "Prometheus did not report the scrapes of orders-service: parse error"),
        (PartialAnswer("only a part"), "Prometheus did not report the scrapes of orders-service: only a part"),
    ],
)
def test_no_scrapes_at_all(error: Exception, problem: str) -> None:
    """Without any scrape nothing else is queried, and every figure has the problem as its reason."""
    metrics = FakeMetrics({coverage_query(): error})
    figures = scraped(metrics)
    assert (figures.problem, figures.coverage_ratio) == (problem, None)
    assert {name: metric.reason for name, metric in figures.metrics.items()} == dict.fromkeys(
        ("cpu_usage", "memory_usage", "disk_usage"), problem
    )


@pytest.mark.parametrize("length", [timedelta(0), timedelta(seconds=-5), timedelta(microseconds=400)])
def test_an_empty_window_is_not_queried(length: timedelta) -> None:
    """Prometheus refuses a range of 0 ms; a load stopped in its warm-up has no window."""
    figures = scraped(FakeMetrics({}), Window(start=BEGIN, end=BEGIN + length))
    assert figures.problem == "the measured window is empty"


@pytest.mark.parametrize("position", range(6))
def test_an_unavailable_prometheus_is_raised_for_a_retry(position: int) -> None:
    """In any query, unavailability is raised and not treated as missing data."""
    answers = {query: value for query, value in healthy_answers().items() if query != IS_SCRAPED}
    answers[list(answers)[position]] = PrometheusUnavailable("down")
    with pytest.raises(PrometheusUnavailable, match="down"):
        scraped(FakeMetrics(answers))


@pytest.mark.parametrize(("answer", "is_watched"), [(1.0, True), (3.0, True), (0.0, False), (NoData("no data"), False)])
def test_is_scraped(answer: float | Exception, is_watched: bool) -> None:
    """One target that is up is enough."""
    metrics = FakeMetrics({IS_SCRAPED: answer})
    assert is_scraped(small_service(), metrics, at=BEGIN) is is_watched
    assert metrics.asked == [(IS_SCRAPED, BEGIN)]


@pytest.mark.parametrize(
    "error", [PrometheusUnavailable("down"), QueryRejected("parse error"), PartialAnswer("only a part")]
)
def test_is_scraped_does_not_guess(error: Exception) -> None:
    """A Prometheus that cannot answer does not mean that the service is not scraped."""
    with pytest.raises(type(error)):
        is_scraped(small_service(), FakeMetrics({IS_SCRAPED: error}), at=BEGIN)
