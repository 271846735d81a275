"""The documentation that a scenario's DAG shows."""

import pytest
from bellwether.docs import dag_docs

from include.perf.catalogue import Catalogue, load_catalogue

TASKS = ("plan", "stage_data", "preflight", "run_load", "scrape", "compare", "report", "alert", "promote", "verdict")


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    """The project's own catalogue."""
    return load_catalogue()


def test_the_docs_say_load_data_and_schedule(catalogue: Catalogue) -> None:
    """Who opens a DAG reads what it sends, from what, and when."""
    docs = dag_docs(catalogue.scenario("market_open"), catalogue)
    assert docs.startswith("# Market open\n")
    assert "500/s constant for 900 s after 60 s of warm-up, for each service" in docs
    assert "`data/market_open_data.csv`" in docs
    assert "`30 5 * * 1-5` in Europe/London" in docs


def test_the_docs_hold_a_command_that_can_be_copied(catalogue: Catalogue) -> None:
    """The quickest way to try a scenario stands there, ready to run."""
    docs = dag_docs(catalogue.scenario("market_open"), catalogue)
    command = """airflow dags trigger market_open --conf '{"service": "analysis-engine", "duration": 60}'"""
    assert f"\n{command}\n" in docs


def test_the_docs_name_every_service_that_is_loaded(catalogue: Catalogue) -> None:
    """Each service stands there with its description."""
    docs = dag_docs(catalogue.scenario("market_open"), catalogue)
    for service in catalogue.services.values():
        assert f"- `{service.name}`: {service.description}" in docs


def test_the_docs_explain_every_task(catalogue: Catalogue) -> None:
    """What is red in the grid can be looked up on the same page."""
    docs = dag_docs(catalogue.scenario("market_open"), catalogue)
    for task in [
        "plan",
        "stage_data",
        "preflight",
        "run_load",
        "scrape",
        "compare",
        "report",
        "alert",
        "promote",
        "verdict",
    ]:
        assert f"`{task}`" in docs


def test_a_scenario_without_a_schedule_says_so(catalogue: Catalogue) -> None:
    """Nobody waits for a run that only comes when triggered."""
    scenario = catalogue.scenario("market_open").model_copy(update={"schedule": None})
    assert "only when triggered" in dag_docs(scenario, catalogue)
