"""Metrics of windows with a restart of Prometheus or of the service."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from include.perf.adapters.metrics.prometheus_metrics import Prometheus
from include.perf.measure.scraping import scrape_figures
from include.perf.measure.validity import server_problems
from include.perf.runs.figures import Window
from tests.exporters import CPU_CORES, MEMORY_BYTES, Exporter, service_named
from tests.socket_servers import eventually, free_port, prometheus

pytestmark = pytest.mark.integration

SERVICE = service_named("known", interval_s=0.2)


@pytest.fixture
def exporter() -> Iterator[Exporter]:
    """A target that ends with the test."""
    target = Exporter()
    yield target
    target.server.close()


def await_scrapes(exporter: Exporter, more: int) -> None:
    """Wait for more successful scrapes."""
    total = exporter.good + more
    eventually(lambda: exporter.good >= total, within_s=60)


def test_prometheus_killed_within_the_window(exporter: Exporter, tmp_path: Path) -> None:
    """Stored samples are still there; missed scrapes lower the coverage, so no metric has a value."""
    port, targets = free_port(), {"known": exporter.server.port}
    with ExitStack() as first:
        first.enter_context(prometheus(tmp_path, targets=targets, port=port))
        await_scrapes(exporter, 5)
        start = datetime.now(UTC)
        await_scrapes(exporter, 12)
    eventually(lambda: datetime.now(UTC).timestamp() - start.timestamp() > 5)
    with prometheus(tmp_path, targets=targets, port=port) as url:
        await_scrapes(exporter, 12)
        window = Window(start=start, end=datetime.now(UTC))
        await_scrapes(exporter, 3)
        figures = scrape_figures(SERVICE, window, Prometheus(url))
    assert figures.coverage_ratio is not None
    assert figures.coverage_ratio == pytest.approx(24 / (window.duration_s / 0.2), abs=0.12)
    assert {metric.value for metric in figures.metrics.values()} == {None}
    assert {metric.reason for metric in figures.metrics.values()} == {
        f"only {figures.coverage_ratio:.0%} of the scrapes succeeded"
    }
    (problem,) = server_problems(figures)
    assert problem.startswith("Prometheus has ")


def test_the_service_restarted_within_the_window(exporter: Exporter, tmp_path: Path) -> None:
    """Its counter is reset: the metrics are still right, and the restart is reported."""
    with prometheus(tmp_path, targets={"known": exporter.server.port}) as url:
        await_scrapes(exporter, 5)
        start = datetime.now(UTC)
        await_scrapes(exporter, 20)
        restarted_at = exporter.restart()
        await_scrapes(exporter, 20)
        window = Window(start=start, end=datetime.now(UTC))
        await_scrapes(exporter, 3)
        figures = scrape_figures(SERVICE, window, Prometheus(url))
        after = scrape_figures(SERVICE, Window(start=window.end, end=datetime.now(UTC)), Prometheus(url))
    # Usage between the last scrape of the old process and the start of the new one is lost: at most 0.2 s of 8 s.
    assert figures.metrics["cpu_usage"].value == pytest.approx(CPU_CORES, rel=0.05)
    assert figures.metrics["memory_usage"].value == MEMORY_BYTES
    assert figures.restarted_at is not None
    assert figures.restarted_at.timestamp() == pytest.approx(restarted_at, abs=0.02)
    (problem,) = server_problems(figures)
    assert problem.startswith(
        f"a process of the service was started at {time.strftime('%H:%M:%S', time.gmtime(restarted_at))}"
    )
    assert after.restarted_at is None
