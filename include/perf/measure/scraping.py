"""The server-side metrics from Prometheus, over exactly the measured window.

The query has the window's length in milliseconds and is evaluated at the window's end: with a scrape interval of 5 s
such a rate is off by at most 1.5 %, where sub-queries and fixed ranges are off by up to half (measured).

A figure is correct or absent. When scrapes are missing, an average still looks normal, and a rate without the beginning
or the end of the window is too small. So with too few scrapes, or none at one end of the window, the figures are
absent.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from include.perf.catalogue.prometheus_target import COVERAGE, SERVER_METRICS
from include.perf.catalogue.service import Service
from include.perf.measure.metrics_source import MetricsSource
from include.perf.model.bounds import MAX_AMOUNT
from include.perf.model.errors import NoData, PrometheusError, PrometheusUnavailable
from include.perf.model.metric import METRICS, MetricValue
from include.perf.runs.figures import MIN_COVERAGE_RATIO, ServerFigures, Window

SCRAPES_AT_AN_END = 2
"""There must be a scrape within this many intervals at the beginning and at the end of the window."""

SCRAPES_AFTER = 2
"""A restart of the service within the window is visible this many intervals after it."""


def is_scraped(service: Service, source: MetricsSource, *, at: datetime) -> bool:
    """Whether Prometheus has current samples of the service.

    Raises:
        PrometheusError: it cannot be queried.
    """
    try:
        return source.value(service.prometheus.present, at=at) > 0
    except NoData:
        return False


def scrape_figures(service: Service, window: Window, source: MetricsSource) -> ServerFigures:
    """Return the server-side metrics, the share of successful scrapes, and whether the service restarted.

    Raises:
        PrometheusUnavailable: it cannot be reached; a retry may help.
    """
    if _milliseconds(window.duration_s) <= 0:
        return _without_figures("the measured window is empty")
    try:
        coverage = _coverage(service, window, source)
        gap = _gap(service, window, source)
    except PrometheusUnavailable:
        raise
    except PrometheusError as err:
        problem = "has no scrapes of" if isinstance(err, NoData) else "did not report the scrapes of"
        return _without_figures(f"Prometheus {problem} {service.name}: {err}")
    restarted_at = _restarted_at(service, window, source)
    if gap is not None:
        return _without_figures(gap, coverage_ratio=coverage, restarted_at=restarted_at)
    if coverage < MIN_COVERAGE_RATIO:
        metrics = _absent(f"only {coverage:.0%} of the scrapes succeeded")
    else:
        metrics = {name: _value(name, service, window, source) for name in SERVER_METRICS}
    return ServerFigures(coverage_ratio=coverage, metrics=metrics, restarted_at=restarted_at)


def _coverage(service: Service, window: Window, source: MetricsSource) -> float:
    """Return the share of the expected scrapes that succeeded, for the worst of the service's targets.

    A window of W seconds has W / interval scrapes, one more or one less depending on where it begins; the smaller
    number is expected.
    """
    expected = max(1.0, window.duration_s / service.prometheus.scrape_interval_s - 1)
    return min(1.0, _scrapes(service, source, end=window.end, length_s=window.duration_s) / expected)


def _gap(service: Service, window: Window, source: MetricsSource) -> str | None:
    """Return the problem when one end of the window has no scrape; ``None`` when both have one."""
    length_s = SCRAPES_AT_AN_END * service.prometheus.scrape_interval_s
    if window.duration_s < 2 * length_s:
        return None
    for which, end in (("first", window.start + timedelta(seconds=length_s)), ("last", window.end)):
        try:
            scrapes = _scrapes(service, source, end=end, length_s=length_s)
        except NoData:
            scrapes = 0
        if scrapes < 1:
            return (
                f"Prometheus has no scrape of {service.name} in the {which} {length_s:g} s of the measured window; "
                "check the target in Prometheus and scrape_interval_s"
            )
    return None


def _scrapes(service: Service, source: MetricsSource, *, end: datetime, length_s: float) -> float:
    """Return the number of successful scrapes of the target that has the fewest."""
    return source.value(service.prometheus.query(COVERAGE, window=_range(length_s)), at=end)


def _restarted_at(service: Service, window: Window, source: MetricsSource) -> datetime | None:
    """Return when a process of the service started within the window; ``None`` when none did, or when unknown.

    The start time that the process exports is compared with the window. A change of that value proves nothing: some
    libraries compute it for every scrape, and it shifts by a second whenever the clock is corrected.
    """
    after_s = SCRAPES_AFTER * service.prometheus.scrape_interval_s
    query = service.prometheus.started(window=_range(window.duration_s + after_s))
    if query is None:
        return None
    try:
        started = datetime.fromtimestamp(source.value(query, at=window.end + timedelta(seconds=after_s)), tz=UTC)
    except PrometheusUnavailable:
        raise
    except (PrometheusError, ValueError, OverflowError, OSError):  # absent, or not a time
        return None
    return started if window.start < started <= window.end else None


def _value(name: str, service: Service, window: Window, source: MetricsSource) -> MetricValue:
    query = service.prometheus.query(name, window=_range(window.duration_s))
    try:
        value = source.value(query, at=window.end)
    except PrometheusUnavailable:
        raise
    except PrometheusError as err:
        return MetricValue(value=None, unit=METRICS[name].unit, reason=str(err))
    if not 0 <= value <= MAX_AMOUNT:
        reason = f"Prometheus returned {value:g}, which is not a possible value of {name}; check the query {query}"
        return MetricValue(value=None, unit=METRICS[name].unit, reason=reason)
    return MetricValue(value=value, unit=METRICS[name].unit)


def _without_figures(
    problem: str, *, coverage_ratio: float | None = None, restarted_at: datetime | None = None
) -> ServerFigures:
    return ServerFigures(
        coverage_ratio=coverage_ratio, metrics=_absent(problem), problem=problem, restarted_at=restarted_at
    )


def _absent(reason: str) -> Mapping[str, MetricValue]:
    return {name: MetricValue(value=None, unit=METRICS[name].unit, reason=reason) for name in SERVER_METRICS}


def _range(length_s: float) -> str:
    return f"{_milliseconds(length_s)}ms"


def _milliseconds(length_s: float) -> int:
    return round(length_s * 1000)
