"""What one side did in a window: its requests, its failures, its CPU and its histogram of durations.

A figure that could not be had is absent, with the reason beside it. Only a Prometheus that cannot be asked at all is
an
error.

A service that tells Prometheus nothing of its latencies: what the client saw of it, in production's terms.

A percentile over single requests and one out of buckets differ by more than most regressions, and not even always in
one direction; so the run's latencies are counted in production's own buckets first.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from include.perf.catalogue.prometheus_target import ProductionReference, PrometheusTarget, milliseconds
from include.perf.catalogue.service import Service
from include.perf.measure.metrics_source import MetricsSource
from include.perf.measure.production.buckets import Buckets
from include.perf.measure.validity import MIN_COVERAGE_RATIO
from include.perf.model.errors import NoData, PrometheusError, PrometheusUnavailable
from include.perf.runs.figures import EndpointFigures, Window

RATE, ERRORS, CPU, LATENCY, MIX = "request rate", "error rate", "CPU", "latency", "mix"
"""What a reason in `Observed.missing` is about."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """One side in one window.

    Attributes:
        rate_rps: requests a second.
        busiest_rps: the same in the busiest five minutes.
        error_ratio: share of the requests that failed.
        cpu_s: of one processor, for each request.
        buckets: how long the requests took.
        mix: share of each kind of request.
        missing: why a figure is not there, by what it is about.
    """

    window: Window
    rate_rps: float | None = None
    busiest_rps: float | None = None
    error_ratio: float | None = None
    cpu_s: float | None = None
    buckets: Buckets | None = None
    mix: Mapping[str, float] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)


class _Asked:
    """Asks one Prometheus about one window, and keeps why a figure could not be had."""

    def __init__(self, source: MetricsSource, window: Window) -> None:
        self._source = source
        self.window = window
        self.range = milliseconds(window.duration_s)
        self.missing: dict[str, str] = {}

    def value(self, name: str, query: str) -> float | None:
        """Return a single value."""
        return self._had(name, lambda: self._source.value(query, at=self.window.end))

    def buckets(self, name: str, query: str) -> Buckets | None:
        """Return a histogram."""

        def read() -> Buckets:
            counts: dict[float, float] = defaultdict(float)
            try:
                for each in self._source.values(query, at=self.window.end):
                    counts[float(each.labels["le"])] += each.value  # an instance may write 1 where another writes 1.0
                return Buckets.of(counts)
            except (KeyError, ValueError) as err:
                raise NoData(f"{query} is no histogram: {err}") from err

        return self._had(name, read)

    def shares(self, name: str, query: str, labels: tuple[str, ...]) -> Mapping[str, float]:
        """Return the share of each combination of labels, of all that are above zero."""
        found = self._had(name, lambda: self._source.values(query, at=self.window.end)) or ()
        rates = {" ".join(each.labels.get(label, "") for label in labels).strip(): each.value for each in found}
        total = sum(rates.values())
        return {kind: rate / total for kind, rate in rates.items() if rate > 0}

    def _had(self, name: str, ask: Callable[[], T]) -> T | None:
        try:
            return ask()
        except PrometheusUnavailable:
            raise
        except PrometheusError as err:
            self.missing[name] = str(err)
            return None


def observe_production(
    reference: ProductionReference, target: PrometheusTarget, window: Window, source: MetricsSource
) -> Observed:
    """Return what production did in a window.

    Args:
        target: how Prometheus knows the service under test, whose CPU is asked for in the same way.

    Raises:
        NoData: it was hardly scraped then, or had no requests.
        PrometheusUnavailable: worth a retry.
    """
    _check_coverage(reference, window, source)
    asked = _Asked(source, window)
    seen = _requests(reference, reference.selector, asked)
    if not seen.rate_rps:
        raise NoData(asked.missing.get(RATE) or "production had no requests")
    busiest_rps = asked.value(RATE, reference.busiest_query(reference.selector, window_s=window.duration_s))
    cores = asked.value(CPU, reference.cpu_query(target, window=asked.range))
    return replace(seen, busiest_rps=busiest_rps, cpu_s=each_of(cores, seen.rate_rps), missing=asked.missing)


def observe_own(
    reference: ProductionReference,
    target: PrometheusTarget,
    window: Window,
    source: MetricsSource,
    *,
    cores: float | None,
) -> Observed:
    """Return what the service under test did in a window.

    Args:
        cores: that it used, as its run has measured it already.

    Raises:
        PrometheusUnavailable: worth a retry.
    """
    asked = _Asked(source, window)
    seen = _requests(reference, reference.own_selector or target.selector, asked)
    return replace(seen, cpu_s=each_of(cores, seen.rate_rps), missing=asked.missing)


def _requests(reference: ProductionReference, selector: str, asked: _Asked) -> Observed:
    """Return what one side tells of its requests."""
    rate_rps = asked.value(RATE, reference.requests_query(selector, window=asked.range))
    failed_rps = asked.value(ERRORS, reference.errors_query(selector, window=asked.range))
    return Observed(
        window=asked.window,
        rate_rps=rate_rps,
        error_ratio=each_of(failed_rps, rate_rps),
        buckets=asked.buckets(LATENCY, reference.buckets_query(selector, window=asked.range)),
        mix=asked.shares(MIX, reference.mix_query(selector, window=asked.range), reference.endpoint_labels),
    )


def each_of(amount: float | None, rate_rps: float | None) -> float | None:
    """Return how much of something a second falls to each request."""
    return None if amount is None or not rate_rps else amount / rate_rps


def _check_coverage(reference: ProductionReference, window: Window, source: MetricsSource) -> None:
    """Make sure that production was scraped throughout a window.

    A window of W seconds holds W / step steps, one more or less by where it begins; the one is given.
    """
    steps = window.duration_s / (2 * reference.scrape_interval_s)
    try:
        scraped = source.value(reference.coverage_query(window=milliseconds(window.duration_s)), at=window.end)
    except NoData:
        scraped = 0.0
    coverage = min(1.0, scraped / max(1.0, steps - 1))
    if coverage < MIN_COVERAGE_RATIO:
        share = f"only {coverage:.0%} of the" if scraped else "no"
        raise NoData(f"Prometheus has {share} scrapes of production")


def client_buckets(requests: Path, bounds: Collection[float]) -> Buckets:
    """Count the latencies of a run's measured requests by upper bound, as a histogram in the service would.

    Raises:
        LoadError: the file is missing, or is no record of requests.
    """
    import numpy as np

    from include.perf.measure.measurement import counts_for_latency
    from include.perf.measure.request_rows import read_requests

    rows = read_requests(requests, ("phase", "latency_s", "error"))
    latencies = np.sort(rows.loc[(rows["phase"] == "measured") & counts_for_latency(rows), "latency_s"].to_numpy())
    finite = sorted(bounds)
    counts = np.searchsorted(latencies, finite, side="right")
    return Buckets((*finite, float("inf")), (*map(float, counts), float(len(latencies))))


def client_mix(service: Service, endpoints: Sequence[EndpointFigures], kinds: Collection[str]) -> Mapping[str, float]:
    """Return the share of each endpoint of a run, by the name that production has for it where one is to be found.

    Args:
        kinds: production's names, the values of its labels in a row: ``POST /api/v1/orders``.
    """
    total = sum(each.due for each in endpoints)
    names = {endpoint.name: (endpoint.method, endpoint.path, endpoint.name) for endpoint in service.endpoints}
    return {_kind_of(names.get(each.name, (each.name,)), kinds): each.due / total for each in endpoints if each.due}


def _kind_of(names: Sequence[str], kinds: Collection[str]) -> str:
    """Return what production calls an endpoint: the most telling kind that is made of its names only."""
    known = [kind for kind in kinds if set(kind.split()) <= set(names)]
    return max(known, key=len, default=names[-1])
