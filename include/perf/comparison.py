"""The comparison of a night: which of its runs can be compared, and what all of them together show.

The ladder for each run: no baseline → ``NO_BASELINE``; made of something else → ``NOT_COMPARABLE``; surely worse →
``REGRESSION``; surely better → ``IMPROVEMENT``; else ``PASS``, with what looks suspicious told but not sure.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

import numpy as np

from include.perf import reasons
from include.perf.cell import Cell, Contender, panel_of, value_of
from include.perf.decision import call
from include.perf.detection import examine
from include.perf.judgement import CellJudge, Comparison
from include.perf.metric import METRICS
from include.perf.metric_judgement import NightFindings
from include.perf.run import Verdict
from include.perf.spread import JUDGED_ON_LOG

__all__ = ["Comparison", "compare_night"]


def compare_night(
    contenders: Sequence[Contender], others: Sequence[Cell] = (), *, now: datetime
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
    beyond = reasons.hard_limits(contender.hard_limits, metrics, told=())
    if baseline is None:
        return Comparison(verdict=Verdict.NO_BASELINE, reasons=(reasons.NO_BASELINE, *beyond))
    differences = reasons.differences(contender.fingerprint, baseline.fingerprint) if baseline.fingerprint else []
    if differences:
        return Comparison(verdict=Verdict.NOT_COMPARABLE, reasons=(*differences, *beyond))
    if not any(value_of(metrics, name) is not None and name in baseline.metrics for name in METRICS):
        notes = reasons.not_compared(metrics, baseline.metrics)
        return Comparison(verdict=Verdict.NOT_COMPARABLE, reasons=("no metric is in both", *notes, *beyond))
    return None


def _judge(contenders: Sequence[Contender], others: Sequence[Cell], *, now: datetime) -> Iterator[Comparison]:
    panel = panel_of(contenders, others, now=max(contender.at for contender in contenders))
    findings = examine(panel)
    runs = np.ones(panel.floors.shape, dtype=np.int64)
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
