"""The contract of results stores, in a folder and in an object store."""

import errno
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from include.perf.adapters.files.folder_store import FolderStore
from include.perf.adapters.files.sqlite_index import SqliteIndex
from include.perf.adapters.s3.store import S3Store
from include.perf.baselines.history import read_nights
from include.perf.model.cell import CellName
from include.perf.model.errors import ItemError, StoreError
from include.perf.model.json_files import to_json
from include.perf.runs import results_store
from include.perf.runs.retention import Archive
from tests.object_stores import ObjectStore, files_in
from tests.odd_items import HOSTILE_VALUES, hostile_record
from tests.records import regressed_record

CELL = {"service": "orders-service", "scenario": "brief"}


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Archive:
    """An empty store of each kind."""
    if request.param == "folder":
        return FolderStore(str(tmp_path / "results"))
    objects: ObjectStore = request.getfixturevalue("s3")
    return S3Store(objects.objects())


def finished(store: Archive, run_id: str, **cell: str) -> str:
    uri = store.create(run_id=run_id, **(CELL | cell))
    store.write(uri, "run.json", b"{}")
    return uri


@pytest.mark.parametrize("run_id", ["r1", "a b%20ü", "a+b&c=d?e#f"])
def test_the_uri_of_a_run_follows_from_its_names(store: Archive, run_id: str) -> None:
    """Creating, naming and listing a run give the same URI, so links in messages work."""
    uri = store.create(run_id=run_id, **CELL)
    assert store.uri_of(run_id=run_id, **CELL) == uri
    assert list(store.latest(**CELL)) == [uri]
    store.write(uri, "a", b"1")
    assert (store.read(uri, "a"), store.names(uri)) == (b"1", frozenset({"a"}))


def test_files_come_back_until_removed(store: Archive) -> None:
    """Writing replaces; a missing file is None; removing twice is not an error."""
    uri = store.create(run_id="r1", **CELL)
    assert store.read(uri, "a") is None
    store.write(uri, "a", b"1")
    store.write(uri, "a", b"22")
    assert store.read(uri, "a") == b"22"
    with store.opened(uri, "a") as file:
        assert (file.read(1), file.read(1), file.read(1)) == (b"2", b"2", b"")
    store.remove(uri, "a")
    store.remove(uri, "a")
    assert store.read(uri, "a") is None
    with pytest.raises(StoreError, match=r"^cannot read .*r1"), store.opened(uri, "a"):
        pytest.fail("opened a missing file")


def test_a_run_id_is_used_once(store: Archive) -> None:
    """No run overwrites another."""
    uri = store.create(run_id="r1", **CELL)
    store.write(uri, "a", b"1")
    with pytest.raises(StoreError, match=r"orders-service/brief/r1 exists already; run ids must be unique$"):
        store.create(run_id="r1", **CELL)
    assert store.read(uri, "a") == b"1"


def test_changes_in_the_folder_are_stored(store: Archive) -> None:
    """Loads and charts add, change and remove files in the folder."""
    uri = store.create(run_id="r1", **CELL)
    for name in ("same", "changed", "gone"):
        store.write(uri, name, b"old")
    with store.folder(uri) as folder:
        assert files_in(folder) == ["changed", "gone", "same"]
        (folder / "charts").mkdir()
        (folder / "charts" / "a.png").write_bytes(b"png")
        (folder / "changed").write_bytes(b"new")
        (folder / "gone").unlink()
    assert {name: store.read(uri, name) for name in store.names(uri)} == {
        "charts/a.png": b"png",
        "changed": b"new",
        "same": b"old",
    }


def test_needed_files_are_in_the_folder(store: Archive) -> None:
    """Other files stay unchanged in the store."""
    uri = store.create(run_id="r1", **CELL)
    store.write(uri, "small", b"1")
    store.write(uri, "large", b"2" * 1000)
    with store.folder(uri, needed=("small", "missing")) as folder:
        assert (folder / "small").read_bytes() == b"1"
        assert not (folder / "missing").exists()
    assert store.names(uri) == {"small", "large"}


def test_files_written_before_an_exception_are_stored(store: Archive) -> None:
    """A failed load keeps its measurements; the exception is passed on."""
    uri = store.create(run_id="r1", **CELL)

    def load() -> None:
        with store.folder(uri) as folder:
            (folder / "requests").write_bytes(b"1")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        load()
    assert store.read(uri, "requests") == b"1"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_reported(store: Archive, number: int) -> None:
    """As a StoreError; other errors are passed on."""
    uri = store.create(run_id="r1", **CELL)
    with pytest.raises(StoreError, match=r"^cannot write into .*: full; free disk space"), store.folder(uri):
        raise OSError(number, "full")
    with pytest.raises(IsADirectoryError), store.folder(uri):
        raise IsADirectoryError


def test_finished_runs_oldest_first(store: Archive) -> None:
    """Of all services, by run id; without run.json a run is not finished."""
    uris = [
        finished(store, "20260302T0700Z", service="b"),
        finished(store, "20260302T0600Z", service="c"),
        finished(store, "20260302T0800Z", service="a", scenario="other"),
    ]
    store.create(run_id="20260302T0500Z", **CELL)
    assert list(store.runs()) == [uris[1], uris[0], uris[2]]
    assert list(store.runs(service="b")) == [uris[0]]
    assert list(store.runs(scenario="brief")) == [uris[1], uris[0]]
    assert list(store.runs(service="b", scenario="other")) == []


@pytest.mark.parametrize(
    ("since", "expected"),
    [("", [2, 1, 0]), ("20260303T0700Z", [2, 1]), ("20260303T0701Z", [2]), ("20260304T0700Z-x", [])],
)
def test_the_latest_runs_of_a_cell(store: Archive, since: str, expected: list[int]) -> None:
    """Latest first, including unfinished ones, of no other cell; optionally only from an id on."""
    uris = [finished(store, "20260302T0700Z"), finished(store, "20260303T0700Z")]
    uris.append(store.create(run_id="20260304T0700Z", **CELL))
    finished(store, "20260305T0700Z", scenario="other")
    finished(store, "20260305T0700Z", scenario="brief-2")
    finished(store, "20260305T0700Z", service="b")
    assert list(store.latest(**CELL, since=since)) == [uris[number] for number in expected]


def test_the_cells_that_had_runs(store: Archive) -> None:
    """Every service and scenario once, in order; summaries and hidden folders are not cells."""
    for run_id, cell in (("r1", CELL), ("r2", CELL), ("r3", CELL | {"service": "b"}), ("r4", CELL | {"scenario": "a"})):
        store.create(run_id=run_id, **cell)
    store.create(run_id="r5", service=".loads", scenario="held")
    summary = store.create_summary(dag_id="market_open", dag_run_id="scheduled__2026-03-02T06:30:00+00:00")
    assert store.create_summary(dag_id="market_open", dag_run_id="scheduled__2026-03-02T06:30:00+00:00") == summary
    store.write(summary, "summary.md", b"all is well")
    assert store.read(summary, "summary.md") == b"all is well"
    names = [("b", "brief"), ("orders-service", "a"), ("orders-service", "brief")]
    assert list(store.cells()) == [CellName(*name) for name in names]


def test_an_empty_store_has_no_runs(store: Archive) -> None:
    """Before anything was written."""
    assert (list(store.runs()), list(store.latest(**CELL)), list(store.cells())) == ([], [], [])


def test_a_missing_run(store: Archive) -> None:
    """Its files are None, it has no names, and opening its folder fails."""
    store.create(run_id="r0", **CELL)
    uri = store.uri_of(run_id="r1", **CELL)
    assert (store.read(uri, "run.json"), store.names(uri)) == (None, frozenset())
    with pytest.raises(StoreError, match=f"^there is no run {uri}$"), store.folder(uri):
        pytest.fail("opened a missing folder")


@pytest.mark.parametrize(
    "lead",
    [
        lambda uri: uri.rpartition("/results/")[0] + "/elsewhere/a/b/c",
        lambda uri: uri.replace("/results/", "/results/../elsewhere/"),
        lambda uri: uri.replace("/results/", "/results/%2e%2e/elsewhere/"),
        lambda uri: uri.replace("/results/", "/results-of-others/"),
        lambda _: "s3://elsewhere/results/a/b/c",
        lambda _: "file:///etc",
    ],
)
def test_a_uri_outside_the_store_is_refused(store: Archive, lead: Callable[[str], str]) -> None:
    """URIs come from parameters; they must not reach other files."""
    outside = lead(store.uri_of(run_id="r1", **CELL))
    for access in (
        lambda: store.read(outside, "run.json"),
        lambda: store.write(outside, "run.json", b""),
        lambda: store.remove(outside, "run.json"),
        lambda: store.names(outside),
        lambda: store.discard(outside),
        lambda: store.opened(outside, "run.json").__enter__(),
        lambda: store.folder(outside).__enter__(),
    ):
        with pytest.raises(StoreError, match=r"is not in the results store"):
            access()


# Retention


def test_the_holding_of_a_run(store: Archive) -> None:
    """All files with their sizes, including subfolders, and the time of the last change."""
    uri = finished(store, "r1")
    with store.folder(uri) as folder:
        (folder / "charts").mkdir()
        (folder / "charts" / "a.png").write_bytes(b"1234")
    holding = store.holding(uri)
    assert holding.sizes == {"run.json": 2, "charts/a.png": 4}
    assert abs(datetime.now(UTC) - holding.changed_at) < timedelta(minutes=1)
    assert store.holding(store.create(run_id="r2", **CELL)).sizes == {}


def test_discarding_a_run(store: Archive) -> None:
    """All its files are removed; other runs stay, also one whose name starts the same."""
    uri, other = finished(store, "r1"), finished(store, "r1-2")
    with store.folder(uri) as folder:
        (folder / "charts").mkdir()
        (folder / "charts" / "a.png").write_bytes(b"1234")
    store.discard(uri)
    assert list(store.latest(**CELL)) == [other]
    for access in (store.discard, store.holding):
        with pytest.raises(StoreError):
            access(uri)


@pytest.mark.parametrize("part", ["{run}/charts", "{cell}"])
def test_only_a_run_is_discarded(store: Archive, part: str) -> None:
    """Neither a cell nor a part of a run."""
    uri = finished(store, "r1")
    with pytest.raises(StoreError, match=r"is not the folder of a run; nothing was removed$"):
        store.discard(part.format(run=uri, cell=uri.rpartition("/")[0]))
    assert list(store.runs()) == [uri]


# Odd items


def test_a_file_that_is_too_large(store: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an error of this item, and is not read into memory."""
    uri = store.create(run_id="r1", **CELL)
    monkeypatch.setattr(results_store, "MAX_RECORD_BYTES", 1024**2)
    store.write(uri, "run.json", b" " * 1024**2)
    assert len(store.read(uri, "run.json") or b"") == 1024**2
    store.write(uri, "run.json", b" " * (1024**2 + 1))
    with pytest.raises(ItemError, match=r"r1.* is larger than 1 MiB$"):
        store.read(uri, "run.json")


@pytest.mark.parametrize("flaw", HOSTILE_VALUES)
def test_one_hostile_record_stops_nothing(
    store: Archive, tmp_path: Path, caplog: pytest.LogCaptureFixture, flaw: str
) -> None:
    """The index and the history have all other runs of the store, and the log names it once."""
    good, odd = (replace(regressed_record(), run_id=f"2026030{day}T063900Z-7f3a") for day in (2, 3))
    for record, content in ((good, to_json(good)), (odd, hostile_record(odd, flaw))):
        uri = store.create(service=record.service, scenario=record.scenario, run_id=record.run_id)
        store.write(uri, "run.json", content)
    index = SqliteIndex(tmp_path / "index.sqlite", store=store, clock=lambda: datetime(2026, 4, 1, tzinfo=UTC))
    index.sync()
    cell = CellName(good.service, good.scenario)
    assert [entry.run_id for entry in index.history(cell)] == [good.run_id]
    assert list(index.left_out()) == [uri]
    nights = read_nights(store, service=cell.service, scenario=cell.scenario)
    assert [night.run.run_id for night in nights] == [good.run_id]
    (message,) = [record.message for record in caplog.records if record.name.startswith("include.perf")]
    assert message == f"left out: {index.left_out()[uri]}"
