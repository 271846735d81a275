"""The results of a DAG run: its records, missing runs, and the stored summary."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from include.perf.adapters.files.folder_store import FolderStore
from include.perf.model.cell import RunAddress
from include.perf.model.errors import StoreError
from include.perf.model.json_files import to_json
from include.perf.reporting.summary import write_summary
from include.perf.runs.dag_run import Absence, DagRunName, DagRunResults, MissingRun, results_of
from include.perf.runs.record import RunRecord, Verdict
from include.perf.runs.results_store import ResultsStore
from include.perf.runs.stage_files import EarlyEnd, StageFiles
from tests.fakes.results_store import MemoryStore
from tests.records import record_of, run_record
from tests.stages import SPEC

RUN_ID = "manual__2026-11-22T23:28:06.123+00:00"


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(str(tmp_path))


def stored(store: FolderStore | MemoryStore, record: RunRecord) -> str:
    """Store a finished run; returns its URI."""
    uri = store.create(service=record.service, scenario=record.scenario, run_id=record.run_id)
    StageFiles(store, uri).record.write(record)
    return uri


def planned(store: FolderStore | MemoryStore, service: str) -> str:
    """Plan a run; returns its URI."""
    uri = store.create(service=service, scenario="calm", run_id="x")
    StageFiles(store, uri).spec.write(SPEC)
    return uri


def results(store: ResultsStore, *uris: str) -> DagRunResults:
    """Read the results of a DAG run."""
    return results_of(store, uris, dag_id="calm", dag_run_id=RUN_ID)


def test_finished_and_missing_runs(store: FolderStore) -> None:
    """They are in planned order; a missing run has a reason."""
    finished = stored(store, run_record())
    ended, lost = planned(store, "orders"), planned(store, "engine")
    StageFiles(store, ended).end.write(EarlyEnd(stage="preflight", verdict=Verdict.SKIPPED, reason="load is halted"))
    found = results(store, ended, finished, lost)
    assert found.records == {finished: run_record()}
    assert found.missing == (
        MissingRun(address=RunAddress.from_uri(ended), reason="load is halted"),
        MissingRun(address=RunAddress.from_uri(lost), reason=f"run {lost} is not finished: it has no run.json"),
    )


def damaged(store: FolderStore, uri: str) -> None:
    store.write(uri, "run.json", b"{")


def removed(store: FolderStore, uri: str) -> None:
    store.discard(uri)


def out_of_domain(store: FolderStore, uri: str) -> None:
    store.write(uri, "run.json", to_json(replace(run_record(), service="another")))


def folder_instead(store: FolderStore, uri: str) -> None:
    store.remove(uri, "run.json")
    (store.root / "/".join(uri.split("/")[-3:]) / "run.json").mkdir()


@pytest.mark.parametrize(
    ("harm", "absence", "sentence"),
    [
        (damaged, Absence.UNREADABLE, "has a record that cannot be read: .*run.json cannot be read: "),
        (out_of_domain, Absence.UNREADABLE, "has a record that cannot be read: .*run.json is the record of "),
        (folder_instead, Absence.UNREADABLE, "has a record that cannot be read: .*Is a directory"),
        (removed, Absence.REMOVED, "has no record: there is no run .*: it has neither a run.json nor a plan"),
    ],
)
def test_a_run_whose_record_cannot_be_used(
    store: FolderStore, harm: Callable[[FolderStore, str], None], absence: Absence, sentence: str
) -> None:
    """What cannot be read is not called missing; the other runs are read."""
    other = planned(store, "orders")
    StageFiles(store, other).record.write(replace(run_record(), service="orders", scenario="calm", run_id="x"))
    uri = stored(store, run_record())
    harm(store, uri)
    found = results(store, uri, other)
    assert list(found.records) == [other]
    assert [run.absence for run in found.missing] == [absence]
    (problem,) = found.problems
    assert re.search(sentence, problem)


@pytest.mark.parametrize("is_first", [True, False])
def test_a_store_that_cannot_be_read_is_no_answer(is_first: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither for the run that could not be read, nor for the others."""
    store = MemoryStore()
    uris = [stored(store, replace(run_record(), service=name)) for name in ("orders", "engine")]
    broken = uris[0] if is_first else uris[1]

    def read(uri: str, name: str) -> bytes | None:
        if uri == broken:
            raise StoreError("stale file handle")
        return store.runs_by_uri[uri].get(name)

    monkeypatch.setattr(store, "read", read)
    with pytest.raises(StoreError, match=r"^stale file handle$"):
        results(store, *uris)


def test_a_store_without_any_of_the_runs_is_the_wrong_one(store: FolderStore, tmp_path: Path) -> None:
    """Such as the empty folder below a file system that is not mounted: no run is reported as missing."""
    uris = [planned(store, "orders"), planned(store, "engine")]
    for uri in uris:
        store.discard(uri)
    with pytest.raises(StoreError, match=r"^none of the planned runs is in the results store .*mounted"):
        results(store, *uris)
    tmp_path.rename(tmp_path.with_name("unmounted"))
    with pytest.raises(StoreError, match=r"is gone; is its file system mounted\?$"):
        results(FolderStore(str(tmp_path)), *uris)


def test_a_run_that_ends_while_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its record appears before its plan is removed; between two reads both may happen."""
    store = MemoryStore()
    uri = store.create(service="orders", scenario="calm", run_id="x")
    record = replace(run_record(), service="orders", scenario="calm", run_id="x")
    answers = iter([None, None, to_json(record)])
    monkeypatch.setattr(store, "read", lambda uri, name: next(answers))
    assert results(store, uri).records == {uri: record}


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


@pytest.mark.parametrize("dag_run_id", [RUN_ID, "a/b", ""])
def test_the_name_of_a_dag_run_is_one_text(dag_run_id: str) -> None:
    """The id of a DAG run may contain slashes."""
    name = DagRunName(dag_id="market_open", dag_run_id=dag_run_id)
    assert DagRunName.from_id(name.id) == name
