"""Runs in an object store with objects of other programs among them."""

from pathlib import Path

import pytest

from include.perf.adapters.s3.objects import Objects
from include.perf.adapters.s3.store import S3Store
from tests.object_stores import files_in


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
