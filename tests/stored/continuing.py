"""The outside world for runs and alerts that another version left behind: real files, and fakes for the rest."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from include.perf.adapters.files.baseline_file import BaselineFile
from include.perf.adapters.files.folder_store import FolderStore
from include.perf.alerts.book import Delivery, Event, Message, Posted
from include.perf.catalogue.catalogue import Catalogue
from include.perf.catalogue.reading import load_catalogue
from include.perf.load.announcing import LoadObserver
from include.perf.load.generator import LoadOrder, LoadWatch
from include.perf.load.reservations import Reservations
from include.perf.measure.metrics_source import Sample
from include.perf.model.errors import BellwetherError, DeliveryError, DeliveryUnknown
from include.perf.pipeline.night_stages import NightStages
from include.perf.pipeline.outside import Outside, Stores
from include.perf.pipeline.run_stages import RunStages
from include.perf.runs.record import RunRecord
from include.perf.runs.stage_files import StageFiles
from tests.fakes.charts import FakeCharts
from tests.fakes.clock import FixedClock
from tests.fakes.generator import FakeGenerator
from tests.fakes.metrics import FakeMetrics
from tests.fakes.reservations import FakeReservations
from tests.fakes.resolver import FakeResolver
from tests.fakes.target import FakeTarget

FOLDERS = {"catalogue": "catalogue", "results": "results", "baselines": "baselines/baselines.json"}
AFTERWARDS = datetime(2026, 3, 18, 6, 30, tzinfo=UTC)
"""The last night of the store is over, and runs that it left behind go on."""

STAGES = ("stage_data", "preflight", "run_load", "scrape")


@dataclass(slots=True, kw_only=True)
class Generator(FakeGenerator):
    """Sends loads whose latency depends on the service, and differs a little from load to load.

    Attributes:
        latencies: the median by service in seconds; 40 ms where there is none.
        failing: by service, each so many-th request fails.
    """

    latencies: dict[str, float] = field(default_factory=dict)
    failing: dict[str, int] = field(default_factory=dict)

    def run(self, order: LoadOrder, *, watch: LoadWatch) -> None:
        """Leave the record of the next load."""
        self.latency_s = self.latencies.get(order.service.name, 0.040)
        self.failed_every = self.failing.get(order.service.name, 0)
        self.seed += 1
        FakeGenerator.run(self, order, watch=watch)


class Metrics(FakeMetrics):
    """Knows of every service how its figures went over time: they rise by a hundredth a step."""

    def series(self, query: str, *, start: datetime, end: datetime, step_s: float) -> tuple[Sample, ...]:
        """Return 1.00, 1.01, …."""
        steps = int((end - start).total_seconds() / step_s) + 1
        return tuple(Sample(at=start + timedelta(seconds=step * step_s), value=1 + step / 100) for step in range(steps))


class House:
    """A pipeline on a store in a folder."""

    def __init__(self, root: Path, *, now: datetime = AFTERWARDS, seed: int = 7) -> None:
        self.clock = FixedClock(now)
        self.catalogue: Catalogue = load_catalogue(root / FOLDERS["catalogue"])
        self.store = FolderStore(str(root / FOLDERS["results"]))
        self.baselines = BaselineFile(root / FOLDERS["baselines"])
        self.generator = Generator(clock=self.clock, seed=seed, log_changes={"feed_rows": {"place": 3, "list": 2}})
        self.target = FakeTarget()
        self.target.documents = [{"version": "2.4.0"}]
        self.reservations: Reservations = FakeReservations()
        self.observers: tuple[LoadObserver, ...] = ()
        self.halt_reason: str | None = None

    @property
    def stores(self) -> Stores:
        """The stores as they are now."""
        return Stores(
            catalogue=self.catalogue,
            results=self.store,
            baselines=self.baselines,
            charts=FakeCharts(),
            clock=self.clock,
            versions={"bellwether": "test"},
        )

    @property
    def run_stages(self) -> RunStages:
        """The stages of one run."""
        outside = Outside(
            stores=self.stores,
            metrics=Metrics(self._answers()),
            generator=self.generator,
            target=self.target,
            resolve=FakeResolver(**{name: [["10.0.0.7"]] for name in self.catalogue.services}),
            reservations=self.reservations,
            wait=self.clock.wait,
            halted=lambda: self.halt_reason,
            observers=self.observers,
        )
        return RunStages(outside)

    @property
    def night_stages(self) -> NightStages:
        """The stages of a night."""
        return NightStages(self.stores)

    def record(self, uri: str) -> RunRecord:
        """Return the record of a finished run."""
        return StageFiles(self.store, uri).read_record()

    def _answers(self) -> dict[str, float | Exception]:
        """Return what Prometheus says of every service over any of the windows."""
        answers: dict[str, float | Exception] = {}
        yesterday = (self.clock() - timedelta(days=1)).timestamp()
        for service in self.catalogue.services.values():
            selector = f"{{{service.prometheus.selector}}}"
            answers[f"count(up{selector} == 1)"] = 1.0
            for window_s in (10, 20):
                for asked_s in (2, window_s):
                    answers[f"min(sum_over_time(up{selector}[{asked_s}000ms]))"] = float(asked_s)
                started = f"max(max_over_time(process_start_time_seconds{selector}[{window_s + 2}000ms]))"
                answers[started] = yesterday
                for name, value in {"cpu_usage": 1.5, "memory_usage": 512.0 * 1024**2, "disk_usage": 0.4}.items():
                    answers[service.prometheus.query(name, window=f"{window_s}000ms")] = value
        return answers

    def measure(self, uri: str, *, begin_with: str = "stage_data") -> None:
        """Do the stages of a run from one on, as far as it comes."""
        with suppress(BellwetherError):
            for name in STAGES[STAGES.index(begin_with) :]:
                getattr(self.run_stages, name)(uri)

    def conclude(self, uris: Sequence[str]) -> list[RunRecord]:
        """Judge runs together and finish them."""
        self.night_stages.compare(uris)
        return [self.night_stages.report(uri) for uri in uris]


class Channel:
    """Takes messages as Slack does, and fails as the test sets it up.

    Attributes:
        there: the ids of the messages that arrived before.
        faults: what the posts to come raise, by event, each once.
        lost_answers: events whose message arrives although its answer is lost.
        no_more: why neither charts nor a mark are taken.
        posted: the id, the thread and whether the channel sees it, of each message in order.
    """

    has_threads = True

    def __init__(self, *there: str) -> None:
        self.there = set(there)
        self.faults: dict[Event, list[Exception]] = {}
        self.lost_answers: set[Event] = set()
        self.no_more: DeliveryError | None = None
        self.posted: list[tuple[str, str | None, bool]] = []
        self.replaced: list[tuple[str, str]] = []
        self.attached: list[tuple[str, int]] = []

    def moment(self) -> str | None:
        """Return no time."""
        return None

    def post(self, delivery: Delivery, *, thread: Posted | None, broadcast: bool) -> Posted | None:
        """Take a message, or fail once."""
        faults = self.faults.get(delivery.event)
        fault = faults.pop(0) if faults else None
        if fault is None or (isinstance(fault, DeliveryUnknown) and delivery.event in self.lost_answers):
            assert delivery.id not in self.there, "it was sent twice"
            self.there.add(delivery.id)
            self.posted.append((delivery.id, thread.ts if thread else None, broadcast))
        if fault is not None:
            raise fault
        return Posted("C1", f"ts-{delivery.id}")

    def find(self, delivery: Delivery, *, thread: Posted | None) -> Posted | None:
        """Look whether a message arrived."""
        return Posted("C1", f"ts-{delivery.id}") if delivery.id in self.there else None

    def replace(self, posted: Posted, message: Message) -> None:
        """Change a message."""
        if self.no_more is not None:
            raise self.no_more
        self.replaced.append((posted.ts, message.text))

    def attach(self, posted: Posted, charts: Sequence[Path], *, alt: str) -> None:
        """Take charts."""
        if self.no_more is not None:
            raise self.no_more
        self.attached.append((posted.ts, len(charts)))
