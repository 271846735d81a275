"""Compare a run with production by Prometheus; every problem becomes a sentence in the comparison."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import islice
from pathlib import Path

from include.perf.catalogue.prometheus_target import ProductionReference
from include.perf.catalogue.scenario.market_hours import MarketHours
from include.perf.catalogue.scenario.production_hours import ProductionHours, last_hours
from include.perf.catalogue.scenario.scenario import Scenario
from include.perf.catalogue.service import Service
from include.perf.measure.metrics_source import MetricsSource
from include.perf.measure.production.buckets import Buckets, common_bounds
from include.perf.measure.production.comparison import (
    ComparedShare,
    LeftOut,
    ProductionComparison,
    RequestSource,
    compared_mix,
    compared_rate,
    latency_figures,
    other_figures,
)
from include.perf.measure.production.observed import (
    CPU,
    ERRORS,
    LATENCY,
    Observed,
    observe_own,
    observe_production,
    per_request,
)
from include.perf.model.errors import BellwetherError, PrometheusError, PrometheusUnavailable
from include.perf.model.text import Clock, span
from include.perf.runs.figures import MIN_COVERAGE_RATIO, LoadFigures, ServerFigures, Window
from include.perf.runs.results_store import REQUESTS_FILE

log = logging.getLogger(__name__)

BUDGET = timedelta(minutes=2)
"""Prometheus is not queried about further days after this time."""

NOT_IN_PROMETHEUS = "its Prometheus does not have it"

DIFFERENT_MIX = 0.10
"""From this difference of a share on, the mix of requests may explain different latency and CPU."""

DIFFERENT_COUNT_RATIO = 0.05
"""When the service counts this share more or fewer requests than were sent, its metrics cover more than this run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunMeasurement:
    """A run that was measured.

    Attributes:
        folder: contains its requests.
    """

    service: Service
    scenario: Scenario
    load: LoadFigures
    server: ServerFigures
    folder: Path


@dataclass(slots=True)
class _Days:
    """Production on the days before the run, latest first."""

    observed: list[Observed] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)

    @property
    def histograms(self) -> list[Buckets]:
        """The histograms of the days that have one."""
        return [day.buckets for day in self.observed if day.buckets is not None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductionComparing:
    """Compares a run with production.

    Attributes:
        own: the Prometheus that scrapes the service under test.
        production: returns the Prometheus that scrapes production; ``None`` when it is the same.
    """

    own: MetricsSource
    production: Callable[[], MetricsSource | None]
    market: MarketHours
    clock: Clock

    def compare(self, run: RunMeasurement) -> ProductionComparison | None:
        """Return the comparison of a run; ``None`` when the catalogue has no production for it."""
        reference, hours = run.service.production, run.scenario.production_hours
        if reference is None or hours is None:
            return None
        made = ProductionComparison(compared_at=self.clock(), hours=hours.description)
        try:
            days = self._days(run, reference, hours)
            made = replace(made, days=tuple(day.window for day in days.observed), left_out=tuple(days.left_out))
            if not days.observed:
                return replace(made, problem=_why_nothing(days))
            own, measured_by = self._own(run, reference, days)
        except BellwetherError as err:
            log.warning("%s could not be compared with production: %s", run.service.name, err)
            return replace(made, problem=str(err))
        return _completed(made, run, own, days, measured_by=measured_by)

    def _days(self, run: RunMeasurement, reference: ProductionReference, hours: ProductionHours) -> _Days:
        """Query what production did on the last days before the run.

        Raises:
            ConfigurationError: the address of its Prometheus is unknown.
        """
        days, begun_at, source = _Days(), self.clock(), self.production() or self.own
        for period in islice(last_hours(hours, self.market, before=run.load.window.start), reference.days):
            window = Window(start=period.begins, end=period.ends)
            try:
                if self.clock() - begun_at > BUDGET:
                    raise PrometheusUnavailable(
                        f"Prometheus answers too slowly: it took more than {span(BUDGET.total_seconds())}"
                    )
                days.observed.append(observe_production(reference, run.service.prometheus, window, source))
            except PrometheusError as err:
                days.left_out.append(LeftOut(window=window, reason=str(err)))
                if isinstance(err, PrometheusUnavailable):  # it will not answer for earlier days either
                    break
        return days

    def _own(self, run: RunMeasurement, reference: ProductionReference, days: _Days) -> tuple[Observed, RequestSource]:
        """Return the run by the service's metrics, or by the client's requests when the service exports no latency.

        Raises:
            LoadError: the record of the client's requests cannot be read.
        """
        observed = self._by_service(run, reference)
        if observed is not None and observed.buckets is not None and observed.buckets.total > 0:
            return observed, RequestSource.SERVICE
        return _by_client(run, days), RequestSource.CLIENT

    def _by_service(self, run: RunMeasurement, reference: ProductionReference) -> Observed | None:
        """Return the run by the service's metrics; ``None`` when too few of its scrapes succeeded."""
        if (run.server.coverage_ratio or 0.0) < MIN_COVERAGE_RATIO or run.server.problem is not None:
            return None
        try:
            return observe_own(reference, run.service.prometheus, run.load.window, self.own, cores=_cores(run.server))
        except PrometheusUnavailable as err:
            log.warning("%s is compared with production by the client's requests: %s", run.service.name, err)
            return None


def _cores(server: ServerFigures) -> float | None:
    found = server.metrics.get("cpu_usage")
    return found.value if found else None


def _by_client(run: RunMeasurement, days: _Days) -> Observed:
    """Return the run by the client's requests, with latencies in production's buckets.

    Raises:
        LoadError: the record cannot be read.
    """
    from include.perf.measure.production.observed import client_buckets, client_mix

    kinds = {kind for day in days.observed for kind in day.mix}
    failed = run.load.metrics.get("error_rate")
    bounds = common_bounds(days.histograms)
    return Observed(
        window=run.load.window,
        rate_rps=run.load.achieved_rate_rps,
        error_ratio=failed.value if failed else None,
        cpu_s=per_request(_cores(run.server), run.load.achieved_rate_rps),
        buckets=client_buckets(run.folder / REQUESTS_FILE, bounds) if bounds else None,
        mix=client_mix(run.service, run.load.endpoints, kinds),
    )


def _completed(
    made: ProductionComparison, run: RunMeasurement, own: Observed, days: _Days, *, measured_by: RequestSource
) -> ProductionComparison:
    """Return the comparison with the figures of both sides."""
    histograms = days.histograms
    latencies = latency_figures(own.buckets, histograms) if own.buckets and histograms else ()
    mix = compared_mix(own.mix, [day.mix for day in days.observed])
    remarks = (
        *_remarks_on_buckets(own, histograms, days.observed, are_compared=bool(latencies)),
        *_remarks_on_missing(own, days.observed),
        *_remarks_on_count(run, own),
        *_remarks_on_mix(mix),
    )
    return replace(
        made,
        measured_by=measured_by,
        bounds=tuple(sorted(common_bounds((own.buckets, *histograms)))) if own.buckets else (),
        figures=(*latencies, *other_figures(own, days.observed)),
        mix=mix,
        rate=compared_rate(run.scenario.load, days.observed),
        remarks=remarks,
    )


def _why_nothing(days: _Days) -> str:
    if not days.left_out:
        return "there was no trading day before the run"
    return f"there are no figures of production for these hours: {days.left_out[0].reason}"


def _remarks_on_buckets(
    own: Observed, histograms: Sequence[Buckets], days: Sequence[Observed], *, are_compared: bool
) -> Iterator[str]:
    if not histograms:
        yield f"production's latency is unknown: {_first_reason(days, LATENCY)}"
        return
    known = [histogram for histogram in (*histograms, own.buckets) if histogram]
    shared, every = common_bounds(known), frozenset[float]().union(*(histogram.finite_bounds for histogram in known))
    if not are_compared:
        yield (
            "the latencies cannot be compared: the histograms have different buckets, and the common ones "
            f"({len(shared)} of {len(every)}) are too coarse"
        )
    elif shared < every:
        yield (
            "the histograms have different buckets: both sides are compared in the common ones "
            f"({len(shared)} of {len(every)})"
        )


def _remarks_on_missing(own: Observed, days: Sequence[Observed]) -> Iterator[str]:
    for name, known in ((ERRORS, [day.error_ratio for day in days]), (CPU, [day.cpu_s for day in days])):
        if all(value is None for value in known):
            yield f"production's {name} is unknown: {_first_reason(days, name)}"
    for name, value in ((ERRORS, own.error_ratio), (CPU, own.cpu_s)):
        if value is None:
            yield f"the run's {name} is unknown: {own.missing.get(name, NOT_IN_PROMETHEUS)}"


def _first_reason(days: Sequence[Observed], name: str) -> str:
    return next((day.missing[name] for day in days if name in day.missing), NOT_IN_PROMETHEUS)


def _remarks_on_count(run: RunMeasurement, own: Observed) -> Iterator[str]:
    sent_rps, counted_rps = run.load.achieved_rate_rps, own.rate_rps
    if sent_rps and counted_rps and abs(counted_rps / sent_rps - 1) > DIFFERENT_COUNT_RATIO:
        yield (
            f"the service counted {counted_rps:.3g}/s while the run sent {sent_rps:.3g}/s: it has other clients, or "
            "Prometheus does not scrape all of its instances"
        )


def _remarks_on_mix(mix: Sequence[ComparedShare]) -> Iterator[str]:
    if mix and abs(mix[0].run - mix[0].production) >= DIFFERENT_MIX:
        yield "the mix of requests differs, which affects the latency and the CPU of all requests together"
