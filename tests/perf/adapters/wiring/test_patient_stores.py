"""A results store that repeats reads: an outage passes, lasts, or begins while a list is read."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from include.perf.adapters.files.folder_store import FolderStore
from include.perf.adapters.wiring.patient_stores import PatientResults
from include.perf.model.cell import CellName
from include.perf.model.errors import StoreError
from include.perf.model.patience import Patience
from include.perf.runs.results_store import log_left_out

URI = "file://{root}/orders/brief/r1"

READS: dict[str, Callable[[Any, str], Any]] = {
    "read": lambda store, uri: store.read(uri, "run.json"),
    "names": lambda store, uri: store.names(uri),
    "holding": lambda store, uri: dict(store.holding(uri).sizes),
    "runs": lambda store, uri: list(store.runs()),
    "latest": lambda store, uri: list(store.latest(service="orders", scenario="brief")),
    "cells": lambda store, uri: list(store.cells(left_out=log_left_out)),
}
EXPECTED: dict[str, Any] = {
    "read": b"{}",
    "names": frozenset({"run.json"}),
    "holding": {"run.json": 2},
    "runs": [URI],
    "latest": [URI],
    "cells": [CellName("orders", "brief")],
}


class Flaky(FolderStore):
    """A folder that fails a number of times; lists fail after their first item."""

    def __init__(self, root: Path) -> None:
        super().__init__(str(root))
        self.failures = 0

    def _may_fail(self) -> None:
        if self.failures > 0:
            self.failures -= 1
            raise StoreError("stale file handle")

    def read(self, uri: str, name: str) -> bytes | None:
        self._may_fail()
        return super().read(uri, name)

    def names(self, uri: str) -> frozenset[str]:
        self._may_fail()
        return super().names(uri)

    def holding(self, uri: str) -> Any:
        self._may_fail()
        return super().holding(uri)

    def runs(self, **cell: Any) -> Iterator[str]:
        yield from super().runs(**cell)
        self._may_fail()

    def latest(self, **cell: Any) -> Iterator[str]:
        yield from super().latest(**cell)
        self._may_fail()

    def cells(self, **options: Any) -> Iterator[CellName]:
        yield from super().cells(**options)
        self._may_fail()


@pytest.fixture
def flaky(tmp_path: Path) -> Flaky:
    store = Flaky(tmp_path)
    store.write(store.create(service="orders", scenario="brief", run_id="r1"), "run.json", b"{}")
    return store


@pytest.mark.parametrize("name", READS)
@pytest.mark.parametrize("failures", [0, 1, 2])
def test_a_short_outage_passes(flaky: Flaky, tmp_path: Path, name: str, failures: int) -> None:
    """Nothing is lost, and no item of a list comes twice."""
    uri = URI.format(root=tmp_path)
    flaky.failures = failures
    found = READS[name](PatientResults(flaky, Patience(wait=lambda _: None)), uri)
    expected = EXPECTED[name]
    assert found == ([uri] if expected == [URI] else expected)


@pytest.mark.parametrize("name", READS)
def test_an_outage_that_lasts_is_an_error(flaky: Flaky, tmp_path: Path, name: str) -> None:
    """Never an empty answer."""
    flaky.failures = 3
    with pytest.raises(StoreError, match=r"^stale file handle$"):
        READS[name](PatientResults(flaky, Patience(wait=lambda _: None)), URI.format(root=tmp_path))
