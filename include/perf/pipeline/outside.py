"""The outside world of the pipeline, as the composition root hands it to the stages."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from include.perf.baselines.baselines import BaselineStore
from include.perf.catalogue.catalogue import Catalogue
from include.perf.guards.guard import Guard
from include.perf.load.announcing import LoadObserver
from include.perf.load.generator import LoadGenerator
from include.perf.load.reservations import Reservations
from include.perf.load.wire import Resolver, Target
from include.perf.measure.distribution import Distribution
from include.perf.measure.metrics_source import MetricsSource
from include.perf.model.text import Clock
from include.perf.runs.record import RunRecord
from include.perf.runs.results_store import LeftOut, ResultsStore, log_left_out


class ChartRenderer(Protocol):
    """Draws the charts of a run."""

    def render(
        self,
        record: RunRecord,
        folder: Path,
        *,
        baseline: Sequence[Distribution] = (),
        left_out: LeftOut = log_left_out,
    ) -> Mapping[str, str]:
        """Write the charts below ``folder`` and return the paths of the PNG files relative to it, by chart name.

        Next to each PNG file are two SVG files: one of the same name for a light page, one ending in ``.dark.svg`` for
        a dark page.

        Args:
            baseline: the latency distributions of the runs behind the record's baseline.
            left_out: receives the files of the run that cannot be drawn.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """What planning, judging and reporting need. None of it reaches Prometheus or a service.

    Attributes:
        versions: the versions of Bellwether and of what it runs on, by name; they become part of each record.
    """

    catalogue: Catalogue
    results: ResultsStore
    baselines: BaselineStore
    charts: ChartRenderer
    clock: Clock
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """Everything that a run is measured with.

    Attributes:
        wait: sleeps for a number of seconds.
        halted: returns why no load may run now, or ``None``.
        observers: are notified when a load begins and when it ends.
        production_metrics: returns the Prometheus that watches production; ``None`` if it is ``metrics``.
    """

    stores: Stores
    metrics: MetricsSource
    generator: LoadGenerator
    target: Target
    resolve: Resolver
    reservations: Reservations
    wait: Callable[[float], None]
    halted: Callable[[], str | None] = field(default=lambda: None)
    observers: Sequence[LoadObserver] = ()
    production_metrics: Callable[[], MetricsSource | None] = field(default=lambda: None)

    @property
    def guard(self) -> Guard:
        """The checks that each load must pass."""
        return Guard(
            market_hours=self.stores.catalogue.market_hours,
            metrics=self.metrics,
            target=self.target,
            resolve=self.resolve,
            halted=self.halted,
            clock=self.stores.clock,
        )
