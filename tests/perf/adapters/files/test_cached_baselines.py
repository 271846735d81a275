"""The cache of the baselines file for readers."""

from pathlib import Path

import pytest

from include.perf.adapters.files.baseline_file import BaselineFile, CachedBaselines
from include.perf.model.errors import BaselineError
from tests.baselines import SCENARIO, SERVICE, approval, run


@pytest.fixture
def file(tmp_path: Path) -> BaselineFile:
    """A file with one baseline."""
    file = BaselineFile(tmp_path / "baselines.json")
    file.update(lambda baselines: baselines.promote(run("r1"), approval=approval()))
    return file


def version(cached: CachedBaselines) -> int:
    """Return the version of the only baseline."""
    entry = cached.read().get(SERVICE, SCENARIO)
    assert entry is not None
    return entry.version


def test_an_unchanged_file_is_read_once(file: BaselineFile) -> None:
    """Readers get the same object."""
    cached = CachedBaselines(file)
    assert cached.read() is cached.read()


def test_a_change_by_another_process_is_seen(file: BaselineFile) -> None:
    """At once, also within the resolution of the clock."""
    cached = CachedBaselines(file)
    assert version(cached) == 1
    file.update(lambda baselines: baselines.promote(run("r2"), approval=approval()))
    assert version(cached) == 2


def test_a_failed_change_does_not_affect_readers(file: BaselineFile) -> None:
    """A change works on a copy."""
    cached = CachedBaselines(file)
    cached.read()
    with pytest.raises(BaselineError):
        cached.update(lambda baselines: baselines.promote(run("r2", rerun_of="r1"), approval=approval()))
    assert version(cached) == 1


def test_a_missing_file_has_no_baselines(tmp_path: Path) -> None:
    """Like without the cache."""
    assert CachedBaselines(BaselineFile(tmp_path / "none.json")).read().entries == {}


def test_an_invalid_file_is_reported(file: BaselineFile) -> None:
    """The cached content does not hide it."""
    cached = CachedBaselines(file)
    cached.read()
    file.path.write_text("{", encoding="utf-8")
    with pytest.raises(BaselineError):
        cached.read()
