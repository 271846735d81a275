"""Every stage with results, baselines and locks in an object store, as used by tasks on different machines."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from include.perf.adapters.files.baseline_file import SharedBaselines
from include.perf.adapters.files.locked_file import Changed
from include.perf.adapters.s3 import client, leases
from include.perf.adapters.s3.leases import Leases
from include.perf.adapters.s3.objects import Objects
from include.perf.adapters.s3.place import S3Place
from include.perf.adapters.s3.shared_object import SharedObject
from include.perf.adapters.s3.shared_state import LoadLeases
from include.perf.adapters.s3.store import S3Store
from include.perf.load.generator import LoadOrder, LoadWatch
from include.perf.model.errors import LoadError, StoreError
from include.perf.pipeline.planning.request import RunRequest
from include.perf.pipeline.run_stages import RunStages
from include.perf.runs.record import Verdict
from include.perf.runs.results_store import RECORD_FILE, REQUESTS_FILE
from tests.fakes.generator import FakeGenerator
from tests.fakes.small_platform import Platform
from tests.object_stores import ObjectStore, Proxy
from tests.waiting import until

KEPT = {
    "charts/latency.png",
    "distribution.csv",
    "junit.xml",
    "report.html",
    "report.md",
    "requests.csv.gz",
    "run.json",
    "server.csv",
    "timeseries.csv",
}


@pytest.fixture
def proxy(s3: ObjectStore) -> Iterator[Proxy]:
    """A proxy between the stages and the server, which can fail."""
    proxy = Proxy(s3.port)
    yield proxy
    proxy.close()


@pytest.fixture
def place(s3: ObjectStore) -> S3Place:
    """The place of the results."""
    return S3Place(bucket=s3.bucket(), prefix="results")


@pytest.fixture
def objects(s3: ObjectStore, proxy: Proxy, place: S3Place) -> Objects:
    """The objects there, seen through the proxy."""
    login = s3.through(proxy)
    return Objects(place, lambda: login)


@pytest.fixture
def shared(platform: Platform, objects: Objects, monkeypatch: pytest.MonkeyPatch) -> Platform:
    """The fakes with real stores; the client does not repeat failed requests."""
    monkeypatch.setattr(client, "ATTEMPTS", 1)
    platform.store = S3Store(objects, wait=platform.clock.wait)  # type: ignore[assignment]
    platform.baselines = SharedBaselines(SharedObject(objects, "baselines.json"))  # type: ignore[assignment]
    platform.reservations = LoadLeases(Leases(SharedObject(objects, ".loads.json")))  # type: ignore[assignment]
    return platform


def test_a_night_from_the_plan_to_the_promotion(shared: Platform, place: S3Place) -> None:
    """The first run becomes the baseline, the second is compared with it, and all files are in their places."""
    record = shared.with_baseline().execute()
    assert record.verdict is Verdict.PASS
    store = shared.store
    uri = store.uri_of(service=record.service, scenario=record.scenario, run_id=record.run_id)
    assert uri == f"{place.uri}/orders-service/brief/{record.run_id}"
    assert store.names(uri) >= KEPT - {"server.csv"}
    assert not [name for name in store.names(uri) if name.startswith("stage-")]
    assert shared.record(uri) == record
    entry = shared.baselines.read().get(record.service, record.scenario)
    assert entry.version == 1


def test_the_requests_of_a_failed_load_are_kept(shared: Platform) -> None:
    """They are in the store; the record says why there is no verdict."""
    shared.generator.is_killed = True
    uri = shared.plan()
    for stage in (shared.run_stages.stage_data, shared.run_stages.preflight):
        stage(uri)
    with pytest.raises(LoadError):
        shared.run_stages.run_load(uri)
    assert REQUESTS_FILE in shared.store.names(uri)
    shared.night_stages.compare([uri])
    assert shared.night_stages.report(uri).verdict is Verdict.INVALID


@dataclass(slots=True, kw_only=True)
class Outage(FakeGenerator):
    """Sends a load, after which the object store goes down."""

    proxy: Proxy

    def run(self, order: LoadOrder, *, watch: LoadWatch) -> None:
        """Write the record of the load, and break the store."""
        FakeGenerator.run(self, order, watch=watch)
        self.proxy.fault = "503"


def test_a_store_that_fails_while_a_load_runs_loses_nothing(shared: Platform, objects: Objects, proxy: Proxy) -> None:
    """It is down when the load ends, and up again some minutes later: the measurement is stored then."""
    uri = shared.plan()
    for stage in (shared.run_stages.stage_data, shared.run_stages.preflight):
        stage(uri)
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 6:
            proxy.fault = None

    shared.generator = Outage(clock=shared.clock, proxy=proxy)
    stores = replace(shared.stores, results=S3Store(objects, wait=wait))
    RunStages(replace(shared.outside, stores=stores)).run_load(uri)
    assert waits == [1.0, 2.0, 5.0, 10.0, 30.0, 60.0]
    shared.run_stages.scrape(uri)
    shared.night_stages.compare([uri])
    assert shared.night_stages.report(uri).verdict is Verdict.NO_BASELINE


@dataclass(slots=True, kw_only=True)
class Robbed(FakeGenerator):
    """Sends a load whose lease is taken over in the meantime, and stops it when the watch says so."""

    leases: SharedObject

    def run(self, order: LoadOrder, *, watch: LoadWatch) -> None:
        """Write the record of a stopped load."""
        self.leases.update(lambda _: Changed(content=b'{"leases": {}}', result=None))
        reason = until(watch.reason_to_stop, within_s=10, every_s=0.01, what="the load is asked to stop")
        self.log_changes = {"ended": f"stopped: {reason}"}
        FakeGenerator.run(self, order, watch=watch)


def test_a_load_that_lost_its_lease_stops(shared: Platform, objects: Objects, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another load may use its target from then on; the requests are kept, but the run is invalid."""
    monkeypatch.setattr(leases, "RENEW_S", 0.01)
    uri = shared.plan()
    for stage in (shared.run_stages.stage_data, shared.run_stages.preflight):
        stage(uri)
    shared.generator = Robbed(clock=shared.clock, leases=SharedObject(objects, ".loads.json"))
    shared.run_stages.run_load(uri)
    shared.run_stages.scrape(uri)
    shared.night_stages.compare([uri])
    record = shared.night_stages.report(uri)
    assert record.verdict is Verdict.INVALID
    assert f"the lease of {record.run_id} was taken over" in record.reasons[0]


def test_files_that_cannot_be_stored_stay_on_the_machine(shared: Platform, proxy: Proxy) -> None:
    """If the store is down for too long, the message says where the files are."""
    uri = shared.plan()

    def write() -> None:
        with shared.store.folder(uri) as folder:
            (folder / "timeseries.csv").write_bytes(b"second\n1\n")
            proxy.fault = "503"

    with pytest.raises(StoreError, match=r"fails after .*\(SlowDown\).*; the files are still in /") as caught:
        write()
    left = Path(str(caught.value).rpartition("the files are still in ")[2])
    assert (left / "timeseries.csv").read_bytes() == b"second\n1\n"
    proxy.fault = None
    assert shared.store.names(uri) == {"stage-spec.json", "stage-catalogue.json"}
    for path in left.iterdir():
        path.unlink()
    left.rmdir()


def test_no_record_is_half_written(shared: Platform, proxy: Proxy) -> None:
    """A store that fails during the write has no record; after a retry of the stage there is one."""
    uri = shared.loaded()
    shared.run_stages.scrape(uri)
    shared.night_stages.compare([uri])
    proxy.fault, proxy.is_spared = "reset", lambda line: not (line.startswith("PUT") and RECORD_FILE in line)
    with pytest.raises(StoreError, match=r"^cannot write s3://.*/run\.json: "):
        shared.night_stages.report(uri)
    proxy.fault = None
    assert shared.store.read(uri, RECORD_FILE) is None
    assert shared.night_stages.report(uri).verdict is Verdict.NO_BASELINE


def test_two_plans_of_one_request_have_separate_folders(shared: Platform) -> None:
    """Even if they are planned at the same moment."""
    request = RunRequest(scenario="brief")
    assert len({*shared.night_stages.plan(request), *shared.night_stages.plan(request)}) == 2
