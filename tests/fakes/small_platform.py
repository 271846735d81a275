"""A pipeline on fakes only, around one small service.

A test says only what is different. Nothing here sleeps: the clock is moved by whoever would have taken the time.
"""

from pathlib import Path
from typing import Any

from include.perf.load.announcing import LoadObserver
from include.perf.pipeline.pipeline import Pipeline
from include.perf.pipeline.planning.request import RunRequest
from include.perf.runs.record import RunRecord
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
        self.observers: tuple[LoadObserver, ...] = ()

    @property
    def pipeline(self) -> Pipeline:
        """The pipeline on the parts as they are now."""
        return Pipeline(
            catalogue=self.catalogue,
            store=self.store,
            baselines=self.baselines,
            metrics=self.metrics,
            generator=self.generator,
            target=self.target,
            resolve=self.resolve,
            reservations=self.reservations,
            charts=self.charts,
            clock=self.clock,
            wait=self.clock.wait,
            halted=lambda: self.halt_reason,
            versions={"bellwether": "test"},
            observers=self.observers,
        )

    def plan(self, **request: Any) -> str:
        """Plan one run and return its URI."""
        (uri,) = self.pipeline.plan(RunRequest(scenario="brief", **request))
        return uri

    def loaded(self, **request: Any) -> str:
        """Plan a run and do its stages up to the end of the load; return its URI."""
        uri = self.plan(**request)
        for stage in (self.pipeline.stage_data, self.pipeline.preflight, self.pipeline.run_load):
            stage(uri)
        return uri

    def execute(self, **request: Any) -> RunRecord:
        """Plan one run, do all of it, and return its record."""
        (record,) = self.pipeline.execute([self.plan(**request)])
        return record

    def with_baseline(self) -> "Platform":
        """Record a first baseline, then let a minute go by."""
        uri = self.plan(update_baseline=True, reason="first level")
        self.pipeline.execute([uri])
        self.pipeline.promote(uri)
        self.clock.move(60)
        return self
