"""The service's own figures, out of Prometheus, over exactly the measured window.

The window goes into the query in milliseconds and the query is asked at the window's end: a rate over the
whole window is off by at most 1.5 % at a scrape interval of 5 s, where sub-queries and fixed ranges are off
by up to half (measured).
"""

from datetime import datetime

from include.perf.errors import NoData, PrometheusError, PrometheusUnavailable, QueryRejected
from include.perf.metric import METRICS, Metric, MetricValue, Source
from include.perf.ports import MetricsSource
from include.perf.run import ServerFigures, Window
from include.perf.service import Service


def is_scraped(service: Service, source: MetricsSource, *, at: datetime) -> bool:
    """Whether Prometheus has a target of the service that is up.

    Raises:
        PrometheusError: it could not be asked.
    """
    try:
        return source.value(f"count(up{{{service.prometheus.selector}}} == 1)", at=at) > 0
    except NoData:
        return False


def scrape_figures(service: Service, window: Window, source: MetricsSource) -> ServerFigures:
    """Ask for every server-side metric and for how much of the window was scraped.

    Raises:
        PrometheusUnavailable: worth a retry.
    """
    milliseconds = round(window.duration_s * 1000)
    if milliseconds <= 0:
        return ServerFigures(coverage_ratio=None, metrics={}, problem="the measured window is empty")
    metrics = [metric for metric in METRICS.values() if metric.source is Source.PROMETHEUS]
    try:
        coverage = _coverage(service, window, source, window_ms=milliseconds)
    except (NoData, QueryRejected) as err:
        return ServerFigures(
            coverage_ratio=None, metrics={}, problem=f"Prometheus has no scrapes of {service.name}: {err}"
        )
    return ServerFigures(
        coverage_ratio=coverage,
        metrics={metric.name: _value(metric, service, window, source, milliseconds) for metric in metrics},
    )


def _coverage(service: Service, window: Window, source: MetricsSource, *, window_ms: int) -> float:
    """Return the share of the expected scrapes that succeeded, at the worst of the service's targets.

    A window of W seconds holds W / interval scrapes, one more or less by where it begins; the one is given.
    """
    target = service.prometheus
    query = f"min(sum_over_time(up{{{target.selector}}}[{window_ms}ms]))"
    expected = max(1.0, window.duration_s / target.scrape_interval_s - 1)
    return min(1.0, source.value(query, at=window.end) / expected)


def _value(metric: Metric, service: Service, window: Window, source: MetricsSource, window_ms: int) -> MetricValue:
    query = service.prometheus.query(metric.name, window=f"{window_ms}ms")
    try:
        return MetricValue(value=source.value(query, at=window.end), unit=metric.unit)
    except PrometheusUnavailable:
        raise
    except PrometheusError as err:
        return MetricValue(value=None, unit=metric.unit, reason=str(err))
