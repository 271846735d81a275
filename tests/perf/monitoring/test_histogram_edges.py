"""Bucket bounds of a service's histogram."""

from include.perf.measure.metrics_source import LabelledValue
from include.perf.model.errors import PrometheusUnavailable
from include.perf.monitoring.derivation import HistogramEdges
from tests.fakes.clock import START, FixedClock
from tests.fakes.metrics import FakeMetrics
from tests.fakes.small_catalogue import SELECTOR, small_service

BUCKETS = f"sum by (le) (increase(http_request_duration_seconds_bucket{{{SELECTOR}}}[5m]))"


def edges_of(answer: tuple[LabelledValue, ...] | Exception) -> list[float]:
    """Return the bounds for an answer of Prometheus; the last known ones are 0.1 and 0.2 s."""
    metrics = FakeMetrics({})
    metrics.series_of = {BUCKETS: answer}
    edges = HistogramEdges(source=metrics, clock=FixedClock(START), before={"orders-service": (0.1, 0.2)})
    return list(edges(small_service()))


def test_prometheus_is_queried() -> None:
    """Bounds are ascending; +Inf is omitted."""
    found = tuple(LabelledValue(labels={"le": le}, value=0.0) for le in ("+Inf", "0.5", "0.05"))
    assert edges_of(found) == [0.05, 0.5]


def test_last_known_bounds_are_used_while_prometheus_is_unavailable() -> None:
    """Limits do not change because of a short outage."""
    assert edges_of(PrometheusUnavailable("down")) == [0.1, 0.2]
