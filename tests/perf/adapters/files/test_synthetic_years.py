"""The synthetic results that benchmarks and screenshots use: consistent, like real results."""

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmarks.synthetic_years import SyntheticYears
from include.perf.adapters.files.baseline_file import BaselineFile
from include.perf.adapters.files.folder_store import FolderStore
from include.perf.adapters.files.sqlite_index import SqliteIndex
from include.perf.baselines.promotion import referenced_runs
from include.perf.measure.timeseries import read_timeseries
from include.perf.runs.record import Verdict
from include.perf.runs.results_store import TIMESERIES_FILE
from include.perf.runs.run_index import entry_of

CELLS = {"services": 2, "scenarios": 2}


@pytest.fixture(autouse=True)
def _own_catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use the services and scenarios of the project."""
    monkeypatch.delenv("BELLWETHER_CATALOGUE", raising=False)


def test_the_same_arguments_give_the_same_years() -> None:
    """So measurements can be repeated."""
    first, second = (list(SyntheticYears(nights=12, **CELLS).records()) for _ in range(2))
    assert first == second
    assert first != list(SyntheticYears(nights=12, seed=2, **CELLS).records())


def test_the_index_matches_the_records(tmp_path: Path) -> None:
    """Every run and re-run is in it, including rare verdicts."""
    written = SyntheticYears(nights=200, **CELLS)
    runs = written.write(tmp_path)
    records = [record for _, record in SyntheticYears(nights=200, **CELLS).records()]
    store = FolderStore(str(tmp_path / "results"))
    index = SqliteIndex(tmp_path / "index.sqlite", store=store, clock=lambda: datetime.now(UTC))
    index.sync()
    found = [entry for cell in store.cells() for entry in index.history(cell)]
    assert len(found) == len(records) == runs
    expected = {
        record.run_id: entry_of(
            record, store.uri_of(service=record.service, scenario=record.scenario, run_id=record.run_id)
        )
        for record in records
    }
    assert {entry.run_id: entry for entry in found} == expected
    counts = Counter(entry.verdict for entry in found)
    assert counts[Verdict.PASS] > 0.7 * runs
    assert all(counts[verdict] > 0 for verdict in Verdict)
    assert any(entry.reruns for entry in found)


def test_the_baselines_are_based_on_existing_runs(tmp_path: Path) -> None:
    """They have versions; the latest runs have a matching time series."""
    SyntheticYears(nights=110, series=1, **CELLS).write(tmp_path)
    store = FolderStore(str(tmp_path / "results"))
    baselines = BaselineFile(tmp_path / "baselines.json").read()
    assert referenced_runs(baselines) <= {uri.rpartition("/")[2] for uri in store.runs()}
    assert {entry.version >= 3 for scenarios in baselines.entries.values() for entry in scenarios.values()} == {True}
    with_series = list((tmp_path / "results").rglob(TIMESERIES_FILE))
    assert 0 < len(with_series) <= 4
    series = read_timeseries(with_series[0].read_bytes(), where="x")
    assert series is not None
    assert series.has_answers
