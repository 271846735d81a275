"""The results of a DAG run: what is read, what is missing and why, and the summary that is kept."""

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


def kept(store: FolderStore | MemoryStore, record: RunRecord) -> str:
    """Keep a finished run; returns its address."""
    uri = store.create(service=record.service, scenario=record.scenario, run_id=record.run_id)
    StageFiles(store, uri).record.write(record)
    return uri


def test_what_is_finished_and_what_is_missing(store: FolderStore) -> None:
    """In the order in which it was planned, with the reason as far as it is known."""
    finished = kept(store, run_record())
    ended, lost = (store.create(service=name, scenario="calm", run_id="x") for name in ("orders", "engine"))
    StageFiles(store, ended).end.write(EarlyEnd(stage="preflight", verdict=Verdict.SKIPPED, reason="load is halted"))
    results = results_of(store, [ended, finished, lost], dag_id="calm", dag_run_id=RUN_ID)
    assert results.records == {finished: run_record()}
    assert results.missing == (
        MissingRun(address=RunAddress.from_uri(ended), reason="load is halted"),
        MissingRun(address=RunAddress.from_uri(lost), reason=f"run {lost} is not finished: it has no run.json"),
    )


def test_a_record_that_cannot_be_read_is_missing(store: FolderStore) -> None:
    """With what is wrong with it; the others are summed up all the same."""
    broken = kept(store, run_record())
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
def test_what_is_a_problem(verdict: Verdict, is_problem: bool) -> None:
    """What regressed or could not be judged; what was rightly not measured is none."""
    results = DagRunResults(dag_id="a", dag_run_id="b", records={"memory://a/b/c": record_of(verdict)})
    assert [problem.split(" ")[0] for problem in results.problems] == ([verdict.value] if is_problem else [])


def test_a_missing_record_is_a_problem() -> None:
    """Green would say that all is well."""
    address = RunAddress(service="orders", scenario="calm", run_id="lost")
    lost = MissingRun(address=address, reason="its report was ended from outside")
    results = DagRunResults(dag_id="a", dag_run_id="b", records={}, missing=(lost,))
    assert results.problems == ("orders · calm has no record: its report was ended from outside",)


def test_the_summary_lies_with_the_results(store: FolderStore, tmp_path: Path) -> None:
    """As Markdown and HTML, whose links lead to the reports beside; a task that is tried again writes it anew."""
    uri = kept(store, run_record())
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
def test_a_summary_never_leaves_its_folder(store: FolderStore, tmp_path: Path, dag_run_id: str, name: str) -> None:
    """Whatever a DAG run is called; ids that Airflow makes stay as they are."""
    uri = store.create_summary(dag_id="a", dag_run_id=dag_run_id)
    assert [path.name for path in (tmp_path / "summaries" / "a").iterdir()] == [name]
    store.write(uri, "summary.md", b"x")
    assert store.read(uri, "summary.md") == b"x"


def test_a_summary_is_no_run(store: FolderStore) -> None:
    """Neither a cell nor a run of one."""
    write_summary(store, DagRunResults(dag_id="a", dag_run_id="b", records={}))
    assert list(store.cells()) == []
    assert list(store.runs()) == []


def test_a_folder_that_cannot_be_made_is_told(store: FolderStore, tmp_path: Path) -> None:
    """With what is in the way."""
    (tmp_path / "summaries").write_text("in the way", encoding="utf-8")
    with pytest.raises(StoreError, match=r"^cannot make .*; check BELLWETHER_RESULTS_URI$"):
        store.create_summary(dag_id="a", dag_run_id="b")
