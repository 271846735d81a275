"""The baselines file for those who look again and again."""

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
    """Return the version that is read."""
    entry = cached.read().get(SERVICE, SCENARIO)
    assert entry is not None
    return entry.version


def test_a_file_is_read_once(file: BaselineFile) -> None:
    """As long as it is the same, what was read is the same."""
    cached = CachedBaselines(file)
    assert cached.read() is cached.read()


def test_a_change_by_another_process_is_seen(file: BaselineFile) -> None:
    """At once, also when it takes the same moment."""
    cached = CachedBaselines(file)
    assert version(cached) == 1
    file.update(lambda baselines: baselines.promote(run("r2"), approval=approval()))
    assert version(cached) == 2


def test_a_change_that_fails_leaves_what_is_read(file: BaselineFile) -> None:
    """A change works on baselines of its own."""
    cached = CachedBaselines(file)
    cached.read()
    with pytest.raises(BaselineError):
        cached.update(lambda baselines: baselines.promote(run("r2", rerun_of="r1"), approval=approval()))
    assert version(cached) == 1


def test_no_file_holds_no_baseline(tmp_path: Path) -> None:
    """As without a cache."""
    assert CachedBaselines(BaselineFile(tmp_path / "none.json")).read().entries == {}


def test_a_file_that_breaks_is_told(file: BaselineFile) -> None:
    """What was read before does not hide it."""
    cached = CachedBaselines(file)
    cached.read()
    file.path.write_text("{", encoding="utf-8")
    with pytest.raises(BaselineError):
        cached.read()
