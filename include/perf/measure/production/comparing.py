"""Compare a run with production, as far as Prometheus can tell; whatever goes wrong is a sentence in what comes out."""

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
    each_of,
    observe_own,
    observe_production,
)
from include.perf.measure.validity import MIN_COVERAGE_RATIO
from include.perf.model.errors import BellwetherError, PrometheusError, PrometheusUnavailable
from include.perf.model.text import Clock, span
from include.perf.runs.figures import LoadFigures, ServerFigures, Window
from include.perf.runs.results_store import REQUESTS_FILE

log = logging.getLogger(__name__)

BUDGET = timedelta(minutes=2)
"""A Prometheus that answers slowly is not asked about further days after it."""

OTHER_MIX = 0.10
"""From this difference of a share on, the mix may be why latency and CPU differ."""

OTHER_COUNT_RATIO = 0.05
"""A service that counts so many requests more or less than were sent to it does not tell of this run alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunMeasurement:
    """A run that was measured.

    Attributes:
        folder: where its requests lie.
    """

    service: Service
    scenario: Scenario
    load: LoadFigures
    server: ServerFigures
    folder: Path


@dataclass(slots=True)
class _Days:
    """What production did on its days, latest first."""

    seen: list[Observed] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)

    @property
    def histograms(self) -> list[Buckets]:
        """The histograms of those that have one."""
        return [day.buckets for day in self.seen if day.buckets is not None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductionComparing:
    """Asks both sides, and puts them beside each other.

    Attributes:
        own: the Prometheus that watches the service under test.
        production: gives the one that watches production; ``None`` where it is the same.
    """

    own: MetricsSource
    production: Callable[[], MetricsSource | None]
    market: MarketHours
    clock: Clock

    def compare(self, run: RunMeasurement) -> ProductionComparison | None:
        """Return how a run compares, ``None`` where the catalogue does not say with what."""
        reference, hours = run.service.production, run.scenario.production_hours
        if reference is None or hours is None:
            return None
        made = ProductionComparison(compared_at=self.clock(), hours=hours.description)
        try:
            days = self._days(run, reference, hours)
            made = replace(made, days=tuple(day.window for day in days.seen), left_out=tuple(days.left_out))
            if not days.seen:
                return replace(made, problem=_why_nothing(days))
            own, measured_by = self._own(run, reference, days)
        except BellwetherError as err:
            log.warning("%s could not be compared with production: %s", run.service.name, err)
            return replace(made, problem=str(err))
        return _beside(made, run, own, days, measured_by=measured_by)

    def _days(self, run: RunMeasurement, reference: ProductionReference, hours: ProductionHours) -> _Days:
        """Ask what production did on the last days before the run.

        Raises:
            ConfigurationError: nobody can say where its Prometheus is.
        """
        days, begun_at, source = _Days(), self.clock(), self.production() or self.own
        for period in islice(last_hours(hours, self.market, before=run.load.window.start), reference.days):
            window = Window(start=period.begins, end=period.ends)
            try:
                if self.clock() - begun_at > BUDGET:
                    raise PrometheusUnavailable(f"it answers too slowly; {span(BUDGET.total_seconds())} were over")
                days.seen.append(observe_production(reference, run.service.prometheus, window, source))
            except PrometheusError as err:
                days.left_out.append(LeftOut(window=window, reason=str(err)))
                if isinstance(err, PrometheusUnavailable):  # nor will it be there for the days before
                    break
        return days

    def _own(self, run: RunMeasurement, reference: ProductionReference, days: _Days) -> tuple[Observed, RequestSource]:
        """Return what the service tells of the run; what the client saw of it where the service tells nothing.

        Raises:
            LoadError: the record of the client's requests cannot be read either.
        """
        seen = self._told(run, reference)
        if seen is not None and seen.buckets is not None and seen.buckets.total > 0:
            return seen, RequestSource.SERVICE
        return _as_the_client_saw(run, days), RequestSource.CLIENT

    def _told(self, run: RunMeasurement, reference: ProductionReference) -> Observed | None:
        """Return what the service tells of the run; ``None`` where it was not scraped well enough to be believed."""
        if (run.server.coverage_ratio or 0.0) < MIN_COVERAGE_RATIO or run.server.problem is not None:
            return None
        try:
            return observe_own(reference, run.service.prometheus, run.load.window, self.own, cores=_cores(run.server))
        except PrometheusUnavailable as err:
            log.warning("%s is compared with production as the client saw it: %s", run.service.name, err)
            return None


def _cores(server: ServerFigures) -> float | None:
    found = server.metrics.get("cpu_usage")
    return found.value if found else None


def _as_the_client_saw(run: RunMeasurement, days: _Days) -> Observed:
    """Return the run's figures out of its own record, its latencies in production's buckets.

    Raises:
        LoadError: the record cannot be read.
    """
    from include.perf.measure.production.observed import client_buckets, client_mix

    kinds = {kind for day in days.seen for kind in day.mix}
    failed = run.load.metrics.get("error_rate")
    bounds = common_bounds(days.histograms)
    return Observed(
        window=run.load.window,
        rate_rps=run.load.achieved_rate_rps,
        error_ratio=failed.value if failed else None,
        cpu_s=each_of(_cores(run.server), run.load.achieved_rate_rps),
        buckets=client_buckets(run.folder / REQUESTS_FILE, bounds) if bounds else None,
        mix=client_mix(run.service, run.load.endpoints, kinds),
    )


def _beside(
    made: ProductionComparison, run: RunMeasurement, own: Observed, days: _Days, *, measured_by: RequestSource
) -> ProductionComparison:
    """Put both sides beside each other."""
    histograms = days.histograms
    latencies = latency_figures(own.buckets, histograms) if own.buckets and histograms else ()
    mix = compared_mix(own.mix, [day.mix for day in days.seen])
    remarks = (
        *_remarks_on_buckets(own, histograms, days.seen, are_compared=bool(latencies)),
        *_remarks_on_missing(own, days.seen),
        *_remarks_on_count(run, own),
        *_remarks_on_mix(mix),
    )
    return replace(
        made,
        measured_by=measured_by,
        bounds=tuple(sorted(common_bounds((own.buckets, *histograms)))) if own.buckets else (),
        figures=(*latencies, *other_figures(own, days.seen)),
        mix=mix,
        rate=compared_rate(run.scenario.load, days.seen),
        remarks=remarks,
    )


def _why_nothing(days: _Days) -> str:
    if not days.left_out:
        return "there was no trading day before the run"
    return f"production tells nothing of these hours: {days.left_out[0].reason}"


def _remarks_on_buckets(
    own: Observed, histograms: Sequence[Buckets], days: Sequence[Observed], *, are_compared: bool
) -> Iterator[str]:
    if not histograms:
        yield f"production's latency is not known: {_first_reason(days, LATENCY)}"
        return
    known = [each for each in (*histograms, own.buckets) if each]
    shared, every = common_bounds(known), frozenset[float]().union(*(each.finite_bounds for each in known))
    if not are_compared:
        yield (
            f"the latencies cannot be compared: the histograms differ in their buckets, and the {len(shared)} in "
            f"common, of {len(every)}, tell nothing"
        )
    elif shared < every:
        yield (
            f"the histograms differ in their buckets: both sides are compared in the {len(shared)} that they have in "
            f"common, of {len(every)}"
        )


def _remarks_on_missing(own: Observed, days: Sequence[Observed]) -> Iterator[str]:
    for name, known in ((ERRORS, [day.error_ratio for day in days]), (CPU, [day.cpu_s for day in days])):
        if all(value is None for value in known):
            yield f"production's {name} is not known: {_first_reason(days, name)}"
    for name, value in ((ERRORS, own.error_ratio), (CPU, own.cpu_s)):
        if value is None:
            yield f"the run's {name} is not known: {own.missing.get(name, 'its Prometheus does not tell it')}"


def _first_reason(days: Sequence[Observed], name: str) -> str:
    return next((day.missing[name] for day in days if name in day.missing), "its Prometheus does not tell it")


def _remarks_on_count(run: RunMeasurement, own: Observed) -> Iterator[str]:
    sent_rps, counted_rps = run.load.achieved_rate_rps, own.rate_rps
    if sent_rps and counted_rps and abs(counted_rps / sent_rps - 1) > OTHER_COUNT_RATIO:
        yield (
            f"the service counted {counted_rps:.3g}/s while {sent_rps:.3g}/s were sent to it: it has other clients, or "
            "Prometheus does not see all of it"
        )


def _remarks_on_mix(mix: Sequence[ComparedShare]) -> Iterator[str]:
    if mix and abs(mix[0].run - mix[0].production) >= OTHER_MIX:
        yield "the mix of requests differs, and latency and CPU of all requests together differ with it"
