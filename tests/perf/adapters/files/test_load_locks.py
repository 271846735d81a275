"""Reservations of load: which are granted, which must wait, and what remains of killed loads."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from include.perf.adapters.files.load_locks import LoadLocks
from include.perf.adapters.s3.leases import Leases
from include.perf.adapters.s3.shared_object import SharedObject
from include.perf.adapters.s3.shared_state import LoadLeases
from include.perf.load.reservations import Reservations
from include.perf.model.errors import Occupied, StoreError
from include.perf.model.json_files import to_json
from include.perf.runs.spec import ReservationRequest
from tests.fakes.clock import START
from tests.object_stores import ObjectStore
from tests.socket_servers import PROJECT

CAPACITY_RPS = 600.0
WAIT_S = 20.0
"""Only a failing test waits this long."""

MARKET_OPEN = ReservationRequest(
    run_id="20260302T063000Z-aaaaaa",
    service="trading-gateway-service",
    scenario="market_open",
    targets=("10.0.0.7:8000",),
    rate_rps=500.0,
    since=START,
)
OVERNIGHT = replace(
    MARKET_OPEN,
    run_id="20260302T063100Z-bbbbbb",
    service="feature-store-service",
    scenario="overnight_processing",
    targets=("10.0.0.8:8000",),
    rate_rps=50.0,
)


@pytest.fixture(params=["folder", "s3"])
def locks(request: pytest.FixtureRequest, tmp_path: Path) -> Reservations:
    """Locks in a folder, or leases in an object, that does not exist yet."""
    if request.param == "folder":
        return LoadLocks(tmp_path / "results" / ".loads")
    objects: ObjectStore = request.getfixturevalue("s3")
    return LoadLeases(Leases(SharedObject(objects.objects(), ".loads.json")))


@pytest.fixture
def granted(locks: Reservations) -> Iterator[Callable[[ReservationRequest], tuple[ReservationRequest, ...]]]:
    """Grant a reservation until the end of the test; returns the concurrent loads."""
    with ExitStack() as held:
        yield lambda request: held.enter_context(locks.reserve(request, capacity_rps=CAPACITY_RPS)).concurrent


def is_free(locks: Reservations, request: ReservationRequest) -> bool:
    """Return whether a reservation would be granted now."""
    try:
        with locks.reserve(request, capacity_rps=CAPACITY_RPS):
            return True
    except Occupied:
        return False


def test_loads_on_different_targets_run_side_by_side(
    granted: Callable[[ReservationRequest], tuple[ReservationRequest, ...]],
) -> None:
    """500/s + 50/s are within 600/s; the second reservation lists the first."""
    assert granted(MARKET_OPEN) == ()
    assert granted(OVERNIGHT) == (MARKET_OPEN,)


def test_a_target_takes_one_load_at_a_time(
    locks: Reservations, granted: Callable[[ReservationRequest], tuple[ReservationRequest, ...]]
) -> None:
    """One shared address is enough, whatever the service names; the message names the running load."""
    granted(OVERNIGHT)
    other_name = replace(MARKET_OPEN, service="x", rate_rps=1.0, targets=("10.0.0.9:8000", "10.0.0.8:8000"))
    with (
        pytest.raises(
            Occupied,
            match=r"^10\.0\.0\.8:8000 is under load by run 20260302T063100Z-bbbbbb \(overnight_processing on "
            r"feature-store-service, since 2026-03-02 06:30:00 UTC\)$",
        ),
        locks.reserve(other_name, capacity_rps=CAPACITY_RPS),
    ):
        pass


@pytest.mark.parametrize(
    ("rate_rps", "is_granted"),
    [
        (100.0, True),  # 500 + 100 = 600: exactly the capacity
        (100.1, False),
        (500.0, False),  # 500 + 500 = 1 000
    ],
)
def test_the_capacity_is_shared(
    locks: Reservations,
    granted: Callable[[ReservationRequest], tuple[ReservationRequest, ...]],
    rate_rps: float,
    is_granted: bool,
) -> None:
    """All loads together must not exceed the capacity of the generators."""
    granted(MARKET_OPEN)
    assert is_free(locks, replace(OVERNIGHT, rate_rps=rate_rps)) is is_granted


def test_the_message_about_missing_capacity(
    locks: Reservations, granted: Callable[[ReservationRequest], tuple[ReservationRequest, ...]]
) -> None:
    """It has all the numbers."""
    granted(MARKET_OPEN)
    with (
        pytest.raises(
            Occupied, match=r"^of the generators' 600/s \(capacity_rps\) 500/s are reserved by run .*needs 300/s$"
        ),
        locks.reserve(replace(OVERNIGHT, rate_rps=300.0), capacity_rps=CAPACITY_RPS),
    ):
        pass


def test_a_load_that_ended_frees_its_target(locks: Reservations) -> None:
    """Also if it ended with an exception."""
    with pytest.raises(RuntimeError), locks.reserve(MARKET_OPEN, capacity_rps=CAPACITY_RPS):
        raise RuntimeError
    assert is_free(locks, replace(MARKET_OPEN, run_id="another"))


def test_an_unusable_folder_grants_nothing(tmp_path: Path) -> None:
    """Whether a load runs is unknown then, so none starts."""
    (tmp_path / "file").write_text("")
    locks = LoadLocks(tmp_path / "file")
    with (
        pytest.raises(StoreError, match="cannot determine which loads run"),
        locks.reserve(MARKET_OPEN, capacity_rps=1e3),
    ):
        pass


def test_a_lock_that_is_released_during_the_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is listed, but removed before it is opened: that load has ended and blocks no other one."""
    listed = Path.glob
    monkeypatch.setattr(Path, "glob", lambda folder, pattern: [*listed(folder, pattern), folder / "gone.json"])
    assert is_free(LoadLocks(tmp_path / ".loads"), MARKET_OPEN)


def test_two_processes_remove_the_lock_of_a_killed_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second removal is not an error."""
    left = tmp_path / ".loads" / "left.json"
    left.parent.mkdir()
    left.write_bytes(to_json(OVERNIGHT))
    remove, removed = Path.unlink, []

    def both(path: Path, *, missing_ok: bool = False) -> None:
        if path == left:
            remove(path)
            removed.append(path)
        remove(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", both)
    assert is_free(LoadLocks(left.parent), MARKET_OPEN)
    assert removed == [left]


HOLDER = """
import subprocess, sys
from pathlib import Path
from include.perf.adapters.files.load_locks import LoadLocks
from include.perf.runs.spec import ReservationRequest
from include.perf.model.json_files import from_json
request = from_json(ReservationRequest, sys.argv[2].encode(), where="argv")
with LoadLocks(Path(sys.argv[1])).reserve(request, capacity_rps=600.0) as reservation:
    child = subprocess.Popen(["sleep", "60"], pass_fds=[reservation.lock_fd], stdout=subprocess.DEVNULL)
    print(child.pid, flush=True)
    child.wait()
"""


def test_a_load_that_outlives_its_task_still_counts(tmp_path: Path) -> None:
    """The task is killed, but its load process runs on: the target is free only when that has ended too."""
    locks = LoadLocks(tmp_path / "results" / ".loads")
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "results" / ".loads"), to_json(MARKET_OPEN).decode()],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None
    child = int(holder.stdout.readline())
    try:
        assert not is_free(locks, replace(MARKET_OPEN, run_id="another"))
        holder.kill()
        holder.wait()
        assert not is_free(locks, replace(MARKET_OPEN, run_id="another"))
    finally:
        os.kill(child, signal.SIGKILL)
        holder.stdout.close()
    until = time.monotonic() + WAIT_S  # a killed process exits a moment later
    while not is_free(locks, replace(MARKET_OPEN, run_id="another")):
        assert time.monotonic() < until, "the lock of a dead process is still held"
        time.sleep(0.01)


def test_one_of_many_concurrent_requests_is_granted(locks: Reservations) -> None:
    """Twenty tasks reserve the same target at the same time."""
    barrier, done = threading.Barrier(20), threading.Event()

    def attempt(number: int) -> bool:
        barrier.wait()
        try:
            with locks.reserve(replace(MARKET_OPEN, run_id=f"run-{number}"), capacity_rps=CAPACITY_RPS):
                return done.wait(30)
        except Occupied:
            return False

    with ThreadPoolExecutor(20) as pool:
        attempts = [pool.submit(attempt, number) for number in range(20)]
        while sum(future.done() for future in attempts) < 19:
            threading.Event().wait(0.01)
        done.set()
        assert sum(future.result(timeout=30) for future in attempts) == 1
