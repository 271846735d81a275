"""The service's own figures: which queries are asked, when, and what is made of the answers."""

from datetime import UTC, datetime, timedelta

import pytest

from include.perf.errors import NoData, PrometheusUnavailable, QueryRejected
from include.perf.run import ServerFigures, Window
from include.perf.scraping import is_scraped, scrape_figures
from tests.fakes import IS_SCRAPED, SELECTOR, FakeMetrics, coverage_query, healthy_answers, small_service

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
    assert {name: (each.value, each.unit.value) for name, each in figures.metrics.items()} == {
        "cpu_usage": (1.5, "cores"),
        "memory_usage": (512.0 * 1024**2, "bytes"),
        "disk_usage": (0.40, "ratio"),
    }


def test_exactly_the_measured_window_is_asked_for() -> None:
    """The window goes into every query in milliseconds, and each is asked at the window's end."""
    window = Window(start=BEGIN, end=BEGIN + timedelta(seconds=60.0084))  # rounded to 60 008 ms
    metrics = FakeMetrics(healthy_answers("60008ms"))
    scraped(metrics, window)
    selected = f"{{{SELECTOR}}}[60008ms]"
    disk = f'{{{SELECTOR},mountpoint="/"}}[60008ms]'
    assert [query for query, _ in metrics.asked] == [
        f"min(sum_over_time(up{selected}))",
        f"sum(rate(process_cpu_seconds_total{selected}))",
        f"sum(avg_over_time(process_resident_memory_bytes{selected}))",
        f"1 - min(avg_over_time(node_filesystem_avail_bytes{disk}) / avg_over_time(node_filesystem_size_bytes{disk}))",
    ]
    assert {at for _, at in metrics.asked} == {window.end}


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
    """Expected are window / interval scrapes, less the one that the window may just have missed."""
    metrics = FakeMetrics(healthy_answers() | {coverage_query(): scrapes})
    assert scraped(metrics, interval_s=interval_s).coverage_ratio == pytest.approx(coverage)


@pytest.mark.parametrize("error", [NoData("no data for up"), QueryRejected("parse error")])
def test_a_metric_that_cannot_be_had_has_a_reason(error: Exception) -> None:
    """One figure without data takes nothing from the others, and is not zero."""
    cpu = small_service().prometheus.query("cpu_usage", window="10000ms")
    figures = scraped(FakeMetrics(healthy_answers() | {cpu: error}))
    assert (figures.metrics["cpu_usage"].value, figures.metrics["cpu_usage"].reason) == (None, str(error))
    assert figures.metrics["disk_usage"].value == 0.40
    assert figures.problem is None


@pytest.mark.parametrize("error", [NoData("no data for up"), QueryRejected("parse error")])
def test_no_scrapes_at_all(error: Exception) -> None:
    """Without any scrape nothing else is asked, and the problem is named."""
    metrics = FakeMetrics({coverage_query(): error})
    figures = scraped(metrics)
    assert figures.problem == f"Prometheus has no scrapes of orders-service: {error}"
    assert (figures.coverage_ratio, dict(figures.metrics)) == (None, {})


@pytest.mark.parametrize("length", [timedelta(0), timedelta(seconds=-5), timedelta(microseconds=400)])
def test_an_empty_window_is_not_asked_about(length: timedelta) -> None:
    """A range of 0 ms is refused by Prometheus; a load stopped in its warm-up has no window."""
    figures = scraped(FakeMetrics({}), Window(start=BEGIN, end=BEGIN + length))
    assert figures.problem == "the measured window is empty"


@pytest.mark.parametrize("position", range(4))
def test_prometheus_going_away_is_worth_a_retry(position: int) -> None:
    """Whichever query hits it, unavailability is raised and not taken for missing data."""
    answers = {query: value for query, value in healthy_answers().items() if query != IS_SCRAPED}
    answers[list(answers)[position]] = PrometheusUnavailable("down")
    with pytest.raises(PrometheusUnavailable, match="down"):
        scraped(FakeMetrics(answers))


@pytest.mark.parametrize(("answer", "is_watched"), [(1.0, True), (3.0, True), (0.0, False), (NoData("no data"), False)])
def test_is_scraped(answer: float | Exception, is_watched: bool) -> None:
    """One target that is up is enough; none, or no such target, is not."""
    metrics = FakeMetrics({IS_SCRAPED: answer})
    assert is_scraped(small_service(), metrics, at=BEGIN) is is_watched
    assert metrics.asked == [(IS_SCRAPED, BEGIN)]


@pytest.mark.parametrize("error", [PrometheusUnavailable("down"), QueryRejected("parse error")])
def test_is_scraped_does_not_guess(error: Exception) -> None:
    """A Prometheus that cannot say is not the same as one that says no."""
    with pytest.raises(type(error)):
        is_scraped(small_service(), FakeMetrics({IS_SCRAPED: error}), at=BEGIN)
