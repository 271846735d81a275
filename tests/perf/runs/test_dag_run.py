"""The results of a DAG run: its records, missing runs, and the stored summary."""

from pathlib import Path

import pytest

from include.perf.adapters.files.folder_store import FolderStore
from include.perf.model.cell import RunAddress
from include.perf.model.errors import StoreError
from include.perf.reporting.summary import write_summary
from include.perf.runs.dag_run import DagRunResults, MissingRun, results_of
from include.perf.runs.record import RunRecord, Verdict
from include.perf.runs.stage_files import EarlyEnd, StageFiles
from tests.fakes.results_store import MemoryStore
from tests.records import record_of, run_record

RUN_ID = "manual__2026-11-22T23:28:06.123+00:00"


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(str(tmp_path))


def stored(store: FolderStore | MemoryStore, record: RunRecord) -> str:
    """Store a finished run; returns its URI."""
    uri = store.create(service=record.service, scenario=record.scenario, run_id=record.run_id)
    StageFiles(store, uri).record.write(record)
    return uri


def test_finished_and_missing_runs(store: FolderStore) -> None:
    """They are in planned order; a missing run has a reason."""
    finished = stored(store, run_record())
    ended, lost = (store.create(service=name, scenario="calm", run_id="x") for name in ("orders", "engine"))
    StageFiles(store, ended).end.write(EarlyEnd(stage="preflight", verdict=Verdict.SKIPPED, reason="load is halted"))
    results = results_of(store, [ended, finished, lost], dag_id="calm", dag_run_id=RUN_ID)
    assert results.records == {finished: run_record()}
    assert results.missing == (
        MissingRun(address=RunAddress.from_uri(ended), reason="load is halted"),
        MissingRun(address=RunAddress.from_uri(lost), reason=f"run {lost} is not finished: it has no run.json"),
    )


def test_a_run_with_an_unreadable_record_is_missing(store: FolderStore) -> None:
    """The reason names the file and the problem."""
    broken = stored(store, run_record())
    store.write(broken, "run.json", b"{")
    store.write(broken, "ended.json", b"{")
    (missing,) = results_of(store, [broken], dag_id="a", dag_run_id="b").missing
    assert "run.json cannot be read: " in missing.reason


@pytest.mark.parametrize(
    ("verdict", "is_problem"),
    [
        (Verdict.PASS, False),
        (Verdict.IMPROVEMENT, False),
        (Verdict.NO_BASELINE, False),
        (Verdict.SKIPPED, False),
        (Verdict.REGRESSION, True),
        (Verdict.INVALID, True),
        (Verdict.NOT_COMPARABLE, True),
    ],
)
def test_which_verdicts_are_problems(verdict: Verdict, is_problem: bool) -> None:
    """Regressions and runs that could not be judged; skipped runs are none."""
    results = DagRunResults(dag_id="a", dag_run_id="b", records={"memory://a/b/c": record_of(verdict)})
    assert [problem.split(" ")[0] for problem in results.problems] == ([verdict.value] if is_problem else [])


def test_a_missing_record_is_a_problem() -> None:
    """The DAG run must not be green."""
    address = RunAddress(service="orders", scenario="calm", run_id="lost")
    lost = MissingRun(address=address, reason="its report was ended from outside")
    results = DagRunResults(dag_id="a", dag_run_id="b", records={}, missing=(lost,))
    assert results.problems == ("orders · calm has no record: its report was ended from outside",)


def test_the_summary_is_stored_with_the_results(store: FolderStore, tmp_path: Path) -> None:
    """As Markdown and HTML with links to the reports; a retried task replaces it."""
    uri = stored(store, run_record())
    results = results_of(store, [uri], dag_id="market_open", dag_run_id=RUN_ID)
    where = write_summary(store, results)
    assert write_summary(store, results) == where
    folder = tmp_path / "summaries" / "market_open" / RUN_ID
    assert where == folder.as_uri()
    assert sorted(path.name for path in folder.iterdir()) == ["summary.html", "summary.md"]
    link = "../../../analysis-engine-service/market_open/20260302T063900Z-7f3a/report.html"
    assert f"]({link})" in (folder / "summary.md").read_text(encoding="utf-8")
    assert f'href="{link}"' in (folder / "summary.html").read_text(encoding="utf-8")
    assert (folder / link).resolve().parent == tmp_path / "analysis-engine-service/market_open/20260302T063900Z-7f3a"


@pytest.mark.parametrize(
    ("dag_run_id", "name"),
    [(RUN_ID, RUN_ID), ("..", "%2E."), (".hidden", "%2Ehidden"), ("a/../b", "a%2F..%2Fb"), ("é", "%C3%A9")],
)
def test_a_summary_stays_in_its_folder(store: FolderStore, tmp_path: Path, dag_run_id: str, name: str) -> None:
    """Any id of a DAG run is safe; those that Airflow creates are unchanged."""
    uri = store.create_summary(dag_id="a", dag_run_id=dag_run_id)
    assert [path.name for path in (tmp_path / "summaries" / "a").iterdir()] == [name]
    store.write(uri, "summary.md", b"x")
    assert store.read(uri, "summary.md") == b"x"


def test_a_summary_is_not_a_run(store: FolderStore) -> None:
    """Its folder is neither a cell nor a run."""
    write_summary(store, DagRunResults(dag_id="a", dag_run_id="b", records={}))
    assert list(store.cells()) == []
    assert list(store.runs()) == []


def test_an_error_names_a_folder_that_cannot_be_created(store: FolderStore, tmp_path: Path) -> None:
    """A file is in the way."""
    (tmp_path / "summaries").write_text("in the way", encoding="utf-8")
    with pytest.raises(StoreError, match=r"^cannot create .*; check BELLWETHER_RESULTS_URI$"):
        store.create_summary(dag_id="a", dag_run_id="b")
