"""The URLs of the pages."""

from include.perf.model.cell import CellName
from include.perf.pages.addresses import Addresses
from tests.entries import CELL, entry

TO = Addresses(base="/airflow/bellwether", airflow="/airflow")


def test_the_matrix_is_at_the_root() -> None:
    """Its URL keeps the trailing slash, so that relative links resolve below it."""
    assert TO.matrix() == "/airflow/bellwether/"


def test_a_query_follows_the_path() -> None:
    """The choices on a page are part of its URL, so that the URL can be shared."""
    assert TO.cell(CELL, range="year") == ("/airflow/bellwether/cells/analysis-engine-service/market_open?range=year")


def test_a_name_cannot_change_where_a_link_leads() -> None:
    """Slashes and quotes in a name are escaped."""
    address = TO.cell(CellName('../"x', "a/b?c#d"))
    assert address == "/airflow/bellwether/cells/..%2F%22x/a%2Fb%3Fc%23d"


def test_a_dag_run_id_is_escaped() -> None:
    """Airflow's run ids contain colons and plus signs."""
    assert TO.dag_run("market_open", "scheduled__2026-03-02T06:30:00+00:00").endswith(
        "/dag-runs/market_open/scheduled__2026-03-02T06%3A30%3A00%2B00%3A00"
    )


def test_two_runs_are_compared_in_their_order() -> None:
    """The second run is compared with the first."""
    assert TO.compare("a", "b") == "/airflow/bellwether/compare?run=a&run=b"


def test_a_run_from_the_command_line_has_no_dag_run() -> None:
    """There is no DAG run to link to."""
    assert TO.airflow_run(entry(dag_run_id=None)) is None
    assert TO.airflow_run(entry(dag_id="market_open", dag_run_id="m 1")) == "/airflow/dags/market_open/runs/m%201"
