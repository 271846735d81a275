"""The world of a history: real stores, locks and stages, with fakes for the generator, Prometheus and the service."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from include.perf.adapters.files.alert_file import AlertFile, SharedAlerts
from include.perf.adapters.files.baseline_file import BaselineFile, SharedBaselines
from include.perf.adapters.files.folder_store import FolderStore
from include.perf.adapters.files.load_locks import LoadLocks
from include.perf.adapters.files.load_log import LoadLog
from include.perf.adapters.files.sqlite_index import SqliteIndex
from include.perf.adapters.s3.client import S3Login
from include.perf.adapters.s3.leases import Leases
from include.perf.adapters.s3.objects import Objects
from include.perf.adapters.s3.place import S3Place
from include.perf.adapters.s3.shared_object import SharedObject
from include.perf.adapters.s3.shared_state import LatestLoads, LoadLeases, alerts_in
from include.perf.adapters.s3.store import S3Store
from include.perf.catalogue.catalogue import Catalogue
from include.perf.catalogue.scenario.market_hours import OWN_FILE, load_market_hours
from include.perf.load.announcing import SentLoad
from include.perf.model.errors import BellwetherError, PrometheusUnavailable
from include.perf.pipeline.night_stages import NightStages
from include.perf.pipeline.outside import Outside, Stores
from include.perf.pipeline.run_stages import RunStages
from tests.explorer.boundaries import Boundaries
from tests.explorer.decisions import Kind, Operation
from tests.explorer.machine import Machine
from tests.explorer.processes import Host, Process
from tests.explorer.sending import Announced, Sender, Sending, SimulatedTarget
from tests.fakes.channels import Channels
from tests.fakes.charts import FakeCharts
from tests.fakes.clock import START
from tests.fakes.sliced_generator import SlicedGenerator, TrueLoad
from tests.fakes.small_catalogue import small_scenario, small_service, write_csv
from tests.fakes.windowed_metrics import WindowedMetrics

SERVICES = {"orders-service": "10.0.0.7", "rates-service": "10.0.0.8"}
SCENARIOS = {
    "brief": {"rate_rps": 32, "duration_s": 10, "warmup_s": 2},
    "long": {"rate_rps": 1.5, "duration_s": 240, "warmup_s": 2},
}
"""The long load takes more than twice as long as a lease, and the brief one as few requests as a verdict needs."""

LATENCY_S = 0.04
SLOWER = 3.0
BUCKET, PREFIX = "histories", "results"


def catalogue(folder: Path) -> Catalogue:
    """Return a catalogue of two services and two scenarios."""
    write_csv(folder / "brief.csv", count=20)
    services = [
        small_service(
            name=name,
            base_url=f"http://{name}:8000",
            allowed_hosts=[name],
            prometheus={"selector": f'service="{name}"', "scrape_interval_s": 1},
        )
        for name in SERVICES
    ]
    scenarios = [small_scenario(name=name, load=load) for name, load in SCENARIOS.items()]
    return Catalogue(
        folder=folder,
        services={service.name: service for service in services},
        scenarios={scenario.name: scenario for scenario in scenarios},
        market_hours=load_market_hours(OWN_FILE),
    )


@dataclass(slots=True, kw_only=True)
class End:
    """How a process ended.

    Attributes:
        value: what it returned.
        error: what it raised.
        is_done: whether it came to its end.
        is_given_up: whether it still runs, although Airflow gave it up.
    """

    value: Any = None
    error: Exception | None = None
    is_done: bool = False
    is_given_up: bool = False

    @property
    def is_killed(self) -> bool:
        """Whether Airflow takes it for killed."""
        return not self.is_done and self.error is None


@dataclass(slots=True, kw_only=True)
class World:
    """Everything that the processes of a history share.

    Attributes:
        folder: of all files of the history.
        objects: the client of the object store that has results, baselines and locks; ``None`` where they are in the
            folder.
        started_at: the true time of its begin.
        slow: ids of DAG runs whose services are slow.
        loads: every load that was really sent.
        dag_run_of: the DAG run of each run by its id.
        wanted_again: the ids of the runs that are measured once more, because somebody cleared their tasks.
        channels: what was posted.
        written: the ids of the alerts that were written into the book.
        broken_rules: what happened that must never happen.
    """

    machine: Machine
    boundaries: Boundaries
    folder: Path
    catalogue: Catalogue
    objects: Any = None
    started_at: datetime = START
    slow: set[str] = field(default_factory=set)
    loads: list[TrueLoad] = field(default_factory=list)
    dag_run_of: dict[str, str] = field(default_factory=dict)
    wanted_again: set[str] = field(default_factory=set)
    halt_reason: str | None = None
    halted_at_s: float = 0.0
    hosts: dict[str, Host] = field(default_factory=dict)
    broken_rules: list[str] = field(default_factory=list)
    sending: list["Sending"] = field(default_factory=list)
    channels: Channels = field(default_factory=Channels)
    written: dict[str, None] = field(default_factory=dict)
    names: dict[str, int] = field(default_factory=dict)

    def host(self, name: str) -> Host:
        """Return a machine; with results in a folder there is only one."""
        name = name if self.objects else "the machine"
        return self.hosts.setdefault(name, Host(name))

    def place_baselines(self, content: bytes) -> None:
        """Begin with these baselines."""
        if self.objects is None:
            (self.folder / "baselines.json").write_bytes(content)
            return
        self.objects.put_object(Bucket=BUCKET, Key=f"{PREFIX}/baselines.json", Body=content)

    def true_time(self) -> datetime:
        """Return what the time really is."""
        return self.started_at + timedelta(seconds=self.machine.now_s)

    def execute(self, name: str, host: str, work: Callable[["Session"], Any]) -> End:
        """Do something in a process of its own, and wait for its end."""
        self.names[name] = self.names.get(name, 0) + 1
        unique = name if self.names[name] == 1 else f"{name} ({self.names[name]})"
        process, end = Process(unique, self.host(host), began_at_s=self.machine.now_s), End()

        def main() -> None:
            try:
                end.value = work(Session(self, process))
                end.is_done = True
            except (BellwetherError, OSError) as err:
                end.error = err
                process.has_failed = True
                self.machine.note(f"{unique} failed: {err}")
            except Exception as err:
                end.error = err
                self.broken_rules.append(f"{unique} raised {err!r}")
                raise

        self.machine.start(process, main)
        self.machine.wait_for(lambda: process.has_ended or process.given_up_until_s is not None)
        end.is_given_up = not process.has_ended
        return end

    def break_rule(self, what: str) -> None:
        """Note that something happened that must not."""
        self.machine.note(f"## {what}")
        self.broken_rules.append(what)


class Session:
    """What one process uses: stores of its own, as every task of Airflow makes them."""

    def __init__(self, world: World, process: Process) -> None:
        self.world = world
        self.process = process
        self._results = FolderStore(str(world.folder / "results"))

    def clock(self) -> datetime:
        """Return the time of this machine."""
        return self.world.true_time() + timedelta(seconds=self.process.host.offset_s)

    @property
    def stores(self) -> Stores:
        """The stores of a stage."""
        return Stores(
            catalogue=self.world.catalogue,
            results=self.results,
            baselines=self.baselines,
            charts=FakeCharts(),
            clock=self.clock,
            versions={"bellwether": "test"},
        )

    @property
    def results(self) -> Any:
        """The results store."""
        if self.world.objects is None:
            return self._results
        return S3Store(self._objects(), wait=self.wait)

    @property
    def baselines(self) -> SharedBaselines:
        """The baselines."""
        if self.world.objects is None:
            return BaselineFile(self.world.folder / "baselines.json")
        return SharedBaselines(self._object("baselines.json"))

    @property
    def alerts(self) -> SharedAlerts:
        """The alert book."""
        if self.world.objects is None:
            return AlertFile(self._results.root / ".alerts.json", wait=self.wait)
        return alerts_in(self._object(".alerts.json"), self._leases(".delivering.json"), wait=self.wait)

    @property
    def index(self) -> SqliteIndex:
        """The index of this machine."""
        path = self.world.folder / f"index of {self.process.host.name}.sqlite"
        return SqliteIndex(path, store=self.results, clock=self.clock)

    @property
    def outside(self) -> Outside:
        """Everything that a run is measured with."""
        locks: Any = LoadLocks(self._results.root / ".loads")
        log: Any = LoadLog(self._results.root / ".load-log", locks=locks)
        if self.world.objects is not None:
            locks = LoadLeases(self._leases(".loads.json"))
            log = LatestLoads(self._object(".load-log.json"), locks=locks)
        return Outside(
            stores=self.stores,
            metrics=WindowedMetrics(
                lambda query: self.ask("Prometheus", query, PrometheusUnavailable), self.world.true_time
            ),
            generator=self.generator,
            target=SimulatedTarget(self),
            resolve=self._resolve,
            reservations=locks,
            wait=self.wait,
            halted=lambda: self.world.halt_reason,
            observers=(log, Announced(self)),
        )

    @property
    def run_stages(self) -> RunStages:
        """The stages of a run."""
        return RunStages(self.outside)

    @property
    def night_stages(self) -> NightStages:
        """The stages of a night."""
        return NightStages(self.stores)

    def wait(self, seconds: float) -> None:
        """Wait for another process."""
        self.world.machine.poll(seconds)

    def ask(self, whom: str, what: str, error: Callable[[str], Exception]) -> None:
        """Ask something over the network, which may fail."""
        operation = Operation(kind=Kind.NETWORK, what=f"{whom} {what}")
        self.world.machine.perform(operation, lambda: None, failure=lambda: error(f"{whom} does not answer"))

    def _asked(self, query: str) -> None:
        self.ask("Prometheus", query, PrometheusUnavailable)

    def _resolve(self, host: str, port: int) -> Sequence[str]:
        self.ask("DNS", host, OSError)
        return (SERVICES[host],)

    def _objects(self) -> Objects:
        return Objects(S3Place(bucket=BUCKET, prefix=PREFIX), S3Login)

    def _object(self, path: str) -> SharedObject:
        return SharedObject(self._objects(), path, wait=self.wait, random_ratio=lambda: 0.5)

    def _leases(self, path: str) -> Leases:
        return Leases(self._object(path), clock=self.world.boundaries.monotonic)

    @property
    def generator(self) -> SlicedGenerator:
        """The load generator of this process."""
        return SlicedGenerator(
            host=Sender(self),
            of_load=lambda: self.process.notes["load"],
            latency_of=self._latency_of,
            failed_of=lambda _: 1 + len(self.world.loads) % 2,
        )

    def _latency_of(self, load: SentLoad) -> float:
        """Return a latency that no other load has, by which its figures are recognised."""
        factor = SLOWER if self.world.dag_run_of.get(load.run_id) in self.world.slow else 1.0
        return round(LATENCY_S * factor * (1 + 0.0003 * len(self.world.loads)), 6)
