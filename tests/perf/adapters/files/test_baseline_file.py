"""The baselines file: changes are atomic, and concurrent promotions are not lost."""

import itertools
import os
import random
import time
from datetime import UTC, datetime
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

import include.perf.baselines.spread  # noqa: F401 - before the forks, each of which would take a second for it
from include.perf.adapters.files import locked_file
from include.perf.adapters.files.baseline_file import BaselineFile
from include.perf.baselines.baselines import MAX_RUNS, Baselines
from include.perf.baselines.entry import Approval
from include.perf.model.errors import BaselineError, StoreError
from include.perf.runs.record import Verdict
from tests.fakes.failing import raising
from tests.records import run_record
from tests.writing_processes import last_sent_before_kill, run_both

AT = datetime(2026, 3, 2, 7, 0, tzinfo=UTC)
PROMOTIONS = 10


def promote(baselines: Baselines, run_id: str, service: str = "one") -> None:
    record = run_record(run_id=run_id, service=service, verdict=Verdict.PASS)
    baselines.promote(record, approval=Approval(by="ana", at=AT, reason="why", run_id=run_id))


def promote_all(baselines: Baselines, *run_ids: str) -> None:
    for run_id in run_ids:
        promote(baselines, run_id)


def umask() -> int:
    """Return the umask of this process."""
    current = os.umask(0o022)
    os.umask(current)
    return current


def written(path: Path) -> BaselineFile:
    """Return a file with one baseline in it."""
    file = BaselineFile(path)
    file.update(lambda baselines: promote(baselines, "r1"))
    return file


def test_a_missing_file_has_no_baselines(tmp_path: Path) -> None:
    """Reading does not create it."""
    path = tmp_path / "baselines.json"
    assert BaselineFile(path).read() == Baselines()
    assert not path.exists()


def test_a_change_is_there_for_the_next_reader(tmp_path: Path) -> None:
    """The folder is created if needed; only the file and its lock remain."""
    path = tmp_path / "deep" / "baselines.json"
    written(path)
    entry = BaselineFile(path).read().get("one", "market_open")
    assert entry is not None
    assert (entry.version, entry.metrics["latency_p95"]) == (1, 0.0424)
    assert sorted(found.name for found in path.parent.iterdir()) == [".baselines.json.lock", "baselines.json"]
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask()  # not private, as temporary files are


def test_an_empty_change_writes_the_same_bytes(tmp_path: Path) -> None:
    """A rewrite causes no diff."""
    path = tmp_path / "baselines.json"
    file = written(path)
    before = path.read_bytes()
    file.update(lambda _: None)
    assert path.read_bytes() == before


def test_a_failing_change_leaves_the_file(tmp_path: Path) -> None:
    """A refused promotion writes nothing and releases the lock."""
    path = tmp_path / "baselines.json"
    file = written(path)
    before = path.read_bytes()
    with pytest.raises(BaselineError, match="part of the baseline"):
        file.update(lambda baselines: promote_all(baselines, "r2", "r1"))
    assert path.read_bytes() == before
    file.update(lambda baselines: promote(baselines, "r2"))


@pytest.mark.parametrize(
    ("content", "remedy"),
    [
        (b"{", "restore it from version control"),
        (b'{"schema_version": 9}', "upgrade Bellwether"),
    ],
)
def test_an_invalid_file_is_not_changed(tmp_path: Path, content: bytes, remedy: str) -> None:
    """Neither by reading nor by promoting; the message names the file."""
    path = tmp_path / "baselines.json"
    path.write_bytes(content)
    file = BaselineFile(path)
    with pytest.raises(BaselineError, match=f"{path}.*{remedy}"):
        file.read()
    with pytest.raises(BaselineError, match=remedy):
        file.update(lambda _: pytest.fail("an invalid file was changed"))
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "content",
    [
        b'{"schema_version": 2, "s": {"c": {}}}',
        b'{"schema_version": 2, "s": 5}',
        b'{"schema_version": 1, "s": {"c": {}}}',
        b'{"s": {"c": {"latency": 5}}}',
    ],
)
def test_an_odd_entry_is_logged_once(tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """However often the file is read."""
    path = tmp_path / "baselines.json"
    path.write_bytes(content)
    file = BaselineFile(path)
    assert [file.read().get("s", "c") for _ in range(3)] == [None] * 3
    (message,) = caplog.messages
    assert message.startswith(f"left out: {path}: s")
    assert message.endswith("; restore it from version control")


@pytest.mark.parametrize("kind", ["fifo", "folder"])
def test_only_a_regular_file_is_read(tmp_path: Path, kind: str) -> None:
    """Reading a FIFO would wait for ever; the message names the variable to check."""
    path = tmp_path / "baselines.json"
    os.mkfifo(path) if kind == "fifo" else path.mkdir()
    file = BaselineFile(path)
    with pytest.raises(StoreError, match=r"(no regular file|Is a directory); check BELLWETHER_BASELINES"):
        file.read()
    with pytest.raises(StoreError, match=r"no regular file|Is a directory"):
        file.update(lambda _: pytest.fail("it was changed"))


def test_an_older_file_is_upgraded_by_the_next_change(tmp_path: Path) -> None:
    """Reading does not change it; any promotion writes the whole file in the current version."""
    path = tmp_path / "baselines.json"
    path.write_bytes(b'{"orders": {"brief": {"latency_p95": 0.04}}}')
    before = path.read_bytes()
    found = BaselineFile(path).read()
    assert path.read_bytes() == before
    BaselineFile(path).update(lambda baselines: promote(baselines, "r1"))
    assert path.read_bytes().startswith(b'{\n  "schema_version": 2,\n')
    assert BaselineFile(path).read().get("orders", "brief") == found.get("orders", "brief")


def test_an_unencodable_reason_leaves_the_file(tmp_path: Path) -> None:
    """It is refused before anything is written."""
    path = tmp_path / "baselines.json"
    file = written(path)
    before = path.read_bytes()
    record = run_record(run_id="r2", service="one")
    approval = Approval(by="ana", at=AT, reason="\udc80", run_id="r2")
    with pytest.raises(BaselineError, match="cannot be written"):
        file.update(lambda baselines: baselines.promote(record, approval=approval))
    assert path.read_bytes() == before


def test_a_disk_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old baselines are better than half of the new ones."""
    path = tmp_path / "baselines.json"
    file = written(path)
    before = path.read_bytes()
    monkeypatch.setattr(locked_file, "write_atomically", raising(OSError(28, "No space left on device")))
    message = f"^cannot write {path}: No space left on device; check BELLWETHER_BASELINES$"
    with pytest.raises(StoreError, match=message):
        file.update(lambda baselines: promote(baselines, "r2"))
    assert path.read_bytes() == before


def test_a_folder_in_place_of_the_file(tmp_path: Path) -> None:
    """An unreadable file is an error, not an empty file."""
    with pytest.raises(StoreError, match=f"^cannot read {tmp_path}: Is a directory; check BELLWETHER_BASELINES$"):
        BaselineFile(tmp_path).read()


def test_a_file_in_place_of_the_folder(tmp_path: Path) -> None:
    """A file that cannot be locked is not changed."""
    (tmp_path / "x").touch()
    path = tmp_path / "x" / "baselines.json"
    with pytest.raises(StoreError, match=f"^cannot lock {path}: "):
        BaselineFile(path).update(lambda _: pytest.fail("changed without a lock"))


def _promote_twice(baselines: Baselines, *, run_id: str, own: str) -> None:
    promote(baselines, run_id)
    promote(baselines, run_id, service=own)


def _promote_many(path: Path, name: str, start: Barrier) -> None:
    start.wait()
    for number in range(PROMOTIONS):
        BaselineFile(path).update(partial(_promote_twice, run_id=f"{name}{number}", own=name))


def test_two_processes_at_once_lose_nothing(tmp_path: Path) -> None:
    """2 processes × 10 promotions of one cell = version 20 with 20 runs, and the separate cells are complete."""
    path = tmp_path / "baselines.json"
    run_both(_promote_many, path)
    found = BaselineFile(path).read()
    shared = found.get("one", "market_open")
    assert shared is not None
    assert (shared.version, len(shared.runs)) == (20, 20)
    assert {run.run_id for run in shared.runs} == {f"{name}{number}" for name in "ab" for number in range(10)}
    for name in "ab":
        own = found.get(name, "market_open")
        assert own is not None
        assert (own.version, len(own.runs)) == (10, 10)


def _go_back(baselines: Baselines, *, approval: Approval) -> None:
    entry = baselines.get("one", "market_open")
    assert entry is not None
    baselines.roll_back("one", "market_open", version=entry.previous[0].version, approval=approval)


def _go_back_and_forth(path: Path, name: str, start: Barrier) -> None:
    """Promote a run and roll back, repeatedly."""
    start.wait()
    for number in range(PROMOTIONS):
        file, back = BaselineFile(path), Approval(by=name, at=AT, reason=f"{name}{number}", run_id="")
        file.update(partial(promote, run_id=f"{name}{number}"))
        file.update(partial(_go_back, approval=back))


def test_two_processes_that_promote_and_roll_back_lose_nothing(tmp_path: Path) -> None:
    """1 + 2 processes × 10 × (promotion + roll-back) = version 41; the history has every version once, in order."""
    path = tmp_path / "baselines.json"
    written(path)
    run_both(_go_back_and_forth, path)
    entry = BaselineFile(path).read().get("one", "market_open")
    assert entry is not None
    assert entry.version == 41
    assert [old.version for old in entry.previous] == list(range(40, 20, -1))  # the history is limited to twenty
    changes = [version.approval.reason for version in (entry, *entry.previous)]
    backs = [reason for reason in changes if reason != "why"]
    assert len(set(backs)) == len(backs)  # every roll-back is there once


KILL_FOR_S = 2.0


def _promoted(baselines: Baselines, *, run_id: str) -> int:
    promote(baselines, run_id)
    entry = baselines.get("one", "market_open")
    assert entry is not None
    return entry.version


def _promote_until_killed(path: Path, name: str, sending: Connection) -> None:
    """Promote run after run, and send every version after it was written."""
    for number in itertools.count():
        sending.send(BaselineFile(path).update(partial(_promoted, run_id=f"{name}-{number}")))


def test_a_process_that_is_killed_leaves_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    """Killed at seeded times: the sent version is there, or one more; the file is valid and not locked."""
    path = tmp_path / "baselines.json"
    source = random.Random(1)
    end, rounds = time.monotonic() + KILL_FOR_S, 0
    while time.monotonic() < end:
        promoting = partial(_promote_until_killed, path, f"r{rounds}")
        last = last_sent_before_kill(promoting, after_s=source.uniform(0.0, 0.03))
        entry = BaselineFile(path).read().get("one", "market_open")
        assert entry is not None
        assert entry.version in (last, last + 1)
        assert len(entry.runs) == min(entry.version, MAX_RUNS)
        rounds += 1
    assert rounds >= 3
