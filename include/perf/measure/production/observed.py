"""What one side, the run or production, did in a window: requests, failures, CPU and a histogram of durations.

A missing figure is absent and has a reason. Only a Prometheus that cannot be reached is an error.

For a service that exports no latencies, the client's requests are used (`client_buckets`, `client_mix`). A percentile
of single requests and one estimated from buckets differ by more than most regressions, in either direction; so the
run's latencies are counted in production's buckets first.
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
from include.perf.model.errors import NoData, PrometheusError, PrometheusUnavailable
from include.perf.runs.figures import MIN_COVERAGE_RATIO, EndpointFigures, Window

RATE, ERRORS, CPU, LATENCY, MIX = "request rate", "error rate", "CPU", "latency", "mix"
"""The keys of `Observed.missing`."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """One side in one window.

    Attributes:
        rate_rps: requests per second.
        busiest_rps: requests per second in the busiest five minutes.
        error_ratio: share of the requests that failed.
        cpu_s: processor time per request.
        buckets: the histogram of the durations.
        mix: share of each kind of request.
        missing: why a figure is absent, by its name.
    """

    window: Window
    rate_rps: float | None = None
    busiest_rps: float | None = None
    error_ratio: float | None = None
    cpu_s: float | None = None
    buckets: Buckets | None = None
    mix: Mapping[str, float] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)


class _Queries:
    """Queries one Prometheus about one window, and records why a figure is missing."""

    def __init__(self, source: MetricsSource, window: Window) -> None:
        self._source = source
        self.window = window
        self.range = milliseconds(window.duration_s)
        self.missing: dict[str, str] = {}

    def value(self, name: str, query: str) -> float | None:
        """Return a single value."""
        return self._result(name, lambda: self._source.value(query, at=self.window.end))

    def buckets(self, name: str, query: str) -> Buckets | None:
        """Return a histogram."""

        def read() -> Buckets:
            counts: dict[float, float] = defaultdict(float)
            try:
                for series in self._source.values(query, at=self.window.end):
                    # one instance may write 1 and another 1.0
                    counts[float(series.labels["le"])] += series.value
            except (KeyError, ValueError) as err:
                raise NoData(f"{query} is not a histogram: a series has no label le with a number") from err
            try:
                return Buckets.of(counts)
            except ValueError as err:
                raise NoData(f"{query} is not a histogram: {err}") from err

        return self._result(name, read)

    def shares(self, name: str, query: str, labels: tuple[str, ...]) -> Mapping[str, float]:
        """Return the share of each combination of labels with a rate above zero."""
        found = self._result(name, lambda: self._source.values(query, at=self.window.end)) or ()
        rates = {" ".join(series.labels.get(label, "") for label in labels).strip(): series.value for series in found}
        total = sum(rates.values())
        return {kind: rate / total for kind, rate in rates.items() if rate > 0}

    def _result(self, name: str, query: Callable[[], T]) -> T | None:
        try:
            return query()
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
        target: how Prometheus identifies the service under test; the CPU of production is queried in the same way.

    Raises:
        NoData: it was not scraped enough, or had no requests.
        PrometheusUnavailable: it cannot be reached; a retry may help.
    """
    _check_coverage(reference, window, source)
    queries = _Queries(source, window)
    observed = _requests(reference, reference.selector, queries)
    if not observed.rate_rps:
        raise NoData(queries.missing.get(RATE) or "production had no requests")
    busiest_rps = queries.value(RATE, reference.busiest_query(reference.selector, window_s=window.duration_s))
    cores = queries.value(CPU, reference.cpu_query(target, window=queries.range))
    cpu_s = per_request(cores, observed.rate_rps)
    return replace(observed, busiest_rps=busiest_rps, cpu_s=cpu_s, missing=queries.missing)


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
        cores: the CPU usage that the run has already measured.

    Raises:
        PrometheusUnavailable: it cannot be reached; a retry may help.
    """
    queries = _Queries(source, window)
    observed = _requests(reference, reference.own_selector or target.selector, queries)
    return replace(observed, cpu_s=per_request(cores, observed.rate_rps), missing=queries.missing)


def _requests(reference: ProductionReference, selector: str, queries: _Queries) -> Observed:
    """Return the figures of one side's requests."""
    rate_rps = queries.value(RATE, reference.requests_query(selector, window=queries.range))
    failed_rps = queries.value(ERRORS, reference.errors_query(selector, window=queries.range))
    return Observed(
        window=queries.window,
        rate_rps=rate_rps,
        error_ratio=per_request(failed_rps, rate_rps),
        buckets=queries.buckets(LATENCY, reference.buckets_query(selector, window=queries.range)),
        mix=queries.shares(MIX, reference.mix_query(selector, window=queries.range), reference.endpoint_labels),
    )


def per_request(amount_per_s: float | None, rate_rps: float | None) -> float | None:
    """Return an amount per second as an amount per request."""
    return None if amount_per_s is None or not rate_rps else amount_per_s / rate_rps


def _check_coverage(reference: ProductionReference, window: Window, source: MetricsSource) -> None:
    """Check that production was scraped throughout a window.

    A window of W seconds has W / step steps, one more or one less depending on where it begins; the smaller number is
    expected.
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
    """Return the latencies of a run's measured requests as a histogram with these bounds.

    Raises:
        LoadError: the file is missing, or not a record of requests.
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
    """Return the share of each endpoint of a run, by production's name for it, or its own name without one.

    Args:
        kinds: production's names: the values of its labels, joined by spaces, such as ``POST /api/v1/orders``.
    """
    total = sum(figures.due for figures in endpoints)
    names = {endpoint.name: (endpoint.method, endpoint.path, endpoint.name) for endpoint in service.requests}
    return {
        _kind_of(names.get(figures.name, (figures.name,)), kinds): figures.due / total
        for figures in endpoints
        if figures.due
    }


def _kind_of(names: Sequence[str], kinds: Collection[str]) -> str:
    """Return production's name of an endpoint: the longest kind that consists only of the endpoint's names."""
    known = [kind for kind in kinds if set(kind.split()) <= set(names)]
    return max(known, key=len, default=names[-1])
