"""Nights of a service for tests of the comparison: one run a day at half past six, which varies by up to 2 %.

The variation is not random: over five days it is 0, +2, −2, +1 and −1 % on the log scale, so the centre of five days,
and of the first three, is the baseline value. With a single cell, the typical spread of 5 %, as if estimated from five
runs, is combined with its own:

* after 10 nights s² = (4·0.05² + 0.002) / 13, s = 3.04 %: a run is suspicious from +10 % on (t = 3);
* after 3 nights s² = (4·0.05² + 0.0008) / 6, s = 4.24 %: suspicious from +17 % on.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from include.perf.baselines.entry import (
    EXPIRES_AFTER,
    REVIEW_AFTER,
    Anchor,
    Approval,
    Baseline,
    BaselineRun,
    centre_of,
    state_of,
)
from include.perf.baselines.history import Night
from include.perf.model.metric import METRICS, MetricValue
from include.perf.runs.record import Verdict
from include.perf.verdict.comparison import Comparison, compare_night
from include.perf.verdict.contender import CellOfNight, Contender, MeasuredRun
from tests.fakes.clock import START

PARTS = {"load": "500/s constant", "data": "sha256:1", "endpoints": "sha256:2"}
BASELINE_VALUES = {
    "latency_p50": 0.200,
    "latency_p95": 0.400,
    "latency_p99": 0.800,
    "throughput": 500.0,
    "error_rate": 0.001,
    "cpu_usage": 4.0,
    "memory_usage": 4000.0 * 1024**2,
    "disk_usage": 0.400,
}
"""So high that the relative minimum effects are the larger ones."""

SWAY = (0.0, 0.02, -0.02, 0.01, -0.01)
DUE, FAILED = 100_000, 100
SERVICE, SCENARIO = "orders-service", "brief"

Factors = Mapping[str, float]


def day(number: float) -> datetime:
    """Return the start of the run of a day; day 0 is the first."""
    return START + timedelta(days=number)


def run_on(number: int, factors: Factors | None = None, **changes: Any) -> BaselineRun:
    """Return the run of a day: baseline values times variation and ``factors``; 100 failures of 100 000."""
    sway = math.exp(SWAY[number % len(SWAY)])
    values = {name: value * sway * (factors or {}).get(name, 1.0) for name, value in BASELINE_VALUES.items()}
    values["error_rate"] = FAILED / DUE
    made = BaselineRun(run_id=f"day-{number}", metrics=values, at=day(number), due=DUE, failed=FAILED)
    return replace(made, **changes)


def night_on(number: int, factors: Factors | None = None, *, verdict: Verdict = Verdict.PASS, **changes: Any) -> Night:
    """Return a night after the baseline; ``changes`` are fields of the night or of its run."""
    own = {name: changes.pop(name) for name in ("worse", "service_wide", "fingerprint") if name in changes}
    made = Night(
        run=run_on(number, factors, **changes),
        fingerprint=PARTS,
        verdict=verdict,
        is_reference=verdict is Verdict.PASS,
    )
    return replace(made, **{name: value if name == "fingerprint" else frozenset(value) for name, value in own.items()})


def baseline_of(runs: int | Sequence[BaselineRun] = 10, **changes: Any) -> Baseline:
    """Return a baseline of the first days, approved by a person on the last day."""
    made = tuple(run_on(number) for number in range(runs)) if isinstance(runs, int) else tuple(runs)
    approval = Approval(by="ana", at=day(len(made) - 1), reason="agreed", run_id=made[-1].run_id)
    metrics = centre_of(made)
    baseline = Baseline(
        version=3,
        state=state_of(len(made), approval),
        fingerprint=PARTS,
        metrics=metrics,
        anchor=Anchor(metrics=metrics, runs=len(made), version=3),
        spread={},
        runs=made,
        approval=approval,
        review_by=approval.at + REVIEW_AFTER,
        expires_at=approval.at + EXPIRES_AFTER,
    )
    return replace(baseline, **changes)


def measured(
    factors: Factors | None = None, *, failed: int | None = FAILED, due: int | None = DUE, **values: float | str | None
) -> MeasuredRun:
    """Return a run with the baseline values times ``factors``; ``values`` replace them, strings are reasons."""
    given: dict[str, float | str | None] = {
        name: value * (factors or {}).get(name, 1.0) for name, value in BASELINE_VALUES.items()
    }
    if failed is not None and due:
        given["error_rate"] = failed / due
    given |= values
    metrics = {
        name: MetricValue(value=None, unit=METRICS[name].unit, reason=value)
        if isinstance(value, str)
        else MetricValue(value=value, unit=METRICS[name].unit)
        for name, value in given.items()
    }
    return MeasuredRun(run_id="tonight", metrics=metrics, due=due, failed=failed)


def contender(
    *runs: MeasuredRun,
    baseline: Baseline | None = None,
    nights: Sequence[Night] = (),
    on: int | None = None,
    **changes: Any,
) -> Contender:
    """Return tonight: its run and re-runs, the day after the last night of its history.

    Args:
        baseline: by default the approved one of ten runs.
        nights: since the baseline.
    """
    current = baseline or baseline_of()
    tonight = len(current.runs) + len(nights) if on is None else on
    made = Contender(
        service=SERVICE,
        scenario=SCENARIO,
        baseline=current,
        nights=tuple(nights),
        at=day(tonight),
        fingerprint=PARTS,
        runs=runs or (measured(),),
    )
    return replace(made, **changes)


def cell(scenario: str, *nights: Night, service: str = SERVICE, baseline: Baseline | None = None) -> CellOfNight:
    """Return another cell with the nights since its baseline of ten runs."""
    return CellOfNight(service=service, scenario=scenario, baseline=baseline or baseline_of(), nights=nights)


def judge(one: Contender, *others: CellOfNight) -> Comparison:
    """Judge a night of one contender an hour after its run."""
    (comparison,) = compare_night([one], others, now=one.at + timedelta(hours=1))
    return comparison


def judge_all(contenders: Sequence[Contender], *others: CellOfNight) -> tuple[Comparison, ...]:
    """Judge a night of several contenders an hour after the last run."""
    return compare_night(contenders, others, now=max(contender.at for contender in contenders) + timedelta(hours=1))
