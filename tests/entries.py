"""Entries of the index for tests: nights of the healthy market-open cell, with changes."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from include.perf.model.cell import CellName
from include.perf.runs.record import Cause, RunRecord, Severity, Verdict
from include.perf.runs.run_index import EntryDeviation, RunEntry, entry_of
from tests.records import START, run_record

CELL = CellName("analysis-engine-service", "market_open")
NOW = START + timedelta(days=100)


def entry(record: RunRecord | None = None, **changes: Any) -> RunEntry:
    """Return the entry of a record; by default of a healthy run."""
    made = entry_of(record or run_record(), "memory://run")
    return replace(made, **changes)


def night(number: int, p95: float = 0.042, **changes: Any) -> RunEntry:
    """Return the run of a night; night 0 is the first."""
    made = entry(run_id=f"night-{number:04}", started_at=START + timedelta(days=number))
    return replace(made, **{"metrics": {**made.metrics, "latency_p95": p95}, **changes})


def deviating(
    name: str = "latency_p95", *, is_worse: bool = True, is_confirmed: bool = True, since: datetime | None = None
) -> EntryDeviation:
    """Return the deviation of a metric."""
    return EntryDeviation(
        metric=name,
        is_worse=is_worse,
        is_confirmed=is_confirmed,
        severity=Severity.WARNING,
        cause=Cause.CELL,
        since=since,
    )


def regressed(number: int, p95: float = 0.061, **changes: Any) -> RunEntry:
    """Return a night whose p95 is significantly worse."""
    return night(number, p95, **{"verdict": Verdict.REGRESSION, "deviations": (deviating(),), **changes})
