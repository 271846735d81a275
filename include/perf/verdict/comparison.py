"""The comparison of a night: which of its runs can be compared, and what all of them together show.

The ladder for each run: no baseline → ``NO_BASELINE``; made of something else → ``NOT_COMPARABLE``; surely worse →
``REGRESSION``; surely better → ``IMPROVEMENT``; else ``PASS``, with what looks suspicious told but not sure.

The judgement of one run: which of its metrics moved, how surely, how gravely, and in what words.

How sure one can be depends on the nights before. With fewer than three, one run says nothing about how far runs
differ: only 30 % is told, as a warning. From three on the statistics of `include.perf.baselines.detection` decide,
and
`include.perf.baselines.error_count` for the failures. Critical takes an approved baseline that is not stale. One run
alone is
never sure, unless it is far off and no re-run was possible; it then warns at most. What is beyond a hard limit of the
service is critical as soon as it is sure, for that limit needs no history.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from include.perf.baselines.baselines import Baseline, State
from include.perf.baselines.detection import examine
from include.perf.baselines.history import Night
from include.perf.baselines.level import MAX_REFERENCE
from include.perf.baselines.spread import JUDGED_ON_LOG, worse_sign
from include.perf.model.metric import METRICS, Metric
from include.perf.runs.record import Cause, Deviation, Severity, Shift, Verdict
from include.perf.verdict import reasons
from include.perf.verdict.calls import call
from include.perf.verdict.contender import CellOfNight, Contender, panel_of, value_of
from include.perf.verdict.error_judgement import ERROR_RATE, judge_errors
from include.perf.verdict.metric_judgement import MetricJudge, NightFindings
from include.perf.verdict.moves import Compared, FirstSeen, MetricChange

CRITICAL_SHIFT_RATIO = 0.10

CRITICAL_POINTS = 0.01
"""Of an error rate: one request in a hundred more that fails, at the least."""

CRITICAL_NIGHTS = 10

SMALLEST_PLATFORM = 0.0005
"""A shared part below 0.05 % is nothing, and not written down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A verdict, how it came about, and which metrics moved.

    Attributes:
        shifts: of every metric that was compared, what all services share taken out.
        levels: what each metric was held to, in base units.
        nights: in the reference.
        judged: the medians that were judged, where there were re-runs.
        platform: by metric, the relative change that all services share.
        suspicion: how far the most suspicious metric lies beyond where suspicion begins, as a ratio; 0 for none.
    """

    verdict: Verdict
    reasons: tuple[str, ...]
    deviations: tuple[Deviation, ...] = ()
    shifts: Mapping[str, Shift] = field(default_factory=dict)
    levels: Mapping[str, float] = field(default_factory=dict)
    nights: int = 0
    since: datetime | None = None
    judged: Mapping[str, float] = field(default_factory=dict)
    platform: Mapping[str, float] = field(default_factory=dict)
    suspicion: float = 0.0


class CellJudge:
    """Judges one contender by what the whole night shows."""

    def __init__(
        self, contender: Contender, baseline: Baseline, row: int, night: NightFindings, *, now: datetime
    ) -> None:
        self._contender = contender
        self._baseline = baseline
        self._row = row
        self._night = night
        self._state = baseline.state_at(now)
        self._is_due_for_review = baseline.is_due_for_review(now)
        self._metrics = contender.judged()
        self._nights = contender.level_nights
        self._reference = [night for night in contender.panel_nights[-MAX_REFERENCE:] if night.is_reference]
        self._shifts: dict[str, Shift] = {}
        self._levels: dict[str, float] = {}
        self._suspicion = 0.0

    def comparison(self) -> Comparison:
        """Return the verdict with everything that it rests on."""
        deviations = tuple(found for metric in METRICS.values() if (found := self._deviation(metric)) is not None)
        verdict, said = self._verdict(deviations)
        notes = [
            *reasons.hard_limits(self._contender.hard_limits, self._metrics, reported=_significantly_worse(deviations)),
            *reasons.not_compared(self._metrics, self._baseline.metrics),
            *reasons.platform(self._platform(), services=self._night.services),
            *reasons.of_baseline(self._baseline, state=self._state, is_due_for_review=self._is_due_for_review),
        ]
        return Comparison(
            verdict=verdict,
            reasons=(*said, *notes),
            deviations=deviations,
            shifts=self._shifts,
            levels=self._levels,
            nights=len(self._reference),
            since=self._reference[0].run.at if self._reference else None,
            judged=self._judged_values(),
            platform=self._platform(),
            suspicion=self._suspicion,
        )

    def _verdict(self, deviations: tuple[Deviation, ...]) -> tuple[Verdict, list[str]]:
        sure = [each for each in deviations if each.is_confirmed]
        doubtful = [each.reason for each in deviations if not each.is_confirmed]
        worse = [each.reason for each in sure if each.is_worse]
        if worse:
            return Verdict.REGRESSION, [*worse, *doubtful]
        if sure and not any(each.is_worse for each in deviations):
            return Verdict.IMPROVEMENT, [each.reason for each in deviations]
        moved = doubtful or [reasons.no_change(self._baseline, nights=len(self._reference))]
        return Verdict.PASS, [*moved, *(each.reason for each in sure)]

    def _judged_values(self) -> dict[str, float]:
        if len(self._contender.runs) == 1:
            return {}
        return {name: value.value for name, value in self._metrics.items() if value.value is not None}

    def _platform(self) -> dict[str, float]:
        """Return what all services share, as a relative change of the value."""
        parts = {
            name: float(f"{math.expm1(worse_sign(METRICS[name]) * part):.6g}")
            for name, part in zip(JUDGED_ON_LOG, self._night.findings.platform.tolist(), strict=True)
        }
        return {name: part for name, part in parts.items() if abs(part) >= SMALLEST_PLATFORM}

    def _deviation(self, metric: Metric) -> Deviation | None:
        value = value_of(self._metrics, metric.name)
        if value is None or metric.name not in self._baseline.metrics:
            return None
        found = self._found(metric, value)
        self._shifts[metric.name], self._levels[metric.name] = found.shift, found.level
        self._suspicion = max(self._suspicion, found.suspicion)
        return None if found.move is None else self._told(metric, value, found.move)

    def _found(self, metric: Metric, value: float) -> Compared:
        if metric is ERROR_RATE:
            level = self._baseline.metrics[metric.name]
            return judge_errors(self._contender, self._reference, rate=value, level=level)
        return MetricJudge(
            night=self._night,
            row=self._row,
            contender=self._contender,
            baseline=self._baseline,
            nights=self._nights,
            metric=metric,
            value=value,
        ).compared()

    def _told(self, metric: Metric, value: float, move: MetricChange) -> Deviation:
        """Return a move as a deviation: since when, how grave, and in words."""
        begun = self._begun(metric.name) if move.is_worse and move.is_confirmed else None
        since = min((each for each in (move.since, begun) if each is not None), default=None)
        version = self._contender.deploy_version
        seen = _first_seen(self._nights, version, at=since) if move.is_confirmed else None
        said = reasons.of_shift(metric, value=value, level=move.level, shift=move.shift, nights=len(self._reference))
        hard = self._exceeded_by(metric, value) if move.is_worse and move.is_confirmed else None
        beyond = "" if hard is None else f"{reasons.exceeds_hard_limit(metric, limit=hard)}; "
        return Deviation(
            metric=metric.name,
            unit=metric.unit,
            baseline=move.level,
            value=value,
            shift=move.shift,
            is_worse=move.is_worse,
            severity=self._severity(metric, move) if hard is None else Severity.CRITICAL,
            reason=f"{said}; {beyond}{move.evidence}{reasons.first_seen(seen) if seen else ''}",
            is_confirmed=move.is_confirmed,
            cause=move.cause,
            since=since,
            evidence=f"{beyond}{move.evidence.words}",
            first_version=seen.version if seen else None,
            previous_version=seen.previous_version if seen else None,
        )

    def _exceeded_by(self, metric: Metric, value: float) -> float | None:
        """Return the hard limit that a value is beyond, if any."""
        limit = self._contender.hard_limits.get(metric.name)
        return limit if limit is not None and value > limit else None

    def _begun(self, name: str) -> datetime | None:
        """Return when the unbroken row of nights began in which the metric was worse; ``None`` for tonight."""
        first: Night | None = None
        for night in reversed(self._nights):
            if name not in night.worse:
                break
            first = night
        return None if first is None else first.run.at

    def _severity(self, metric: Metric, move: MetricChange) -> Severity:
        """Return who should hear of it: by the lower bound of the shift, and only what is well founded is critical."""
        if not (move.is_worse and move.is_confirmed):
            return Severity.DIGEST
        is_founded = self._state is State.APPROVED and len(self._reference) >= CRITICAL_NIGHTS
        if not is_founded or move.most is not Severity.CRITICAL:
            return Severity.WARNING
        if move.cause is Cause.SERVICE:
            again = bool(self._nights) and metric.name in self._nights[-1].service_wide
            return Severity.CRITICAL if again else Severity.WARNING
        limit = CRITICAL_POINTS if metric is ERROR_RATE else CRITICAL_SHIFT_RATIO
        return Severity.CRITICAL if _least(metric, move.shift) >= limit else Severity.WARNING


def _significantly_worse(deviations: tuple[Deviation, ...]) -> set[str]:
    return {each.metric for each in deviations if each.is_worse and each.is_confirmed}


def _first_seen(nights: Sequence[Night], version: str | None, *, at: datetime | None) -> FirstSeen:
    """Find the version with which a change began, and the one before.

    Args:
        nights: before tonight, oldest first.
        version: tonight's deploy version.
        at: start of the first run that showed the change; ``None`` for tonight's.
    """
    before = [night for night in nights if at is None or night.run.at is None or night.run.at < at]
    versions = [night.run.deploy_version for night in nights[len(before) :]]
    return FirstSeen(
        at=at,
        version=next((known for known in versions if known is not None), version),
        previous_version=before[-1].run.deploy_version if before else None,
    )


def _least(metric: Metric, shift: Shift) -> float:
    """Return by how much it is worse at the least: the near end of the interval, as a ratio; points of a rate."""
    if metric is ERROR_RATE:
        return shift.absolute_low if shift.absolute_low is not None else 0.0
    bound = shift.low if worse_sign(metric) > 0 else shift.high
    if bound is None:
        return math.inf if shift.ratio is None else 0.0
    return worse_sign(metric) * bound


__all__ = ["Comparison", "compare_night"]


def compare_night(
    contenders: Sequence[Contender], others: Sequence[CellOfNight] = (), *, now: datetime
) -> tuple[Comparison, ...]:
    """Judge the valid runs of a night together.

    Args:
        contenders: one for each service and scenario of the night.
        others: the other cells; their history tells how far runs differ, and how the scenarios of a service go.
        now: decides whether a baseline is stale.
    """
    refused = [_refusal(contender) for contender in contenders]
    judged = [contender for contender, why in zip(contenders, refused, strict=True) if why is None]
    found = iter(_judge(judged, others, now=now) if judged else ())
    return tuple(next(found) if why is None else why for why in refused)


def _refusal(contender: Contender) -> Comparison | None:
    """Return why a run is not compared at all, or ``None``."""
    baseline, metrics = contender.baseline, contender.judged()
    beyond = reasons.hard_limits(contender.hard_limits, metrics, reported=())
    if baseline is None:
        return Comparison(
            verdict=Verdict.NO_BASELINE,
            reasons=(reasons.no_baseline(will_record=contender.will_record_baseline), *beyond),
        )
    differences = reasons.differences(contender.fingerprint, baseline.fingerprint) if baseline.fingerprint else []
    if differences:
        return Comparison(verdict=Verdict.NOT_COMPARABLE, reasons=(*differences, *beyond))
    if not any(value_of(metrics, name) is not None and name in baseline.metrics for name in METRICS):
        notes = reasons.not_compared(metrics, baseline.metrics)
        return Comparison(
            verdict=Verdict.NOT_COMPARABLE,
            reasons=("the run and the baseline have no metric in common", *notes, *beyond),
        )
    return None


def _judge(contenders: Sequence[Contender], others: Sequence[CellOfNight], *, now: datetime) -> Iterator[Comparison]:
    panel = panel_of(contenders, others, now=max(contender.at for contender in contenders))
    findings = examine(panel)
    runs = np.ones(panel.minimum_effects.shape, dtype=np.int64)
    runs[: len(contenders)] = [[each.runs_with(name) for name in JUDGED_ON_LOG] for each in contenders]
    night = NightFindings(
        panel=panel,
        findings=findings,
        worse=call(findings, panel, runs=runs),
        better=call(findings, panel, runs=runs, sign=-1),
        services=len({contender.service for contender in contenders}),
    )
    for row, contender in enumerate(contenders):
        assert contender.baseline is not None  # noqa: S101 - those without one were refused
        yield CellJudge(contender, contender.baseline, row, night, now=now).comparison()
