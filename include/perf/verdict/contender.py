"""The input of a night's comparison: the cells with their nights, and the arrays made of them."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from include.perf.baselines.detection import WINDOWS
from include.perf.baselines.entry import Baseline
from include.perf.baselines.history import Night, comparable_nights
from include.perf.baselines.panel import Panel
from include.perf.baselines.reference import MAX_REFERENCE, Floats
from include.perf.baselines.spread import JUDGED_ON_LOG, log_of, on_log_scale, resolution_of
from include.perf.catalogue.hard_limits import HardLimit
from include.perf.model.metric import METRICS, Metric, MetricValue
from include.perf.runs.figures import EndpointFigures

LATEST_WITHIN = timedelta(days=8)
"""How long a cell's latest night counts for its service; every scenario runs at least weekly."""

LATENCIES = ("latency_p50", "latency_p95", "latency_p99")
"""The family of metrics that change together when the service does."""

COLUMNS = MAX_REFERENCE + max(WINDOWS) + 1
"""Nights in the arrays: the history, the longest window, and tonight."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredRun:
    """The figures of one valid run.

    Attributes:
        requested_rps: requests that were due per second; ``None`` if unknown.
        collapse: what shows that the service did not survive this load; then the figures end early.
    """

    run_id: str
    metrics: Mapping[str, MetricValue]
    due: int | None
    failed: int | None
    endpoints: tuple[EndpointFigures, ...] = ()
    requested_rps: float | None = None
    collapse: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CellOfNight:
    """A cell (a service under a scenario) with its baseline.

    Attributes:
        nights: before tonight, oldest first.
    """

    service: str
    scenario: str
    baseline: Baseline | None
    nights: tuple[Night, ...]

    @property
    def comparable_nights(self) -> tuple[Night, ...]:
        """The nights that belong to the current baseline, oldest first."""
        return () if self.baseline is None else comparable_nights(self.nights, self.baseline)

    @property
    def panel_nights(self) -> tuple[Night, ...]:
        """The comparable nights that go into the arrays: the latest for the windows, before them reference nights only.

        Nights with a significant change that are older than every window are left out. Otherwise a regression that
        lasts for months would push out its own history, and then pass because there are too few nights.
        """
        nights = self.comparable_nights
        older = [night for night in nights[: -max(WINDOWS)] if night.is_reference]
        return (*older, *nights[-max(WINDOWS) :])[-COLUMNS + 1 :]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender(CellOfNight):
    """A cell whose run of tonight is judged.

    Attributes:
        at: when the load of the first run started.
        runs: the first run and its valid re-runs.
        no_rerun: why a re-run was not possible; ``None`` if there was one, or none was needed.
        limits: the hard limits of the service and of its endpoints.
        baseline_problem: why the baseline of the cell cannot be used; ``None`` if nothing is wrong with it.
        will_record_baseline: whether the run was started with ``update_baseline``.
    """

    at: datetime
    fingerprint: Mapping[str, str]
    runs: tuple[MeasuredRun, ...]
    deploy_version: str | None = None
    no_rerun: str | None = None
    limits: tuple[HardLimit, ...] = ()
    baseline_problem: str | None = None
    will_record_baseline: bool = False

    def judged(self) -> dict[str, MetricValue]:
        """Return the median of each metric over the runs; of two values the better one."""
        first = self.runs[0]
        if len(self.runs) == 1:
            return dict(first.metrics)
        return {name: self._median(METRICS[name]) for name in first.metrics if name in METRICS}

    def runs_with(self, name: str) -> int:
        """Return the number of runs that have a value of a metric."""
        return len(self._values(name))

    def is_backed(self, name: str) -> bool:
        """Return whether a re-run supports a metric's value, or no re-run was possible."""
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
    """Return the value of a metric; ``None`` if there is none."""
    found = metrics.get(name)
    return None if found is None else found.value


def panel_of(contenders: Sequence[Contender], others: Sequence[CellOfNight], *, now: datetime) -> Panel:
    """Return the arrays of a night: first the contenders, then the cells that contribute their history."""
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
    """Return a cell's values as (metrics, nights), and which are reference nights; the last column is tonight."""
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
    """Return f = |ln((L ± F) / L)|, the minimum effect on the log scale; infinite without a baseline value.

    L is the baseline value, F = max(relative minimum effect · L, absolute minimum effect), and the sign is the one that
    makes the metric worse.
    """
    value = cell.baseline.metrics.get(metric.name) if cell.baseline else None
    if value is None:
        return math.inf
    baseline = max(value, resolution_of(metric))
    effect = metric.minimum_effect(baseline=baseline, is_provisional=False)
    worse = baseline + effect if metric.worsening(baseline=0, value=1) > 0 else baseline - effect
    return abs(math.log(worse / baseline)) if worse > 0 else math.inf


def _log_anchor(metric: Metric, cell: CellOfNight) -> float:
    anchor = cell.baseline.anchor.metrics.get(metric.name) if cell.baseline else None
    return math.nan if anchor is None else on_log_scale(metric, anchor)
