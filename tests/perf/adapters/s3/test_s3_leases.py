"""Leases in an object store: a live holder keeps its lease, a dead one loses it, whatever the clocks show."""

import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace

import pytest

from include.perf.adapters.s3 import client, leases
from include.perf.adapters.s3.client import S3Login
from include.perf.adapters.s3.leases import GIVE_UP_S, LEASE_S, Lease, Leases
from include.perf.adapters.s3.objects import Objects
from include.perf.adapters.s3.shared_object import SharedObject
from include.perf.adapters.s3.shared_state import LatestLoads, LoadLeases
from include.perf.model.errors import Occupied, StoreError
from include.perf.model.json_files import to_json
from include.perf.runs.spec import ReservationRequest
from tests.fakes.clock import START
from tests.loads import sent_load
from tests.object_stores import ObjectStore, Proxy
from tests.socket_servers import python

REQUEST = ReservationRequest(
    run_id="r1", service="a", scenario="b", targets=("10.0.0.7:8000",), rate_rps=1.0, since=START
)


class SteadyClock:
    """A monotonic clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def _no_renewals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leases are renewed only by the tests."""
    monkeypatch.setattr(leases, "RENEW_S", 3600.0)


@pytest.fixture
def holding() -> Iterator[ExitStack]:
    """Holds leases until the end of the test."""
    with ExitStack() as stack:
        yield stack


def leases_of(objects: Objects, clock: SteadyClock) -> Leases:
    """Return the leases as one machine sees them."""
    return Leases(SharedObject(objects, "leases.json", wait=lambda _: None), clock=clock)


def admit_all(_: Mapping[str, Lease]) -> None:
    """Grant every lease."""


def test_a_renewed_lease_is_kept(objects: Objects, holding: ExitStack) -> None:
    """However often and however long other processes check it."""
    clock, far = SteadyClock(), SteadyClock()
    mine, watcher = leases_of(objects, clock), leases_of(objects, far)
    held = holding.enter_context(mine.held("r1", "about it", admit=admit_all))
    for _ in range(5):
        running = watcher.running()
        assert running is not None
        assert running["r1"].about == "about it"
        far.now += LEASE_S - 1
        mine.renew(held)
    assert held.lost() is None


def test_a_lease_that_is_not_renewed_is_lost(objects: Objects, holding: ExitStack) -> None:
    """After the lease time on the watcher's clock; the holder's clock and the time of day do not matter."""
    clock, far = SteadyClock(), SteadyClock()
    far.now = -5e6
    mine, watcher = leases_of(objects, clock), leases_of(objects, far)
    held = holding.enter_context(mine.held("r1", "", admit=admit_all))
    assert set(watcher.running() or ()) == {"r1"}
    far.now += LEASE_S - 0.1
    assert set(watcher.running() or ()) == {"r1"}
    far.now += 0.1
    assert watcher.running() == {}
    holding.enter_context(watcher.held("r1", "", admit=admit_all))
    assert held.lost() is None, "the holder does not know it yet"
    mine.renew(held)
    assert held.lost() == "the lease of r1 was taken over because it had not been renewed for 90 s"
    assert set(watcher.running() or ()) == {"r1"}, "the previous holder does not take it back"


def test_a_new_watcher_waits_for_the_whole_lease_time(objects: Objects, holding: ExitStack) -> None:
    """A single read does not show how old a lease is."""
    mine = leases_of(objects, SteadyClock())
    holding.enter_context(mine.held("r1", "", admit=admit_all))
    for _ in range(3):
        assert set(leases_of(objects, SteadyClock()).running() or ()) == {"r1"}


def test_the_holder_gives_up_before_others_may_take_over(
    s3: ObjectStore, objects: Objects, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """After a minute without renewal its load must end; others take over after a minute and a half."""
    monkeypatch.setattr(client, "ATTEMPTS", 1)
    clock, login = SteadyClock(), s3.through(proxy)
    mine = leases_of(Objects(objects.place, lambda: login), clock)
    with mine.held("r1", "", admit=admit_all) as held:
        proxy.fault = "503"
        clock.now += GIVE_UP_S
        mine.renew(held)
        assert held.lost() is None
        clock.now += 0.1
        assert held.lost() == "the lease of r1 could not be renewed for 60 s"
        proxy.fault = None
        mine.renew(held)
        assert held.lost() is None
        proxy.fault = "503"
    assert GIVE_UP_S < LEASE_S
    assert "the lease of r1 was not renewed: cannot read s3://" in caplog.text
    assert "the lease of r1 was not released and expires in 90 s: cannot read s3://" in caplog.text


def test_a_failed_renewal_is_repeated(s3: ObjectStore, objects: Objects, caplog: pytest.LogCaptureFixture) -> None:
    """Also after an unexpected exception, such as one while reading the credentials."""
    clock, faults = SteadyClock(), list[Exception]()

    def access() -> S3Login:
        if faults:
            raise faults.pop()
        return s3.login

    mine = leases_of(Objects(objects.place, access), clock)
    with mine.held("r1", "", admit=admit_all) as held:
        clock.now += GIVE_UP_S + 1
        faults.append(RuntimeError("Airflow does not answer"))
        mine.renew(held)
        assert held.lost() is not None
        mine.renew(held)
        assert held.lost() is None
    assert "the lease of r1 was not renewed: Airflow does not answer" in caplog.text


def test_a_released_lease_is_free(objects: Objects) -> None:
    """Also after an exception."""
    mine = leases_of(objects, SteadyClock())
    assert mine.running() is None
    with pytest.raises(ZeroDivisionError), mine.held("r1", "", admit=admit_all):
        raise ZeroDivisionError
    assert mine.running() == {}


def test_a_refused_lease_is_not_held(objects: Objects, holding: ExitStack) -> None:
    """And the existing leases stay."""
    mine = leases_of(objects, SteadyClock())
    holding.enter_context(mine.held("r1", "", admit=admit_all))

    def refuse(others: Mapping[str, Lease]) -> None:
        raise Occupied(", ".join(others))

    with pytest.raises(Occupied, match=r"^r1$"), mine.held("r2", "", admit=refuse):
        pytest.fail("a refused lease was granted")
    assert set(mine.running() or ()) == {"r1"}


HOLD = """
import sys
from include.perf.adapters.s3.client import S3Login
from include.perf.adapters.s3.leases import Leases
from include.perf.adapters.s3.shared_state import LoadLeases
from include.perf.adapters.s3.objects import Objects
from include.perf.adapters.s3.place import s3_place
from include.perf.adapters.s3.shared_object import SharedObject
from include.perf.runs.spec import ReservationRequest
from include.perf.model.json_files import from_json

uri, endpoint, request = sys.argv[1:]
login = S3Login(access_key_id="a", secret_access_key="b", endpoint_url=endpoint, region_name="us-east-1")
objects = Objects(s3_place(uri, setting="argv"), lambda: login)
loads = LoadLeases(Leases(SharedObject(objects, "leases.json")))
with loads.reserve(from_json(ReservationRequest, request.encode(), where="argv"), capacity_rps=600):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_killed_task_blocks_its_target_until_its_lease_expires(s3: ObjectStore, objects: Objects) -> None:
    """A process on another machine is killed (SIGKILL) and does not release its lease."""
    far = SteadyClock()
    loads = LoadLeases(leases_of(objects, far))
    arguments = ("-c", HOLD, objects.place.uri, str(s3.login.endpoint_url), to_json(REQUEST).decode())
    with python(*arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        assert loads.held() == {"r1"}
        process.send_signal(signal.SIGKILL)
    another = replace(REQUEST, run_id="r2")
    far.now += LEASE_S - 0.1
    with pytest.raises(Occupied, match="is under load by run r1"), loads.reserve(another, capacity_rps=600):
        pytest.fail("two loads on one target")
    far.now += 0.2
    assert loads.held() == frozenset()
    with loads.reserve(another, capacity_rps=600) as reservation:
        assert (reservation.concurrent, reservation.lock_fd, reservation.lost()) == ((), None, None)
        assert loads.held() == {"r2"}


def test_the_latest_loads(objects: Objects) -> None:
    """One per cell; a new load replaces the previous one, and its end replaces its start."""
    shared = SharedObject(objects, "loads.json", wait=lambda _: None)
    loads = LatestLoads(shared, locks=LoadLeases(leases_of(objects, SteadyClock())))
    assert (loads.latest(), loads.held()) == ((), None)
    load, other = sent_load(), sent_load(scenario="a/b, c")
    for started in (sent_load(run_id="earlier"), other, load):
        loads.load_began(started)
    assert set(loads.latest()) == {load, other}
    loads.load_ended(replace(load, ended_at=START))
    assert set(loads.latest()) == {replace(load, ended_at=START), other}
    objects.write("loads.json", b"{]")
    with pytest.raises(StoreError, match=r"^s3://.*/loads\.json cannot be read: "):
        loads.latest()
