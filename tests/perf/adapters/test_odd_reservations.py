"""A damaged reservation keeps its own targets reserved, is named, and stops no other load; in a folder and in S3."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from include.perf.adapters.files.load_locks import LoadLocks
from include.perf.adapters.s3 import leases as lease_module
from include.perf.adapters.s3.leases import LEASE_S, Leases
from include.perf.adapters.s3.shared_object import SharedObject
from include.perf.adapters.s3.shared_state import LatestLoads, LoadLeases
from include.perf.load.reservations import Reservations
from include.perf.model.errors import Occupied
from include.perf.model.json_files import to_json
from include.perf.runs.spec import ReservationRequest
from tests.fakes.clock import START
from tests.loads import sent_load
from tests.object_stores import ObjectStore

RUNNING = ReservationRequest(
    run_id="r1", service="orders", scenario="calm", targets=("10.0.0.7:8000",), rate_rps=500.0, since=START
)
SAME = replace(RUNNING, run_id="r2", scenario="storm", rate_rps=1.0)
OTHER = replace(RUNNING, run_id="r3", service="prices", targets=("10.0.0.8:8000",), rate_rps=50.0)


@dataclass(frozen=True, kw_only=True)
class Place:
    """Reservations, and how a test damages the one of `RUNNING`."""

    locks: Reservations
    damage: Callable[[bytes], None]


@pytest.fixture
def holding(monkeypatch: pytest.MonkeyPatch) -> Iterator[ExitStack]:
    """Holds reservations until the end of the test; nothing is renewed."""
    monkeypatch.setattr(lease_module, "RENEW_S", 3600.0)
    with ExitStack() as stack:
        yield stack


@pytest.fixture(params=["folder", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A folder, or an object."""
    if request.param == "folder":
        folder = tmp_path / ".loads"
        return Place(locks=LoadLocks(folder), damage=(folder / "r1.json").write_bytes)
    store: ObjectStore = request.getfixturevalue("s3")
    objects = store.objects()

    def damage(content: bytes) -> None:
        register = json.loads(objects.read(".loads.json") or b"")
        register["leases"]["r1"]["about"] = content.decode(errors="replace")
        objects.write(".loads.json", json.dumps(register).encode())

    return Place(locks=LoadLeases(Leases(SharedObject(objects, ".loads.json"))), damage=damage)


def changed(**changes: Any) -> bytes:
    return json.dumps({**json.loads(to_json(RUNNING)), **changes}).encode()


WITH_TARGETS = {
    "no rate": changed(rate_rps="many"),
    "an odd time": changed(since="yesterday"),
    "no service": changed(service=None),
    "an infinite rate": changed(rate_rps=float("inf")),
}
WITHOUT_TARGETS = {
    "half of it": to_json(RUNNING)[:20],
    "nothing": b"",
    "no JSON": b"\xff\x00",
    "a list": b"[1]",
    "no targets": changed(targets=[]),
    "odd targets": changed(targets=[5]),
    "nesting": b"[" * 5000,
}


@pytest.mark.parametrize("name", WITH_TARGETS)
def test_a_damaged_reservation_keeps_its_targets(
    place: Place, holding: ExitStack, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Another load may run, and the damage is named once."""
    holding.enter_context(place.locks.reserve(RUNNING, capacity_rps=600))
    place.damage(WITH_TARGETS[name])
    for _ in range(2):
        with pytest.raises(Occupied, match=r"10.0.0.7:8000 is under load by run r1"):
            holding.enter_context(place.locks.reserve(SAME, capacity_rps=600))
    with place.locks.reserve(OTHER, capacity_rps=600) as granted:
        assert [load.targets for load in granted.concurrent] == [RUNNING.targets]
    assert place.locks.held() == {"r1"}
    assert len([text for text in caplog.messages if "stay reserved until its load ends" in text]) == 1


@pytest.mark.parametrize("name", WITHOUT_TARGETS)
def test_unknown_targets_are_every_target(place: Place, name: str) -> None:
    """Nobody can know that a second load would not reach the same one; it ends with that load."""
    with place.locks.reserve(RUNNING, capacity_rps=600):
        place.damage(WITHOUT_TARGETS[name])
        for request in (SAME, OTHER):
            with (
                pytest.raises(Occupied, match=r"^the reservation of run r1 cannot be read, so its targets are unknown"),
                place.locks.reserve(request, capacity_rps=600),
            ):
                pytest.fail("a second load was granted")
    with place.locks.reserve(SAME, capacity_rps=600):
        assert place.locks.held() == {"r2"}


@pytest.mark.parametrize("kind", ["fifo", "folder", "loop"])
def test_what_no_load_made_is_left_out(tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    """A FIFO, a folder or a link that is named like a reservation neither hangs nor stops a load."""
    folder = tmp_path / ".loads"
    folder.mkdir()
    odd = folder / "odd.json"
    os.mkfifo(odd) if kind == "fifo" else odd.mkdir() if kind == "folder" else odd.symlink_to(odd)
    locks = LoadLocks(folder)
    with locks.reserve(RUNNING, capacity_rps=600) as granted:
        assert (granted.concurrent, locks.held()) == ((), {"r1"})
    assert "odd.json" in caplog.text


class SteadyClock:
    """A monotonic clock that a test sets."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("stored", [5, None, [], {}, {"holder": 5}, {"holder": "x", "count": "y", "about": 7}])
def test_a_damaged_lease_counts_until_it_expires(s3: ObjectStore, holding: ExitStack, stored: Any) -> None:
    """It is not renewed, so it holds the others up for the time of a lease at most; the other leases stay."""
    objects, clock = s3.objects(), SteadyClock()
    locks = LoadLeases(Leases(SharedObject(objects, ".loads.json"), clock=clock))
    holding.enter_context(locks.reserve(OTHER, capacity_rps=600))
    register = json.loads(objects.read(".loads.json") or b"")
    register["leases"]["odd"] = stored
    objects.write(".loads.json", json.dumps(register).encode())
    assert locks.held() == {"odd", "r3"}
    with pytest.raises(Occupied, match="the reservation of run odd cannot be read"):
        holding.enter_context(locks.reserve(RUNNING, capacity_rps=600))
    clock.now += LEASE_S + 1
    with locks.reserve(RUNNING, capacity_rps=600):
        assert locks.held() == {"r1"}


def test_one_odd_entry_of_the_latest_loads(s3: ObjectStore) -> None:
    """It is left out, and stays in the object; the others are there."""
    objects = s3.objects()
    loads = LatestLoads(SharedObject(objects, ".load-log.json"), locks=LoadLeases(Leases(SharedObject(objects, "l"))))
    load = sent_load()
    objects.write(".load-log.json", b'{"loads": {"odd cell": {"service": 5}}}')
    loads.load_began(load)
    assert loads.latest() == (load,)
    assert json.loads(objects.read(".load-log.json") or b"")["loads"]["odd cell"] == {"service": 5}
