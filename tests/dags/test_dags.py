"""The rules for all DAGs: names, tasks, order, retries, time-outs and schedules."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, RetryAction, TriggerRule
from airflow.sdk.exceptions import AirflowFailException, AirflowTaskTimeout
from bellwether.context import StoreUnavailableError
from bellwether.halting import WorkerEndsError
from bellwether.links import SummaryLink
from bellwether.run_all_tasks import CHILD_RUN_ID
from bellwether.timetable import OpeningTimetable, from_now_on

from benchmarks.parse import measure
from include.perf.catalogue.operations import LOAD_POOL, slots_of
from include.perf.catalogue.reading import load_catalogue
from include.perf.catalogue.scenario.market_hours import OWN_FILE, load_market_hours
from include.perf.catalogue.scenario.schedule import OpeningSchedule
from tests.dags.conftest import ROOT

SCENARIOS = ("normal_trading", "market_open", "high_volatility", "overnight_processing")
MEASURED = ("stage_data", "preflight", "run_load", "scrape")
CONCLUDED = ("report", "promote", "approval_wanted", "ask_for_approval")
NIGHTLY = ("plan", "plan_reruns", "compare", "alert", "write_rules", "verdict", "pause_schedule")
TASKS = {
    *NIGHTLY,
    *(f"{group}.{name}" for group in ("run_service", "rerun_service") for name in MEASURED),
    *(f"conclude.{name}" for name in CONCLUDED),
}
HEAVY = {"locust", "gevent", "pandas", "numpy", "matplotlib", "slack_sdk"}

each_dag = pytest.mark.parametrize("name", SCENARIOS)


def test_every_scenario_is_a_dag_of_its_name(dags: dict[str, DAG]) -> None:
    """The four scenarios have the names that people and tools trigger."""
    assert set(dags) >= set(SCENARIOS)


@each_dag
def test_a_run_is_these_tasks_and_no_others(dags: dict[str, DAG], name: str) -> None:
    """Logs, alerts and tools use the task ids."""
    assert set(dags[name].task_ids) == TASKS


@each_dag
def test_stages_follow_one_another(dags: dict[str, DAG], name: str) -> None:
    """Every service is measured, suspicious ones get re-runs, then the night is judged and reported."""
    upstream = {task.task_id: task.upstream_task_ids for task in dags[name].tasks}
    concluded = {"conclude.promote", "conclude.ask_for_approval"}
    assert upstream == {
        "plan": set(),
        "run_service.stage_data": {"plan"},
        "run_service.preflight": {"run_service.stage_data"},
        "run_service.run_load": {"run_service.preflight"},
        "run_service.scrape": {"run_service.run_load"},
        "plan_reruns": {"plan", "run_service.scrape"},
        "rerun_service.stage_data": {"plan_reruns"},
        "rerun_service.preflight": {"rerun_service.stage_data"},
        "rerun_service.run_load": {"rerun_service.preflight"},
        "rerun_service.scrape": {"rerun_service.run_load"},
        "compare": {"plan", "rerun_service.scrape"},  # the plan gives it the runs, whatever became of the loads
        "conclude.report": {"compare"},
        "conclude.promote": {"conclude.report"},
        "conclude.approval_wanted": {"conclude.report"},
        "conclude.ask_for_approval": {"conclude.approval_wanted"},
        "alert": {"plan", *concluded},
        "write_rules": concluded,
        "verdict": {"plan", *concluded},
        "pause_schedule": {"plan", *concluded},
    }


@each_dag
def test_what_is_retried(dags: dict[str, DAG], name: str) -> None:
    """Tasks that were killed or never ran, and what an outage of a store made fail, but for the plan and the load.

    Other failures would fail again, and a time-out would take as long again.
    """
    tasks = dags[name].tasks
    assert {(task.retries, task.retry_delay) for task in tasks} == {(3, timedelta(seconds=20))}
    always = {task.task_id for task in tasks if task.retry_policy is None}
    assert always == {"run_service.scrape", "rerun_service.scrape"}
    once = {"plan", "conclude.ask_for_approval", "run_service.run_load", "rerun_service.run_load"}
    for task in tasks:
        if (policy := task.retry_policy) is None:
            continue
        for error in (OSError("no space"), AirflowFailException("no plan"), AirflowTaskTimeout("15 min")):
            assert policy.evaluate(error, try_number=1, max_tries=3).action is RetryAction.FAIL
        killed = policy.evaluate(WorkerEndsError("SIGTERM"), try_number=1, max_tries=3)
        assert killed.action is not RetryAction.FAIL
        outage = policy.evaluate(StoreUnavailableError("stale file handle"), try_number=1, max_tries=3)
        assert (outage.action is RetryAction.FAIL) == (task.task_id in once), task.task_id


@pytest.mark.parametrize(
    ("name", "slots", "at_once"),
    [
        ("normal_trading", 100, 1),
        ("market_open", 500, 1),
        ("high_volatility", 300, 1),
        ("overnight_processing", 50, 4),
    ],
)
def test_loads_share_one_pool(dags: dict[str, DAG], name: str, slots: int, at_once: int) -> None:
    """Each takes its requests per second, and within a run the number of parallel loads is limited."""
    loads = {"run_service.run_load", "rerun_service.run_load"}
    assert {task.task_id for task in dags[name].tasks if task.pool == LOAD_POOL} == loads
    assert {task.pool for task in dags[name].tasks} == {LOAD_POOL, "default_pool"}
    assert {dags[name].get_task(load).pool_slots for load in loads} == {slots}
    assert {dags[name].get_task(load).max_active_tis_per_dagrun for load in loads} == {at_once}
    assert slots <= slots_of(load_catalogue().operations.capacity_rps)  # else it would wait for ever


@each_dag
def test_a_run_is_judged_even_if_it_failed_early(dags: dict[str, DAG], name: str) -> None:
    """A failed load still becomes a record, and the last task always runs."""
    always = {task.task_id for task in dags[name].tasks if task.trigger_rule == TriggerRule.ALL_DONE}
    assert always == {"plan_reruns", "compare", "alert", "verdict", "pause_schedule"}
    if_concluded = {"write_rules": TriggerRule.NONE_FAILED}  # most services have nothing to promote
    others = {task.task_id: task.trigger_rule for task in dags[name].tasks if task.task_id not in always}
    assert others == dict.fromkeys(others, TriggerRule.ALL_SUCCESS) | if_concluded


@pytest.mark.parametrize(("name", "last"), [*((scenario, "verdict") for scenario in SCENARIOS), ("run_all", "summary")])
def test_the_last_task_leads_to_the_summary(dags: dict[str, DAG], name: str, last: str) -> None:
    """Only this task has the button."""
    buttons = {
        task.task_id: [link.name for link in task.operator_extra_links]
        for task in dags[name].tasks
        if any(isinstance(link, SummaryLink) for link in task.operator_extra_links)
    }
    assert buttons == {last: ["Summary"]}


@each_dag
def test_every_task_has_a_time_out(dags: dict[str, DAG], name: str) -> None:
    """15 minutes for a stage, 4 h for the wait of a load and 6 h for the load, a day for a run."""
    limits = {task.task_id: task.execution_timeout for task in dags[name].tasks}
    assert {limits.pop(f"{group}.run_load") for group in ("run_service", "rerun_service")} == {timedelta(hours=10)}
    assert set(limits.values()) == {timedelta(minutes=15)}
    assert dags[name].dagrun_timeout == timedelta(hours=24)


@each_dag
def test_a_mapped_task_is_labelled_with_its_service(dags: dict[str, DAG], name: str) -> None:
    """The grid shows names instead of numbers."""
    mapped = [task for task in dags[name].tasks if task.task_id not in NIGHTLY and "ask_for" not in task.task_id]
    assert {task.map_index_template for task in mapped} == {"{{ service_name }}"}


def test_a_baseline_is_approved_by_a_person_or_stays(dags: dict[str, DAG]) -> None:
    """No answer within three days, or two weeks for the review, is a rejection; a rejection changes nothing."""
    for dag_id, prefix, days, change in (
        ("baseline_approval", "", 3, "accept"),
        ("baseline_review", "decide.", 14, "apply"),
    ):
        approval: Any = dags[dag_id].get_task(f"{prefix}approval")
        assert (approval.options, approval.defaults) == (["Approve", "Reject"], ["Reject"])
        assert approval.response_timeout == timedelta(days=days)
        assert approval.task_id in dags[dag_id].get_task(f"{prefix}{change}").upstream_task_ids


def test_alert_rules_follow_every_change_of_a_baseline(dags: dict[str, DAG]) -> None:
    """After each promotion by a DAG, and within the hour after a change on the page or the command line."""
    writing = {name: dag.get_task("write_rules") for name, dag in dags.items() if "write_rules" in dag.task_ids}
    # a refusal is nothing to write for, and no failure before it may end in green
    assert {task.trigger_rule for task in writing.values()} == {TriggerRule.NONE_FAILED}
    assert {name: task.upstream_task_ids for name, task in writing.items()} == {
        **{scenario: {"conclude.promote", "conclude.ask_for_approval"} for scenario in SCENARIOS},
        "baseline_approval": {"accept"},
        "baseline_review": {"decide.apply"},
        "alert_watch": set(),
    }


def test_baselines_are_reviewed_every_quarter(dags: dict[str, DAG]) -> None:
    """At nine in London on the first of January, April, July and October."""
    assert dags["baseline_review"].timetable == from_now_on("0 9 1 1,4,7,10 *", timezone="Europe/London")
    assert dags["baseline_approval"].params.get_param("run").schema["minLength"] == 1


@each_dag
def test_a_dag_is_owned_tagged_and_documented(dags: dict[str, DAG], name: str) -> None:
    """People see its owner and its purpose."""
    dag = dags[name]
    assert {task.owner for task in dag.tasks} == {"platform-ops"}
    assert dag.tags == {"bellwether", "performance", name}
    assert dag.doc_md is not None
    assert dag.doc_md.startswith(f"# {dag.dag_display_name}\n")
    assert dag.description
    assert [task.task_id for task in dag.tasks if not getattr(task, "python_callable", task).__doc__] == []


@each_dag
def test_runs_of_a_scenario_never_overlap_and_never_catch_up(dags: dict[str, DAG], name: str) -> None:
    """A missed run stays missed: nobody wants yesterday's load today."""
    dag = dags[name]
    assert (dag.max_active_runs, dag.catchup) == (1, False)
    assert dag.start_date is None


@pytest.mark.parametrize(
    ("name", "cron"),
    [
        ("normal_trading", "0 5 * * 6"),
        ("high_volatility", "0 5 * * 0"),
        ("overnight_processing", "0 22 * * *"),
    ],
)
def test_schedules_follow_londons_clock(dags: dict[str, DAG], name: str, cron: str) -> None:
    """So the start moves with the market in summer."""
    assert dags[name].timetable == from_now_on(cron, timezone="Europe/London")


def test_market_open_comes_before_london_opens(dags: dict[str, DAG]) -> None:
    """With its own timetable, which Airflow describes in the list of DAGs."""
    schedule = OpeningSchedule(before="london", minutes=250)
    timetable = dags["market_open"].timetable
    assert timetable == OpeningTimetable(schedule, load_market_hours(OWN_FILE))
    assert timetable.summary == "250 min before the London open"
    assert timetable.description.startswith("250 min before the London open, weekdays, next ")


@pytest.mark.parametrize("dag_id", [*SCENARIOS, "baseline_review", "maintenance"])
def test_a_deployed_dag_waits_for_its_next_start(dags: dict[str, DAG], dag_id: str) -> None:
    """Nobody wants load at the moment of a deployment."""
    from airflow.serialization.encoders import coerce_to_core_timetable
    from airflow.timetables.base import TimeRestriction

    timetable = coerce_to_core_timetable(dags[dag_id].timetable)
    restriction = TimeRestriction(earliest=dags[dag_id].start_date, latest=None, catchup=False)
    first = timetable.next_dagrun_info(last_automated_data_interval=None, restriction=restriction)
    assert first.run_after > datetime.now(UTC)


@pytest.mark.parametrize(
    ("name", "rate", "duration"),
    [
        ("normal_trading", 100, 1800),
        ("market_open", 500, 900),
        ("high_volatility", 300, 1800),
        ("overnight_processing", 50, 3600),
    ],
)
def test_the_form_starts_from_the_scenarios_own_load(dags: dict[str, DAG], name: str, rate: int, duration: int) -> None:
    """The rate and duration of the scenario, on all services, without a new baseline."""
    assert dags[name].params.dump() == {
        "service": "all",
        "duration": duration,
        "rate": rate,
        "update_baseline": False,
        "reason": None,
        "asked_by": None,
    }


@each_dag
def test_a_run_that_takes_too_long_is_reported(dags: dict[str, DAG], name: str) -> None:
    """The message comes when all runs and re-runs should be over, long before the time-out."""
    (alert,) = dags[name].deadline
    assert alert.callback.path == "bellwether.lateness.alert_late"
    assert alert.callback.kwargs == {"scenario": name}
    assert timedelta(hours=2) < alert.interval < dags[name].dagrun_timeout


# All scenarios at once

RUN_ORDER = ("market_open", "normal_trading", "high_volatility", "overnight_processing")


def test_all_scenarios_are_run_one_after_another(dags: dict[str, DAG]) -> None:
    """What is to run is noted first. Those that must end before London opens come first; the summary comes last."""
    upstream = {task.task_id: task.upstream_task_ids for task in dags["run_all"].tasks}
    expected: dict[str, set[str]] = {"begin": set(), "summary": {f"{name}.run" for name in RUN_ORDER}}
    before: set[str] = {"begin"}
    for name in RUN_ORDER:
        expected |= {f"{name}.chosen": before, f"{name}.run": {f"{name}.chosen"}}
        before = {f"{name}.run"}
    assert upstream == expected


def test_a_failed_scenario_does_not_stop_the_others(dags: dict[str, DAG]) -> None:
    """The next scenario runs after a failed or skipped one; only the trigger depends on the choice."""
    rules = {task.task_id: task.trigger_rule for task in dags["run_all"].tasks}
    always = {task_id for task_id, rule in rules.items() if rule == TriggerRule.ALL_DONE}
    assert always == {"summary", *(f"{name}.chosen" for name in RUN_ORDER)}


@each_dag
def test_waiting_for_a_scenario_takes_no_worker_slot(dags: dict[str, DAG], name: str) -> None:
    """The DAG is triggered and watched by a deferred task, under the id that the summary looks for."""
    run: Any = dags["run_all"].get_task(f"{name}.run")
    assert (run.trigger_dag_id, run.trigger_run_id) == (name, CHILD_RUN_ID)
    assert (run.wait_for_completion, run.deferrable, run.reset_dag_run) == (True, True, True)


def test_run_all_runs_only_when_triggered(dags: dict[str, DAG]) -> None:
    """One at a time, with a time-out."""
    dag = dags["run_all"]
    assert (dag.schedule, dag.catchup, dag.max_active_runs) == (None, False, 1)
    assert dag.dagrun_timeout == timedelta(hours=48)
    assert {task.owner for task in dag.tasks} == {"platform-ops"}
    assert {task.task_id for task in dag.tasks if task.retries} == {"summary"}


@each_dag
def test_every_service_can_be_chosen_by_either_name(dags: dict[str, DAG], name: str) -> None:
    """All, six names, and five short names: 12 values."""
    names = dags[name].params.get_param("service").schema["enum"]
    assert len(names) == len(set(names)) == 12
    assert {"all", "analysis-engine-service", "analysis-engine", "strategy-execution-engine"} < set(names)


# Looking before anything is loaded


def test_a_dry_run_has_no_task_that_could_send_anything(dags: dict[str, DAG]) -> None:
    """A single task, which takes no slot of the pool."""
    (task,) = dags["dry_run"].tasks
    assert (task.task_id, task.pool) == ("preview", "default_pool")


def test_a_smoke_run_tries_each_service_separately(dags: dict[str, DAG]) -> None:
    """A failing service does not stop the others, and the grid shows names."""
    dag = dags["smoke"]
    assert {task.task_id: task.upstream_task_ids for task in dag.tasks} == {
        "services": set(),
        "try_service": {"services"},
    }
    assert {task.pool for task in dag.tasks} == {"default_pool"}
    assert dag.get_task("try_service").map_index_template == "{{ service_name }}"
    assert dag.max_active_runs == 1


@pytest.mark.parametrize("name", ["dry_run", "smoke"])
def test_checks_run_only_when_triggered(dags: dict[str, DAG], name: str) -> None:
    """With an owner, a description and time-outs; without retries, because the answer would be the same."""
    dag = dags[name]
    assert (dag.schedule, dag.catchup) == (None, False)
    assert dag.description
    assert dag.tags == {"bellwether", "checks"}
    assert {(task.owner, task.retries, task.execution_timeout) for task in dag.tasks} == {
        ("platform-ops", 0, timedelta(minutes=15))
    }
    assert [task.task_id for task in dag.tasks if not getattr(task, "python_callable", task).__doc__] == []


# Looking after the results


def test_results_are_cleared_every_week(dags: dict[str, DAG]) -> None:
    """On Sunday evening, when no scenario sends load; a single task, which takes no slot of the pool."""
    dag = dags["maintenance"]
    assert dag.timetable == from_now_on("0 20 * * 0", timezone="UTC")
    assert (dag.catchup, dag.max_active_runs, dag.tags) == (False, 1, {"bellwether", "maintenance"})
    (task,) = dag.tasks
    assert (task.task_id, task.pool, task.owner, task.retries) == ("prune", "default_pool", "platform-ops", 0)
    assert task.execution_timeout == timedelta(hours=2)


def test_the_forms_offer_every_scenario_and_every_service(dags: dict[str, DAG]) -> None:
    """By name; the default is all of them."""
    assert dags["dry_run"].params.dump() == {"scenario": "all", "service": "all", "duration": None, "rate": None}
    assert dags["smoke"].params.dump() == {"service": "all"}
    assert dags["dry_run"].params.get_param("scenario").schema["enum"] == ["all", *SCENARIOS]


def test_parsing_the_dags_is_cheap_and_imports_nothing_heavy() -> None:
    """Airflow parses them every half minute: well under a second of CPU, no pandas, no Matplotlib, no Locust.

    Measured at about 0.1 s (benchmarks/parse.py). Held against Airflow's own imports as well, which take some
    3 s on a quiet machine and grow with its noise as our figure does.
    """
    measured = measure()
    assert HEAVY.isdisjoint(measured["packages"])
    cpu_s = sum(measured["files_cpu_s"].values())
    assert cpu_s < max(1.0, 0.5 * measured["airflow_cpu_s"])


PLUGINS = """
import json, sys
from airflow import plugins_manager

plugins, errors = plugins_manager._get_plugins()
import requests
print(json.dumps({
    "plugins": [plugin.name for plugin in plugins if "ellwether" in str(plugin)],
    "errors": errors,
    "bare": [
        name
        for name in ("alerting", "context", "docs", "halting", "lateness", "load_pool", "notifier", "tasks", "wiring")
        if name in sys.modules
    ],
    "listeners": [module.__name__ for plugin in plugins for module in plugin.listeners],
    "requests": requests.__file__,
}))
"""


def test_the_plugin_is_loaded_once(tmp_path: Path) -> None:
    """Without .airflowignore the loader would load the package's modules again, under their bare names."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")} | {
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        [sys.executable, "-c", PLUGINS], cwd=tmp_path, env=environment, check=True, capture_output=True, text=True
    )
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["plugins"] == ["bellwether"]
    assert found["errors"] == {}
    assert found["bare"] == []
    assert "bellwether.load_pool" in found["listeners"]
    assert "site-packages" in found["requests"]
