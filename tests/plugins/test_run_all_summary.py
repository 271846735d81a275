"""The end of a scenario's DAG run: its summary, its result, and the button to the summary."""

from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException
from bellwether import run_all_tasks, tasks
from bellwether.links import SummaryLink, dag_run_path

from include.perf.adapters.wiring.storage import Storage
from include.perf.runs.record import RunRecord, Verdict
from include.perf.runs.results_store import SUMMARY_FILE
from include.perf.runs.stage_files import StageFiles
from tests.records import record_of, run_record

RUN_ID = "manual__2026-11-22T23:28:06.123+00:00"


@pytest.fixture(autouse=True)
def _context(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the Airflow context of the task."""
    context = {"dag": SimpleNamespace(dag_id="market_open"), "dag_run": SimpleNamespace(run_id=RUN_ID)}
    monkeypatch.setattr(run_all_tasks, "task_context", lambda: context)


def verdict(*records: RunRecord) -> Any:
    """Run the last task of a DAG run with these finished runs."""
    store = Storage().results()
    uris = []
    for record in records:
        uris.append(store.create(service=record.service, scenario=record.scenario, run_id=record.run_id))
        StageFiles(store, uris[-1]).record.write(record)
    return tasks.verdict.function(uris)


def summary() -> str:
    """Return the stored summary."""
    store = Storage().results()
    content = store.read(store.create_summary(dag_id="market_open", dag_run_id=RUN_ID), SUMMARY_FILE)
    return (content or b"").decode()


def test_a_good_night_succeeds() -> None:
    """The task returns the headline of each service."""
    headlines = verdict(run_record(), run_record(service="orders", verdict=Verdict.IMPROVEMENT))
    assert list(headlines) == ["analysis-engine-service", "orders"]
    assert headlines["analysis-engine-service"].startswith("PASS · analysis-engine-service · market_open – ")
    assert summary().startswith(f"# IMPROVEMENT · market_open · {RUN_ID} – 2 runs: 1 IMPROVEMENT, 1 PASS")


@pytest.mark.parametrize("bad", [Verdict.REGRESSION, Verdict.INVALID, Verdict.NOT_COMPARABLE])
def test_a_bad_night_fails_after_its_summary_was_stored(bad: Verdict) -> None:
    """The failed task leads to it."""
    with pytest.raises(AirflowFailException, match=f"^{bad} · analysis-engine-service"):
        verdict(run_record(service="orders"), record_of(bad))
    assert summary().startswith(f"# {bad} · market_open · ")


@pytest.mark.parametrize("nothing", [None, []])
def test_a_night_without_runs_fails(nothing: list[str] | None) -> None:
    """Success would look as if everything was fine."""
    with pytest.raises(AirflowFailException, match=r"^nothing was planned; see the task plan, or its events if it "):
        tasks.verdict.function(nothing)


@pytest.mark.parametrize(
    ("base_url", "mounted"),
    [("", ""), ("http://localhost:8080", ""), ("https://airflow.example/team-a/", "/team-a")],
)
def test_the_button_leads_to_the_summary(monkeypatch: pytest.MonkeyPatch, base_url: str, mounted: str) -> None:
    """Wherever Airflow's UI is mounted; special characters of a run id are quoted."""
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", base_url)
    task = SimpleNamespace(dag_id="market_open", run_id="a/b?c+d")
    path = f"{mounted}/bellwether/dag-runs/market_open/a%2Fb%3Fc%2Bd"
    assert SummaryLink().get_link(None, ti_key=task) == path
    assert dag_run_path("market_open", RUN_ID) == (
        f"{mounted}/bellwether/dag-runs/market_open/manual__2026-11-22T23%3A28%3A06.123%2B00%3A00"
    )
