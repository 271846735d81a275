"""How limits come out of a baseline.

A live figure of five minutes differs from the baseline's centre for three reasons, each with a standard deviation on
the log scale: runs differ from one another (``between``), the centre is that of n runs only, and five minutes differ
from the whole of a run (``within``)::

    s_live² = between² (1 + 1/n) + within²
    warning = centre × max(1 + floor, exp(4 s_live)),  mirrored for throughput
    critical = 1.25 × centre, and never within the warning

The floor is the metric's own, which the comparison of runs has as well, and so is ``between``, see
`include.perf.baselines.spread`. Latency is rounded up to an upper bound of the service's histogram: between two
bounds nobody
knows where a quantile lies. Failures are counts: what their rate was at most, and half a point, or one.

Only a candidate or approved baseline gives limits. One of fewer runs does not say how far runs differ, and an alarm
without that is a guess. A critical one takes a baseline that is approved and not stale, as in a run's verdict, or a
hard limit, which needs no baseline to be right.

The upper bounds of a service's latency histogram, between which nobody knows where a quantile lies.
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
from include.perf.catalogue.service import Service
from include.perf.measure.metrics_source import MetricsSource
from include.perf.model.cell import CellName
from include.perf.model.errors import PrometheusError
from include.perf.model.metric import METRICS, Metric, Unit
from include.perf.model.text import Clock
from include.perf.monitoring.live_figures import counting_of
from include.perf.monitoring.rule_limits import CellLimits, Limit, RuleLimits

CRITICAL_RATIO = 1.25

SPREADS = 4
"""So many standard deviations off: by chance less than once in 30,000 windows."""

MINUTES_OF_WINDOW = 5
"""The minutes of a run are taken to be independent: what lasts for longer is in how far runs differ."""

CRITICAL_POINTS = 0.01
"""Of an error rate: one request in a hundred more that fails, as in a run's verdict."""

ERROR_RATE = METRICS["error_rate"]

Edges = Callable[[Service], Sequence[float]]
"""Returns the upper bounds of a service's latency histogram in seconds, ascending; none where nobody knows them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Derived:
    """The limits that follow from the baselines, and what has none.

    Attributes:
        left_out: a sentence for each cell and each metric without a limit.
    """

    limits: RuleLimits
    left_out: tuple[str, ...] = ()


def derive(baselines: Baselines, catalogue: Catalogue, *, edges: Edges, now: datetime) -> Derived:
    """Return the limits of every cell of the catalogue whose baseline bears them."""
    cells: list[CellLimits] = []
    left_out: list[str] = []
    known: dict[str, tuple[float, ...]] = {}
    for cell, entry in _entries(baselines):
        where = f"{cell.service} in {cell.scenario}"
        if why := _refusal(cell, entry, catalogue):
            left_out.append(f"{where}: {why}")
            continue
        service, scenario = catalogue.services[cell.service], catalogue.scenarios[cell.scenario]
        if service.name not in known:
            known[service.name] = tuple(edges(service))
        unknown = () if scenario.load.is_flat else ("throughput",)
        levels = _Levels(entry=entry, hard=service.hard_limits, edges=known[service.name], now=now)
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
    return Derived(limits=RuleLimits(cells=tuple(cells), edges=known), left_out=tuple(left_out))


def _missing(entry: Baseline, limits: Container[str], *, unknown: Container[str]) -> Iterator[str]:
    """Say which metrics of a baseline have no limit, and why."""
    for name, metric in METRICS.items():
        if name in entry.metrics and name not in limits:
            yield f"{metric.title}: {_VARIES if name in unknown else _OUT_OF_REACH}"


_VARIES = "the rate of its load varies, so no five minutes are like the whole of a run"


def _entries(baselines: Baselines) -> list[tuple[CellName, Baseline]]:
    cells = [CellName(service, scenario) for service, scenarios in baselines.entries.items() for scenario in scenarios]
    return [(cell, baselines.entries[cell.service][cell.scenario]) for cell in sorted(cells)]


_OUT_OF_REACH = (
    "its limit is where no live figure can get, at the end of the histogram or at 100 %; give the service buckets that "
    "reach further, or a hard limit"
)


def _refusal(cell: CellName, entry: Baseline, catalogue: Catalogue) -> str | None:
    """Return why a cell has no limits, or ``None``."""
    if cell not in catalogue.cells():
        return "it is not in the catalogue any more"
    if entry.state is State.PROVISIONAL:
        return "its baseline is provisional, and fewer than three runs do not say how far runs differ"
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Levels:
    """The limits that one baseline gives."""

    entry: Baseline
    hard: Mapping[str, float]
    edges: Sequence[float]
    now: datetime

    def limits(self) -> dict[str, Limit]:
        """Return the limits by metric, in the order in which people read them."""
        known = [metric for name, metric in METRICS.items() if name in self.entry.metrics]
        return {metric.name: limit for metric in known if (limit := self._limit(metric)) is not None}

    def _limit(self, metric: Metric) -> Limit | None:
        """Return the limits of a metric; ``None`` where nothing could ever be beyond the warning."""
        warning, critical = self._of_failures() if metric is ERROR_RATE else self._of_spread(metric)
        is_approved = self.entry.state_at(self.now) is State.APPROVED
        hard = self.hard.get(metric.name)
        warned_at = _least(self._within_reach(metric, warning), hard)
        if warned_at is None:
            return None
        return Limit(
            centre=self.entry.metrics[metric.name],
            warning=warned_at,
            critical=_least(self._within_reach(metric, critical) if is_approved else None, hard),
            hard=hard,
        )

    def _of_spread(self, metric: Metric) -> tuple[float, float]:
        """Return the warning and the critical limit of a metric that is judged on the log scale."""
        centre = max(self.entry.metrics[metric.name], resolution_of(metric))
        floor = metric.minimum_effect(baseline=centre, is_provisional=False)
        factor = max(1 + floor / centre, math.exp(SPREADS * self._s_live(metric)))
        sign = worse_sign(metric)
        return centre * factor**sign, centre * max(factor, CRITICAL_RATIO) ** sign

    def _s_live(self, metric: Metric) -> float:
        """Return how far five minutes of live traffic differ from the centre, on the log scale."""
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
        """Return a limit as it can be told, ``None`` where no live figure could be beyond it.

        Prometheus tells no quantile above the last bound of a histogram, so that bound itself is out of reach.
        """
        limit = float(f"{limit:.6g}")
        if metric.unit is Unit.RATIO:
            return limit if limit < 1 else None
        if metric.unit is not Unit.SECONDS or not self.edges:
            return limit
        above = self.edges[bisect_left(self.edges, limit) :]
        return None if not above else above[0] if len(above) > 1 else limit if limit < above[0] else None


def _least(limit: float | None, hard: float | None) -> float | None:
    known = [each for each in (limit, hard) if each is not None]
    return min(known, default=None)


log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class HistogramEdges:
    """Asks Prometheus for the bounds; where it cannot tell them they are those that were known before.

    A limit must not change because Prometheus was away for a moment.
    """

    source: MetricsSource
    clock: Clock
    before: Mapping[str, Sequence[float]]

    def __call__(self, service: Service) -> Sequence[float]:
        """Return the bounds in seconds, ascending; none where nobody knows them."""
        counting, selector = counting_of(service)
        try:
            found = self.source.values(counting.buckets_query(selector, window="5m"), at=self.clock())
        except PrometheusError as err:
            log.info("%s: the bounds of its histogram are those known before: %s", service.name, err)
            return self.before.get(service.name, ())
        bounds = (float(each.labels.get("le", "inf")) for each in found)
        return sorted(bound for bound in bounds if math.isfinite(bound))
