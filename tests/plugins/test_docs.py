"""The documentation of a scenario's DAG."""

import pytest
from bellwether.docs import dag_docs

from include.perf.catalogue.catalogue import Catalogue
from include.perf.catalogue.reading import load_catalogue
from include.perf.catalogue.scenario.schedule import OpeningSchedule

TASKS = ("plan", "stage_data", "preflight", "run_load", "scrape", "compare", "report", "alert", "promote", "verdict")


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    """The project's own catalogue."""
    return load_catalogue()


def test_the_docs_say_load_data_and_schedule(catalogue: Catalogue) -> None:
    """They describe the load, its data and its times."""
    docs = dag_docs(catalogue.scenario("market_open"), catalogue)
    assert docs.startswith("# Market open\n")
    assert "500/s for 900 s after 60 s of warm-up, for each service" in docs
    assert "`data/market_open_data.csv`" in docs
    assert "- **Schedule:** 250 min before the London open, weekdays, all load over 5 min before it\n" in docs
    assert "- **Time:** 1 h 43 min for 6 services, 4 h 1 min with re-runs, of 4 h 5 min\n" in docs
    assert "one after another" in docs
    overnight = dag_docs(catalogue.scenario("overnight_processing"), catalogue)
    assert "- **Schedule:** cron `0 22 * * *` in Europe/London, all load over by 03:45\n" in overnight
    assert "for each service, at most 4 at once\n" in overnight


def test_the_docs_hold_a_command_that_can_be_copied(catalogue: Catalogue) -> None:
    """It is the quickest way to try a scenario."""
    docs = dag_docs(catalogue.scenario("market_open"), catalogue)
    command = """airflow dags trigger market_open --conf '{"service": "analysis-engine", "duration": 60}'"""
    assert f"\n{command}\n" in docs


def test_the_docs_name_every_service_that_is_loaded(catalogue: Catalogue) -> None:
    """With its description."""
    docs = dag_docs(catalogue.scenario("market_open"), catalogue)
    for service in catalogue.services.values():
        assert f"- `{service.name}`: {service.description}" in docs


def test_the_docs_explain_every_task(catalogue: Catalogue) -> None:
    """A failed task of the grid is explained on the same page."""
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


def test_a_night_that_does_not_fit_is_documented(catalogue: Catalogue) -> None:
    """With the missing time and the remedy."""
    late = OpeningSchedule(before="london", minutes=120)
    docs = dag_docs(catalogue.scenario("market_open").model_copy(update={"schedule": late}), catalogue)
    assert (
        "**Too little time:** market_open needs 4 h 1 min for 6 services with re-runs (1 h 43 min without), but starts "
        "1 h 55 min before all load must be over (07:55): 2 h 6 min too little; start it 126 min earlier, raise "
        "parallel, or lower reruns.\n"
    ) in docs
    assert "Too little" not in dag_docs(catalogue.scenario("market_open"), catalogue)


def test_a_scenario_without_a_schedule_says_so(catalogue: Catalogue) -> None:
    """It only runs when triggered."""
    scenario = catalogue.scenario("market_open").model_copy(update={"schedule": None})
    assert "only when triggered" in dag_docs(scenario, catalogue)
