"""The index in SQLite: it matches the records, whatever happens to them or to its file."""

import gzip
import json
import logging
import sqlite3
import subprocess
import sys
import tarfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from include.perf.adapters.files import sqlite_cache
from include.perf.adapters.files.folder_store import FolderStore
from include.perf.adapters.files.sqlite_index import SqliteIndex
from include.perf.model.cell import CellName
from include.perf.model.errors import StoreError
from include.perf.model.json_files import to_json
from include.perf.runs.record import RunRecord, Verdict
from include.perf.runs.results_store import RECORD_FILE
from include.perf.runs.run_index import entry_of
from tests.fakes.clock import START, FixedClock
from tests.odd_items import HOSTILE_VALUES, hostile_record
from tests.records import record_of, regressed_record, run_record

HOUR = 3_600
STORED = Path(__file__).parents[3] / "stored"
CELL = CellName("analysis-engine-service", "market_open")


class World:
    """A results store with runs of some cells, and its index."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = FolderStore(str(folder / "results"))
        self.clock = FixedClock(START + timedelta(days=60))
        self.path = folder / "index.sqlite"
        self.index = self.new_index()
        self.records: list[RunRecord] = []

    def new_index(self, path: Path | None = None) -> SqliteIndex:
        """Return the index as another process would open it."""
        return SqliteIndex(path or self.path, store=self.store, clock=self.clock)

    def create(self, day: int, record: RunRecord | None = None, **changes: object) -> RunRecord:
        """Start a run on a day."""
        at = START + timedelta(days=day)
        made = replace(record or run_record(), run_id=f"{at:%Y%m%dT%H%M%SZ}-{day:06x}", started_at=at)
        made = replace(made, **changes)  # type: ignore[arg-type]
        self.store.create(service=made.service, scenario=made.scenario, run_id=made.run_id)
        return made

    def finish(self, record: RunRecord) -> None:
        """Write its record."""
        self.store.write(self.uri(record), RECORD_FILE, to_json(record))
        self.records.append(record)

    def add(self, day: int, record: RunRecord | None = None, **changes: object) -> RunRecord:
        """Add a finished run on a day."""
        made = self.create(day, record, **changes)
        self.finish(made)
        return made

    def uri(self, record: RunRecord) -> str:
        """Return the URI of a run."""
        return self.store.uri_of(service=record.service, scenario=record.scenario, run_id=record.run_id)

    def drop(self, record: RunRecord) -> None:
        """Remove a run behind the store's back."""
        folder = self.store.root / record.service / record.scenario / record.run_id
        (folder / RECORD_FILE).unlink(missing_ok=True)
        folder.rmdir()

    def synced(self, *, after_s: float = 2) -> list[str]:
        """Sync the index some time later, and return the ids of the cell's runs in it."""
        self.clock.move(after_s)
        self.index.sync()
        return [entry.run_id for entry in self.index.history(CELL)]


@pytest.fixture
def world(tmp_path: Path) -> World:
    """An empty store."""
    return World(tmp_path)


def test_entries_match_the_records(world: World) -> None:
    """For every verdict, to the last digit."""
    for day, verdict in enumerate(Verdict):
        world.add(day, record_of(verdict))
    world.index.sync()
    assert world.index.history(CELL) == tuple(entry_of(record, world.uri(record)) for record in world.records)


def test_the_history_of_a_cell(world: World) -> None:
    """Oldest first, all runs or those since a time; of no other cell."""
    runs = [world.add(day) for day in (2, 0, 1)]
    world.add(3, service="orders-service")
    world.index.sync()
    assert [entry.run_id for entry in world.index.history(CELL)] == [runs[number].run_id for number in (1, 2, 0)]
    since = world.index.history(CELL, since=runs[2].started_at)
    assert [entry.run_id for entry in since] == [runs[2].run_id, runs[0].run_id]
    assert world.index.history(CellName("nobody", "knows")) == ()


def test_the_latest_runs_of_every_cell_without_re_runs(world: World) -> None:
    """At most the given number, oldest first; re-runs are in the history."""
    first, second = world.add(0), world.add(1)
    world.add(2, rerun_of=second.run_id)
    third = world.add(3)
    other = world.add(4, scenario="normal_trading")
    world.index.sync()
    latest = world.index.latest(runs=2)
    assert {cell: [entry.run_id for entry in entries] for cell, entries in latest.items()} == {
        CELL: [second.run_id, third.run_id],
        CellName(CELL.service, "normal_trading"): [other.run_id],
    }
    assert len(world.index.history(CELL)) == 4
    assert [entry.run_id for entry in world.index.latest(runs=9)[CELL]] == [
        run.run_id for run in (first, second, third)
    ]


def test_the_latest_measured_run_of_every_cell(world: World) -> None:
    """Later invalid and skipped runs and re-runs do not count."""
    measured = world.add(0)
    world.add(1, record_of(Verdict.INVALID))
    world.add(2, rerun_of=measured.run_id)
    world.add(3, record_of(Verdict.SKIPPED))
    world.add(4, record_of(Verdict.INVALID), scenario="normal_trading")
    world.index.sync()
    latest = world.index.latest(runs=1, measured_only=True)
    assert {cell: [entry.run_id for entry in entries] for cell, entries in latest.items()} == {CELL: [measured.run_id]}


def test_a_run_is_found_by_its_id_and_by_its_dag_run(world: World) -> None:
    """In any cell; the runs of a DAG run include re-runs."""
    mine = world.add(0, service="b-service")
    rerun = world.add(1, service="b-service", rerun_of=mine.run_id)
    other = world.add(2, service="a-service")
    provenance = replace(run_record().provenance, dag_run_id="manual__2")
    world.add(3, service="a-service", provenance=provenance)
    world.index.sync()
    found = world.index.find(rerun.run_id)
    assert found is not None
    assert (found.uri, found.rerun_of) == (world.uri(rerun), mine.run_id)
    assert world.index.find("nobody-knows") is None
    night = world.index.of_dag_run("market_open", "scheduled__2026-03-02T06:30:00+00:00")
    assert [entry.run_id for entry in night] == [other.run_id, mine.run_id, rerun.run_id]


def test_a_rebuilt_index_is_the_same(world: World) -> None:
    """It has nothing that is not in the records."""
    for day in range(3):
        world.add(day, regressed_record())
    world.add(5, scenario="normal_trading")
    world.index.sync()
    cells = (CELL, CellName(CELL.service, "normal_trading"))
    before = [world.index.history(cell) for cell in cells]
    contents = world.index.rebuild()
    assert (contents.runs, contents.left_out) == (4, {})
    assert [world.index.history(cell) for cell in cells] == before


def test_syncs_within_a_second_share_one_scan(world: World) -> None:
    """A page syncs several times; a second later there is another scan."""
    world.add(0)
    world.index.sync()
    world.add(1)
    world.clock.move(0.5)
    world.index.sync()
    assert len(world.index.history(CELL)) == 1
    world.clock.move(0.5)
    world.index.sync()
    assert len(world.index.history(CELL)) == 2


def test_a_clock_that_is_set_back_hides_no_run(world: World) -> None:
    """The next sync scans at once."""
    world.add(0)
    world.index.sync()
    world.add(1)
    assert len(world.synced(after_s=-HOUR)) == 2


def test_a_run_that_finishes_after_later_runs_is_found(world: World) -> None:
    """Up to two days after its start, at once."""
    late = world.create(2)
    first = world.add(3)
    assert world.synced() == [first.run_id]
    world.finish(late)
    assert world.synced() == [late.run_id, first.run_id]


def test_all_names_are_compared_once_an_hour(world: World) -> None:
    """This finds old runs that were restored or removed."""
    kept, removed, latest = world.add(0), world.add(1), world.add(30)
    assert len(world.synced()) == 3
    restored = world.add(2)
    world.drop(removed)
    assert restored.run_id not in world.synced(after_s=HOUR - 10)
    assert world.synced(after_s=10) == [kept.run_id, restored.run_id, latest.run_id]


def test_a_removed_recent_run_disappears_at_once(world: World) -> None:
    """So does a cell without runs."""
    kept, removed = world.add(0), world.add(1)
    world.synced()
    world.drop(removed)
    assert world.synced() == [kept.run_id]
    world.drop(kept)
    (world.store.root / CELL.service / CELL.scenario).rmdir()
    with pytest.raises(
        StoreError, match=r"has no runs any more, although the index knows some; .* run `history rebuild`$"
    ):
        world.synced(after_s=HOUR)
    assert world.index.rebuild().runs == 0
    assert world.index.latest(runs=1) == {}


def test_a_clock_that_ran_ahead_once_hides_no_later_run(world: World) -> None:
    """A run from the future does not count as the latest one."""
    world.add(10_000)
    first = world.add(30)
    world.synced()
    second = world.add(31)
    assert world.synced()[:2] == [first.run_id, second.run_id]


def damage(world: World, day: int, content: bytes = b"{") -> RunRecord:
    """Add a run with an unreadable record."""
    record = world.create(day)
    world.store.write(world.uri(record), RECORD_FILE, content)
    return record


@pytest.mark.parametrize("at_once", [True, False], ids=["rebuilt", "within the hour"])
def test_an_unreadable_record_is_left_out_and_logged_once(
    world: World, caplog: pytest.LogCaptureFixture, at_once: bool
) -> None:
    """Once across all processes; a repaired record is added like a restored one."""
    good, broken = world.add(0), damage(world, 1)
    assert world.synced() == [good.run_id]
    assert world.synced() == [good.run_id]
    assert world.synced(after_s=HOUR) == [good.run_id]
    world.new_index().sync()
    (message,) = caplog.messages
    assert message.startswith(f"left out: {world.uri(broken)}/run.json cannot be read: ")
    world.store.write(world.uri(broken), RECORD_FILE, to_json(broken))
    if at_once:
        assert world.index.rebuild().left_out == {}
    assert world.synced(after_s=HOUR) == [good.run_id, broken.run_id]


def test_what_was_left_out_is_listed(world: World) -> None:
    """By URI, with the reason."""
    broken = damage(world, 0)
    moved = replace(world.add(1), service="orders-service")
    uri = world.store.create(service="orders-service", scenario="market_open", run_id="other")
    world.store.write(uri, RECORD_FILE, to_json(moved))
    contents = world.index.rebuild()
    assert contents.runs == 1
    assert contents.left_out.keys() == {world.uri(broken), uri}
    assert contents.left_out[uri] == (
        f"{uri}/run.json is the record of {moved.run_id} of orders-service under market_open"
    )


@pytest.mark.parametrize("flaw", HOSTILE_VALUES)
def test_a_record_with_a_value_outside_its_domain_is_left_out(world: World, flaw: str) -> None:
    """The index lists it with the reason; all other runs are found."""
    good = world.add(0)
    record = world.create(1, regressed_record())
    world.store.write(world.uri(record), RECORD_FILE, hostile_record(record, flaw))
    assert world.synced() == [good.run_id]
    assert world.index.latest(runs=9)[CELL][-1].run_id == good.run_id
    ((uri, problem),) = world.index.rebuild().left_out.items()
    assert (uri, problem.startswith(f"{uri}/run.json ")) == (world.uri(record), True)
    assert len(problem) < 1_000


def test_an_entry_that_an_earlier_version_stored_is_checked_too(world: World) -> None:
    """Earlier versions indexed values outside their domain: such an index is rebuilt."""
    good, odd = world.add(0), world.add(1)
    world.synced()
    with sqlite3.connect(world.path) as connection:
        change = "UPDATE runs SET entry = replace(entry, ?, ?) WHERE run_id = ?"
        connection.execute(change, (f"{odd.started_at:%Y-%m-%d}", "0001-01-01", odd.run_id))
    world.store.write(world.uri(odd), RECORD_FILE, b"{")
    assert [entry.run_id for entry in world.new_index().history(CELL)] == [good.run_id]


def test_names_with_special_characters(world: World) -> None:
    """Spaces, quotes, backslashes and non-ASCII letters in service, scenario and run id."""
    record = replace(run_record(), service='ü "s" %20', scenario="a'b", run_id='x "1" \\ &')
    world.store.create(service=record.service, scenario=record.scenario, run_id=record.run_id)
    world.finish(record)
    world.index.sync()
    (entry,) = world.index.history(CellName(record.service, record.scenario))
    assert entry == entry_of(record, world.uri(record))
    assert world.store.read(entry.uri, RECORD_FILE) is not None


def test_a_folder_whose_name_is_not_utf8_is_ignored(world: World) -> None:
    """Other runs are still found."""
    run = world.add(0)
    (world.store.root / "a\udcff" / "b" / "c").mkdir(parents=True)
    assert world.synced() == [run.run_id]


# The file


@pytest.mark.parametrize("where", ["start", "middle"])
def test_a_damaged_file_is_rebuilt(world: World, caplog: pytest.LogCaptureFixture, where: str) -> None:
    """By the next query, with a warning."""
    runs = [world.add(day).run_id for day in range(40)]
    world.index.sync()
    content = bytearray(world.path.read_bytes())
    begin = 0 if where == "start" else sqlite_cache.PAGE_BYTES
    content[begin : begin + 200_000] = b"\xa5" * len(content[begin : begin + 200_000])
    world.path.write_bytes(content)
    assert [entry.run_id for entry in world.index.history(CELL)] == runs
    assert f"{world.path} is damaged and is rebuilt: " in caplog.text
    assert [entry.run_id for entry in world.new_index().history(CELL)] == runs


def test_an_invalid_entry_counts_as_damage(world: World) -> None:
    """Another program changed the file."""
    run = world.add(0)
    world.index.sync()
    with sqlite3.connect(world.path) as connection:
        connection.execute("UPDATE runs SET entry = X'7B7D'")
    connection.close()
    assert [entry.run_id for entry in world.index.history(CELL)] == [run.run_id]


def test_a_file_of_an_earlier_version_is_rebuilt(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Without a warning, since nothing is wrong with it."""
    run = world.add(0)
    world.index.sync()
    connection = sqlite3.connect(world.path)
    connection.executescript("DELETE FROM runs; CREATE TABLE old (b); PRAGMA user_version = 1;")
    connection.close()
    assert world.synced() == [run.run_id]
    assert caplog.messages == []


def test_an_index_file_of_the_version_before_is_read(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Its entries are read without the records, so the index is not rebuilt."""
    with tarfile.open(STORED / "store.tar.gz") as archive:
        content = archive.extractfile("results/.index.sqlite")
        assert content is not None
        world.path.write_bytes(content.read())
    expected = json.loads(gzip.decompress((STORED / "expected.json.gz").read_bytes()))["index"]["history"]
    assert sum(map(len, expected.values())) > 20
    for name, runs in expected.items():
        cell = CellName(*name.split("/"))
        found = [
            (entry.run_id, entry.verdict.value, entry.started_at.isoformat(), dict(entry.metrics))
            for entry in world.index.history(cell)
        ]
        assert found == [
            (run["run"], run["verdict"], run["started_at"], pytest.approx(run["figures"][0], rel=1e-6)) for run in runs
        ]
    assert {entry.uri for entry in world.index.history(cell)} == {
        world.store.uri_of(service=cell.service, scenario=cell.scenario, run_id=run["run"]) for run in runs
    }
    assert caplog.messages == []


def test_a_removed_file_is_created_again(world: World) -> None:
    """It may be removed at any time, even while it is in use."""
    run = world.add(0)
    world.index.sync()
    for path in world.folder.glob("index.sqlite*"):
        path.unlink()
    assert world.synced() == [run.run_id]


def test_an_index_that_cannot_be_written_is_kept_in_memory(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """With the same results and one warning; a missing folder is created."""
    runs = [world.add(0).run_id]
    (world.folder / "file").touch()
    world.index = world.new_index(world.folder / "file" / "index.sqlite")
    assert world.synced() == runs
    runs.append(world.add(1).run_id)
    assert world.synced() == runs
    (message,) = caplog.messages
    assert message.startswith(f"{world.folder}/file/index.sqlite cannot be written, so it is kept in memory, ")
    world.index = world.new_index(world.folder / "new" / "index.sqlite")
    assert world.synced() == runs
    assert (world.folder / "new" / "index.sqlite").is_file()


def test_a_read_only_file_is_not_used(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its content may be outdated."""
    world.add(0)
    world.index.sync()
    run = world.add(1)
    monkeypatch.chdir(tmp_path)  # the folder of this relative path is created
    world.index = world.new_index(Path(f"file:{world.path}?mode=ro"))
    with pytest.MonkeyPatch.context() as patch:
        connect = sqlite3.connect
        patch.setattr(sqlite3, "connect", lambda path, **how: connect(path, uri=True, **how))
        assert world.synced()[-1] == run.run_id
    (message,) = caplog.messages
    assert message.endswith(
        "so it is kept in memory, which makes the first page slow: attempt to write a readonly database"
    )


def test_a_file_that_another_process_locks_for_too_long(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting times out; the file is neither removed nor replaced by one in memory."""
    monkeypatch.setattr(sqlite_cache, "BUSY_TIMEOUT_S", 0.01)
    run = world.add(0)
    world.index.sync()
    world.add(1)
    other = sqlite3.connect(world.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    world.clock.move(2)
    with pytest.raises(StoreError, match=f"^cannot use {world.path}: database is locked$"):
        world.index.sync()
    assert [entry.run_id for entry in world.index.history(CELL)] == [run.run_id]
    other.rollback()
    other.close()
    assert len(world.synced()) == 2


SYNC = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from include.perf.adapters.files.folder_store import FolderStore
from include.perf.adapters.files.sqlite_index import SqliteIndex
from include.perf.alerts.book import CellName

index = SqliteIndex(Path(sys.argv[1]), store=FolderStore(sys.argv[2]), clock=lambda: datetime.now(UTC))
sys.stdin.read()  # closed for all processes at the same time
index.sync()
print(*(entry.run_id for entry in index.history(CellName(*sys.argv[3:]))))
"""


def test_concurrent_processes_build_one_index(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Every process sees all runs, and every run is in the index once."""
    runs = [world.add(day).run_id for day in range(150)]
    command = [sys.executable, "-c", SYNC, str(world.path), str(world.store.root), CELL.service, CELL.scenario]
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.close()
        process.stdin = None  # otherwise communicate would close it again
    for process in processes:
        out, err = process.communicate(timeout=60)
        assert (out.split(), err) == (runs, "")
    assert [entry.run_id for entry in world.index.history(CELL)] == runs
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
