"""Where the pages are."""

from include.perf.model.cell import CellName
from include.perf.pages.addresses import Addresses
from tests.entries import CELL, entry

TO = Addresses(base="/airflow/bellwether", airflow="/airflow")


def test_the_matrix_is_at_the_root() -> None:
    """The page of all cells keeps its slash, below which relative addresses would be looked for."""
    assert TO.matrix() == "/airflow/bellwether/"


def test_a_query_follows_the_path() -> None:
    """What is chosen on a page is part of its address, so that it can be sent to somebody."""
    assert TO.cell(CELL, range="year") == ("/airflow/bellwether/cells/analysis-engine-service/market_open?range=year")


def test_a_name_cannot_lead_elsewhere() -> None:
    """Slashes, dots and quotes in a name are part of the name."""
    address = TO.cell(CellName('../"x', "a/b?c#d"))
    assert address == "/airflow/bellwether/cells/..%2F%22x/a%2Fb%3Fc%23d"


def test_a_dag_run_keeps_its_id() -> None:
    """Colons and plus signs of Airflow's run ids arrive as they are."""
    assert TO.dag_run("market_open", "scheduled__2026-03-02T06:30:00+00:00").endswith(
        "/dag-runs/market_open/scheduled__2026-03-02T06%3A30%3A00%2B00%3A00"
    )


def test_two_runs_are_compared_in_their_order() -> None:
    """The first is the one that the other is held to."""
    assert TO.compare("a", "b") == "/airflow/bellwether/compare?run=a&run=b"


def test_a_run_of_the_command_line_has_no_dag_run() -> None:
    """There is nothing in Airflow to link to."""
    assert TO.airflow_run(entry(dag_run_id=None)) is None
    assert TO.airflow_run(entry(dag_id="market_open", dag_run_id="m 1")) == "/airflow/dags/market_open/runs/m%201"
