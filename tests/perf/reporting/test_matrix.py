"""The verdicts of many runs in one table."""

from datetime import timedelta
from typing import Any

import pytest

from include.perf.reporting.matrix import matrix
from include.perf.run import RunRecord, Verdict
from tests.records import START, metric_values, record_of, run_record


def record(service: str, scenario: str, minutes: float = 0, **changes: Any) -> RunRecord:
    return run_record(service=service, scenario=scenario, started_at=START + timedelta(minutes=minutes), **changes)


def test_services_down_and_scenarios_across() -> None:
    """In the order in which they were begun; what was not run is no gap that could be read as fine."""
    slow = metric_values(latency_p95=0.0612)
    shown = matrix(
        [
            record("engine", "market_open", 20, verdict=Verdict.REGRESSION, metrics=slow),
            record("orders", "market_open", 0),
            record("orders", "normal_trading", 40, verdict=Verdict.IMPROVEMENT),
        ]
    )
    assert shown.splitlines() == [
        "| service | market_open             | normal_trading           |",
        "| ------- | ----------------------- | ------------------------ |",
        "| orders  | PASS, p95 42.4 ms       | IMPROVEMENT, p95 42.4 ms |",
        "| engine  | REGRESSION, p95 61.2 ms | –                        |",
    ]


def test_of_two_runs_of_a_cell_the_later_one_is_shown() -> None:
    """Whatever the order in which they are given."""
    first = record("orders", "market_open", 0, verdict=Verdict.INVALID)
    second = record("orders", "market_open", 20)
    for records in ([first, second], [second, first]):
        assert matrix(records).splitlines()[2:] == ["| orders  | PASS, p95 42.4 ms |"]


@pytest.mark.parametrize("verdict", list(Verdict))
def test_every_verdict_is_shown(verdict: Verdict) -> None:
    """With its p95 where there is one, whether it can be trusted or not."""
    made = record_of(verdict)
    p95 = made.metrics["latency_p95"]
    (row,) = matrix([made]).splitlines()[2:]
    cell = row.split("|")[2].strip()
    assert cell.startswith(verdict.value)
    assert ("p95" in cell) is (p95.value is not None)


def test_a_run_without_figures_has_its_verdict_only() -> None:
    """No value is no zero."""
    skipped = record_of(Verdict.SKIPPED)
    assert matrix([skipped]).splitlines()[2] == "| analysis-engine-service | SKIPPED     |"


def test_no_runs_are_a_table_without_rows() -> None:
    """And no error."""
    assert matrix([]).splitlines() == ["| service |", "| ------- |"]
