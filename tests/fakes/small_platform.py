"""A pipeline on fakes only, around one small service.

A test says only what is different. Nothing here sleeps: the clock is moved by whoever would have taken the time.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from include.perf.baselines.baselines import Baseline
from include.perf.baselines.promotion import promote, requested_approval
from include.perf.load.announcing import LoadObserver
from include.perf.pipeline.night_stages import NightStages
from include.perf.pipeline.outside import Outside, Stores
from include.perf.pipeline.pipeline import execute
from include.perf.pipeline.planning.request import RunRequest
from include.perf.pipeline.run_stages import RunStages
from include.perf.runs.record import RunRecord
from include.perf.runs.stage_files import StageFiles
from tests.fakes.baseline_store import MemoryBaselines
from tests.fakes.charts import FakeCharts
from tests.fakes.clock import FixedClock
from tests.fakes.generator import FakeGenerator
from tests.fakes.metrics import FakeMetrics, healthy_answers
from tests.fakes.reservations import FakeReservations
from tests.fakes.resolver import FakeResolver
from tests.fakes.results_store import MemoryStore
from tests.fakes.small_catalogue import small_catalogue
from tests.fakes.target import FakeTarget


class Platform:
    """A pipeline on fakes only; each part can be set before a stage is done."""

    def __init__(self, folder: Path) -> None:
        self.clock = FixedClock()
        self.catalogue = small_catalogue(folder)
        self.store = MemoryStore()
        self.baselines = MemoryBaselines()
        self.metrics = FakeMetrics(healthy_answers())
        self.generator = FakeGenerator(clock=self.clock)
        self.target = FakeTarget()
        self.resolve = FakeResolver(**{"orders-service": [["10.0.0.7"]]})
        self.reservations = FakeReservations()
        self.charts = FakeCharts()
        self.halt_reason: str | None = None
        self.halted: Callable[[], str | None] = lambda: self.halt_reason
        self.observers: tuple[LoadObserver, ...] = ()

    @property
    def stores(self) -> Stores:
        """The stores as they are now."""
        return Stores(
            catalogue=self.catalogue,
            results=self.store,
            baselines=self.baselines,
            charts=self.charts,
            clock=self.clock,
            versions={"bellwether": "test"},
        )

    @property
    def outside(self) -> Outside:
        """The outside world as it is now."""
        return Outside(
            stores=self.stores,
            metrics=self.metrics,
            generator=self.generator,
            target=self.target,
            resolve=self.resolve,
            reservations=self.reservations,
            wait=self.clock.wait,
            halted=self.halted,
            observers=self.observers,
        )

    @property
    def run_stages(self) -> RunStages:
        """The stages of one run."""
        return RunStages(self.outside)

    @property
    def night_stages(self) -> NightStages:
        """The stages of a night."""
        return NightStages(self.stores)

    def plan(self, **request: Any) -> str:
        """Plan one run and return its URI."""
        (uri,) = self.night_stages.plan(RunRequest(scenario="brief", **request))
        return uri

    def loaded(self, **request: Any) -> str:
        """Plan a run and execute its stages up to the end of the load; return its URI."""
        uri = self.plan(**request)
        for stage in (self.run_stages.stage_data, self.run_stages.preflight, self.run_stages.run_load):
            stage(uri)
        return uri

    def execute(self, **request: Any) -> RunRecord:
        """Plan one run, execute it, and return its record."""
        (record,) = self.execute_planned(self.plan(**request))
        return record

    def execute_planned(self, *uris: str) -> tuple[RunRecord, ...]:
        """Execute planned runs as one night, and return their records."""
        return execute(uris, self.outside)

    def record(self, uri: str) -> RunRecord:
        """Return the record of a finished run."""
        return StageFiles(self.store, uri).read_record()

    def promote(self, uri: str, *, force: bool = False, by: str | None = None, reason: str | None = None) -> Baseline:
        """Promote a finished run, as its request says or in somebody's name."""
        record = self.record(uri)
        requested = requested_approval(record, at=self.clock())
        approval = replace(requested, by=by or requested.by, reason=reason or requested.reason)
        return promote(record, approval=approval, force=force, store=self.store, baselines=self.baselines)

    def with_baseline(self) -> "Platform":
        """Record a first baseline, and move the clock on by a minute."""
        uri = self.plan(update_baseline=True, reason="first baseline")
        self.execute_planned(uri)
        self.promote(uri)
        self.clock.move(60)
        return self
