"""What one side did in a window: its requests, its failures, its CPU and its histogram of durations.

A figure that could not be had is absent, with the reason beside it. Only a Prometheus that cannot be asked at all is an
error.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from include.perf.errors import NoData, PrometheusError, PrometheusUnavailable
from include.perf.ports import MetricsSource
from include.perf.production_comparison.buckets import Buckets
from include.perf.production_comparison.reference import ProductionReference, milliseconds
from include.perf.prometheus_target import PrometheusTarget
from include.perf.run import Window
from include.perf.validity import MIN_COVERAGE_RATIO

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
