"""The latest load of every cell in a folder."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from include.perf.adapters.files.load_locks import LoadLocks
from include.perf.adapters.files.load_log import LoadLog
from include.perf.model.errors import StoreError
from include.perf.model.json_files import to_json
from include.perf.runs.spec import ReservationRequest
from tests.fakes.clock import START
from tests.loads import sent_load
from tests.socket_servers import PROJECT

LOAD = sent_load()
HOLD = """
import sys, time
from datetime import datetime, UTC
from pathlib import Path
from include.perf.adapters.files.load_locks import LoadLocks
from include.perf.runs.spec import ReservationRequest

fields = {"service": "a", "scenario": "b", "targets": (), "rate_rps": 1.0}
request = ReservationRequest(run_id=sys.argv[2], since=datetime.now(UTC), **fields)
with LoadLocks(Path(sys.argv[1])).reserve(request, capacity_rps=600):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def loads(tmp_path: Path) -> LoadLog:
    """A log in a folder that does not exist yet."""
    return LoadLog(tmp_path / "results" / ".load-log", locks=LoadLocks(tmp_path / "locks"))


def test_every_cell_has_its_latest_load(loads: LoadLog) -> None:
    """A new load replaces the previous one, and its end replaces its start."""
    other = sent_load(scenario="a/b, c")
    ended = replace(LOAD, ended_at=START)
    for load in (sent_load(run_id="earlier"), other, LOAD):
        loads.load_began(load)
    assert set(loads.latest()) == {LOAD, other}
    loads.load_ended(ended)
    assert set(loads.latest()) == {ended, other}


def test_before_the_first_load(loads: LoadLog) -> None:
    """There are no loads, and whether one runs is unknown."""
    assert loads.latest() == ()
    assert loads.held() is None


def test_a_lock_is_held_while_its_process_lives(loads: LoadLog, tmp_path: Path) -> None:
    """A killed process leaves its file, but no longer holds the lock."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "locks"), LOAD.run_id]
    with subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        assert loads.held() == {LOAD.run_id}
        process.send_signal(signal.SIGKILL)
    assert (tmp_path / "locks" / f"{LOAD.run_id}.json").exists()
    assert loads.held() == frozenset()


def test_reading_does_not_change_the_locks(loads: LoadLog, tmp_path: Path) -> None:
    """The next reservation still finds them."""
    locks = LoadLocks(tmp_path / "locks")
    request = ReservationRequest(run_id="r1", service="a", scenario="b", targets=("x:1",), rate_rps=1.0, since=START)
    with locks.reserve(request, capacity_rps=600):
        loads.held()
        with locks.reserve(replace(request, run_id="r2", targets=()), capacity_rps=600) as reservation:
            assert reservation.concurrent == (request,)
    assert loads.held() == frozenset()


HOSTILE_LOAD = to_json(LOAD).replace(b'"started_at": "20', b'"started_at": "00')
ODD: dict[str, tuple[Callable[[Path], object], str]] = {
    "no fields": (lambda path: path.write_bytes(b"{}"), "{path} cannot be read: run_id is missing"),
    "started in year 26": (lambda path: path.write_bytes(HOSTILE_LOAD), "{path} cannot be read: started_at should be"),
    "FIFO": (os.mkfifo, "cannot read {path}: it is no regular file"),
    "folder": (Path.mkdir, "cannot read {path}: "),
}


@pytest.mark.parametrize("kind", ODD)
def test_an_odd_file_is_left_out_and_logged_once(loads: LoadLog, caplog: pytest.LogCaptureFixture, kind: str) -> None:
    """The loads of all other cells are found."""
    loads.load_began(LOAD)
    path = loads.folder / "odd,odd.json"
    make, message = ODD[kind]
    make(path)
    assert (loads.latest(), loads.latest()) == ((LOAD,), (LOAD,))
    (logged,) = caplog.messages
    assert logged.startswith(f"left out: {message.format(path=path)}")


def test_unreadable_and_unwritable_folders(loads: LoadLog) -> None:
    """The message names the folder or file."""
    loads.folder.parent.mkdir()
    loads.folder.touch()
    with pytest.raises(StoreError, match=f"^cannot read {loads.folder}: Not a directory"):
        loads.latest()
    loads.folder.unlink()
    loads.folder.touch()
    with pytest.raises(StoreError, match=r"^cannot write .*market_open\.json"):
        loads.load_began(LOAD)
