"""Runs in an object store with objects of other programs among them."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from include.perf.adapters.files.sqlite_index import SqliteIndex
from include.perf.adapters.s3.objects import Objects
from include.perf.adapters.s3.store import S3Store
from include.perf.baselines.history import read_nights
from include.perf.model.cell import CellName
from include.perf.model.json_files import to_json
from tests.object_stores import files_in
from tests.records import run_record


def test_a_key_that_leads_out_of_the_folder_is_left_out(
    objects: Objects, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is written outside the local folder; a warning names the object."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    store = S3Store(objects)
    uri = store.create(service="a", scenario="b", run_id="r1")
    names = ("../up", "charts/../../up", f"{tmp_path}/absolute", "./same", "")
    for name in ("plain", *names):
        objects.write(f"a/b/r1/{name}", b"12345")

    with store.folder(uri) as folder:
        assert files_in(folder) == ["plain"]
        assert files_in(tmp_path) == [(folder / "plain").relative_to(tmp_path).as_posix()]
    assert store.names(uri) == {"plain"}
    assert store.holding(uri).sizes == {"plain": 5}
    for name in names:
        assert f"{uri}/{name} is not a valid file name and is left out" in caplog.text
    store.discard(uri)
    assert list(objects.listed("a/b/r1")) == []


ODD_KEYS = {
    "/run.json": "results//",
    "/brief/r1/run.json": "results//",
    "orders-service//r1/run.json": "results/orders-service//",
    "orders-service/brief//run.json": "results/orders-service/brief//",
    "orders-service/brief/r\u200b1/run.json": "results/orders-service/brief/r%E2%80%8B1/",
}
"""By key, the URI that is left out."""


@pytest.mark.parametrize("key", ODD_KEYS)
def test_a_key_that_is_no_run(objects: Objects, tmp_path: Path, key: str) -> None:
    """It is left out and named, and all runs are found: an empty name, or one with an invisible character."""
    store, record = S3Store(objects), run_record()
    uri = store.create(service=record.service, scenario=record.scenario, run_id=record.run_id)
    store.write(uri, "run.json", to_json(record))
    store.create(service="orders-service", scenario="brief", run_id="r2")
    objects.write(key, b"{}")
    index = SqliteIndex(tmp_path / "index.sqlite", store=store, clock=lambda: datetime(2026, 4, 1, tzinfo=UTC))
    index.sync()
    cell = CellName(record.service, record.scenario)
    assert [entry.run_id for entry in index.history(cell)] == [record.run_id]
    assert list(index.left_out()) == [f"s3://{objects.place.bucket}/{ODD_KEYS[key]}"]
    assert len(read_nights(store, service=cell.service, scenario=cell.scenario)) == 1
    assert list(store.cells()) == [cell, CellName("orders-service", "brief")]
    assert "orders-service/brief/r2" in next(store.latest(service="orders-service", scenario="brief"))
