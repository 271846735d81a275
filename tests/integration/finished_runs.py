"""Expectations about finished runs: the states of their tasks, and the order of their loads."""

import itertools
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from tests.integration.conftest import Run

STAGES = ("stage_data", "preflight", "run_load", "scrape")
NIGHT_TASKS = ("plan_reruns", "compare", "alert", "verdict")
RERUNS = {f"rerun_service.{stage}": "skipped" for stage in STAGES}
CONCLUDED = {
    "report": "success",
    **dict.fromkeys(("promote", "approval_wanted", "ask_for_approval"), "skipped"),
}


def states_of(run: Run) -> dict[str, str]:
    """Return the states of the tasks by their names; only tasks of re-runs keep their group in the name.

    The task of the alert rules is left out: it is skipped unless the limits have changed.
    """
    states = {name.removeprefix("run_service.").removeprefix("conclude."): state for name, state in run.tasks.items()}
    assert states.pop("write_rules") in ("success", "skipped")
    return {name.removesuffix("[0]"): state for name, state in states.items()}


def done(**others: str) -> dict[str, str]:
    """Return the states of a run without re-runs or promotion, except for the given tasks."""
    successful = dict.fromkeys(("plan", *STAGES, *NIGHT_TASKS), "success")
    return successful | RERUNS | CONCLUDED | {"pause_schedule": "skipped"} | others


def moment(text: str) -> datetime:
    """Parse an RFC 3339 time, which must contain its time zone."""
    parsed = datetime.fromisoformat(text)
    assert parsed.tzinfo is not None
    return parsed


def assert_one_after_another(records: Iterable[dict[str, Any]]) -> None:
    """Check that no two loads overlap."""
    spans = sorted((moment(record["started_at"]), moment(record["window"]["end"])) for record in records)
    for earlier, later in itertools.pairwise(spans):
        assert earlier[1] <= later[0]
