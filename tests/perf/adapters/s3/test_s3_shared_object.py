"""Changes by compare-and-swap: after a conflict the change is repeated, and nothing is lost."""

import multiprocessing
from functools import partial
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from include.perf.adapters.files.baseline_file import BaselineFile, CachedBaselines, SharedBaselines
from include.perf.adapters.files.locked_file import Changed, SharedContent
from include.perf.adapters.s3.leases import Leases
from include.perf.adapters.s3.objects import Objects
from include.perf.adapters.s3.shared_object import ATTEMPTS, SharedObject
from include.perf.adapters.s3.shared_state import alerts_in
from include.perf.baselines.baselines import Baselines
from include.perf.model.errors import BaselineError, DeliveryError, StoreError
from tests.baselines import SCENARIO, SERVICE, approval, run
from tests.fakes.clock import FixedClock
from tests.object_stores import ObjectStore, Proxy

PROMOTIONS = 12


def added(content: bytes | None, *, text: bytes) -> Changed[int]:
    """Append a text, and return the new length."""
    longer = (content or b"") + text
    return Changed(content=longer, result=len(longer))


@pytest.fixture
def shared(objects: Objects) -> SharedObject:
    """An object that does not exist yet; retries do not sleep."""
    return SharedObject(objects, "deep/shared.txt", wait=lambda _: None)


def test_a_change_is_there_for_the_next_reader(shared: SharedObject) -> None:
    """And the change returns its result."""
    assert (shared.read(), shared.stamp()) == (None, None)
    assert shared.update(partial(added, text=b"1")) == 1
    stamp = shared.stamp()
    assert shared.update(partial(added, text=b"22")) == 3
    assert shared.read() == b"122"
    assert shared.stamp() != stamp


def test_a_change_is_repeated_after_a_conflict(shared: SharedObject) -> None:
    """It is called again with the content of the other writer."""
    seen: list[bytes | None] = []

    def slow(content: bytes | None) -> Changed[int]:
        seen.append(content)
        if len(seen) < 3:
            shared.update(partial(added, text=b"x"))
        return added(content, text=b"slow")

    assert shared.update(slow) == 6
    assert (seen, shared.read()) == ([None, b"x", b"xx"], b"xxslow")


def test_a_failing_change_leaves_what_was_there(shared: SharedObject) -> None:
    """Its exception is passed on."""
    shared.update(partial(added, text=b"1"))
    with pytest.raises(ZeroDivisionError):
        shared.update(lambda _: Changed(content=b"", result=1 // 0))
    assert shared.read() == b"1"


def test_a_change_that_always_conflicts_fails(shared: SharedObject) -> None:
    """After some attempts; nothing of it was written."""

    def slow(content: bytes | None) -> Changed[int]:
        shared.update(partial(added, text=b"x"))
        return added(content, text=b"slow")

    with pytest.raises(StoreError, match=rf"^cannot change {shared.where}: {ATTEMPTS} attempts conflicted with other"):
        shared.update(slow)
    assert shared.read() == b"x" * ATTEMPTS


def test_a_change_whose_response_was_lost_is_made_once(s3: ObjectStore, objects: Objects, proxy: Proxy) -> None:
    """The repeated request of the client is not a conflict with another writer."""
    login = s3.through(proxy)
    far = SharedObject(Objects(objects.place, lambda: login), "a", wait=lambda _: None)
    seen: list[bytes | None] = []

    def change(content: bytes | None) -> Changed[int]:
        seen.append(content)
        proxy.lost_answers = 1
        return added(content, text=b"1")

    for _ in range(3):
        far.update(change)
    assert (seen, objects.read("a")) == ([None, b"1", b"11"], b"111")


# Baselines


def shared_baselines(kind: str, objects: Objects, folder: Path) -> SharedBaselines:
    """Return baselines in a file, or in an object."""
    if kind == "file":
        return BaselineFile(folder / "baselines.json")
    return SharedBaselines(SharedObject(objects, "baselines.json"))


def _promote(baselines: Baselines, *, run_id: str) -> int:
    """Promote a run and return the new version."""
    return baselines.promote(run(run_id), approval=approval(run_id=run_id)).version


def _promote_many(shared: SharedBaselines, name: str, start: Barrier, versions: "multiprocessing.Queue[int]") -> None:
    start.wait()
    for number in range(PROMOTIONS):
        versions.put(shared.update(partial(_promote, run_id=f"{name}{number}")))


@pytest.mark.parametrize("kind", ["file", "s3"])
def test_two_processes_that_promote_at_once_lose_nothing(kind: str, objects: Objects, tmp_path: Path) -> None:
    """2 processes × 12 promotions of one cell = version 24; every promotion returned a different version."""
    shared = shared_baselines(kind, objects, tmp_path)
    context = multiprocessing.get_context("fork")
    start, queue = context.Barrier(2), context.Queue()
    processes = [context.Process(target=_promote_many, args=(shared, name, start, queue)) for name in ("a", "b")]
    for process in processes:
        process.start()
    versions = [queue.get(timeout=60) for _ in range(2 * PROMOTIONS)]
    for process in processes:
        process.join(timeout=60)
    assert [process.exitcode for process in processes] == [0, 0]
    entry = shared.read().get(SERVICE, SCENARIO)
    assert entry is not None
    assert (entry.version, sorted(versions)) == (24, list(range(1, 25)))
    assert {version.approval.run_id for version in (entry, *entry.previous)} <= {
        f"{name}{n}" for name in "ab" for n in range(12)
    }


@pytest.mark.parametrize("kind", ["file", "s3"])
def test_baselines_are_read_again_only_after_a_change(kind: str, objects: Objects, tmp_path: Path) -> None:
    """By any process."""
    shared = shared_baselines(kind, objects, tmp_path)
    cached = CachedBaselines(shared)
    assert cached.read().entries == {}
    shared.update(partial(_promote, run_id="r1"))
    first = cached.read()
    assert cached.read() is first
    shared.update(partial(_promote, run_id="r2"))
    entry = cached.read().get(SERVICE, SCENARIO)
    assert entry is not None
    assert entry.version == 2


@pytest.mark.parametrize("kind", ["file", "s3"])
def test_invalid_baselines_are_not_changed(kind: str, objects: Objects, tmp_path: Path) -> None:
    """Neither by reading nor by promoting; the message says where they are."""
    shared = shared_baselines(kind, objects, tmp_path)
    content: SharedContent = shared.content
    content.update(lambda _: Changed(content=b"{", result=None))
    for access in (shared.read, partial(shared.update, partial(_promote, run_id="r1"))):
        with pytest.raises(BaselineError, match=f"^{content.where}.*restore it from version control"):
            access()
    assert content.read() == b"{"


# Alerts


def test_only_one_process_delivers_at_a_time(objects: Objects) -> None:
    """The next one waits, and fails when that takes too long."""
    clock = FixedClock()
    first, second = (
        alerts_in(SharedObject(objects, "alerts"), Leases(SharedObject(objects, "leases")), wait=clock.wait)
        for _ in range(2)
    )
    with first.delivering():
        with (
            pytest.raises(DeliveryError, match="another task has been delivering for more than 210 s"),
            second.delivering(),
        ):
            pytest.fail("two deliver at once")
        first.update(lambda book: None)
    with second.delivering():
        assert sum(clock.waits_s) == 210.0


def test_a_lease_for_deliveries_that_was_taken_over_is_lost(objects: Objects) -> None:
    """It is asked of the store each time, because a machine that was suspended knows nothing of the time."""
    content = SharedObject(objects, "leases")
    alerts = alerts_in(SharedObject(objects, "alerts"), Leases(content))
    with alerts.delivering() as lost:
        assert lost() is None
        other = b'{"leases": {"delivering": {"holder": "another"}}}'
        content.update(lambda _: Changed(content=other, result=None))
        assert lost() == "the lease of delivering was taken over because it had not been renewed for 90 s"
    assert b'"another"' in (content.read() or b"")
