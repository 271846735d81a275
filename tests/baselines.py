"""Baselines for tests: passing runs of one cell, with changes."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from include.perf.baselines.baselines import Baselines
from include.perf.baselines.entry import Approval, Baseline
from include.perf.runs.record import RunRecord, Verdict
from tests.records import metric_values, run_record

AT = datetime(2026, 3, 2, 7, 0, tzinfo=UTC)
SERVICE, SCENARIO = "analysis-engine-service", "market_open"


def approval(reason: str = "release 12", **changes: Any) -> Approval:
    """Return an approval by Ana."""
    return replace(Approval(by="ana", at=AT, reason=reason, run_id="r1"), **changes)


def run(run_id: str, verdict: Verdict = Verdict.PASS, p95: float | str | None = 0.040, **changes: Any) -> RunRecord:
    """Return the record of a run with a p95 in seconds, or with the reason why there is none."""
    return run_record(run_id=run_id, verdict=verdict, metrics=metric_values(latency_p95=p95), **changes)


def with_runs(count: int) -> Baselines:
    """Return a baseline of ``count`` runs that were promoted one by one, with p95 of 1, 2, 3, … ms."""
    baselines = Baselines()
    for number in range(1, count + 1):
        baselines.promote(run(f"r{number}", p95=number / 1000), approval=approval())
    return baselines


def entry_of(baselines: Baselines) -> Baseline:
    """Return the baseline of the cell, which must exist."""
    entry = baselines.get(SERVICE, SCENARIO)
    assert entry is not None
    return entry
