"""Derive limits for the alert rules from baselines.

A live figure over five minutes differs from the baseline's centre for three reasons, each with a standard deviation on
the log scale: runs differ from one another (``between``), the centre is estimated from n runs, and five minutes differ
from a complete run (``within``)::

    s_live²  = between² · (1 + 1/n) + within²
    warning  = centre · max(1 + minimum effect, exp(4 · s_live))
    critical = max(1.25 · centre, warning)

For throughput the factors divide. The minimum effect and ``between`` are those of the comparison of runs, see
`include.perf.baselines.spread`. A latency limit is rounded up to a bucket bound of the service's histogram, because the
position of a quantile within a bucket is unknown. The limits of the error rate are the upper confidence bound of the
earlier rate plus half a percentage point, or one.

Only candidate and approved baselines have limits: fewer than three runs do not show how much runs differ. A critical
limit needs a baseline that is approved and not stale, as in a run's verdict, or a hard limit.
"""

import logging
import math
from bisect import bisect_left
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from include.perf.baselines.baselines import Baselines
from include.perf.baselines.entry import Baseline, State
from include.perf.baselines.error_count import FailureCount, compare_failures
from include.perf.baselines.spread import resolution_of, spread_between, worse_sign
from include.perf.catalogue.catalogue import Catalogue
from include.perf.catalogue.hard_limits import upper_limits
from include.perf.catalogue.service import Service
from include.perf.measure.metrics_source import MetricsSource
from include.perf.model.cell import CellName
from include.perf.model.errors import PrometheusError
from include.perf.model.metric import METRICS, Metric, Unit
from include.perf.model.text import Clock
from include.perf.monitoring.live_figures import counting_of
from include.perf.monitoring.rule_limits import CellLimits, Limit, RuleLimits

log = logging.getLogger(__name__)

CRITICAL_RATIO = 1.25
"""Smallest ratio of a critical limit to the centre."""

SPREADS = 4
"""Standard deviations from the centre to the warning; exceeded by chance in fewer than 1 of 30,000 windows."""

MINUTES_OF_WINDOW = 5
"""Minutes within a run are assumed to be independent; slower variation is part of ``between``."""

CRITICAL_POINTS = 0.01
"""Increase of the error rate that is critical, as in a run's verdict."""

ERROR_RATE = METRICS["error_rate"]

Edges = Callable[[Service], Sequence[float]]
"""Returns the upper bounds of a service's latency histogram in seconds, ascending; empty where unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Derived:
    """The limits that follow from baselines.

    Attributes:
        left_out: a sentence for each cell and each metric without a limit.
    """

    limits: RuleLimits
    left_out: tuple[str, ...] = ()


def derive(
    baselines: Baselines, catalogue: Catalogue, *, edges: Edges, now: datetime, before: RuleLimits | None = None
) -> Derived:
    """Return the limits of all cells of the catalogue whose baselines allow limits.

    Args:
        before: the limits in force; a cell whose baseline cannot be used keeps them.
    """
    cells: list[CellLimits] = []
    left_out: list[str] = []
    known: dict[str, tuple[float, ...]] = {}
    for cell, entry in _entries(baselines):
        where = f"{cell.service} under {cell.scenario}"
        if why := _refusal(cell, entry, catalogue):
            left_out.append(f"{where}: {why}")
            continue
        service, scenario = catalogue.services[cell.service], catalogue.scenarios[cell.scenario]
        if service.name not in known:
            known[service.name] = tuple(edges(service))
        unknown = () if scenario.load.is_flat else ("throughput",)
        levels = _Levels(entry=entry, hard=upper_limits(service.limits), edges=known[service.name], now=now)
        metrics = {name: limit for name, limit in levels.limits().items() if name not in unknown}
        left_out += [f"{where}: {why}" for why in _missing(entry, metrics, unknown=unknown)]
        cells.append(
            CellLimits(
                service=service.name,
                scenario=scenario.name,
                environment=service.environment,
                baseline_version=entry.version,
                metrics=metrics,
            )
        )
    for cell, problem in _unusable(baselines, catalogue):
        kept = before.of(cell) if before else None
        cells += [kept] if kept else []
        left_out.append(f"{cell.service} under {cell.scenario}: {'its limits stay as they are' if kept else problem}")
    cells.sort(key=lambda limits: limits.cell)
    return Derived(limits=RuleLimits(cells=tuple(cells), edges=known), left_out=tuple(left_out))


def _unusable(baselines: Baselines, catalogue: Catalogue) -> Iterator[tuple[CellName, str]]:
    """Yield the cells whose baselines cannot be used, and why."""
    for cell in catalogue.cells():
        if problem := baselines.problem_of(cell.service, cell.scenario):
            yield cell, problem


def _missing(entry: Baseline, limits: Container[str], *, unknown: Container[str]) -> Iterator[str]:
    """Yield which metrics of a baseline have no limit, and why."""
    for name, metric in METRICS.items():
        if name in entry.metrics and name not in limits:
            yield f"{metric.title}: {_VARIES if name in unknown else _OUT_OF_REACH}"


_VARIES = "the rate of the load varies, so five minutes cannot be compared with a complete run"


def _entries(baselines: Baselines) -> list[tuple[CellName, Baseline]]:
    cells = [CellName(service, scenario) for service, scenarios in baselines.entries.items() for scenario in scenarios]
    return [(cell, baselines.entries[cell.service][cell.scenario]) for cell in sorted(cells)]


_OUT_OF_REACH = (
    "no live figure can exceed its limit, which is beyond the histogram or 100 %; add larger buckets to the service, "
    "or set a hard limit"
)


def _refusal(cell: CellName, entry: Baseline, catalogue: Catalogue) -> str | None:
    """Return why a cell has no limits, or ``None``."""
    if cell not in catalogue.cells():
        return "it is no longer in the catalogue"
    if entry.state is State.PROVISIONAL:
        return "its baseline is provisional: fewer than three runs do not show how much runs differ"
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Levels:
    """The limits of one baseline."""

    entry: Baseline
    hard: Mapping[str, float]
    edges: Sequence[float]
    now: datetime

    def limits(self) -> dict[str, Limit]:
        """Return the limits by metric, in display order."""
        known = [metric for name, metric in METRICS.items() if name in self.entry.metrics]
        return {metric.name: limit for metric in known if (limit := self._limit(metric)) is not None}

    def _limit(self, metric: Metric) -> Limit | None:
        """Return the limits of a metric; ``None`` if no live figure could exceed the warning."""
        own_warning, own_critical = self._of_failures() if metric is ERROR_RATE else self._of_spread(metric)
        is_approved = self.entry.state_at(self.now) is State.APPROVED
        hard = self.hard.get(metric.name)
        warning = _smallest(self._within_reach(metric, own_warning), hard)
        if warning is None:
            return None
        return Limit(
            centre=self.entry.metrics[metric.name],
            warning=warning,
            critical=_smallest(self._within_reach(metric, own_critical) if is_approved else None, hard),
            hard=hard,
        )

    def _of_spread(self, metric: Metric) -> tuple[float, float]:
        """Return the warning and the critical limit of a metric that is compared on the log scale."""
        centre = max(self.entry.metrics[metric.name], resolution_of(metric))
        minimum_effect = metric.minimum_effect(baseline=centre, is_provisional=False)
        factor = max(1 + minimum_effect / centre, math.exp(SPREADS * self._s_live(metric)))
        sign = worse_sign(metric)
        return centre * factor**sign, centre * max(factor, CRITICAL_RATIO) ** sign

    def _s_live(self, metric: Metric) -> float:
        """Return s_live: how much five minutes of live traffic differ from the centre, on the log scale."""
        runs = sum(metric.name in run.metrics for run in self.entry.runs)
        spread = self.entry.spread[metric.name]
        between = spread_between(spread, runs=runs)
        minutes = spread.within_run
        within = between if minutes is None else minutes / math.sqrt(MINUTES_OF_WINDOW)
        return math.sqrt(between**2 * (1 + 1 / runs) + within**2)

    def _of_failures(self) -> tuple[float, float]:
        """Return the warning and the critical limit of the error rate."""
        runs = self.entry.runs
        counts = [FailureCount(failed=run.failed, due=run.due) for run in runs if run.failed is not None and run.due]
        centre = self.entry.metrics[ERROR_RATE.name]
        found = compare_failures(FailureCount(failed=0, due=1), counts)
        at_most = centre if found is None else max(centre, found.upper)
        warning = at_most + ERROR_RATE.min_effect_absolute
        return warning, max(warning, CRITICAL_RATIO * centre, at_most + CRITICAL_POINTS)

    def _within_reach(self, metric: Metric, limit: float) -> float | None:
        """Return a limit, rounded up to a bucket bound; ``None`` if no live figure could exceed it.

        Prometheus returns no quantile above the last bound of a histogram.
        """
        limit = float(f"{limit:.6g}")
        if metric.unit is Unit.RATIO:
            return limit if limit < 1 else None
        if metric.unit is not Unit.SECONDS or not self.edges:
            return limit
        above = self.edges[bisect_left(self.edges, limit) :]
        return None if not above else above[0] if len(above) > 1 else limit if limit < above[0] else None


def _smallest(limit: float | None, hard: float | None) -> float | None:
    known = [value for value in (limit, hard) if value is not None]
    return min(known, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class HistogramEdges:
    """Queries Prometheus for bucket bounds, and falls back to the last known ones.

    Without the fallback, limits would change while Prometheus is unavailable.
    """

    source: MetricsSource
    clock: Clock
    before: Mapping[str, Sequence[float]]

    def __call__(self, service: Service) -> Sequence[float]:
        """Return the bounds in seconds, ascending; empty where unknown."""
        counting, selector = counting_of(service)
        try:
            found = self.source.values(counting.buckets_query(selector, window="5m"), at=self.clock())
        except PrometheusError as err:
            log.info("%s: using the last known bounds of its histogram: %s", service.name, err)
            return self.before.get(service.name, ())
        bounds = (float(bucket.labels.get("le", "inf")) for bucket in found)
        return sorted(bound for bound in bounds if math.isfinite(bound))
