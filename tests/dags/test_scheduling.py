"""Whatever becomes of the services of a night, `compare`, `alert` and `verdict` run, and the run ends.

Airflow's scheduler decides; see `tests.dags.scheduling`.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest

from tests.dags.conftest import ROOT

pytestmark = [pytest.mark.integration, pytest.mark.timeout(3600)]

DAG_ID = "market_open"
LOADED = tuple(f"run_service.{name}" for name in ("stage_data", "preflight", "run_load", "scrape"))
ALWAYS = ("plan_reruns", "compare", "alert", "verdict", "pause_schedule")

ENDS: dict[str, dict[str, str]] = {
    "all succeed": {},
    "all skipped in preflight": {"run_service.preflight": "skipped"},
    "all fail in stage_data": {"run_service.stage_data": "failed"},
    "all fail in preflight": {"run_service.preflight": "failed"},
    "all loads fail": {"run_service.run_load": "failed"},
    "all loads are skipped": {"run_service.run_load": "skipped"},
    "all scrapes fail": {"run_service.scrape": "failed"},
    "the first fails in preflight": {"run_service.preflight[0]": "failed"},
    "the last fails in its load": {"run_service.run_load[-1]": "failed"},
    "one fails, the others are skipped": {"run_service.preflight": "skipped", "run_service.preflight[0]": "failed"},
    "no report can be written": {"conclude.report": "failed"},
    "one report cannot be written": {"conclude.report[0]": "failed"},
    "the re-runs fail": {"rerun_service.run_load": "failed"},
    "the re-runs cannot be planned": {"plan_reruns": "failed"},
}
OTHER_SIZES = {1: ("all succeed", "all skipped in preflight", "all loads fail"), 40: ("all fail in preflight",)}
"""A night of six services stands for the others, as each case takes a second; Airflow expands all sizes alike."""
NIGHTS = [(name, 6) for name in ENDS] + [(name, size) for size, names in OTHER_SIZES.items() for name in names]
ENDED = {"success", "failed", "skipped", "upstream_failed"}


def case(ends: Mapping[str, str], *, services: int = 6, reruns: int = 0) -> dict[str, Any]:
    """Return a case; ``[-1]`` stands for the last service."""
    lengths = {"plan": services, "compare": services, "plan_reruns": reruns}
    return {
        "dag": DAG_ID,
        "lengths": lengths,
        "ends": {name.replace("[-1]", f"[{services - 1}]"): state for name, state in ends.items()},
    }


RERUN = {"the re-runs fail": 4}
CASES = {
    **{f"{name}, {size} services": case(ENDS[name], services=size, reruns=RERUN.get(name, 0)) for name, size in NIGHTS},
    "a night with re-runs": case({}, reruns=4),
    "the plan fails": case({"plan": "failed", "plan_reruns": "skipped", "compare": "skipped", "verdict": "failed"}),
    "compare fails": case({"compare": "failed", "verdict": "failed"}),
    "the verdict is bad": case({"verdict": "failed", "pause_schedule": "skipped"}),
    "the schedule pauses": case({"verdict": "failed"}),
    "only skipped": case({"run_service.preflight": "skipped", "pause_schedule": "skipped"}),
}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What Airflow decided, by the name of the case."""
    home = tmp_path_factory.mktemp("scheduling")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "BELLWETHER"))}
    environment |= {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
        "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "plugins"))),
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.dags.scheduling", str(ROOT / "dags" / "scenarios.py")],
        input=json.dumps(list(CASES.values())),
        env=environment,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(zip(CASES, json.loads(done.stdout.splitlines()[-1]), strict=True))


@pytest.mark.parametrize(("name", "size"), NIGHTS)
def test_the_last_tasks_run_whatever_became_of_the_services(
    outcomes: dict[str, dict[str, Any]], name: str, size: int
) -> None:
    """None of them is skipped or upstream_failed, every service is reported, and no task is left."""
    tasks = outcomes[f"{name}, {size} services"]["tasks"]
    for task in ALWAYS:
        assert tasks[task] == {ENDS[name].get(task, "success"): 1}, task
    assert sum(tasks["conclude.report"].values()) == size
    assert {state for states in tasks.values() for state in states} <= ENDED


def test_a_run_is_as_green_as_its_last_tasks(outcomes: dict[str, dict[str, Any]]) -> None:
    """A red service alone does not decide; `verdict` does, and a record that cannot be written."""
    failed = {name for name in ENDS if outcomes[f"{name}, 6 services"]["state"] == "failed"}
    assert failed == {"no report can be written", "one report cannot be written"}


def test_a_service_goes_on_although_another_fails(outcomes: dict[str, dict[str, Any]]) -> None:
    """Of six, five are loaded and scraped."""
    tasks = outcomes["the first fails in preflight, 6 services"]["tasks"]
    assert [tasks[name] for name in LOADED] == [
        {"success": 6},
        {"failed": 1, "success": 5},
        {"upstream_failed": 1, "success": 5},
        {"upstream_failed": 1, "success": 5},
    ]


def test_re_runs_follow_the_services(outcomes: dict[str, dict[str, Any]]) -> None:
    """Four re-runs, and all six services are reported."""
    tasks = outcomes["a night with re-runs"]["tasks"]
    assert [tasks[f"rerun_service.{name}"] for name in ("stage_data", "run_load", "scrape")] == [{"success": 4}] * 3
    assert tasks["conclude.report"] == {"success": 6}


@pytest.mark.parametrize("name", ["the plan fails", "compare fails"])
def test_a_run_without_verdicts_is_red_and_alerts(outcomes: dict[str, dict[str, Any]], name: str) -> None:
    """`alert` and `verdict` run although nothing was reported."""
    outcome = outcomes[name]
    assert outcome["state"] == "failed"
    assert (outcome["tasks"]["alert"], outcome["tasks"]["verdict"]) == ({"success": 1}, {"failed": 1})
    assert outcome["tasks"]["conclude.report"].get("success") is None


def test_a_run_that_asks_for_it_pauses_its_dag(outcomes: dict[str, dict[str, Any]]) -> None:
    """The listener in the scheduler sees that the task `pause_schedule` succeeded."""
    assert outcomes["the schedule pauses"]["is_paused"] is True
    assert outcomes["the verdict is bad"]["is_paused"] is False
    assert outcomes["only skipped"]["is_paused"] is False
