"""A results store that is gone is an error in every process of a machine that knows it; a new one is no error."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from include.perf.adapters.s3.client import client_in, client_of
from include.perf.adapters.wiring.storage import Storage
from include.perf.baselines.history import read_nights
from include.perf.model.errors import StoreError
from include.perf.model.json_files import to_json
from include.perf.model.patience import ONCE
from include.perf.runs.retention import Archive
from tests.object_stores import ObjectStore
from tests.records import regressed_record

GONE = r"^the results store \S+ is gone.*; is its file system mounted\?"
RECORD = regressed_record()
CELL = {"service": RECORD.service, "scenario": RECORD.scenario}


class Place:
    """A store, and what happens to it.

    Attributes:
        empties: leaves nothing of it; with ``True``, not even its root.
    """

    def __init__(self, cache: Path, empties: Callable[[bool], None], forget_marker: Callable[[], None]) -> None:
        self.cache = cache
        self.empties = empties
        self.forget_marker = forget_marker

    def store(self) -> Archive:
        """Return the store as a new process opens it."""
        return Storage(patience=ONCE).results()

    def with_run(self) -> None:
        store = self.store()
        store.write(store.create(run_id=RECORD.run_id, **CELL), "run.json", to_json(RECORD))


@pytest.fixture(params=["folder", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """An empty place of each kind, and a machine that knows no store."""
    for name in ("ALERTS", "BASELINES", "INDEX", "LOAD_LOCKS"):
        monkeypatch.delenv(f"BELLWETHER_{name}", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    cache, root = tmp_path / "caches" / "bellwether", tmp_path / "results"
    if request.param == "folder":
        monkeypatch.setenv("BELLWETHER_RESULTS_URI", str(root))

        def empties(with_root: bool) -> None:
            shutil.rmtree(root)
            if not with_root:
                root.mkdir()

        return Place(cache, empties, lambda: (root / ".bellwether-store").unlink())
    s3: ObjectStore = request.getfixturevalue("s3")
    bucket, login = s3.bucket(), s3.login
    for name, value in {
        "BELLWETHER_RESULTS_URI": f"s3://{bucket}/results",
        "AWS_ENDPOINT_URL_S3": login.endpoint_url,
        "AWS_ACCESS_KEY_ID": login.access_key_id,
        "AWS_SECRET_ACCESS_KEY": login.secret_access_key,
        "AWS_DEFAULT_REGION": login.region_name,
    }.items():
        monkeypatch.setenv(name, str(value))
    client_in.cache_clear()
    client = client_of(login)

    def emptied(_: bool) -> None:
        for found in client.list_objects_v2(Bucket=bucket)["Contents"]:
            client.delete_object(Bucket=bucket, Key=found["Key"])

    return Place(cache, emptied, lambda: client.delete_object(Bucket=bucket, Key="results/.bellwether-store") and None)


READS: dict[str, Callable[[Archive], object]] = {
    "cells": lambda store: list(store.cells()),
    "runs": lambda store: list(store.runs()),
    "latest": lambda store: list(store.latest(**CELL)),
    "history": lambda store: read_nights(store, **CELL),
    "read": lambda store: store.read(store.uri_of(run_id=RECORD.run_id, **CELL), "run.json"),
    "names": lambda store: store.names(store.uri_of(run_id=RECORD.run_id, **CELL)),
    "create": lambda store: store.create(run_id="r2", **CELL),
    "create_summary": lambda store: store.create_summary(dag_id="d", dag_run_id="r"),
}


@pytest.mark.parametrize("with_root", [True, False])
def test_a_store_that_is_gone(place: Place, *, with_root: bool) -> None:
    """Every read and every new run of a new process fails; nothing is written into the empty place."""
    place.with_run()
    place.empties(with_root)
    for name, read in READS.items():
        with pytest.raises(StoreError, match=GONE):
            read(place.store())
        assert name
    with pytest.raises(StoreError, match=GONE):
        Storage().run_index().sync()


def test_a_new_installation(place: Place) -> None:
    """Nothing is there and nothing is known: no runs, and the first run is made; reading writes nothing."""
    for name in ("cells", "runs", "latest", "history"):
        assert READS[name](place.store()) in ([], ())
    assert not place.cache.exists()
    place.with_run()
    assert list(place.store().runs()) != []


@pytest.mark.parametrize("name", ["cells", "latest", "create"])
def test_a_store_of_an_earlier_version(place: Place, name: str) -> None:
    """It has runs and no marker, and gets one; from then on its absence is found."""
    place.with_run()
    place.forget_marker()
    shutil.rmtree(place.cache)
    assert READS[name](place.store())
    place.empties(False)
    with pytest.raises(StoreError, match=GONE):
        list(place.store().cells())


def test_an_index_that_knows_runs(place: Place) -> None:
    """After an update, the machine remembers no id yet, but its index knows runs."""
    place.with_run()
    Storage().run_index().sync()
    for path in place.cache.glob("store-*.id"):
        path.unlink()
    place.empties(False)
    with pytest.raises(StoreError, match=r"has no runs any more, although the index knows some; is its file system"):
        Storage().run_index().sync()
    assert Storage().run_index().cells() != ()


def test_a_store_that_was_emptied_on_purpose(place: Place) -> None:
    """The message names the file to remove; then it is a new installation."""
    place.with_run()
    place.empties(False)
    (memory,) = place.cache.glob("store-*.id")
    with pytest.raises(StoreError, match=f"If it was emptied on purpose, remove {memory} on this machine$"):
        list(place.store().cells())
    memory.unlink()
    place.with_run()
    assert len(list(place.store().runs())) == 1
