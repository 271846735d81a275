"""The results store in a folder: its layout, what it refuses, and atomic writes."""

import contextlib
import errno
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from include.perf.adapters.files.folder_store import FolderStore
from include.perf.adapters.files.sqlite_index import SqliteIndex
from include.perf.baselines.history import read_nights
from include.perf.model import file_writer
from include.perf.model.cell import CellName
from include.perf.model.errors import ConfigurationError, ItemError, StoreError
from include.perf.model.json_files import to_json
from tests.fakes.clock import FixedClock
from tests.fakes.failing import raising
from tests.records import run_record
from tests.socket_servers import PROJECT

CELL = {"service": "orders-service", "scenario": "brief"}


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    """An empty store."""
    return FolderStore(str(tmp_path / "results"))


def finished(store: FolderStore, run_id: str, **cell: str) -> str:
    uri = store.create(run_id=run_id, **(CELL | cell))
    store.write(uri, "run.json", b"{}")
    return uri


def test_the_folder_of_a_run(store: FolderStore, tmp_path: Path) -> None:
    """``<service>/<scenario>/<run_id>``, with a ``file://`` URI."""
    uri = store.create(run_id="r1", **CELL)
    folder = tmp_path / "results" / "orders-service" / "brief" / "r1"
    assert uri == f"file://{folder}"
    assert folder.is_dir()


def test_a_name_with_a_space(tmp_path: Path) -> None:
    """URIs are quoted and unquoted."""
    store = FolderStore(str(tmp_path / "my results"))
    uri = store.create(run_id="r1", **CELL)
    assert uri == f"file://{tmp_path}/my%20results/orders-service/brief/r1"
    store.write(uri, "a", b"1")
    assert FolderStore(f"file://{tmp_path}/my%20results").read(uri, "a") == b"1"


def test_a_run_id_is_used_once(store: FolderStore) -> None:
    """No run overwrites another."""
    store.create(run_id="r1", **CELL)
    with pytest.raises(StoreError, match=r"orders-service/brief/r1 exists already; run ids must be unique$"):
        store.create(run_id="r1", **CELL)


def test_the_latest_runs_of_a_cell(store: FolderStore, tmp_path: Path) -> None:
    """Latest first, including unfinished ones; of no other cell, and files are not runs."""
    uris = [finished(store, "20260302T0700Z"), finished(store, "20260303T0700Z")]
    unfinished = store.create(run_id="20260304T0700Z", **CELL)
    finished(store, "20260305T0700Z", scenario="other")
    finished(store, "20260305T0700Z", service="b")
    (tmp_path / "results" / CELL["service"] / CELL["scenario"] / ".DS_Store").touch()
    assert list(store.latest(**CELL)) == [unfinished, uris[1], uris[0]]


def test_a_cell_without_runs_has_no_latest(store: FolderStore, tmp_path: Path) -> None:
    """Before its folder is created, or with a file in place of the folder."""
    assert list(store.latest(**CELL)) == []
    (tmp_path / "results" / CELL["service"]).mkdir(parents=True)
    (tmp_path / "results" / CELL["service"] / CELL["scenario"]).touch()
    assert list(store.latest(**CELL)) == []


def test_the_cells_that_had_runs(store: FolderStore, tmp_path: Path) -> None:
    """Every service and scenario once; hidden folders, files and links are not cells."""
    for run_id, cell in (("r1", CELL), ("r2", CELL), ("r3", CELL | {"service": "b"}), ("r4", CELL | {"scenario": "a"})):
        store.create(run_id=run_id, **cell)
    (tmp_path / "results" / ".loads" / "held").mkdir(parents=True)
    (tmp_path / "results" / "notes.txt").touch()
    (tmp_path / "results" / "b" / "elsewhere").symlink_to(tmp_path)
    (tmp_path / "results" / "elsewhere").symlink_to(tmp_path)
    names = [("b", "brief"), ("orders-service", "a"), ("orders-service", "brief")]
    assert list(store.cells()) == [CellName(*name) for name in names]


def test_a_link_is_not_a_run(store: FolderStore, tmp_path: Path) -> None:
    """It would list a run twice, or one outside the store."""
    uri = finished(store, "20260302T0700Z")
    cell = tmp_path / "results" / CELL["service"] / CELL["scenario"]
    (cell / "latest").symlink_to(cell / "20260302T0700Z")
    assert list(store.latest(**CELL)) == [uri]


def test_a_cell_that_cannot_be_listed(store: FolderStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the folder."""
    store.create(run_id="r1", **CELL)
    monkeypatch.setattr(os, "scandir", raising(PermissionError(13, "Permission denied")))
    with pytest.raises(StoreError, match=r"^cannot read .*/orders-service/brief: Permission denied$"):
        list(store.latest(**CELL))


OUTSIDE = ["file:///etc", "/etc/passwd", "file:///{root}/../elsewhere", "file://{root}/%2e%2e/elsewhere"]


@pytest.mark.parametrize("uri", OUTSIDE)
def test_a_uri_outside_the_store_is_refused(store: FolderStore, tmp_path: Path, uri: str) -> None:
    """URIs come from parameters; they must not reach other files."""
    outside = uri.format(root=str(tmp_path / "results"))
    (tmp_path / "elsewhere").mkdir()
    message = f"^{outside} is not in the results store {tmp_path / 'results'}$"
    for access in (
        lambda: store.read(outside, "run.json"),
        lambda: store.write(outside, "run.json", b""),
        lambda: store.remove(outside, "run.json"),
        lambda: store.folder(outside).__enter__(),
    ):
        with pytest.raises(StoreError, match=message):
            access()
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_link_out_of_the_store_is_refused(store: FolderStore, tmp_path: Path) -> None:
    """The target of the link counts."""
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "link").symlink_to("/etc")
    with pytest.raises(StoreError, match="is not in the results store"):
        store.read(str(tmp_path / "results" / "link"), "hostname")


@pytest.mark.parametrize("uri", ["gs://bucket", "http://host/x"])
def test_an_unsupported_store(uri: str) -> None:
    """The message lists what is supported."""
    with pytest.raises(ConfigurationError) as caught:
        FolderStore(uri)
    assert str(caught.value) == (
        f"BELLWETHER_RESULTS_URI must be a folder, a file:// URI or s3://bucket/prefix, but is {uri!r}"
    )


FILL = """
import resource, sys
from include.perf.adapters.files.folder_store import FolderStore
from include.perf.model.errors import StoreError

store = FolderStore(sys.argv[1])
uri = store.create(service="a", scenario="b", run_id="r1")
store.write(uri, "run.json", b"old")
resource.setrlimit(resource.RLIMIT_FSIZE, (65_536, 65_536))


def load() -> None:
    with store.folder(uri) as folder, (folder / "requests.csv.gz").open("wb") as file:
        file.write(b"1" * 100_000)


for write in (lambda: store.write(uri, "run.json", b"2" * 100_000), load):
    try:
        write()
    except StoreError as err:
        print(err)
"""


def test_a_real_write_limit(tmp_path: Path) -> None:
    """The system refuses to write more than 64 KiB: this is reported, and the old content is complete."""
    command = [sys.executable, "-c", FILL, str(tmp_path / "results")]
    printed = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True).stdout.splitlines()
    uri = (tmp_path / "results" / "a" / "b" / "r1").as_uri()
    assert printed == [
        f"cannot write run.json of {uri}: File too large",
        f"cannot write into {uri}: File too large; free disk space, then try again",
    ]
    store = FolderStore(str(tmp_path / "results"))
    assert store.read(uri, "run.json") == b"old"
    assert store.names(uri) == {"run.json", "requests.csv.gz"}


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failing_write_leaves_the_old_content(
    store: FolderStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, step: str
) -> None:
    """A full disk or a failure in the last step leaves the old content and no temporary file."""
    uri = store.create(run_id="r1", **CELL)
    store.write(uri, "run.json", b"old")
    failure = raising(OSError(28, "No space left on device"))
    if step == "fsync":
        monkeypatch.setattr(file_writer.os, "fsync", failure)
    else:
        monkeypatch.setattr(Path, "replace", failure)
    with pytest.raises(StoreError, match=f"^cannot write run.json of {uri}: No space left on device$"):
        store.write(uri, "run.json", b"new and longer")
    assert store.read(uri, "run.json") == b"old"
    with store.folder(uri) as folder:
        assert [path.name for path in folder.iterdir()] == ["run.json"]


@pytest.mark.parametrize("error", [None, errno.EINVAL, errno.EIO])
def test_the_name_of_a_file_is_synced_to_disk(
    store: FolderStore, monkeypatch: pytest.MonkeyPatch, error: int | None
) -> None:
    """The folder is synced after the file; a file system without that operation is accepted."""
    uri = store.create(run_id="r1", **CELL)
    synced: list[bool] = []

    def fsync(handle: int) -> None:
        is_folder = stat.S_ISDIR(os.fstat(handle).st_mode)
        synced.append(is_folder)
        if error is not None and is_folder:
            raise OSError(error, os.strerror(error))

    monkeypatch.setattr(file_writer.os, "fsync", fsync)
    if error == errno.EIO:
        with pytest.raises(StoreError, match="Input/output error"):
            store.write(uri, "run.json", b"new")
    else:
        store.write(uri, "run.json", b"new")
    assert synced == [False, True]


def test_an_interrupted_write_leaves_nothing(store: FolderStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also after an exception that is not an Exception."""
    uri = store.create(run_id="r1", **CELL)
    monkeypatch.setattr(file_writer.os, "fsync", raising(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        store.write(uri, "run.json", b"new")
    with store.folder(uri) as folder:
        assert list(folder.iterdir()) == []


def test_a_missing_run(store: FolderStore, tmp_path: Path) -> None:
    """Its files are None, and neither its folder nor a file can be opened or written."""
    store.create(service="a", scenario="b", run_id="there")
    uri = f"file://{tmp_path}/results/a/b/c"
    assert store.read(uri, "run.json") is None
    with pytest.raises(StoreError, match=f"^there is no run {uri}$"), store.folder(uri):
        pytest.fail("opened a missing folder")
    with pytest.raises(StoreError, match=f"^cannot write run.json of {uri}: No such file or directory$"):
        store.write(uri, "run.json", b"")


def test_a_file_in_place_of_the_store(tmp_path: Path) -> None:
    """The message names the variable to check."""
    (tmp_path / "results").touch()
    store = FolderStore(str(tmp_path / "results"))
    with pytest.raises(StoreError, match=r"^cannot create .*: Not a directory; check BELLWETHER_RESULTS_URI$"):
        store.create(run_id="r1", **CELL)


def test_a_folder_in_place_of_a_file(store: FolderStore) -> None:
    """An unreadable file is not a missing file."""
    uri = store.create(run_id="r1", **CELL)
    with store.folder(uri) as folder:
        (folder / "run.json").mkdir()
    with pytest.raises(StoreError, match=f"^cannot read run.json of {uri}: Is a directory$"):
        store.read(uri, "run.json")


# Retention


def test_the_holding_of_a_run(store: FolderStore, tmp_path: Path) -> None:
    """All files with their sizes and the time of the last change; links are not followed."""
    uri = finished(store, "r1")
    folder = tmp_path / "results" / CELL["service"] / CELL["scenario"] / "r1"
    (folder / "charts").mkdir()
    (folder / "charts" / "a.png").write_bytes(b"1234")
    (folder / "elsewhere").symlink_to(tmp_path)
    for path in (folder / "charts" / "a.png", folder / "charts", folder / "run.json", folder):
        os.utime(path, (0, 1_000))
    os.utime(folder / "elsewhere", (0, 1_000), follow_symlinks=False)
    os.utime(folder / "charts" / "a.png", (0, 2_000))
    holding = store.holding(uri)
    assert holding.changed_at == datetime.fromtimestamp(2_000, UTC)
    assert holding.sizes == {"run.json": 2, "charts/a.png": 4, "elsewhere": len(str(tmp_path))}


def test_discarding_a_run(store: FolderStore, tmp_path: Path) -> None:
    """All its files are removed; the targets of links and other runs stay."""
    uri, other = finished(store, "r1"), finished(store, "r2")
    kept = tmp_path / "kept"
    kept.write_text("x", encoding="utf-8")
    (tmp_path / "results" / CELL["service"] / CELL["scenario"] / "r1" / "link").symlink_to(kept)
    store.discard(uri)
    assert list(store.latest(**CELL)) == [other]
    assert kept.is_file()
    with pytest.raises(StoreError, match=r"No such file or directory$"):
        store.discard(uri)
    with pytest.raises(StoreError, match=r"No such file or directory$"):
        store.holding(uri)


@pytest.mark.parametrize("reference", ["{run}/charts", "{run}/..", "{run}/../../..", "{root}"])
def test_only_a_run_is_discarded(store: FolderStore, reference: str) -> None:
    """Neither a cell, nor the store, nor a part of a run."""
    uri = finished(store, "r1")
    with pytest.raises(StoreError, match=r"is not the folder of a run; nothing was removed$"):
        store.discard(reference.format(run=uri, root=store.root.as_uri()))
    assert list(store.runs()) == [uri]


def test_a_file_that_cannot_be_removed(store: FolderStore, tmp_path: Path) -> None:
    """The message names it; here a folder is in its place."""
    uri = finished(store, "r1")
    (tmp_path / "results" / CELL["service"] / CELL["scenario"] / "r1" / "requests.csv.gz").mkdir()
    with pytest.raises(StoreError, match=f"^cannot remove requests.csv.gz of {uri}: Is a directory$"):
        store.remove(uri, "requests.csv.gz")


# Odd items


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener, contextlib.chdir(path.parent):
        listener.bind(path.name)


ODD_FILES: dict[str, Callable[[Path], None]] = {
    "folder": Path.mkdir,
    "FIFO": _fifo,
    "socket": _socket,
    "loop of links": lambda path: path.symlink_to(path),
    "link to a device": lambda path: path.symlink_to("/dev/zero"),
    "link to a folder": lambda path: path.symlink_to("/"),
}


@pytest.mark.parametrize("kind", ODD_FILES)
def test_an_odd_file_in_place_of_a_record(store: FolderStore, tmp_path: Path, kind: str) -> None:
    """Reading it is an error of this item, at once; the index and the history have all other runs."""
    good, odd = (replace(run_record(), run_id=f"2026030{day}T063900Z-7f3a") for day in (2, 3))
    cell = CellName(good.service, good.scenario)
    uris = [store.create(service=cell.service, scenario=cell.scenario, run_id=run.run_id) for run in (good, odd)]
    store.write(uris[0], "run.json", to_json(good))
    ODD_FILES[kind](store.root / cell.service / cell.scenario / odd.run_id / "run.json")
    with pytest.raises(ItemError, match=r"^cannot read "):
        store.read(uris[1], "run.json")
    with pytest.raises(ItemError, match=r"^cannot read "), store.opened(uris[1], "run.json"):
        pytest.fail("opened an odd file")
    assert "run.json" not in store.names(uris[1])
    assert list(store.runs()) == [uris[0]]
    index = SqliteIndex(tmp_path / "index.sqlite", store=store, clock=lambda: datetime(2026, 4, 1, tzinfo=UTC))
    index.sync()
    assert [entry.run_id for entry in index.history(cell)] == [good.run_id]
    assert list(index.left_out()) == [uris[1]]
    nights = read_nights(store, service=cell.service, scenario=cell.scenario)
    assert [night.run.run_id for night in nights] == [good.run_id]


PERMISSION_DENIED = PermissionError(errno.EACCES, "Permission denied")


@pytest.mark.parametrize("depth", [1, 2, 3, 4], ids=["service", "scenario", "run", "record"])
def test_an_item_without_permission(
    store: FolderStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, depth: int
) -> None:
    """A folder or file of another user, with umask 077: it is left out and named, and all others are found.

    The tests may run as root, which may read everything, so the refusal is simulated.
    """
    good, odd = run_record(), replace(run_record(), service="orders-service", run_id="20260303T063900Z-7f3a")
    for record in (good, odd):
        uri = store.create(service=record.service, scenario=record.scenario, run_id=record.run_id)
        store.write(uri, "run.json", to_json(record))
    denied = Path(*Path(store.root, odd.service, odd.scenario, odd.run_id, "run.json").parts[: depth - 4 or None])
    scandir, open_file = os.scandir, os.open

    def scan(path: Path) -> object:
        if Path(path).is_relative_to(denied):
            raise PERMISSION_DENIED
        return scandir(path)

    def opened(path: Path, *options: int, **named: int) -> int:
        if Path(path).is_relative_to(denied):
            raise PERMISSION_DENIED
        return open_file(path, *options, **named)

    monkeypatch.setattr(os, "scandir", scan)
    monkeypatch.setattr(os, "open", opened)
    index = SqliteIndex(tmp_path / "index.sqlite", store=store, clock=lambda: datetime(2026, 4, 1, tzinfo=UTC))
    index.sync()
    assert list(index.latest(runs=1)) == [CellName(good.service, good.scenario)]
    ((where, problem),) = index.left_out().items()
    assert where.rstrip("/") == (denied.parent if depth == 4 else denied).as_uri()
    assert problem.endswith("Permission denied")


def test_a_cell_that_cannot_be_listed_for_a_while_stays_in_the_index(
    store: FolderStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That it cannot be read now does not mean that it is gone."""
    record = run_record()
    uri = store.create(service=record.service, scenario=record.scenario, run_id=record.run_id)
    store.write(uri, "run.json", to_json(record))
    clock = FixedClock(datetime(2026, 4, 1, tzinfo=UTC))
    index = SqliteIndex(tmp_path / "index.sqlite", store=store, clock=clock)
    index.sync()
    scandir = os.scandir
    for denied in (store.root / record.service, store.root / record.service / record.scenario):
        with monkeypatch.context() as patch:
            patch.setattr(
                os,
                "scandir",
                lambda path, denied=denied: raising(PERMISSION_DENIED)() if Path(path) == denied else scandir(path),
            )
            clock.move(3_601)
            index.sync()
            assert list(index.left_out()) == [f"{denied.as_uri()}/"]
        assert [entry.run_id for entry in index.history(CellName(record.service, record.scenario))] == [record.run_id]
    clock.move(3_601)
    index.sync()
    assert index.left_out() == {}


def test_a_store_that_is_gone(store: FolderStore, tmp_path: Path) -> None:
    """It is an error, and not a store without runs: a network folder that is no longer mounted, for example."""
    uri = finished(store, "r1")
    store.root.rename(tmp_path / "moved")
    gone = r"^the results store .*/results is gone; is its file system mounted\?$"
    for access in (
        lambda: list(store.cells()),
        lambda: list(store.latest(**CELL)),
        lambda: store.read(uri, "run.json"),
    ):
        with pytest.raises(StoreError, match=gone) as caught:
            access()
        assert not isinstance(caught.value, ItemError)


def test_a_name_that_cannot_be_shown(store: FolderStore) -> None:
    """It is left out and named, with an encoded URI."""
    finished(store, "r1")
    for names in (("a\udcffb", "brief", "r1"), ("orders-service", "x\ny", "r1"), ("orders-service", "brief", "r\x07")):
        store.root.joinpath(*names).mkdir(parents=True)
    left_out: dict[str, str] = {}
    assert list(store.cells(left_out=left_out.__setitem__)) == [CellName(**CELL)]
    assert len(list(store.latest(**CELL, left_out=left_out.__setitem__))) == 1
    root = store.root_uri
    assert left_out == {
        where: f"{where} has characters that cannot be shown"
        for where in (f"{root}/a%FFb/", f"{root}/orders-service/x%0Ay/", f"{root}/orders-service/brief/r%07/")
    }
