"""Compare the runs of a night: which of them can be compared, and what all of them together show.

The verdict of a run: beyond a hard limit, or the service did not survive → ``OVER_LIMIT``, whatever the baseline; no
baseline → ``NO_BASELINE``; a baseline that cannot be used, or other load, data or environment → ``NOT_COMPARABLE``; a
metric significantly worse → ``REGRESSION``; a metric significantly better, and none suspicious for the worse →
``IMPROVEMENT``; else ``PASS``, with the suspicious metrics among the reasons.

What is significant depends on the history. With fewer than three nights the spread between runs is unknown, and only a
change of more than 30 % is reported, as a warning. From three nights on, `include.perf.verdict.significance` decides,
and `include.perf.baselines.error_count` for failures. A single run is never significant, unless the change is large
and no re-run was possible; then it is a warning at most.

A deviation is critical only with an approved baseline that is not stale, and ten nights of history. A significant
change beyond a hard limit is at least as severe as the limit, because a hard limit needs no history.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import numpy as np

from include.perf.baselines.detection import examine
from include.perf.baselines.entry import Baseline, State
from include.perf.baselines.history import Night
from include.perf.baselines.reference import MAX_REFERENCE
from include.perf.baselines.spread import JUDGED_ON_LOG, worse_sign
from include.perf.catalogue.hard_limits import HardLimit
from include.perf.model.metric import METRICS, Metric
from include.perf.runs.phrases import collapse_sentence, limit_sentence
from include.perf.runs.record import Cause, Collapse, Deviation, ExceededLimit, Severity, Shift, Verdict
from include.perf.verdict import reasons
from include.perf.verdict.contender import CellOfNight, Contender, panel_of, value_of
from include.perf.verdict.error_judgement import ERROR_RATE, judge_errors
from include.perf.verdict.limits import collapse_in, judge_limits
from include.perf.verdict.metric_change import ComparedMetric, FirstSeen, MetricChange
from include.perf.verdict.metric_judgement import MetricJudge, NightStatistics
from include.perf.verdict.significance import significance_of

CRITICAL_SHIFT_RATIO, CRITICAL_POINTS = 0.10, 0.01
"""A deviation is critical if even the near end of its interval is this much worse: as a ratio; for error rates as the
share of requests."""

CRITICAL_NIGHTS = 10

SMALLEST_PLATFORM = 0.0005
"""A platform part below 0.05 % is not recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The verdict of a run with its reasons, and what it is based on.

    Attributes:
        shifts: of every metric that was compared, without the part that all services share.
        reference: by metric, the value that it was compared with, in base units.
        nights: number of nights of history.
        since: start of the first of them.
        judged: the medians that were judged; empty without re-runs.
        platform: by metric, the relative change that all services share.
        suspicion: statistic of the most suspicious metric over its threshold; 0 if none is suspicious.
        limits: by metric, the hard limits of the service as a whole.
        exceeded: the hard limits that the run is beyond.
        collapse: how the service failed; ``None`` if it survived every load.
        needs_rerun: whether a re-run could confirm what a single run shows.
    """

    verdict: Verdict
    reasons: tuple[str, ...]
    deviations: tuple[Deviation, ...] = ()
    shifts: Mapping[str, Shift] = field(default_factory=dict)
    reference: Mapping[str, float] = field(default_factory=dict)
    nights: int = 0
    since: datetime | None = None
    judged: Mapping[str, float] = field(default_factory=dict)
    platform: Mapping[str, float] = field(default_factory=dict)
    suspicion: float = 0.0
    limits: Mapping[str, float] = field(default_factory=dict)
    exceeded: tuple[ExceededLimit, ...] = ()
    collapse: Collapse | None = None
    needs_rerun: bool = False


def compare_night(
    contenders: Sequence[Contender], others: Sequence[CellOfNight] = (), *, now: datetime
) -> tuple[Comparison, ...]:
    """Judge the valid runs of a night together.

    Args:
        contenders: one for each service and scenario of the night.
        others: the other cells; they contribute to the common spread and to the statistics of their services.
        now: the time at which a baseline counts as stale or not.
    """
    refusals = [_refusal(contender) for contender in contenders]
    comparable = [contender for contender, refusal in zip(contenders, refusals, strict=True) if refusal is None]
    judged = iter(_judge(comparable, others, now=now) if comparable else ())
    compared = [next(judged) if refusal is None else refusal for refusal in refusals]
    return tuple(
        _with_limits(contender, comparison) for contender, comparison in zip(contenders, compared, strict=True)
    )


def _with_limits(contender: Contender, comparison: Comparison) -> Comparison:
    """Return a comparison with what the hard limits show; beyond one, the verdict is `Verdict.OVER_LIMIT`."""
    found = judge_limits(contender)
    is_beyond = bool(found.exceeded)
    sentences = [f"{limit_sentence(exceeded)} ({exceeded.evidence})" for exceeded in found.exceeded]
    is_single = len(contender.runs) == 1 and (is_beyond or comparison.collapse is not None)
    return replace(
        comparison,
        verdict=Verdict.OVER_LIMIT if is_beyond else comparison.verdict,
        reasons=(*comparison.reasons, *sentences, *found.notes)
        if comparison.collapse is not None  # that it failed explains the figures
        else (*sentences, *comparison.reasons, *found.notes),
        suspicion=max(comparison.suspicion, *(_excess(exceeded) for exceeded in found.exceeded), 0.0),
        limits={limit.metric: limit.value for limit in contender.limits if not limit.endpoint},
        exceeded=found.exceeded,
        needs_rerun=is_single or any(deviation.is_suspicion for deviation in comparison.deviations),
    )


def _excess(exceeded: ExceededLimit) -> float:
    """Return how far a value is beyond its limit, as a ratio of at least 1."""
    low, high = sorted((exceeded.limit, exceeded.value))
    return high / low if low else math.inf


def _refusal(contender: Contender) -> Comparison | None:
    """Return the verdict of a run that cannot be compared; ``None`` if it can."""
    if collapse := collapse_in(contender):
        reason = f"{collapse_sentence(collapse)} ({collapse.evidence})"
        return Comparison(verdict=Verdict.OVER_LIMIT, reasons=(reason,), collapse=collapse)
    baseline, metrics = contender.baseline, contender.judged()
    if contender.baseline_problem is not None:
        reason = reasons.unusable_baseline(contender.baseline_problem, run_id=contender.runs[0].run_id)
        return Comparison(verdict=Verdict.NOT_COMPARABLE, reasons=(reason,))
    if baseline is None:
        return Comparison(
            verdict=Verdict.NO_BASELINE,
            reasons=(reasons.no_baseline(will_record=contender.will_record_baseline),),
        )
    differences = reasons.differences(contender.fingerprint, baseline.fingerprint) if baseline.fingerprint else []
    if differences:
        return Comparison(verdict=Verdict.NOT_COMPARABLE, reasons=tuple(differences))
    if not any(value_of(metrics, name) is not None and name in baseline.metrics for name in METRICS):
        notes = reasons.not_compared(metrics, baseline.metrics)
        return Comparison(
            verdict=Verdict.NOT_COMPARABLE,
            reasons=("the run and the baseline have no metric in common", *notes),
        )
    return None


def _judge(contenders: Sequence[Contender], others: Sequence[CellOfNight], *, now: datetime) -> Iterator[Comparison]:
    panel = panel_of(contenders, others, now=max(contender.at for contender in contenders))
    statistics = examine(panel)
    runs = np.ones(panel.minimum_effects.shape, dtype=np.int64)
    runs[: len(contenders)] = [[contender.runs_with(name) for name in JUDGED_ON_LOG] for contender in contenders]
    night = NightStatistics(
        panel=panel,
        statistics=statistics,
        worse=significance_of(statistics, panel, runs=runs),
        better=significance_of(statistics, panel, runs=runs, sign=-1),
        services=len({contender.service for contender in contenders}),
    )
    for row, contender in enumerate(contenders):
        assert contender.baseline is not None  # noqa: S101 - _refusal() returns those without one
        yield CellJudge(contender, contender.baseline, row, night, now=now).comparison()


class CellJudge:
    """Judges one contender with the statistics of the night."""

    def __init__(
        self, contender: Contender, baseline: Baseline, row: int, night: NightStatistics, *, now: datetime
    ) -> None:
        self._contender = contender
        self._baseline = baseline
        self._row = row
        self._night = night
        self._state = baseline.state_at(now)
        self._is_due_for_review = baseline.is_due_for_review(now)
        self._metrics = contender.judged()
        self._nights = contender.comparable_nights
        self._history = [night for night in contender.panel_nights[-MAX_REFERENCE:] if night.is_reference]
        self._shifts: dict[str, Shift] = {}
        self._reference: dict[str, float] = {}
        self._suspicion = 0.0

    def comparison(self) -> Comparison:
        """Return the verdict with everything that it is based on."""
        deviations = tuple(found for metric in METRICS.values() if (found := self._deviation(metric)) is not None)
        verdict, why = self._verdict(deviations)
        notes = [
            *reasons.not_compared(self._metrics, self._baseline.metrics),
            *reasons.platform(self._platform(), services=self._night.services),
            *reasons.of_baseline(self._baseline, state=self._state, is_due_for_review=self._is_due_for_review),
        ]
        return Comparison(
            verdict=verdict,
            reasons=(*why, *notes),
            deviations=deviations,
            shifts=self._shifts,
            reference=self._reference,
            nights=len(self._history),
            since=self._history[0].run.at if self._history else None,
            judged=self._judged_values(),
            platform=self._platform(),
            suspicion=self._suspicion,
        )

    def _verdict(self, deviations: tuple[Deviation, ...]) -> tuple[Verdict, list[str]]:
        significant = [deviation for deviation in deviations if deviation.is_confirmed]
        suspicious = [deviation.reason for deviation in deviations if not deviation.is_confirmed]
        worse = [deviation.reason for deviation in significant if deviation.is_worse]
        if worse:
            return Verdict.REGRESSION, [*worse, *suspicious]
        if significant and not any(deviation.is_worse for deviation in deviations):
            return Verdict.IMPROVEMENT, [deviation.reason for deviation in deviations]
        first = suspicious or [reasons.no_change(self._baseline, nights=len(self._history))]
        return Verdict.PASS, [*first, *(deviation.reason for deviation in significant)]

    def _judged_values(self) -> dict[str, float]:
        if len(self._contender.runs) == 1:
            return {}
        return {name: value.value for name, value in self._metrics.items() if value.value is not None}

    def _platform(self) -> dict[str, float]:
        """Return the platform part of each metric, as a relative change of the value."""
        parts = {
            name: float(f"{math.expm1(worse_sign(METRICS[name]) * part):.6g}")
            for name, part in zip(JUDGED_ON_LOG, self._night.statistics.platform.tolist(), strict=True)
        }
        return {name: part for name, part in parts.items() if abs(part) >= SMALLEST_PLATFORM}

    def _deviation(self, metric: Metric) -> Deviation | None:
        value = value_of(self._metrics, metric.name)
        if value is None or metric.name not in self._baseline.metrics:
            return None
        compared = self._compared(metric, value)
        self._shifts[metric.name], self._reference[metric.name] = compared.shift, compared.reference
        self._suspicion = max(self._suspicion, compared.suspicion)
        return None if compared.change is None else self._deviation_of(metric, value, compared.change)

    def _compared(self, metric: Metric, value: float) -> ComparedMetric:
        if metric is ERROR_RATE:
            baseline_rate = self._baseline.metrics[metric.name]
            return judge_errors(self._contender, self._history, rate=value, baseline_rate=baseline_rate)
        return MetricJudge(
            night=self._night,
            row=self._row,
            contender=self._contender,
            baseline=self._baseline,
            nights=self._nights,
            metric=metric,
            value=value,
        ).compared()

    def _deviation_of(self, metric: Metric, value: float, change: MetricChange) -> Deviation:
        """Return a change as a deviation: with its beginning, its severity and its reason."""
        is_regression = change.is_worse and change.is_confirmed
        begun = self._begun(metric.name) if is_regression else None
        since = min((moment for moment in (change.since, begun) if moment is not None), default=None)
        seen = _first_seen(self._nights, self._contender.deploy_version, at=since) if change.is_confirmed else None
        figures = reasons.of_shift(
            metric, value=value, reference=change.reference, shift=change.shift, nights=len(self._history)
        )
        severity = self._severity(metric, change)
        limit = self._exceeded_limit(metric, value) if is_regression else None
        if limit is not None:
            severity = max(severity, Severity(limit.severity), key=lambda known: known.rank)
        return Deviation(
            metric=metric.name,
            unit=metric.unit,
            baseline=change.reference,
            value=value,
            shift=change.shift,
            is_worse=change.is_worse,
            severity=severity,
            reason=f"{figures}; {change.evidence}{reasons.first_seen(seen) if seen else ''}",
            is_confirmed=change.is_confirmed,
            cause=change.cause,
            since=since,
            evidence=change.evidence.words,
            first_version=seen.version if seen else None,
            previous_version=seen.previous_version if seen else None,
        )

    def _exceeded_limit(self, metric: Metric, value: float) -> HardLimit | None:
        """Return the hard limit of the service that a value is beyond; ``None`` if there is none, or it is not."""
        own = (limit for limit in self._contender.limits if limit.metric == metric.name and not limit.endpoint)
        return next((limit for limit in own if limit.is_exceeded_by(value)), None)

    def _begun(self, name: str) -> datetime | None:
        """Return the start of the unbroken series of nights with this metric worse; ``None`` if it began tonight."""
        first: Night | None = None
        for night in reversed(self._nights):
            if name not in night.worse:
                break
            first = night
        return None if first is None else first.run.at

    def _severity(self, metric: Metric, change: MetricChange) -> Severity:
        """Return the severity; critical needs an approved baseline, enough nights and a large lower bound."""
        if not (change.is_worse and change.is_confirmed):
            return Severity.DIGEST
        may_be_critical = self._state is State.APPROVED and len(self._history) >= CRITICAL_NIGHTS
        if not may_be_critical or change.max_severity is not Severity.CRITICAL:
            return Severity.WARNING
        if change.cause is Cause.SERVICE:
            is_second_night = bool(self._nights) and metric.name in self._nights[-1].service_wide
            return Severity.CRITICAL if is_second_night else Severity.WARNING
        limit = CRITICAL_POINTS if metric is ERROR_RATE else CRITICAL_SHIFT_RATIO
        return Severity.CRITICAL if _least_worsening(metric, change.shift) >= limit else Severity.WARNING


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


def _least_worsening(metric: Metric, shift: Shift) -> float:
    """Return the near end of the interval of a worsening: as a ratio, for error rates as the share of requests."""
    if metric is ERROR_RATE:
        return shift.absolute_low if shift.absolute_low is not None else 0.0
    bound = shift.low if worse_sign(metric) > 0 else shift.high
    if bound is None:
        return math.inf if shift.ratio is None else 0.0
    return worse_sign(metric) * bound
