"""The halt as a file."""

from pathlib import Path

import pytest

from include.perf.adapters.files.halt_file import HaltFile
from include.perf.guards.halt import Halt
from include.perf.model.errors import ConfigurationError, StoreError


def test_load_is_halted_while_the_file_exists(tmp_path: Path) -> None:
    """Set, read and cleared; clearing twice is not an error."""
    file = HaltFile(tmp_path / "new" / "halt.json")
    assert file.reason() is None
    file.set(Halt(by="mara", reason="incident 4711"))
    assert file.reason() == (
        f"load is halted by mara: incident 4711 (to resume, remove the file {tmp_path}/new/halt.json)"
    )
    file.clear()
    file.clear()
    assert file.reason() is None


def test_an_empty_file_halts(tmp_path: Path) -> None:
    """Someone in a hurry may use touch."""
    (tmp_path / "halt.json").touch()
    assert HaltFile(tmp_path / "halt.json").read() == Halt(by=None, reason="the file is empty")


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    """Unknown must not count as not halted."""
    (tmp_path / "halt.json").mkdir()
    with pytest.raises(StoreError, match="it is unknown whether load is halted"):
        HaltFile(tmp_path / "halt.json").reason()


def test_a_file_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    """Whoever halts the load must see that it failed."""
    (tmp_path / "halt.json").mkdir()
    with pytest.raises(ConfigurationError, match="check BELLWETHER_HALT_FILE"):
        HaltFile(tmp_path / "halt.json").set(Halt(by="mara", reason="x"))
    with pytest.raises(ConfigurationError, match="check BELLWETHER_HALT_FILE"):
        HaltFile(tmp_path / "halt.json").clear()
