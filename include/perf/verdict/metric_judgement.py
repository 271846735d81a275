"""Judge one metric of one run on the log scale: whether it changed, whether that is significant, and why.

With fewer than `MIN_REFERENCE` nights of history there are no statistics: only a large change is reported, as a
warning. From then on `include.perf.verdict.significance` decides.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from include.perf.baselines.detection import MIN_REFERENCE
from include.perf.baselines.entry import Baseline
from include.perf.baselines.history import Night
from include.perf.baselines.panel import Panel, PanelStatistics, Shifts
from include.perf.baselines.spread import JUDGED_ON_LOG, from_log_scale, on_log_scale
from include.perf.model.metric import Metric
from include.perf.runs.record import Cause, Severity, Shift
from include.perf.verdict import reasons
from include.perf.verdict.contender import Contender
from include.perf.verdict.metric_change import ComparedMetric, MetricChange, shift_between, shift_of_log
from include.perf.verdict.significance import PLATFORM_Z, SUSPECT_T, Significance, t_of_reruns

SINGLE_T = 5.0
"""From this t on, and beyond the 30 % of a provisional baseline, a run that could not be re-run is a warning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NightStatistics:
    """What a night shows over all its cells.

    Attributes:
        services: number of services tonight.
    """

    panel: Panel
    statistics: PanelStatistics
    worse: Significance
    better: Significance
    services: int

    def own_shifts(self, nights: int) -> Shifts:
        """Return each cell's own shifts over so many last nights."""
        shifts = (self.statistics.tonight, *self.statistics.windows)
        return next(shift for shift in shifts if shift.nights == nights and not shift.of_anchor)

    def has_platform_changed(self, index: int) -> bool:
        """Return whether all cells changed in a metric, by more than the median minimum effect."""
        part = abs(float(self.statistics.platform[index]))
        minimum_effects = self.panel.minimum_effects[self.panel.is_tonight, index]
        return abs(float(self.statistics.platform_z[index])) >= PLATFORM_Z and part > float(np.median(minimum_effects))


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricJudge:
    """Judges one metric of one contender.

    Attributes:
        night: the statistics of the night.
        row: row of the contender in its arrays.
        nights: comparable nights, oldest first.
        value: tonight's value, the median if there were re-runs.
    """

    night: NightStatistics
    row: int
    contender: Contender
    baseline: Baseline
    nights: Sequence[Night]
    metric: Metric
    value: float

    @property
    def _cell(self) -> tuple[int, int]:
        """Index of the cell and metric in the arrays."""
        return self.row, self._index

    @property
    def _index(self) -> int:
        return JUDGED_ON_LOG.index(self.metric.name)

    @property
    def _runs(self) -> int:
        return self.contender.runs_with(self.metric.name)

    def compared(self) -> ComparedMetric:
        """Return how the metric compares with its history."""
        has_history = float(self.night.statistics.reference.nights[self._cell]) >= MIN_REFERENCE
        return self._statistical() if has_history else self._provisional()

    def _provisional(self) -> ComparedMetric:
        """Judge without statistics, as there are only one or two nights of history."""
        metric = self.metric
        centre = float(self.night.statistics.reference.centre[self._cell])
        reference = self.baseline.metrics[metric.name] if math.isnan(centre) else from_log_scale(metric, centre)
        shift = shift_between(reference, self.value)
        worsening = metric.worsening(baseline=reference, value=self.value)
        threshold = metric.minimum_effect(baseline=reference, is_provisional=True)
        if abs(worsening) <= threshold * (1 + 1e-9):
            return ComparedMetric(reference=reference, shift=shift)
        is_worse = worsening > 0
        nights = int(self.night.statistics.reference.nights[self._cell])
        change = MetricChange(
            reference=reference,
            shift=shift,
            is_worse=is_worse,
            is_confirmed=not is_worse or self.contender.is_backed(metric.name),
            evidence=reasons.provisional(metric, threshold=threshold, nights=nights),
            max_severity=Severity.WARNING,
        )
        suspicion = 1 + abs(worsening) / threshold if is_worse else 0.0
        return ComparedMetric(reference=reference, shift=shift, suspicion=suspicion, change=change)

    def _statistical(self) -> ComparedMetric:
        statistics = self.night.statistics
        reference = from_log_scale(self.metric, float(statistics.reference.centre[self._cell]))
        is_suspicious = bool(self.night.worse.is_suspicious[self._cell])
        return ComparedMetric(
            reference=reference,
            shift=self._shift_of(statistics.tonight, reference),
            suspicion=self._t(1) / SUSPECT_T if is_suspicious else 0.0,
            change=self._significant(reference) or self._with_platform(reference) or self._suspicious(reference),
        )

    def _t(self, sign: int) -> float:
        """Return tonight's statistic in a direction; with re-runs that of the median of three."""
        statistics = self.night.statistics
        found = statistics.tonight.max_z(sign) if self._runs == 1 else t_of_reruns(statistics, sign)
        return float(found[self._cell])

    def _shift_of(self, shifts: Shifts, reference: float) -> Shift:
        return shift_of_log(self.metric, shifts, row=self.row, index=self._index, reference=reference)

    def _significant(self, reference: float) -> MetricChange | None:
        worse = self._significant_in(self.night.worse, reference, is_worse=True)
        return worse or self._significant_in(self.night.better, reference, is_worse=False)

    def _significant_in(self, found: Significance, reference: float, *, is_worse: bool) -> MetricChange | None:
        """Return the change that is significant in one direction, by the first of re-runs, windows and service."""
        if found.by_night[self._cell]:
            return self._by_reruns(reference, is_worse=is_worse)
        window = found.by_window.at(*self._cell)
        if window is not None:
            return self._by_window(self.night.statistics.windows[window], is_worse=is_worse)
        service = found.by_service.at(*self._cell)
        if service is not None:
            return self._by_service(service, reference, is_worse=is_worse)
        return None

    def _by_reruns(self, reference: float, *, is_worse: bool) -> MetricChange:
        return MetricChange(
            reference=reference,
            shift=self._shift_of(self.night.statistics.tonight, reference),
            is_worse=is_worse,
            is_confirmed=True,
            evidence=reasons.by_reruns(runs=self._runs, t=self._t(1 if is_worse else -1)),
        )

    def _by_window(self, window: Shifts, *, is_worse: bool) -> MetricChange:
        anchor = self.baseline.anchor if window.of_anchor else None
        centre = float(window.centre[self._cell])
        reference = from_log_scale(self.metric, centre) if anchor is None else anchor.metrics[self.metric.name]
        z = float(window.max_z(1 if is_worse else -1)[self._cell])
        version = None if anchor is None else anchor.version
        return MetricChange(
            reference=reference,
            shift=self._shift_of(window, reference),
            is_worse=is_worse,
            is_confirmed=True,
            evidence=reasons.by_window(nights=window.nights, z=z, anchor=version),
            since=self._first_of(window.nights),
        )

    def _by_service(self, index: int, reference: float, *, is_worse: bool) -> MetricChange | None:
        """Return the change of all scenarios of the service, unless this one changed in the other direction."""
        service = self.night.statistics.services[index]
        own = self.night.own_shifts(service.nights)
        known = self.night.statistics.tonight if np.isnan(own.shift[self._cell]) else own
        if (float(known.shift[self._cell]) > 0) is not is_worse:
            return None
        z = abs(float(service.z[self.night.panel.services[self.row], self._index]))
        return MetricChange(
            reference=reference,
            shift=self._shift_of(known, reference),
            is_worse=is_worse,
            is_confirmed=True,
            evidence=reasons.by_service(nights=service.nights, z=z),
            cause=Cause.SERVICE,
            since=self._first_of(service.nights),
        )

    def _with_platform(self, reference: float) -> MetricChange | None:
        """Return the change of a cell that changed together with all others, if it exceeds the minimum effect."""
        statistics = self.night.statistics
        if not self.night.has_platform_changed(self._index):
            return None
        part = float(statistics.platform[self._index])
        distance = on_log_scale(self.metric, self.value) - float(statistics.reference.centre[self._cell])
        if abs(distance) <= float(self.night.panel.minimum_effects[self._cell]) or distance * part < 0:
            return None
        tonight = statistics.tonight
        with_platform = replace(tonight, plain_shift=tonight.plain_shift + statistics.platform)
        z = abs(float(statistics.platform_z[self._index]))
        return MetricChange(
            reference=reference,
            shift=self._shift_of(with_platform, reference),
            is_worse=part > 0,
            is_confirmed=True,
            evidence=reasons.by_platform(services=self.night.services, z=z),
            cause=Cause.PLATFORM,
            max_severity=Severity.WARNING,
        )

    def _suspicious(self, reference: float) -> MetricChange | None:
        """Return a suspicious change; a large one that could not be re-run counts as confirmed."""
        worse, better = (bool(found.is_suspicious[self._cell]) for found in (self.night.worse, self.night.better))
        if not (worse or better):
            return None
        t = self._t(1 if worse else -1)
        threshold = self.metric.minimum_effect(baseline=reference, is_provisional=True)
        is_large = t >= SINGLE_T and abs(self.value - reference) > threshold
        had_no_rerun = self._runs == 1 and self.contender.no_rerun is not None
        return MetricChange(
            reference=reference,
            shift=self._shift_of(self.night.statistics.tonight, reference),
            is_worse=worse,
            is_confirmed=worse and had_no_rerun and is_large,
            evidence=reasons.suspicious(t=t, runs=self._runs, no_rerun=self.contender.no_rerun),
            max_severity=Severity.WARNING,
        )

    def _first_of(self, nights: int) -> datetime | None:
        """Return the start of the first of so many last nights, tonight included; ``None`` if that is tonight."""
        earlier = self.nights[-(nights - 1) :] if nights > 1 else ()
        return earlier[0].run.at if earlier else None
