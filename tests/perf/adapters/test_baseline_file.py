"""The baselines file: whole or as it was, and no promotion lost, whoever else promotes."""

import multiprocessing
from datetime import UTC, datetime
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from include.perf.adapters import baseline_file
from include.perf.adapters.baseline_file import BaselineFile
from include.perf.baseline import Approval, Baselines
from include.perf.errors import BaselineError
from include.perf.run import Verdict
from tests.fakes import raising
from tests.records import run_record

AT = datetime(2026, 3, 2, 7, 0, tzinfo=UTC)
PROMOTIONS = 10


def promote(baselines: Baselines, run_id: str, service: str = "one") -> None:
    record = run_record(run_id=run_id, service=service, verdict=Verdict.PASS)
    baselines.promote(record, approval=Approval(by="ana", at=AT, reason="why", run_id=run_id))


def promote_all(baselines: Baselines, *run_ids: str) -> None:
    for run_id in run_ids:
        promote(baselines, run_id)


def written(path: Path) -> BaselineFile:
    """Return a file with one baseline in it."""
    file = BaselineFile(path)
    with file.change() as baselines:
        promote(baselines, "r1")
    return file


def test_a_file_that_is_not_there_holds_none(tmp_path: Path) -> None:
    """Looking does not make it."""
    path = tmp_path / "baselines.json"
    assert BaselineFile(path).read() == Baselines()
    assert not path.exists()


def test_a_change_is_there_for_the_next_reader(tmp_path: Path) -> None:
    """The folder is made where needed; nothing but the file and its lock is left."""
    path = tmp_path / "deep" / "baselines.json"
    written(path)
    entry = BaselineFile(path).read().get("one", "market_open")
    assert entry is not None
    assert (entry.version, entry.metrics["latency_p95"]) == (1, 0.0424)
    assert sorted(each.name for each in path.parent.iterdir()) == [".baselines.json.lock", "baselines.json"]
    assert path.stat().st_mode & 0o777 == 0o644  # others may read it, whatever mkstemp says


def test_a_change_of_nothing_leaves_the_same_bytes(tmp_path: Path) -> None:
    """A rewrite makes no diff."""
    path = tmp_path / "baselines.json"
    file = written(path)
    before = path.read_bytes()
    with file.change():
        pass
    assert path.read_bytes() == before


def test_a_failing_change_leaves_the_file(tmp_path: Path) -> None:
    """A refused promotion writes nothing, and the lock is free again."""
    path = tmp_path / "baselines.json"
    file = written(path)
    before = path.read_bytes()
    with pytest.raises(BaselineError, match="part of the baseline"), file.change() as baselines:
        promote_all(baselines, "r2", "r1")
    assert path.read_bytes() == before
    with file.change() as baselines:
        promote(baselines, "r2")


@pytest.mark.parametrize("content", [b"{", b'{"schema_version": 9}', b'{"schema_version": 1, "s": {"c": {}}}'])
def test_a_broken_file_stays_as_it_is(tmp_path: Path, content: bytes) -> None:
    """Neither reading nor promoting touches what someone must look at."""
    path = tmp_path / "baselines.json"
    path.write_bytes(content)
    file = BaselineFile(path)
    with pytest.raises(BaselineError, match="restore it from version control"):
        file.read()
    with pytest.raises(BaselineError, match="restore it from version control"), file.change():
        pytest.fail("a broken file was lent for a change")
    assert path.read_bytes() == content


def test_a_disk_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old baselines are worth more than half of the new ones."""
    path = tmp_path / "baselines.json"
    file = written(path)
    before = path.read_bytes()
    monkeypatch.setattr(baseline_file, "write_atomically", raising(OSError(28, "No space left on device")))
    with (
        pytest.raises(BaselineError, match=f"^cannot write {path}: No space left on device$"),
        file.change() as baselines,
    ):
        promote(baselines, "r2")
    assert path.read_bytes() == before


def test_a_folder_in_its_place(tmp_path: Path) -> None:
    """What cannot be read is an error, not an empty file."""
    with pytest.raises(BaselineError, match=f"^cannot read {tmp_path}: Is a directory$"):
        BaselineFile(tmp_path).read()


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    """What cannot be locked is not changed."""
    (tmp_path / "x").touch()
    path = tmp_path / "x" / "baselines.json"
    with pytest.raises(BaselineError, match=f"^cannot lock {path}: "), BaselineFile(path).change():
        pytest.fail("lent without a lock")


def _promote_many(path: Path, name: str, start: Barrier) -> None:
    start.wait()
    for number in range(PROMOTIONS):
        with BaselineFile(path).change() as baselines:
            promote(baselines, f"{name}{number}")
            promote(baselines, f"{name}{number}", service=name)


def test_two_processes_at_once_lose_nothing(tmp_path: Path) -> None:
    """2 processes × 10 promotions of one cell = version 20 with 20 runs, and each one's own cell is whole."""
    path = tmp_path / "baselines.json"
    context = multiprocessing.get_context("fork")
    start = context.Barrier(2)
    processes = [context.Process(target=_promote_many, args=(path, name, start)) for name in ("a", "b")]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=30)
    assert [process.exitcode for process in processes] == [0, 0]
    found = BaselineFile(path).read()
    shared = found.get("one", "market_open")
    assert shared is not None
    assert (shared.version, len(shared.runs)) == (20, 20)
    assert {run.run_id for run in shared.runs} == {f"{name}{number}" for name in "ab" for number in range(10)}
    for name in "ab":
        own = found.get(name, "market_open")
        assert own is not None
        assert (own.version, len(own.runs)) == (10, 10)
