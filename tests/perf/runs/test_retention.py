"""Which results are removed after a time, and which are kept."""

import os
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from include.perf.adapters.files.folder_store import FolderStore
from include.perf.baselines.baselines import Baselines
from include.perf.baselines.promotion import referenced_runs
from include.perf.catalogue.operations import Operations
from include.perf.model.json_files import to_json
from include.perf.runs.results_store import RECORD_FILE, REPORT_FILE, REQUESTS_FILE, TIMESERIES_FILE
from include.perf.runs.retention import Clearance, Waste, clear, retention_of
from include.perf.runs.stage_files import SPEC_FILE
from tests.baselines import SCENARIO, SERVICE, approval, run
from tests.fakes.failing import raising
from tests.records import run_record

NOW = datetime(2026, 3, 2, 6, 30, tzinfo=UTC)
ALL_FILES = {RECORD_FILE, REPORT_FILE, REQUESTS_FILE, TIMESERIES_FILE}
RAW_BYTES = 1024**2


class Results:
    """A results store; raw requests are kept for 30 days, unfinished runs for 7."""

    def __init__(self, folder: Path) -> None:
        self.store = FolderStore(str(folder))

    def add(self, run_id: str, *, days: float, rerun_of: str | None = None, service: str = SERVICE) -> str:
        """Add a finished run that started this many days ago."""
        uri = self.store.create(service=service, scenario=SCENARIO, run_id=run_id)
        at = NOW - timedelta(days=days)
        record = replace(run_record(), run_id=run_id, service=service, started_at=at, rerun_of=rerun_of)
        for name in (REPORT_FILE, TIMESERIES_FILE):
            self.store.write(uri, name, b"x")
        self.store.write(uri, REQUESTS_FILE, bytes(RAW_BYTES))
        self.store.write(uri, RECORD_FILE, to_json(record))
        return uri

    def begin(self, run_id: str, *, days: float, **files: bytes) -> str:
        """Add an unfinished run, unchanged for this many days, with its plan or the given files."""
        uri = self.store.create(service=SERVICE, scenario=SCENARIO, run_id=run_id)
        for name, content in (files or {SPEC_FILE: b"{}"}).items():
            self.store.write(uri, name, content)
        moment = (NOW - timedelta(days=days)).timestamp()
        with self.store.folder(uri) as folder:
            for path in (*folder.iterdir(), folder):
                os.utime(path, (moment, moment))
        return uri

    def clear(self, *referenced: str, is_dry_run: bool = False, operations: Operations | None = None) -> Clearance:
        """Remove old results now."""
        return clear(
            self.store,
            retention=retention_of(operations or Operations()),
            referenced=frozenset(referenced),
            now=NOW,
            is_dry_run=is_dry_run,
        )

    def files(self, uri: str) -> set[str]:
        """Return the names of a run's files."""
        return set(self.store.holding(uri).sizes)


@pytest.fixture
def results(tmp_path: Path) -> Results:
    """An empty store."""
    return Results(tmp_path / "results")


def removed(clearance: Clearance) -> list[str]:
    return [removal.uri for removal in clearance.removed]


def test_raw_requests_are_removed_after_thirty_days_and_nothing_else(results: Results) -> None:
    """The limit is exact to the second; record, report and time series stay."""
    old, young = results.add("old", days=30 + 1 / 86_400), results.add("young", days=30)
    clearance = results.clear()
    assert removed(clearance) == [old]
    assert results.files(old) == ALL_FILES - {REQUESTS_FILE}
    assert results.files(young) == ALL_FILES
    assert removed(results.clear()) == []  # already removed


def test_a_dry_run_removes_nothing(results: Results) -> None:
    """It returns the same as the removal itself."""
    old, begun = results.add("old", days=40), results.begin("begun", days=10)
    expected = results.clear(is_dry_run=True)
    assert removed(expected) == [old, begun]
    assert (results.files(old), results.files(begun)) == (ALL_FILES, {SPEC_FILE})
    assert results.clear() == expected


def test_the_catalogue_sets_the_retention(results: Results) -> None:
    """Raw requests and unfinished runs have separate settings."""
    old, begun = results.add("old", days=3), results.begin("begun", days=3)
    assert removed(results.clear(operations=Operations(keep_requests_days=2, keep_unfinished_days=4))) == [old]
    assert removed(results.clear(operations=Operations(keep_requests_days=4, keep_unfinished_days=2))) == [begun]


def test_runs_of_a_baseline_keep_everything(results: Results) -> None:
    """Their re-runs do, too, at any age."""
    first, again = results.add("first", days=90), results.add("again", days=90, rerun_of="first")
    other = results.add("other", days=90)
    clearance = results.clear("first")
    assert removed(clearance) == [other]
    assert set(clearance.kept) == {first, again}
    assert results.files(again) == ALL_FILES


def test_re_runs_are_removed_with_their_run(results: Results) -> None:
    """Nothing is removed while one of them is young."""
    results.add("first", days=30.1)
    results.add("again", days=29.9, rerun_of="first")
    gone = [results.add("other", days=30.2), results.add("other-again", days=30.1, rerun_of="other")]
    assert removed(results.clear()) == gone


def test_an_unfinished_run_is_removed_after_a_week_without_changes(results: Results) -> None:
    """An empty folder is removed, too; a run with recent changes stays."""
    left, empty = results.begin("left", days=7.1), results.begin("empty", days=8, none=b"")
    results.store.remove(empty, "none")
    with results.store.folder(empty) as folder:
        os.utime(folder, ((NOW - timedelta(days=8)).timestamp(),) * 2)
    busy = results.begin("busy", days=6.9)
    assert removed(results.clear()) == [empty, left]
    assert list(results.store.latest(service=SERVICE, scenario=SCENARIO)) == [busy]


def test_a_recent_file_keeps_a_run(results: Results) -> None:
    """Any file counts."""
    uri = results.begin("begun", days=20)
    results.store.write(uri, "stage-load.json", b"{}")
    with results.store.folder(uri) as folder:
        os.utime(folder / "stage-load.json", ((NOW - timedelta(days=1)).timestamp(),) * 2)
    assert removed(results.clear()) == []


def test_foreign_folders_stay(results: Results) -> None:
    """A folder without a plan is not from Bellwether."""
    notes = results.begin("notes", days=900, **{"notes.txt": b"mine"})
    assert removed(results.clear()) == []
    assert results.files(notes) == {"notes.txt"}


def test_a_failure_does_not_affect_other_runs(
    results: Results, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An unreadable record and a folder that cannot be removed are logged."""
    broken, old, stuck = results.add("broken", days=40), results.add("old", days=40), results.begin("begun", days=50)
    results.store.write(broken, RECORD_FILE, b"{")
    monkeypatch.setattr(shutil, "rmtree", raising(PermissionError(13, "Permission denied")))
    clearance = results.clear()
    assert removed(clearance) == [old]
    assert clearance.failed.keys() == {broken, stuck}
    assert results.files(broken) == ALL_FILES
    assert caplog.messages[0].startswith(f"not removed: {broken}/run.json cannot be read: ")
    assert caplog.messages[1:] == [f"not removed: cannot remove {stuck}: Permission denied"]


def test_what_was_removed_is_described(results: Results) -> None:
    """The sentence and the figures contain size, dates and the runs kept for a baseline."""
    results.add("old", days=40)
    results.add("older", days=60, service="orders-service")
    kept = results.add("kept", days=90)
    results.begin("begun", days=20)
    clearance = results.clear("kept")
    assert clearance.describe() == (
        "the raw requests of 2 runs and 1 unfinished run, 2.0 MiB, from 2026-01-01 to 2026-02-10; "
        "the requests of 1 older run are kept for a baseline"
    )
    assert clearance.summary() == {
        "removed": {"raw requests": 2, "unfinished run": 1},
        "bytes": 2 * RAW_BYTES + 2,
        "oldest": "2026-01-01T06:30:00+00:00",
        "newest": "2026-02-10T06:30:00+00:00",
        "kept_for_baselines": [kept],
        "failed": {},
    }
    assert [removal.waste for removal in clearance.removed] == [Waste.REQUESTS, Waste.REQUESTS, Waste.UNFINISHED]


def test_nothing_to_remove(results: Results) -> None:
    """The store need not exist yet."""
    assert results.clear().describe() == "nothing"


def test_every_version_of_a_baseline_counts() -> None:
    """Current and former versions refer to their runs, and to the runs with which they were approved."""
    baselines = Baselines()
    baselines.promote(run("r1"), approval=approval(run_id="r1"))
    baselines.promote(run("r2"), approval=approval(run_id="r2"))
    baselines.promote(run("r3"), approval=approval(run_id="r3"), force=True)
    baselines.roll_back(SERVICE, SCENARIO, version=1, approval=approval(run_id="approved"))
    assert referenced_runs(baselines) == {"r1", "r2", "r3", "approved"}
    assert referenced_runs(Baselines()) == frozenset()
