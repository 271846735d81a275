"""What goes wrong with one item of a store leaves out that item; the same for all items is an error of the store."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from include.perf.adapters.files.folder_store import FolderStore
from include.perf.adapters.s3.objects import Objects
from include.perf.adapters.s3.place import S3Place
from include.perf.adapters.s3.store import S3Store
from include.perf.model.errors import ItemError, StoreError
from tests.object_stores import ObjectStore, Proxy

CELL = {"service": "orders-service", "scenario": "brief"}
RECORD = b'{"a": "0123456789"}'
OF_ONE = (errno.EIO, errno.ESTALE, errno.EACCES, errno.ELOOP, errno.ENAMETOOLONG, errno.EPERM, errno.EREMOTEIO)


def two_runs(store: Any) -> list[str]:
    """Write two records, and return the URIs of their runs."""
    uris = [store.create(run_id=run_id, **CELL) for run_id in ("r1", "r2")]
    for uri in uris:
        store.write(uri, "run.json", RECORD)
    return uris


@pytest.mark.parametrize("error", OF_ONE)
@pytest.mark.parametrize("is_root_readable", [True, False])
def test_a_file_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int, *, is_root_readable: bool
) -> None:
    """The other run is read, as long as the root of the store can be listed."""
    store = FolderStore(str(tmp_path / "results"))
    odd, good = two_runs(store)
    opened, scandir = os.open, os.scandir

    def fails(path: Any, *rest: Any, **options: Any) -> int:
        if "/r1/" in str(path):
            raise OSError(error, os.strerror(error), str(path))
        return opened(path, *rest, **options)

    def lists(path: Any) -> Any:
        if Path(path) == store.root and not is_root_readable:
            raise OSError(error, os.strerror(error), str(path))
        return scandir(path)

    monkeypatch.setattr(os, "open", fails)
    monkeypatch.setattr(os, "scandir", lists)
    with pytest.raises(StoreError, match=f"^cannot read run.json of {odd}: ") as caught:
        store.read(odd, "run.json")
    assert isinstance(caught.value, ItemError) is is_root_readable
    assert store.read(good, "run.json") == RECORD


def test_too_many_open_files_say_nothing_about_an_item(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process is short of something, so no item is left out."""
    store = FolderStore(str(tmp_path / "results"))
    odd, _ = two_runs(store)

    def fails(*_: Any, **__: Any) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(os, "open", fails)
    with pytest.raises(StoreError) as caught:
        store.read(odd, "run.json")
    assert not isinstance(caught.value, ItemError)


@pytest.fixture
def proxy(s3: ObjectStore) -> Iterator[Proxy]:
    """A proxy of the server with faults."""
    made = Proxy(s3.port)
    yield made
    made.close()


@pytest.mark.parametrize("fault", ["403", "cut"])
def test_an_object_that_cannot_be_read(s3: ObjectStore, proxy: Proxy, fault: str) -> None:
    """No permission for one object, or an answer that ends early: the other run is read."""
    place = S3Place(bucket=s3.bucket(), prefix="results")
    odd, good = two_runs(S3Store(Objects(place, lambda: s3.login)))
    store = S3Store(Objects(place, lambda: s3.through(proxy)))
    proxy.fault, proxy.is_spared = fault, lambda line: "/r1/run.json" not in line
    with pytest.raises(ItemError, match=f"^cannot read {odd}/run.json: .*; other objects can be read$"):
        store.read(odd, "run.json")
    assert store.read(good, "run.json") == RECORD


def test_no_permission_for_anything_is_an_error_of_the_store(s3: ObjectStore, proxy: Proxy) -> None:
    """The place cannot be listed either."""
    place = S3Place(bucket=s3.bucket(), prefix="results")
    odd, _ = two_runs(S3Store(Objects(place, lambda: s3.login)))
    proxy.fault = "403"
    with pytest.raises(StoreError, match="no permission") as caught:
        S3Store(Objects(place, lambda: s3.through(proxy))).read(odd, "run.json")
    assert not isinstance(caught.value, ItemError)


def test_an_object_that_is_removed_after_it_was_listed(s3: ObjectStore) -> None:
    """It does not exist, like one that never did."""
    objects = s3.objects()
    odd, good = two_runs(S3Store(objects))
    found = S3Store(objects).latest(**CELL)
    objects.remove("orders-service/brief/r1/run.json")
    assert {uri: S3Store(objects).read(uri, "run.json") for uri in found} == {odd: None, good: RECORD}
