"""What a night's comparison is given: the cells, their nights, and the arrays made of them."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np

from include.perf.baselines.baselines import Baseline
from include.perf.baselines.detection import WINDOWS
from include.perf.baselines.history import Night, of_level
from include.perf.baselines.level import MAX_REFERENCE, Floats
from include.perf.baselines.panel import Panel
from include.perf.baselines.spread import JUDGED_ON_LOG, log_of, on_log_scale, resolution_of
from include.perf.model.metric import METRICS, Metric, MetricValue

LATEST_WITHIN = timedelta(days=8)
"""A cell's latest night counts for its service for so long: scenarios run weekly at the least."""

LATENCIES = ("latency_p50", "latency_p95", "latency_p99")
"""They move together when the service does; each of the other metrics is by itself."""

COLUMNS = MAX_REFERENCE + max(WINDOWS) + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredRun:
    """What one valid run measured."""

    run_id: str
    metrics: Mapping[str, MetricValue]
    due: int | None
    failed: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CellOfNight:
    """A service in a scenario with its baseline.

    Attributes:
        nights: before tonight, oldest first.
    """

    service: str
    scenario: str
    baseline: Baseline | None
    nights: tuple[Night, ...]

    @property
    def level_nights(self) -> tuple[Night, ...]:
        """The nights of the baseline's level, oldest first."""
        return () if self.baseline is None else of_level(self.nights, self.baseline)

    @property
    def panel_nights(self) -> tuple[Night, ...]:
        """Those of them that are computed with: the latest for the windows, and before them what may be a reference.

        Flagged nights that no window reaches are left out: a regression that lasts for months would push out all
        that it is held to, and pass for want of nights.
        """
        nights = self.level_nights
        older = [night for night in nights[: -max(WINDOWS)] if night.is_reference]
        return (*older, *nights[-max(WINDOWS) :])[-COLUMNS + 1 :]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender(CellOfNight):
    """A cell whose night is judged.

    Attributes:
        at: when the first run's load started.
        runs: the first run, and its valid re-runs.
        no_rerun: why there was no re-run, where one was wanted.
        hard_limits: by metric, what the service must never exceed.
        will_record_baseline: whether the run was started with ``update_baseline``.
    """

    at: datetime
    fingerprint: Mapping[str, str]
    runs: tuple[MeasuredRun, ...]
    deploy_version: str | None = None
    no_rerun: str | None = None
    hard_limits: Mapping[str, float] = field(default_factory=dict)
    will_record_baseline: bool = False

    def judged(self) -> dict[str, MetricValue]:
        """Return each metric's median over the runs; of two runs the better one, of none with a value the reason."""
        first = self.runs[0]
        if len(self.runs) == 1:
            return dict(first.metrics)
        return {name: self._median(METRICS[name]) for name in first.metrics if name in METRICS}

    def runs_with(self, name: str) -> int:
        """Return how many of the runs have a value of a metric."""
        return len(self._values(name))

    def is_backed(self, name: str) -> bool:
        """Whether a re-run speaks for a metric's value, or none could be had."""
        return self.runs_with(name) > 1 or self.no_rerun is not None

    def _values(self, name: str) -> list[float]:
        return [value for run in self.runs if (value := value_of(run.metrics, name)) is not None]

    def _median(self, metric: Metric) -> MetricValue:
        values = self._values(metric.name)
        if not values:
            return self.runs[0].metrics[metric.name]
        ordered = sorted(values, key=lambda value: metric.worsening(baseline=0, value=value))
        middle = ordered[0] if len(ordered) == 2 else statistics.median_low(ordered)
        return MetricValue(value=middle, unit=metric.unit)


def value_of(metrics: Mapping[str, MetricValue], name: str) -> float | None:
    """Return a metric's value, ``None`` where there is none."""
    found = metrics.get(name)
    return None if found is None else found.value


def panel_of(contenders: Sequence[Contender], others: Sequence[CellOfNight], *, now: datetime) -> Panel:
    """Return the arrays of a night: first the contenders, then the cells that lend their history."""
    cells: list[CellOfNight] = [*contenders, *others]
    shape = (len(cells), len(JUDGED_ON_LOG))
    values = np.full((*shape, COLUMNS), np.nan)
    is_reference = np.zeros((len(cells), COLUMNS), dtype=bool)
    minimum_effects, anchors = np.full(shape, np.inf), np.full(shape, np.nan)
    services = {name: number for number, name in enumerate(dict.fromkeys(cell.service for cell in cells))}
    for number, cell in enumerate(cells):
        rows, flags = _columns(cell, now=now)
        values[number, :, COLUMNS - rows.shape[1] :] = rows
        is_reference[number, COLUMNS - len(flags) :] = flags
        for index, name in enumerate(JUDGED_ON_LOG):
            minimum_effects[number, index] = _log_minimum_effect(METRICS[name], cell)
            anchors[number, index] = _log_anchor(METRICS[name], cell)
    return Panel(
        values=values,
        is_reference=is_reference,
        is_tonight=np.arange(len(cells)) < len(contenders),
        minimum_effects=minimum_effects,
        services=np.array([services[cell.service] for cell in cells], dtype=np.int64),
        anchors=anchors,
        anchor_runs=np.array([cell.baseline.anchor.runs if cell.baseline else 0 for cell in cells], dtype=float),
        families=np.array([0 if name in LATENCIES else -1 for name in JUDGED_ON_LOG], dtype=np.int64),
    )


def _columns(cell: CellOfNight, *, now: datetime) -> tuple[Floats, list[bool]]:
    """Return a cell's nights as (metrics, nights), and which may be a reference; the last column is the latest."""
    nights = cell.panel_nights
    rows = [[log_of(night.run, METRICS[name]) for name in JUDGED_ON_LOG] for night in nights]
    flags = [night.is_reference for night in nights]
    if isinstance(cell, Contender):
        judged = cell.judged()
        rows.append([_log_value(METRICS[name], judged.get(name)) for name in JUDGED_ON_LOG])
        flags.append(False)
    elif not nights or nights[-1].run.at is None or now - nights[-1].run.at > LATEST_WITHIN:
        rows.append([math.nan] * len(JUDGED_ON_LOG))
        flags.append(False)
    return np.array(rows, dtype=float).reshape(len(rows), len(JUDGED_ON_LOG)).T, flags


def _log_value(metric: Metric, value: MetricValue | None) -> float:
    return math.nan if value is None or value.value is None else on_log_scale(metric, value.value)


def _log_minimum_effect(metric: Metric, cell: CellOfNight) -> float:
    """Return the smallest shift worth telling on the log scale; without a level there is none."""
    level = cell.baseline.metrics.get(metric.name) if cell.baseline else None
    if level is None:
        return math.inf
    shown = max(level, resolution_of(metric))
    floor = metric.minimum_effect(baseline=shown, is_provisional=False)
    worse = shown + floor if metric.worsening(baseline=0, value=1) > 0 else shown - floor
    return abs(math.log(worse / shown)) if worse > 0 else math.inf


def _log_anchor(metric: Metric, cell: CellOfNight) -> float:
    level = cell.baseline.anchor.metrics.get(metric.name) if cell.baseline else None
    return math.nan if level is None else on_log_scale(metric, level)
