"""All scenarios: their parameters, the skipped ones, and their summary."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import Param
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from bellwether import run_all_tasks
from bellwether.params import run_all_params

from include.perf.adapters.wiring.storage import Storage
from include.perf.catalogue.catalogue import Catalogue
from include.perf.catalogue.reading import load_catalogue, read_catalogue
from include.perf.runs.record import RunRecord, Verdict
from include.perf.runs.stage_files import StageFiles
from tests.catalogues import catalogue_folder
from tests.records import record_of, run_record

ALL = ["normal_trading", "market_open", "high_volatility", "overnight_processing"]
PARAMS = {"service": "all", "scenarios": ALL, "duration": None, "update_baseline": False, "reason": None}
RUN_ID = "manual__2026-03-02T06:30:00+00:00"

Context = Callable[..., dict[str, Any]]


class Task:
    """A task instance with the plans of other DAGs."""

    def __init__(self, planned: Mapping[str, list[str]]) -> None:
        self._planned = planned
        self.asked: list[dict[str, Any]] = []

    def xcom_pull(self, **question: Any) -> list[str] | None:
        """Return the plan of a scenario; ``None`` if it did not run."""
        self.asked.append(question)
        return self._planned.get(question["task_ids"] if question["task_ids"] == "begin" else question["dag_id"])


@pytest.fixture
def context(monkeypatch: pytest.MonkeyPatch) -> Context:
    """Set the Airflow context of a task."""
    params: dict[str, Param] = run_all_params(load_catalogue())

    def given(
        *, person: str | None = "alice", planned: Mapping[str, list[str]] | None = None, **changes: Any
    ) -> dict[str, Any]:
        made = {
            "params": PARAMS | changes,
            "dag": SimpleNamespace(dag_id="run_all", params=params),
            "dag_run": SimpleNamespace(run_id=RUN_ID, run_type="manual", triggering_user_name=person),
            "ti": Task(planned or {}),
        }
        monkeypatch.setattr(run_all_tasks, "task_context", lambda: made)
        return made

    return given


def asked(scenario: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = run_all_tasks.chosen.function(scenario)
    return found


def summary() -> str:
    return str(run_all_tasks.summary.function())


# What each scenario is asked for


def test_a_scenario_gets_its_own_load(context: Context) -> None:
    """Only given parameters are passed on, so the defaults of its form hold."""
    context()
    assert asked("market_open") == {"service": "all", "asked_by": "alice", "update_baseline": False}


def test_given_parameters_are_passed_on(context: Context) -> None:
    """All that a scenario's form also has; each value is valid there."""
    context(service="trading-gateway", duration=60, update_baseline=True, reason="release 2.4")
    assert asked("market_open") == {
        "service": "trading-gateway",
        "asked_by": "alice",
        "duration": 60,
        "update_baseline": True,
        "reason": "release 2.4",
    }


def test_without_a_person_the_trigger_is_passed_on(context: Context) -> None:
    """A record always has who or what triggered it."""
    context(person=None)
    assert asked("market_open")["asked_by"] == "airflow (manual)"


def test_a_scenario_that_was_not_chosen_is_skipped(context: Context) -> None:
    """An empty choice means all scenarios."""
    context(scenarios=["normal_trading"])
    with pytest.raises(AirflowSkipException, match=r"^market_open was not chosen$"):
        asked("market_open")
    assert asked("normal_trading")["service"] == "all"
    context(scenarios=[])
    assert asked("market_open")["service"] == "all"


def test_a_scenario_that_does_not_load_the_service_is_skipped(
    context: Context, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """Storm loads only the engine."""
    monkeypatch.setenv("BELLWETHER_CATALOGUE", str(catalogue_folder(tmp_path)))
    context(scenarios=[], service="orders")
    with pytest.raises(
        AirflowSkipException, match=r"^scenario 'storm' does not load 'orders-service'; it loads engine$"
    ):
        asked("storm")
    assert asked("calm")["service"] == "orders"


def test_a_misspelt_parameter_is_refused(context: Context) -> None:
    """Airflow accepts any name; ``durations: 10`` would send the full load."""
    context(durations=10)
    with pytest.raises(AirflowFailException) as caught:
        asked("market_open")
    assert str(caught.value) == (
        "parameter 'durations' is unknown; known: service, scenarios, duration, update_baseline, reason"
    )


def test_a_broken_catalogue_fails(context: Context, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """As in every other task."""
    context()
    folder = catalogue_folder(tmp_path, services="schema_version: 1\nservices: {}\n")
    monkeypatch.setenv("BELLWETHER_CATALOGUE", str(folder))
    with pytest.raises(AirflowFailException, match="services must name at least one entry"):
        asked("market_open")


# What comes of them together


@pytest.fixture
def keep() -> Callable[..., str]:
    """Store a finished run, and return its URI."""

    def kept(record: RunRecord) -> str:
        store = Storage().results()
        uri = store.create(service=record.service, scenario=record.scenario, run_id=record.run_id)
        StageFiles(store, uri).record.write(record)
        return uri

    return kept


def kept_summary(tmp_path: Path) -> str:
    """Return the stored summary."""
    return (tmp_path / "results" / "summaries" / "run_all" / RUN_ID / "summary.md").read_text(encoding="utf-8")


def test_the_summary_of_all_verdicts(
    context: Context, keep: Callable[..., str], caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """Of the runs that this DAG run triggered; a skipped scenario has none."""
    first = keep(run_record(service="orders", scenario="market_open"))
    second = keep(run_record(service="orders", scenario="normal_trading", verdict=Verdict.IMPROVEMENT))
    given = context(planned={"market_open": [first], "normal_trading": [second]})
    with caplog.at_level(logging.INFO, logger="bellwether.run_all_tasks"):
        shown = summary()
    assert shown.startswith(f"# IMPROVEMENT · run_all · {RUN_ID} – 2 runs: 1 IMPROVEMENT, 1 PASS\n")
    assert [line for line in shown.splitlines() if line.startswith("## ")] == [
        "## All verdicts",
        "## market_open",
        "## normal_trading",
        "## Findings",
    ]
    assert f"Verdicts:\n{shown}" in caplog.messages
    assert "[orders](../../../orders/market_open/" in kept_summary(tmp_path)
    order = ["market_open", "normal_trading", "high_volatility", "overnight_processing"]
    assert given["ti"].asked == [
        {"dag_id": "run_all", "run_id": RUN_ID, "task_ids": "begin"},
        *({"dag_id": scenario, "run_id": f"run_all__{RUN_ID}", "task_ids": "plan"} for scenario in order),
    ]
    assert run_all_tasks.CHILD_RUN_ID.replace("{{ run_id }}", RUN_ID) == f"run_all__{RUN_ID}"


@pytest.mark.parametrize("verdict", [Verdict.REGRESSION, Verdict.INVALID, Verdict.NOT_COMPARABLE])
def test_bad_runs_fail_after_the_summary_was_stored(
    context: Context, keep: Callable[..., str], tmp_path: Path, verdict: Verdict
) -> None:
    """With the headline of each bad run."""
    uris = [keep(run_record(service="orders")), keep(record_of(verdict))]
    context(planned={"market_open": uris})
    with pytest.raises(AirflowFailException, match=f"^{verdict} · "):
        summary()
    assert kept_summary(tmp_path).startswith(f"# {verdict} · run_all ")


@pytest.mark.parametrize("verdict", [Verdict.PASS, Verdict.IMPROVEMENT, Verdict.NO_BASELINE, Verdict.SKIPPED])
def test_good_runs_succeed(context: Context, keep: Callable[..., str], verdict: Verdict) -> None:
    """As with a single scenario."""
    context(planned={"market_open": [keep(record_of(verdict))]})
    assert verdict.value in summary()


def test_no_run_at_all_fails(context: Context) -> None:
    """Success would look as if everything was fine."""
    context(planned={"market_open": []})
    with pytest.raises(AirflowFailException, match=r"^nothing was run; see the tasks before$"):
        summary()


def test_a_run_without_a_record_fails(context: Context, keep: Callable[..., str], tmp_path: Path) -> None:
    """Its report was killed; the others are in the summary."""
    lost = Storage().results().create(service="orders", scenario="market_open", run_id="x")
    context(planned={"market_open": [keep(run_record()), lost]})
    with pytest.raises(AirflowFailException, match=r"^orders · market_open has no record: there is no run "):
        summary()
    assert "1 PASS, 1 without a record" in kept_summary(tmp_path)


def test_a_scenario_that_was_removed_or_broken_meanwhile(
    context: Context,
    keep: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """It is named with the reason, in the summary, too, and the task fails; the others have their verdicts."""
    context()
    begun = run_all_tasks.begin.function([*ALL, "gone", "broken"])
    assert begun == ALL
    folder = catalogue_folder(tmp_path)
    text = (folder / "scenarios.yaml").read_text(encoding="utf-8")
    (folder / "scenarios.yaml").write_text(f"{text}\n  broken: {{rate_rps: -1}}\n", encoding="utf-8")
    monkeypatch.setenv("BELLWETHER_CATALOGUE", str(folder))
    kept = read_catalogue(folder).scenarios
    first = next(iter(kept))
    uri = keep(run_record(service="orders", scenario=first))
    context(planned={"begin": [first, "gone", "broken"], first: [uri]})
    with pytest.raises(AirflowFailException) as caught:
        summary()
    sentences = str(caught.value).splitlines()
    assert sentences == [
        "gone did not run: it was removed from scenarios.yaml while this DAG run was in flight",
        "broken did not run: its entry in scenarios.yaml is wrong; correct it, and run it",
    ]
    shown = kept_summary(tmp_path)
    assert shown.startswith(f"# NO RECORD · run_all · {RUN_ID} – 1 run: 1 PASS, 2 scenarios not run")
    assert all(sentence in shown for sentence in sentences)


def test_run_all_begins_with_the_chosen_scenarios_of_the_service(context: Context) -> None:
    """Those that do not load the service are skipped, and not missed at the end."""
    context(scenarios=["market_open", "normal_trading"])
    assert run_all_tasks.begin.function(ALL) == ["normal_trading", "market_open"]


# The form


def test_the_form(context: Context) -> None:
    """All scenarios on all services, each with its own load."""
    catalogue: Catalogue = load_catalogue()
    assert {name: param.value for name, param in run_all_params(catalogue).items()} == PARAMS
