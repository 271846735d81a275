"""Where things go wrong: late in a night rather than early, and seldom more than three times."""

import random

import pytest

from tests.explorer.decisions import Drawn, Kind, Operation, stage_of


@pytest.mark.parametrize(
    ("process", "stage"),
    [
        ("long run 1: plan", "plan"),
        ("brief run 2: run_load of orders-service, try 2", "run_load"),
        ("brief run 2: stage_data of rates-service (re-run)", "stage_data"),
        ("long run 1: plan_reruns (2)", "plan_reruns"),
        ("brief run 1: promote of rates-service", "promote"),
        ("promote 3", "promote"),
        ("roll back 4", "roll back"),
        ("alert_watch 2", "alert_watch"),
    ],
)
def test_a_process_has_a_stage(process: str, stage: str) -> None:
    """A stage is the same in every DAG run, for every service and in every try."""
    assert stage_of(process) == stage


def _drawn(stage: str) -> int:
    decisions = Drawn(random.Random(7), faults=1_000, steps=10_000, switches=0)
    operation = Operation(kind=Kind.WRITE, what="writes a file")
    return sum(decisions.at(stage, step, operation) is not None for step in range(5_000))


def test_late_stages_are_interrupted_more_often() -> None:
    """Of 5,000 writes at a share of 0.1, about 100 are interrupted in plan and 1,000 in alert."""
    assert 5 * _drawn("plan") < _drawn("alert")


def test_no_more_faults_happen_than_were_planned() -> None:
    """The number of faults is a limit, so that most histories have few."""
    decisions = Drawn(random.Random(7), faults=3, steps=1, switches=0)
    operation = Operation(kind=Kind.WRITE, what="writes a file")
    assert sum(decisions.at("report", step, operation) is not None for step in range(100)) == 3
