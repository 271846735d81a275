"""What tests say of runs that are over: the states of their tasks, and when their loads went out."""

import itertools
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from tests.integration.conftest import Run

STAGES = ("stage_data", "preflight", "run_load", "scrape")
TOGETHER = ("plan_reruns", "compare", "alert", "verdict")
AGAIN = {f"rerun_service.{stage}": "skipped" for stage in STAGES}
CONCLUDED = {
    "report": "success",
    **dict.fromkeys(("promote", "approval_wanted", "ask_for_approval"), "skipped"),
}


def states_of(run: Run) -> dict[str, str]:
    """Return the state of each task by its short name; those of re-runs keep their group.

    The alert rules are left out: they are written by whichever run comes first after something has changed.
    """
    short = {name.removeprefix("run_service.").removeprefix("conclude."): state for name, state in run.tasks.items()}
    assert short.pop("write_rules") in ("success", "skipped")
    return {name.removesuffix("[0]"): state for name, state in short.items()}


def done(**others: str) -> dict[str, str]:
    """Return the states of a run in which everything was done once, but for what is given."""
    nightly = dict.fromkeys(("plan", *STAGES, *TOGETHER), "success")
    return nightly | AGAIN | CONCLUDED | others


def moment(text: str) -> datetime:
    """Read an RFC 3339 time; it must say its zone."""
    read = datetime.fromisoformat(text)
    assert read.tzinfo is not None
    return read


def assert_one_after_another(records: Iterable[dict[str, Any]]) -> None:
    """Each load began after the one before it had ended."""
    spans = sorted((moment(record["started_at"]), moment(record["window"]["end"])) for record in records)
    for earlier, later in itertools.pairwise(spans):
        assert earlier[1] <= later[0]
