"""The judgement of one metric of one run on the log scale: whether it moved, how surely, and why one thinks so."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from include.perf.baselines.baselines import Baseline
from include.perf.baselines.detection import MIN_REFERENCE
from include.perf.baselines.history import Night
from include.perf.baselines.panel import Panel, PanelStatistics, Shifts
from include.perf.baselines.spread import JUDGED_ON_LOG, from_log_scale, on_log_scale
from include.perf.model.metric import Metric
from include.perf.runs.record import Cause, Severity, Shift
from include.perf.verdict import reasons
from include.perf.verdict.calls import PLATFORM_Z, SUSPECT_T, Calls, t_of_reruns
from include.perf.verdict.contender import Contender
from include.perf.verdict.moves import Compared, MetricChange, shift_between, shift_of_log

SINGLE_T = 5.0
"""From here on, and beyond the 30 % of a provisional baseline, one run is told without a re-run, as a warning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NightFindings:
    """What a night shows of all its cells.

    Attributes:
        services: how many of them there are tonight.
    """

    panel: Panel
    findings: PanelStatistics
    worse: Calls
    better: Calls
    services: int

    def own(self, nights: int) -> Shifts:
        """Return the shifts of each cell by itself over so many last nights."""
        shifts = (self.findings.tonight, *self.findings.windows)
        return next(each for each in shifts if each.nights == nights and not each.of_anchor)

    def platform_moved(self, index: int) -> bool:
        """Whether all cells moved in a metric, by more than is worth telling of one."""
        part = abs(float(self.findings.platform[index]))
        minimum_effects = self.panel.minimum_effects[self.panel.is_tonight, index]
        return abs(float(self.findings.platform_z[index])) >= PLATFORM_Z and part > float(np.median(minimum_effects))


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricJudge:
    """Judges one metric of one contender.

    Attributes:
        night: what the whole night shows.
        row: the contender's in it.
        nights: of the baseline's level, oldest first.
        value: tonight's, the median where there are re-runs.
    """

    night: NightFindings
    row: int
    contender: Contender
    baseline: Baseline
    nights: Sequence[Night]
    metric: Metric
    value: float

    @property
    def _cell(self) -> tuple[int, int]:
        """Where the cell and metric are in the arrays."""
        return self.row, self._index

    @property
    def _index(self) -> int:
        return JUDGED_ON_LOG.index(self.metric.name)

    @property
    def _runs(self) -> int:
        return self.contender.runs_with(self.metric.name)

    def compared(self) -> Compared:
        """Return how the metric compares."""
        is_known = float(self.night.findings.level.nights[self._cell]) >= MIN_REFERENCE
        return self._statistical() if is_known else self._provisional()

    def _provisional(self) -> Compared:
        """With one night or two only much is told."""
        metric = self.metric
        centre = float(self.night.findings.level.centre[self._cell])
        level = self.baseline.metrics[metric.name] if math.isnan(centre) else from_log_scale(metric, centre)
        shift = shift_between(level, self.value)
        worsening = metric.worsening(baseline=level, value=self.value)
        floor = metric.minimum_effect(baseline=level, is_provisional=True)
        if abs(worsening) <= floor * (1 + 1e-9):
            return Compared(level=level, shift=shift)
        is_worse = worsening > 0
        nights = int(self.night.findings.level.nights[self._cell])
        move = MetricChange(
            level=level,
            shift=shift,
            is_worse=is_worse,
            is_confirmed=not is_worse or self.contender.is_backed(metric.name),
            evidence=reasons.provisional(metric, threshold=floor, nights=nights),
            most=Severity.WARNING,
        )
        return Compared(level=level, shift=shift, suspicion=1 + abs(worsening) / floor if is_worse else 0.0, move=move)

    def _statistical(self) -> Compared:
        findings = self.night.findings
        level = from_log_scale(self.metric, float(findings.level.centre[self._cell]))
        is_suspicious = bool(self.night.worse.is_suspicious[self._cell])
        return Compared(
            level=level,
            shift=self._shift_of(findings.tonight, level),
            suspicion=self._t(1) / SUSPECT_T if is_suspicious else 0.0,
            move=self._sure(level) or self._with_all(level) or self._doubtful(level),
        )

    def _t(self, sign: int) -> float:
        """Return how far tonight stands out in a direction; with re-runs as the median of three."""
        findings = self.night.findings
        found = findings.tonight.surest(sign) if self._runs == 1 else t_of_reruns(findings, sign)
        return float(found[self._cell])

    def _shift_of(self, shifts: Shifts, level: float) -> Shift:
        return shift_of_log(self.metric, shifts, row=self.row, index=self._index, level=level)

    def _sure(self, level: float) -> MetricChange | None:
        worse = self._sure_by(self.night.worse, level, is_worse=True)
        return worse or self._sure_by(self.night.better, level, is_worse=False)

    def _sure_by(self, calls: Calls, level: float, *, is_worse: bool) -> MetricChange | None:
        if calls.by_night[self._cell]:
            return self._by_night(level, is_worse=is_worse)
        if calls.by_window[self._cell]:
            window = self.night.findings.windows[int(calls.by_window[self._cell]) - 1]
            return self._by_window(window, is_worse=is_worse)
        if calls.by_service[self._cell]:
            return self._by_service(int(calls.by_service[self._cell]) - 1, level, is_worse=is_worse)
        return None

    def _by_night(self, level: float, *, is_worse: bool) -> MetricChange:
        return MetricChange(
            level=level,
            shift=self._shift_of(self.night.findings.tonight, level),
            is_worse=is_worse,
            is_confirmed=True,
            evidence=reasons.by_reruns(runs=self._runs, t=self._t(1 if is_worse else -1)),
        )

    def _by_window(self, window: Shifts, *, is_worse: bool) -> MetricChange:
        anchor = self.baseline.anchor if window.of_anchor else None
        centre = float(window.centre[self._cell])
        held = from_log_scale(self.metric, centre) if anchor is None else anchor.metrics[self.metric.name]
        z = float(window.surest(1 if is_worse else -1)[self._cell])
        version = None if anchor is None else anchor.version
        return MetricChange(
            level=held,
            shift=self._shift_of(window, held),
            is_worse=is_worse,
            is_confirmed=True,
            evidence=reasons.by_window(nights=window.nights, z=z, anchor=version),
            since=self._first_of(window.nights),
        )

    def _by_service(self, number: int, level: float, *, is_worse: bool) -> MetricChange | None:
        """Return what the scenarios of the service show together, unless this one went the other way."""
        found = self.night.findings.services[number]
        own = self.night.own(found.nights)
        known = self.night.findings.tonight if np.isnan(own.shift[self._cell]) else own
        if (float(known.shift[self._cell]) > 0) is not is_worse:
            return None
        z = abs(float(found.z[self.night.panel.services[self.row], self._index]))
        return MetricChange(
            level=level,
            shift=self._shift_of(known, level),
            is_worse=is_worse,
            is_confirmed=True,
            evidence=reasons.by_service(nights=found.nights, z=z),
            cause=Cause.SERVICE,
            since=self._first_of(found.nights),
        )

    def _with_all(self, level: float) -> MetricChange | None:
        """Return the move of a cell that went with all others, where that is worth telling."""
        findings = self.night.findings
        if not self.night.platform_moved(self._index):
            return None
        part = float(findings.platform[self._index])
        moved = on_log_scale(self.metric, self.value) - float(findings.level.centre[self._cell])
        if abs(moved) <= float(self.night.panel.minimum_effects[self._cell]) or moved * part < 0:
            return None
        whole = replace(findings.tonight, told=findings.tonight.told + findings.platform)
        z = abs(float(findings.platform_z[self._index]))
        return MetricChange(
            level=level,
            shift=self._shift_of(whole, level),
            is_worse=part > 0,
            is_confirmed=True,
            evidence=reasons.by_platform(services=self.night.services, z=z),
            cause=Cause.PLATFORM,
            most=Severity.WARNING,
        )

    def _doubtful(self, level: float) -> MetricChange | None:
        """Return a suspicion; one that is far off and could not be run again is told all the same."""
        worse, better = (bool(calls.is_suspicious[self._cell]) for calls in (self.night.worse, self.night.better))
        if not (worse or better):
            return None
        t = self._t(1 if worse else -1)
        floor = self.metric.minimum_effect(baseline=level, is_provisional=True)
        is_far = t >= SINGLE_T and abs(self.value - level) > floor
        could_not = self._runs == 1 and self.contender.no_rerun is not None
        return MetricChange(
            level=level,
            shift=self._shift_of(self.night.findings.tonight, level),
            is_worse=worse,
            is_confirmed=worse and could_not and is_far,
            evidence=reasons.suspicious(t=t, runs=self._runs, no_rerun=self.contender.no_rerun),
            most=Severity.WARNING,
        )

    def _first_of(self, nights: int) -> datetime | None:
        """Return when the first of so many last nights was, tonight counted in."""
        earlier = self.nights[-(nights - 1) :] if nights > 1 else ()
        return earlier[0].run.at if earlier else None
