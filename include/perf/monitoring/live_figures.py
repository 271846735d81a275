"""Recording rules: the eight live metrics of a service over 5 and over 30 minutes.

The queries come from the catalogue: CPU, memory and disk use the queries of a run, requests and latency those of the
comparison with production. Live latency is measured by the service, and a run's latency by the client, so a limit from
a baseline is lenient by the network and the queue in front of the service.

Figures of very few requests are not recorded: the p99 of fewer than 100 requests is their maximum, and two failures are
no rate.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from include.perf.catalogue.prometheus_target import SERVER_METRICS, ProductionReference
from include.perf.catalogue.service import Service
from include.perf.model.metric import METRICS
from include.perf.monitoring.names import family
from include.perf.monitoring.rule_yaml import Recording

MIN_REQUESTS = 100
MIN_FAILURES = 5
QUANTILES = {"latency_p50": "0.5", "latency_p95": "0.95", "latency_p99": "0.99"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RateWindow:
    """The window of a live figure."""

    name: str
    seconds: int


SHORT = RateWindow(name="5m", seconds=300)
LONG = RateWindow(name="30m", seconds=1800)


def live(metric: str, window: RateWindow) -> str:
    """Return the name of a recorded figure: ``service_environment:bellwether_live_latency_p95_seconds:5m``."""
    return f"service_environment:{family('live', metric)}:{window.name}"


def counting_of(service: Service) -> tuple[ProductionReference, str]:
    """Return how requests of a service are counted, and the label matchers of the service under test."""
    counting = service.production or ProductionReference(selector=service.prometheus.selector)
    return counting, counting.own_selector or service.prometheus.selector


def live_figures(services: Iterable[Service]) -> Iterator[Recording]:
    """Return the recording rules of all figures of all services."""
    for service in services:
        labels = {"service": service.name, "environment": service.environment}
        for window in (SHORT, LONG):
            for metric in METRICS:
                yield Recording(record=live(metric, window), expr=_query(service, metric, window), labels=labels)


def _query(service: Service, metric: str, window: RateWindow) -> str:
    if metric in SERVER_METRICS:
        return f"max({service.prometheus.query(metric, window=window.name)})"
    counting, selector = counting_of(service)
    requests = counting.requests_query(selector, window=window.name)
    errors = counting.errors_query(selector, window=window.name)
    match metric:
        case "throughput":
            return f"max(({requests}) - ({errors}))"
        case "error_rate":
            return f"max(({errors}) / ({requests}))\nand on ()\nmax({errors}) * {window.seconds} >= {MIN_FAILURES}"
        case _:
            buckets = counting.buckets_query(selector, window=window.name)
            quantile = f"histogram_quantile({QUANTILES[metric]}, {buckets})"
            return f"{quantile}\nand on ()\nmax({requests}) * {window.seconds} >= {MIN_REQUESTS}"
