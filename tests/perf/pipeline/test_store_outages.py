"""An outage of the results store at every single read: an error, or the same answer, but never another answer."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from include.perf.adapters.files.sqlite_index import SqliteIndex
from include.perf.baselines.history import read_nights
from include.perf.baselines.promotion import promote, requested_approval, review_all
from include.perf.model.cell import CellName
from include.perf.model.errors import ItemError, StoreError
from include.perf.model.patience import Patience
from include.perf.pages.dag_run_page import unfinished
from include.perf.pipeline.night_stages import NightStages
from include.perf.pipeline.planning.overdue import overdue
from include.perf.runs.dag_run import results_of
from include.perf.runs.results_store import LeftOut, log_left_out
from include.perf.runs.stage_files import StageFiles, find_run
from include.perf.verdict.night import Judge
from tests.fakes.results_store import MemoryStore
from tests.fakes.small_catalogue import small_scenario
from tests.fakes.small_platform import Platform

CELL = {"service": "orders-service", "scenario": "brief"}


class Failing(MemoryStore):
    """A copy of a store that fails at one of its reads.

    Attributes:
        reads: how many reads there were.
    """

    def __init__(self, store: MemoryStore, *, at: int) -> None:
        super().__init__()
        self.runs_by_uri = deepcopy(store.runs_by_uri)
        self.reads = 0
        self._at = at

    def _read(self) -> None:
        self.reads += 1
        if self.reads == self._at:
            raise StoreError("stale file handle")

    def read(self, uri: str, name: str) -> bytes | None:
        self._read()
        return super().read(uri, name)

    def names(self, uri: str) -> frozenset[str]:
        self._read()
        return super().names(uri)

    def latest(
        self, *, service: str, scenario: str, since: str = "", left_out: LeftOut = log_left_out
    ) -> Iterator[str]:
        self._read()
        return super().latest(service=service, scenario=scenario, since=since, left_out=left_out)

    def cells(self, *, left_out: LeftOut = log_left_out) -> Iterator[CellName]:
        self._read()
        return super().cells(left_out=left_out)


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """Finished runs and one that is measured.

    Attributes:
        finished: URIs, oldest first.
        measured: the URI of the run that is not judged yet.
    """

    platform: Platform
    finished: tuple[str, ...]
    measured: str
    index_folder: Path

    def judge(self, store: MemoryStore) -> Judge:
        """A judge on a store."""
        return Judge(store=store, baselines=self.platform.baselines, clock=self.platform.clock)

    def stages(self, store: MemoryStore) -> NightStages:
        """The stages of a night on a store."""
        return NightStages(replace(self.platform.stores, results=store))


@pytest.fixture
def house(platform: Platform, tmp_path: Path) -> House:
    platform.with_baseline()
    for _ in range(2):
        platform.execute()
        platform.clock.move(86_400)
    finished = tuple(platform.store.runs())
    measured = platform.loaded(dag_run_id="tonight")
    platform.run_stages.scrape(measured)
    return House(platform=platform, finished=finished, measured=measured, index_folder=tmp_path)


def promoted(house: House, store: MemoryStore) -> Any:
    """Promote the latest run on a copy of the baselines."""
    baselines = deepcopy(house.platform.baselines)
    record = house.platform.record(house.finished[-1])
    approval = replace(requested_approval(record, at=house.platform.clock()), reason="release 12")
    return promote(record, approval=approval, force=False, store=store, baselines=baselines)


def is_overdue(house: House, store: MemoryStore) -> Any:
    """Check a nightly scenario three days later."""
    nightly = small_scenario(schedule={"cron": "0 22 * * *", "timezone": "UTC"})
    now = house.platform.clock()
    catalogue = replace(house.platform.catalogue, scenarios={nightly.name: nightly})
    return overdue(nightly, catalogue, store, since=now - timedelta(days=9), now=now + timedelta(days=3))


def indexed(house: House, store: MemoryStore) -> Any:
    """Fill a new index, again if the first attempt fails, as the next page does."""
    path = house.index_folder / f"{id(store)}.sqlite"
    index = SqliteIndex(path, store=store, clock=house.platform.clock, shared_for=timedelta(0))
    Patience(pauses_s=(0.0,), wait=lambda _: None)(index.sync)
    return index.history(CellName(**CELL)), dict(index.left_out())


def reported(house: House, store: MemoryStore) -> Any:
    """Judge and report a run; a stage that fails is repeated, as Airflow does."""
    patience, stages = Patience(pauses_s=(0.0,), wait=lambda _: None), house.stages(store)
    patience(lambda: stages.compare([house.measured]))
    return patience(lambda: stages.report(house.measured))


ACTIONS: dict[str, Callable[[House, MemoryStore], Any]] = {
    "alert and verdict": lambda house, store: results_of(
        store, [*house.finished, house.measured], dag_id="brief", dag_run_id="tonight"
    ),
    "plan_reruns": lambda house, store: house.judge(store).suspicions([house.measured]),
    "compare": lambda house, store: house.judge(store).records([house.measured], versions={}),
    "compare and report": reported,
    "compare again": lambda house, store: house.judge(store).judge_again(house.finished[-1]),
    "history": lambda _, store: read_nights(store, **CELL),
    "review": lambda house, store: review_all(
        store=store, baselines=house.platform.baselines, now=house.platform.clock()
    ),
    "approval": lambda house, store: StageFiles(
        store, find_run(store, house.finished[0].rpartition("/")[2])
    ).read_record(),
    "promote": promoted,
    "overdue": is_overdue,
    "index": indexed,
    "page": lambda _, store: list(unfinished(store, [CellName(**CELL)], dag_run_id="tonight")),
}


@pytest.mark.parametrize("name", ACTIONS)
def test_an_outage_is_never_an_answer(house: House, name: str) -> None:
    """It fails, and can be repeated; it does not turn into 'missing', 'no baseline', 'not overdue' or 'recovered'."""
    action = ACTIONS[name]
    expected = action(house, Failing(house.platform.store, at=0))
    at, is_reached = 0, True
    while is_reached:
        at += 1
        store = Failing(house.platform.store, at=at)
        try:
            assert action(house, store) == expected, f"after an outage at read {at}"
        except ItemError as err:
            pytest.fail(f"an outage at read {at} became an answer: {err}")
        except StoreError as err:
            assert str(err) == "stale file handle"  # noqa: PT017 - other outcomes are right, too
        is_reached = store.reads >= at
    assert at > 1
