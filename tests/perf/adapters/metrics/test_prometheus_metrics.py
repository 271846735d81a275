"""Queries to a real Prometheus for single values and for the metrics of a window."""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import psutil
import pytest

from include.perf.adapters.metrics.prometheus_metrics import Prometheus
from include.perf.catalogue.service import Service
from include.perf.measure.scraping import is_scraped, scrape_figures
from include.perf.measure.validity import server_problems
from include.perf.model.errors import NoData, QueryRejected
from include.perf.runs.figures import ServerFigures, Window
from tests.exporters import BURNER, Exporter, service_named
from tests.socket_servers import eventually, free_port, prometheus, python

INTERVAL_S = 0.2


def known_as(name: str, *, interval_s: float = INTERVAL_S, **queries: str) -> Service:
    """Return a service that is scraped five times per second."""
    return service_named(name, interval_s=interval_s, **queries)


@dataclass(frozen=True, slots=True)
class Stack:
    """A real Prometheus and what it scrapes."""

    source: Prometheus
    exporter: Exporter
    burner: psutil.Process


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Started once; it scrapes five times per second."""
    exporter, burner_port = Exporter(), free_port()
    try:
        with python("-c", BURNER, str(burner_port), stdout=subprocess.PIPE) as burner:
            assert burner.stdout is not None
            assert burner.stdout.readline() == b"ready\n"
            targets = {"known": exporter.server.port, "burner": burner_port, "gone": free_port()}
            with prometheus(tmp_path_factory.mktemp("prometheus"), targets=targets) as url:
                source = Prometheus(url)
                eventually(lambda: exporter.good >= 3)
                eventually(lambda: is_scraped(known_as("burner"), source, at=datetime.now(UTC)))
                yield Stack(source, exporter, psutil.Process(burner.pid))
    finally:
        exporter.server.close()


@pytest.mark.integration
def test_a_value_is_what_was_scraped(stack: Stack) -> None:
    """One series, one number, at the requested time."""
    assert stack.source.value('process_resident_memory_bytes{service="known"}', at=datetime.now(UTC)) == 104857600


@pytest.mark.integration
@pytest.mark.parametrize(
    ("query", "error", "message"),
    [
        ("no_such_metric", NoData, "no data for no_such_metric"),
        ("two_series", NoData, "2 series instead of one for two_series"),
        ("not_a_number", NoData, "the value of not_a_number is nan"),
        ("infinite", NoData, "the value of infinite is inf"),
        ("rate(", QueryRejected, 'Prometheus rejected rate(: invalid parameter "query": 1:6: parse error: '),
        ('process_resident_memory_bytes{service="known"}[5s]', QueryRejected, "does not return a vector"),
        ("1", QueryRejected, "1 does not return a vector"),
        ('"text"', QueryRejected, "does not return a vector"),
    ],
)
def test_a_result_that_is_not_one_number(stack: Stack, query: str, error: type[Exception], message: str) -> None:
    """No series, NaN, several series and invalid queries have different errors; none is a value."""
    with pytest.raises(error, match=re.escape(message)):
        stack.source.value(query, at=datetime.now(UTC))


@pytest.mark.integration
def test_a_target_is_scraped_when_it_is_up(stack: Stack) -> None:
    """A target that is down or unknown is not."""
    now = datetime.now(UTC)
    assert is_scraped(known_as("known"), stack.source, at=now)
    assert not is_scraped(known_as("gone"), stack.source, at=now)
    assert not is_scraped(known_as("unknown"), stack.source, at=now)


def await_scrapes(stack: Stack, *, good: int = 0, bad: int = 0) -> None:
    """Wait for more successful and failed scrapes."""
    totals = (stack.exporter.good + good, stack.exporter.bad + bad)
    eventually(lambda: stack.exporter.good >= totals[0] and stack.exporter.bad >= totals[1], within_s=60)


def figures_over(stack: Stack, window: Window, service: Service) -> ServerFigures:
    """Query a window once its last samples are stored."""
    await_scrapes(stack, good=3)
    return scrape_figures(service, window, stack.source)


@pytest.mark.integration
def test_figures_are_averages_over_exactly_the_window(stack: Stack) -> None:
    """A constant is exact; a counter's rate is as exact as its samples allow."""
    start = datetime.now(UTC)
    await_scrapes(stack, good=20)
    figures = figures_over(stack, Window(start=start, end=datetime.now(UTC)), known_as("known"))
    values = {name: metric.value for name, metric in figures.metrics.items()}
    assert values["memory_usage"] == 104857600
    assert values["disk_usage"] == pytest.approx(0.75)  # 1 − 250 / 1000
    assert values["cpu_usage"] == pytest.approx(0.25, rel=0.10)
    assert figures.coverage_ratio == pytest.approx(1.0, abs=0.2)
    assert figures.problem is None


@pytest.mark.integration
def test_a_window_that_was_half_scraped_has_half_the_coverage(stack: Stack) -> None:
    """The averages would look normal, but the coverage shows the gap, so there are none."""
    exporter = stack.exporter
    start, good = datetime.now(UTC), exporter.good
    await_scrapes(stack, good=12)
    exporter.is_up = False
    good = exporter.good - good
    await_scrapes(stack, bad=12)
    end = datetime.now(UTC)
    exporter.is_up = True
    window = Window(start=start, end=end)
    figures = figures_over(stack, window, known_as("known"))
    assert figures.coverage_ratio is not None
    # A scrape in progress at either end may count or not.
    assert figures.coverage_ratio == pytest.approx(good / (window.duration_s / INTERVAL_S - 1), abs=0.12)
    assert figures.coverage_ratio < 0.8
    # A missing scrape in the last 0.4 s is reported first; in both cases no value is better than a wrong one.
    (problem,) = server_problems(figures)
    assert problem.startswith("Prometheus has no scrape of known in the last 0.4 s of the measured window")
    assert {metric.value for metric in figures.metrics.values()} == {None}


@pytest.mark.integration
def test_a_wrong_scrape_interval_shows_in_the_coverage(stack: Stack) -> None:
    """With 100 ms in the catalogue and 200 ms in Prometheus, the coverage is one half."""
    start = datetime.now(UTC)
    await_scrapes(stack, good=15)
    window = Window(start=start, end=datetime.now(UTC))
    figures = figures_over(stack, window, known_as("known", interval_s=0.1))
    assert figures.coverage_ratio is not None
    assert figures.coverage_ratio == pytest.approx(0.5, abs=0.15)


@pytest.mark.alone
@pytest.mark.integration
def test_the_cpu_figure_is_what_the_process_used(stack: Stack) -> None:
    """Compared with the kernel's accounting of a process that works 40 % of the time.

    Usage between the ends of the window and the nearest scrapes is extrapolated, so the error depends on the number of
    scrapes: 100 here, 120 in ten minutes at 5 s. A delay of this machine weighs 30 times as much as there.
    """
    start, used = datetime.now(UTC), stack.burner.cpu_times()
    await_scrapes(stack, good=100)
    end, used_then = datetime.now(UTC), stack.burner.cpu_times()
    window = Window(start=start, end=end)
    truth = (used_then.user + used_then.system - used.user - used.system) / window.duration_s
    figures = figures_over(stack, window, known_as("burner"))
    # The exporter has no disk metric, so there is no value.
    assert figures.metrics["disk_usage"].value is None
    assert (figures.metrics["disk_usage"].reason or "").startswith("no data for 1 - min(")
    assert figures.metrics["cpu_usage"].value == pytest.approx(truth, rel=0.03)
    assert truth < 0.6


@pytest.mark.integration
def test_a_service_that_was_never_scraped_has_no_figures(stack: Stack) -> None:
    """Its run is invalid, and the reason is given."""
    end = datetime.now(UTC)
    window = Window(start=datetime.fromtimestamp(end.timestamp() - 2, tz=UTC), end=end)
    figures = scrape_figures(known_as("unknown"), window, stack.source)
    assert figures.coverage_ratio is None
    (problem,) = server_problems(figures)
    assert problem.startswith("Prometheus has no scrapes of unknown: no data for min(sum_over_time(up{")


@pytest.mark.integration
def test_an_empty_window_is_not_queried(stack: Stack) -> None:
    """A load that ended during the warm-up has no measurement."""
    now = datetime.now(UTC)
    figures = scrape_figures(known_as("known"), Window(start=now, end=now), stack.source)
    assert server_problems(figures) == ["the measured window is empty"]


@pytest.mark.integration
def test_an_invalid_query_in_the_catalogue_gives_a_metric_without_a_value(stack: Stack) -> None:
    """The other metrics still have values."""
    start = datetime.now(UTC)
    await_scrapes(stack, good=5)
    wrong = {"memory_usage": "process_resident_memory_bytes{$selector}[$window]", "disk_usage": "nonsense([$window])"}
    figures = figures_over(stack, Window(start=start, end=datetime.now(UTC)), known_as("known", **wrong))
    assert figures.metrics["cpu_usage"].value == pytest.approx(0.25, rel=0.2)
    assert (figures.metrics["memory_usage"].reason or "").endswith("does not return a vector")
    assert (figures.metrics["disk_usage"].reason or "").startswith("Prometheus rejected nonsense([")
