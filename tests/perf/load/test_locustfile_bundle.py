"""A locustfile with everything in its folder, as one file of the run."""

from pathlib import Path

import pytest

from include.perf.catalogue.locustfile import Locustfile
from include.perf.load import locustfile_bundle
from include.perf.load.locustfile_bundle import (
    LocustfileBundle,
    bundle_of,
    locustfile_fingerprint,
    read_bundle,
)
from include.perf.model.errors import DataError, LoadError
from tests.real_loads import service_at


def folder_in(tmp_path: Path) -> Path:
    """Write a locustfile with a module, a data file, and what does not belong to it."""
    folder = tmp_path / "locustfiles"
    for name in ("shared", ".git", "__pycache__"):
        (folder / name).mkdir(parents=True)
        (folder / name / "file.py").write_text(name, encoding="utf-8")
    (folder / "gateway.py").write_text("import shared.file\n", encoding="utf-8")
    (folder / "users.csv").write_bytes(b"name\r\n\xff\n")
    (folder / ".env").write_text("SECRET=1", encoding="utf-8")
    (folder / "link.py").symlink_to("/etc/passwd")
    return folder


def test_the_same_bytes_come_out(tmp_path: Path) -> None:
    """Also what is no text; nothing hidden, no link."""
    folder = folder_in(tmp_path)
    bundle_of(Locustfile(file=folder / "gateway.py")).write(tmp_path / "locustfile.json")
    path = read_bundle(tmp_path / "locustfile.json").unpack(tmp_path / "out")
    assert path == tmp_path / "out" / "gateway.py"
    found = {file.relative_to(tmp_path / "out").as_posix() for file in path.parent.rglob("*") if file.is_file()}
    assert found == {"gateway.py", "users.csv", "shared/file.py"}
    assert (tmp_path / "out" / "users.csv").read_bytes() == b"name\r\n\xff\n"


def test_a_change_of_any_file_or_of_what_is_run_changes_the_fingerprint(tmp_path: Path) -> None:
    """A run with another one is not comparable."""
    folder = folder_in(tmp_path)

    def part(**settings: object) -> str:
        locustfile = {"file": str(folder / "gateway.py"), **settings}
        service = service_at("http://gateway:8000", endpoints=[], locustfile=locustfile)
        assert service.locustfile is not None
        return locustfile_fingerprint(service, bundle_of(service.locustfile))

    first = part()
    assert first == part()
    assert first.startswith("gateway.py sha256:")
    assert part(user_classes=["Trader"]) != first
    assert part(tags=["quick"]) != part(exclude_tags=["quick"])
    (folder / "shared" / "file.py").write_text("changed", encoding="utf-8")
    assert part() != first


def test_the_place_of_the_folder_is_not_part_of_it(tmp_path: Path) -> None:
    """Two machines have the same catalogue in different folders."""
    prints = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        prints.append(bundle_of(Locustfile(file=folder_in(tmp_path / name) / "gateway.py")).fingerprint)
    assert prints[0] == prints[1]


def test_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it goes to every load process, and stays with the run."""
    folder = folder_in(tmp_path)
    monkeypatch.setattr(locustfile_bundle, "MAX_FILES", 2)
    with pytest.raises(DataError, match="must have at most 2 files and 8,000,000 bytes together"):
        bundle_of(Locustfile(file=folder / "gateway.py"))


@pytest.mark.parametrize("name", ["../outside.py", "/outside.py", "a/../../outside.py"])
def test_a_changed_bundle_writes_nothing_outside_its_folder(tmp_path: Path, name: str) -> None:
    """It comes from the results store, or from a master."""
    with pytest.raises(LoadError, match="has a file outside its folder"):
        LocustfileBundle(entry="a.py", files={name: "eA=="}).unpack(tmp_path / "in")
    assert not (tmp_path / "outside.py").exists()


def test_a_damaged_or_missing_bundle(tmp_path: Path) -> None:
    """One sentence each."""
    with pytest.raises(LoadError, match=r"there is no .*locustfile\.json; stage the data again"):
        read_bundle(tmp_path / "locustfile.json")
    (tmp_path / "locustfile.json").write_text("{", encoding="utf-8")
    with pytest.raises(LoadError, match="stage the data again"):
        read_bundle(tmp_path / "locustfile.json")
    with pytest.raises(LoadError, match="is damaged"):
        LocustfileBundle(entry="a.py", files={"a.py": "=="}).unpack(tmp_path / "in")
