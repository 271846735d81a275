"""The comparison of a run with its cell's baseline.

In this form it rests on effect floors alone: a metric has moved when it passes both floors of its
`include.perf.metric.Metric`, and while the baseline has fewer than three runs behind it, only when it
moved by 30 %. One run says nothing about how far runs differ from one another, and a false alarm is worse
than a late one.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from include.perf.baseline import Baseline, State
from include.perf.metric import METRICS, Metric, MetricValue, Unit, format_value
from include.perf.phrase import change_of
from include.perf.run import Deviation, Severity, Shift, Verdict

CRITICAL_SHIFT_RATIO = 0.10


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A verdict, how it came about, and which metrics moved."""

    verdict: Verdict
    reasons: tuple[str, ...]
    deviations: tuple[Deviation, ...] = ()


def compare(
    metrics: Mapping[str, MetricValue], *, fingerprint: Mapping[str, str], baseline: Baseline | None
) -> Comparison:
    """Judge a valid run.

    Args:
        metrics: the run's figures by metric name.
        fingerprint: what the run was made of, part by part.
        baseline: of the same service and scenario, or ``None``.
    """
    if baseline is None:
        reason = "there is no baseline yet; trigger a run with update_baseline to record one"
        return Comparison(verdict=Verdict.NO_BASELINE, reasons=(reason,))
    differences = _differences(fingerprint, baseline.fingerprint)
    if differences:
        return Comparison(verdict=Verdict.NOT_COMPARABLE, reasons=tuple(differences))
    notes = _not_compared(metrics, baseline)
    if not any(_is_comparable(metrics.get(name), baseline.metrics.get(name)) for name in METRICS):
        return Comparison(verdict=Verdict.NOT_COMPARABLE, reasons=("no metric is in both", *notes))
    deviations = tuple(
        deviation
        for metric in METRICS.values()
        if (deviation := _deviation(metric, metrics.get(metric.name), baseline)) is not None
    )
    return _judge(deviations, notes=notes, baseline=baseline)


def _is_comparable(measured: MetricValue | None, level: float | None) -> bool:
    return measured is not None and measured.value is not None and level is not None


def _judge(deviations: tuple[Deviation, ...], *, notes: list[str], baseline: Baseline) -> Comparison:
    worse = [deviation for deviation in deviations if deviation.is_worse]
    if worse:
        verdict, moved = Verdict.REGRESSION, worse
    elif deviations:
        verdict, moved = Verdict.IMPROVEMENT, list(deviations)
    else:
        verdict, moved = Verdict.PASS, []
    reasons = [deviation.reason for deviation in moved]
    if not moved:
        runs = "1 run" if len(baseline.runs) == 1 else f"{len(baseline.runs)} runs"
        reasons = [f"no metric moved beyond its floor against baseline version {baseline.version} ({runs})"]
    return Comparison(verdict=verdict, reasons=(*reasons, *notes), deviations=deviations)


def _differences(run: Mapping[str, str], baseline: Mapping[str, str]) -> list[str]:
    return [
        f"the {part} {'differ' if part.endswith('s') else 'differs'} from the baseline's: "
        f"{run.get(part, 'none')}, there {baseline.get(part, 'none')}"
        for part in dict.fromkeys([*baseline, *run])
        if run.get(part) != baseline.get(part)
    ]


def _not_compared(metrics: Mapping[str, MetricValue], baseline: Baseline) -> list[str]:
    notes = []
    for name, metric in METRICS.items():
        value = metrics.get(name)
        if name in baseline.metrics and (value is None or value.value is None):
            reason = value.reason if value else "not measured"
            notes.append(f"{metric.title} could not be compared: {reason}")
        elif name not in baseline.metrics and value is not None and value.value is not None:
            notes.append(f"{metric.title} is not in the baseline yet")
    return notes


def _deviation(metric: Metric, measured: MetricValue | None, baseline: Baseline) -> Deviation | None:
    level = baseline.metrics.get(metric.name)
    if measured is None or measured.value is None or level is None:
        return None
    worsening = metric.worsening(baseline=level, value=measured.value)
    floor = metric.floor(baseline=level, is_provisional=baseline.state is State.PROVISIONAL)
    if abs(worsening) <= floor * (1 + 1e-9):
        return None
    change = measured.value - level
    shift = Shift(ratio=change / level if level else None, absolute=change)
    return Deviation(
        metric=metric.name,
        unit=metric.unit,
        baseline=level,
        value=measured.value,
        shift=shift,
        is_worse=worsening > 0,
        severity=_severity(shift, is_worse=worsening > 0, state=baseline.state),
        reason=_reason(metric, level=level, value=measured.value, shift=shift, floor=floor),
    )


def _severity(shift: Shift, *, is_worse: bool, state: State) -> Severity:
    if not is_worse:
        return Severity.DIGEST
    is_large = math.inf if shift.ratio is None else abs(shift.ratio)
    if state is State.APPROVED and is_large >= CRITICAL_SHIFT_RATIO * (1 - 1e-9):
        return Severity.CRITICAL
    return Severity.WARNING


def _reason(metric: Metric, *, level: float, value: float, shift: Shift, floor: float) -> str:
    now, then = format_value(value, metric.unit), format_value(level, metric.unit)
    limit = f"{floor * 100:.2f} points" if metric.unit is Unit.RATIO else format_value(floor, metric.unit)
    return f"{metric.title} {change_of(metric.name, shift)}: {now}, baseline {then} (told from {limit} on)"
