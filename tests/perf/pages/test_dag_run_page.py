"""The summary of a DAG run, also while it is in progress."""

from datetime import UTC, datetime

from include.perf.catalogue.scenario.load_profile import LoadProfile
from include.perf.model.cell import CellName
from include.perf.pages.addresses import Addresses
from include.perf.pages.dag_run_page import dag_run_page, unfinished
from include.perf.runs.dag_run import results_of
from include.perf.runs.spec import RunSpec
from include.perf.runs.stage_files import StageFiles
from tests.fakes.results_store import MemoryStore
from tests.records import run_record

CELL = CellName("orders-service", "calm")
NIGHT = "manual__1"


def planned(store: MemoryStore, run_id: str, *, dag_run_id: str = NIGHT, rerun_of: str | None = None) -> str:
    """Plan a run and return its URI."""
    uri = store.create(service=CELL.service, scenario=CELL.scenario, run_id=run_id)
    spec = RunSpec(
        run_id=run_id,
        service=CELL.service,
        scenario=CELL.scenario,
        environment="test",
        load=LoadProfile(rate_rps=1, duration_s=60),
        created_at=datetime(2026, 3, 2, tzinfo=UTC),
        dag_run_id=dag_run_id,
        rerun_of=rerun_of,
    )
    StageFiles(store, uri).spec.write(spec)
    return uri


def test_unfinished_runs() -> None:
    """Only those of this DAG run, without re-runs and without finished runs."""
    store = MemoryStore()
    unfinished_uri = planned(store, "1")
    planned(store, "2", dag_run_id="another")
    planned(store, "3", rerun_of="1")
    StageFiles(store, planned(store, "4")).record.write(run_record(run_id="4"))
    assert list(unfinished(store, [CELL], dag_run_id=NIGHT)) == [unfinished_uri]


def test_a_finished_run_links_to_its_page() -> None:
    """An unfinished run is counted as one without a record."""
    store = MemoryStore()
    finished = planned(store, "1")
    StageFiles(store, finished).record.write(run_record(service="orders-service", scenario="calm", run_id="1"))
    results = results_of(store, [finished, planned(store, "2")], dag_id="calm", dag_run_id=NIGHT)
    document = dag_run_page(results, addresses=Addresses()).document
    assert document.finding == "2 runs: 1 PASS, 1 without a record"
    assert "/bellwether/runs/orders-service/calm/1" in repr(document)
