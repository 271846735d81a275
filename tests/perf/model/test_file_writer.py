"""Files are replaced atomically, with the permissions that people expect; links stay links."""

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from include.perf.adapters.files.alert_file import AlertFile
from include.perf.adapters.files.baseline_file import BaselineFile
from include.perf.adapters.files.folder_store import FolderStore
from include.perf.adapters.files.halt_file import HaltFile
from include.perf.adapters.files.rules_folder import RulesFolder
from include.perf.guards.halt import Halt
from include.perf.model.file_writer import write_atomically
from tests.fakes.failing import raising


@pytest.fixture(params=[0o022, 0o027, 0o077])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    """The umask of the test."""
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_file_has_what_the_umask_leaves(tmp_path: Path, umask: int) -> None:
    """With umask 077 nobody else may read it."""
    write_atomically(tmp_path / "new", b"1")
    assert mode_of(tmp_path / "new") == 0o666 & ~umask


def test_a_replaced_file_keeps_its_mode(tmp_path: Path, umask: int) -> None:
    """Whatever the umask is."""
    path = tmp_path / "old"
    path.write_bytes(b"1")
    path.chmod(0o664)
    write_atomically(path, b"2")
    assert (path.read_bytes(), mode_of(path), umask) == (b"2", 0o664, umask)


def test_a_replaced_file_keeps_its_owner_where_possible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only root may give a file away; anybody else still replaces it."""
    path = tmp_path / "old"
    path.write_bytes(b"1")
    if os.geteuid() == 0:
        os.chown(path, 12_345, 12_346)
        write_atomically(path, b"2")
        assert (path.stat().st_uid, path.stat().st_gid) == (12_345, 12_346)
    monkeypatch.setattr(os, "fchown", raising(PermissionError(1, "Operation not permitted")))
    write_atomically(path, b"3")
    assert path.read_bytes() == b"3"


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    """Also over several links, relative ones, and where the target does not exist yet."""
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "file").write_bytes(b"1")
    (tmp_path / "real" / "file").chmod(0o640)
    (tmp_path / "first").symlink_to("real/file")
    (tmp_path / "second").symlink_to(tmp_path / "first")
    (tmp_path / "dangling").symlink_to("real/new")
    write_atomically(tmp_path / "second", b"2")
    write_atomically(tmp_path / "dangling", b"3")
    assert ((tmp_path / "first").is_symlink(), (tmp_path / "second").is_symlink()) == (True, True)
    assert ((tmp_path / "real" / "file").read_bytes(), mode_of(tmp_path / "real" / "file")) == (b"2", 0o640)
    assert ((tmp_path / "dangling").is_symlink(), (tmp_path / "real" / "new").read_bytes()) == (True, b"3")
    assert sorted(path.name for path in (tmp_path / "real").iterdir()) == ["file", "new"]


def test_a_link_in_a_run_is_replaced(tmp_path: Path) -> None:
    """It may lead anywhere, so what it leads to is not written."""
    (tmp_path / "elsewhere").write_bytes(b"1")
    (tmp_path / "run.json").symlink_to("elsewhere")
    write_atomically(tmp_path / "run.json", b"2", follow_link=False)
    assert ((tmp_path / "run.json").is_symlink(), (tmp_path / "elsewhere").read_bytes()) == (False, b"1")


def test_a_loop_of_links_is_an_error(tmp_path: Path) -> None:
    """It is not replaced by a file."""
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match="symbolic links"):
        write_atomically(tmp_path / "a", b"1")
    assert (tmp_path / "a").is_symlink()


@pytest.mark.parametrize("name", ["null", "folder"])
def test_only_files_are_replaced(tmp_path: Path, name: str) -> None:
    """Neither a device nor a folder is; no temporary file stays."""
    (tmp_path / "null").symlink_to("/dev/null")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match=r"device|directory"):
        write_atomically(tmp_path / name, b"1")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "null"]
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


WRITERS: dict[str, Callable[[Path], object]] = {
    "baselines.json": lambda path: BaselineFile(path).update(lambda _: None),
    ".alerts.json": lambda path: AlertFile(path).update(lambda _: None),
    "halt.json": lambda path: HaltFile(path).set(Halt(by="ana", reason="why")),
    "bellwether-rules.yaml": lambda path: RulesFolder(path.parent).write(b"groups: []\n", None),
}


@pytest.mark.parametrize("name", WRITERS)
def test_everything_that_is_kept_is_written_this_way(tmp_path: Path, name: str) -> None:
    """A linked file stays linked, and keeps its mode; a new file respects the umask."""
    target, link = tmp_path / "volume" / "kept", tmp_path / "config" / name
    target.parent.mkdir()
    link.parent.mkdir()
    before = os.umask(0o027)
    try:
        WRITERS[name](link)
        assert mode_of(link) == 0o640
        link.rename(target)
        target.chmod(0o604)
        link.symlink_to("../volume/kept")
        WRITERS[name](link)
    finally:
        os.umask(before)
    assert (link.is_symlink(), mode_of(target)) == (True, 0o604)


def test_all_names_of_a_file_share_one_lock(tmp_path: Path) -> None:
    """Two processes that reach the same baselines by different links do not overwrite each other."""
    (tmp_path / "real").mkdir()
    for name in ("one.json", "two.json"):
        (tmp_path / name).symlink_to("real/baselines.json")
        BaselineFile(tmp_path / name).update(lambda _: None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.json", "real", "two.json"]
    assert sorted(path.name for path in (tmp_path / "real").iterdir()) == [".baselines.json.lock", "baselines.json"]


def test_a_linked_results_root_stays_linked(tmp_path: Path) -> None:
    """Runs are written through the link, and are found by the URI that the store returned."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "results").symlink_to("disk")
    store = FolderStore(str(tmp_path / "results"))
    uri = store.create(service="one", scenario="calm", run_id="r1")
    store.write(uri, "run.json", b"{}")
    assert ((tmp_path / "results").is_symlink(), store.read(uri, "run.json")) == (True, b"{}")
    assert list(store.latest(service="one", scenario="calm")) == [uri]
