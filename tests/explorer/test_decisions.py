"""Where things go wrong: late in a night rather than early, and seldom more than three times."""

import random

import pytest

from tests.explorer.decisions import EVERYWHERE, POSSIBLE, Drawn, Kind, Operation, stage_of


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


def _interrupted(stage: str, *, repeated: bool = False, is_awaited: bool = False) -> int:
    """Return how many of 2,000 operations of a stage are interrupted."""
    decisions = Drawn(random.Random(7), faults=1_000, steps=20_000, switches=0, share=1)
    count = 0
    for step in range(2_000):
        operation = Operation(kind=Kind.WRITE, what="writes a file" if repeated else f"writes file {step}")
        count += decisions.at(stage, step, operation, is_awaited=is_awaited) is not None
    return count


def test_late_stages_are_interrupted_more_often() -> None:
    """Of 2,000 writes at a share of 0.05, about 20 are interrupted in plan and 200 in alert."""
    assert 5 * _interrupted("plan") < _interrupted("alert")


def test_what_takes_place_often_is_interrupted_less_often() -> None:
    """2,000 writes of one file count as 1 + 1/2 + 1/3 + … = 8 writes."""
    assert 5 * _interrupted("report", repeated=True) < _interrupted("report")


def test_a_process_that_others_wait_for_is_interrupted_more_often() -> None:
    """At a share of 0.05, about 100 of 2,000 writes are interrupted, and 800 while others wait."""
    assert 5 * _interrupted("report") < _interrupted("report", is_awaited=True)


def test_histories_have_different_kinds_of_faults() -> None:
    """None has all of them, and each kind is in some."""
    kinds = []
    for seed in range(20):
        decisions = Drawn(random.Random(seed), faults=1_000, steps=1, switches=0)
        for step in range(200):
            decisions.at(f"stage {step}", step, Operation(kind=Kind.MESSAGE, what=f"posts {step}"))
        kinds.append({interruption.fault for interruption in decisions.interruptions})
    possible = {*EVERYWHERE, *POSSIBLE[Kind.MESSAGE]}
    assert all(found < possible for found in kinds)
    assert set().union(*kinds) == possible


def test_no_more_faults_happen_than_were_planned() -> None:
    """The number of faults is a limit, so that most histories have few."""
    decisions = Drawn(random.Random(7), faults=3, steps=1, switches=0, share=1)
    for step in range(100):
        decisions.at("report", step, Operation(kind=Kind.WRITE, what=f"writes file {step}"))
    assert len(decisions.interruptions) == 3
