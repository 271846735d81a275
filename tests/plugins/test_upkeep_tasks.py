"""The task prune: what it removes, logs and returns."""

import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from airflow.sdk.exceptions import AirflowFailException
from bellwether import upkeep_tasks

from include.perf.adapters.wiring.storage import Storage
from include.perf.model.json_files import to_json
from include.perf.runs.results_store import RECORD_FILE, REQUESTS_FILE
from tests.baselines import approval
from tests.records import run_record


@pytest.fixture(autouse=True)
def _own_baselines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the test its own baselines, and the catalogue of the project."""
    monkeypatch.setenv("BELLWETHER_BASELINES", str(tmp_path / "baselines.json"))
    monkeypatch.delenv("BELLWETHER_CATALOGUE", raising=False)


def add(run_id: str, *, days: int) -> str:
    """Finish a run that started some days ago, with 2 MiB of raw requests."""
    store = Storage().results()
    record = replace(run_record(), run_id=run_id, started_at=datetime.now(UTC) - timedelta(days=days))
    uri = store.create(service=record.service, scenario=record.scenario, run_id=run_id)
    store.write(uri, REQUESTS_FILE, bytes(2 * 1024**2))
    store.write(uri, RECORD_FILE, to_json(record))
    return uri


def test_what_was_removed_and_what_was_kept_is_logged_and_returned(caplog: pytest.LogCaptureFixture) -> None:
    """By the rules of the catalogue: 30 days for raw requests, except those of a baseline."""
    old, kept, young = add("old", days=31), add("kept", days=90), add("young", days=29)
    record, approved = replace(run_record(), run_id="kept"), approval(run_id="kept")
    Storage().baselines().update(lambda baselines: baselines.promote(record, approval=approved))
    with caplog.at_level(logging.INFO, "bellwether.upkeep_tasks"):
        summary = upkeep_tasks.prune.function()
    assert [Storage().results().read(uri, REQUESTS_FILE) is None for uri in (old, kept, young)] == [True, False, False]
    assert (summary["removed"], summary["bytes"]) == ({"raw requests": 1, "unfinished run": 0}, 2 * 1024**2)
    assert (summary["kept_for_baselines"], summary["failed"]) == ([kept], {})
    assert summary["oldest"] == summary["newest"]
    assert caplog.messages[0].endswith(f"2.0 MiB: {old}")
    assert caplog.messages[1].startswith("Removed the raw requests of 1 run and 0 unfinished runs, 2.0 MiB, from ")
    assert caplog.messages[1].endswith("; the requests of 1 older run are kept for a baseline")


def test_without_readable_baselines_nothing_is_removed(tmp_path: Path) -> None:
    """A broken file may refer to any run."""
    old = add("old", days=31)
    (tmp_path / "baselines.json").write_text("[]", encoding="utf-8")
    with pytest.raises(AirflowFailException, match=r"baselines\.json must be an object"):
        upkeep_tasks.prune.function()
    assert Storage().results().read(old, REQUESTS_FILE) is not None
