"""Leases: who holds what, on machines that share nothing but an object store.

All leases of a kind are in one object, which is changed by compare-and-swap, so that whoever takes one has seen all
others. Each has a count that its holder raises every few seconds. No two clocks are compared: who wants a lease that
another one holds watches the count, and takes it for over when it has stood still for `LEASE_S` on the watcher's own
steady clock. A holder that could not raise it for `GIVE_UP_S` on its own takes it for lost, and has the time in between
to stop what it does.
"""

import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from include.perf.adapters.files.locked_file import Changed
from include.perf.adapters.s3.shared_object import SharedObject
from include.perf.model.errors import StoreError
from include.perf.model.json_files import from_json, to_json

log = logging.getLogger(__name__)

RENEW_S = 5.0
GIVE_UP_S = 60.0
LEASE_S = 90.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """What somebody holds.

    Attributes:
        holder: tells this holding from every other one.
        count: of renewals.
        about: what others have to know of it.
    """

    holder: str
    count: int = 0
    about: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Register:
    """All leases, by name."""

    leases: Mapping[str, Lease] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class RenewedLease:
    """A lease that one holds, renewed in a thread of its own.

    Attributes:
        renewed_at: when the last renewal that worked was begun.
    """

    name: str
    holder: str
    renewed_at: float
    clock: Callable[[], float]
    is_taken: bool = False

    def lost(self) -> str | None:
        """Return why it is not one's own any more, or may not be, ``None`` as long as it is."""
        if self.is_taken:
            return f"the lease of {self.name} was taken over, because it had not been renewed for {LEASE_S:g} s"
        if self.clock() - self.renewed_at > GIVE_UP_S:
            return f"the lease of {self.name} could not be renewed for {GIVE_UP_S:g} s"
        return None


class Leases:
    """The leases in an object.

    An instance remembers what it saw, so that it has to be kept while one waits.

    Args:
        clock: seconds that never go back.
    """

    def __init__(self, content: SharedObject, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._content = content
        self._clock = clock
        self._seen: dict[str, tuple[str, int, float]] = {}
        self._lock = threading.Lock()

    def running(self) -> Mapping[str, Lease] | None:
        """Return the leases that are not known to be over, by name; ``None`` where there never was one."""
        asked_at, content = self._clock(), self._content.read()
        return None if content is None else self._alive(self._parsed(content), asked_at=asked_at)

    @contextmanager
    def held(self, name: str, about: str, *, admit: Callable[[Mapping[str, Lease]], None]) -> Iterator[RenewedLease]:
        """Hold a lease for as long as the block lasts.

        Args:
            admit: is given the leases that there are, and raises where this one may not be beside them.

        Raises:
            StoreError: it cannot be told what others hold.
        """
        lease = Lease(holder=uuid.uuid4().hex, about=about)
        begun_at = self._clock()

        def take(content: bytes | None) -> Changed[None]:
            others = self._alive(self._parsed(content), asked_at=begun_at)
            admit(others)
            return Changed(content=_register({**others, name: lease}), result=None)

        self._content.update(take)
        held = RenewedLease(name=name, holder=lease.holder, renewed_at=begun_at, clock=self._clock)
        over = threading.Event()
        renewing = threading.Thread(target=self._renew_on, args=(held, over), name=f"lease {name}", daemon=True)
        renewing.start()
        try:
            yield held
        finally:
            over.set()
            renewing.join()
            self._give_back(held)

    def _renew_on(self, held: RenewedLease, over: threading.Event) -> None:
        while not held.is_taken and not over.wait(RENEW_S):
            self.renew(held)

    def renew(self, held: RenewedLease) -> None:
        """Raise the count of a lease; what fails is tried again at the next time."""
        begun_at = self._clock()

        def raised(content: bytes | None) -> Changed[bool]:
            leases = self._parsed(content)
            own = leases.get(held.name)
            if own is None or own.holder != held.holder:
                return Changed(content=content or b"", result=False)
            raised_by_one = {**leases, held.name: replace(own, count=own.count + 1)}
            return Changed(content=_register(raised_by_one), result=True)

        try:
            held.is_taken = not self._content.update(raised)
        except Exception as err:  # noqa: BLE001 - whatever it is, it must go on renewing: its end loses the lease
            log.warning("the lease of %s is not renewed: %s", held.name, err)
        else:
            held.renewed_at = begun_at

    def _give_back(self, held: RenewedLease) -> None:
        """Remove a lease; where that fails it is over by itself after `LEASE_S`."""

        def removed(content: bytes | None) -> Changed[None]:
            leases = self._parsed(content)
            others = {name: each for name, each in leases.items() if each.holder != held.holder}
            return Changed(content=_register(others), result=None)

        try:
            self._content.update(removed)
        except StoreError as err:
            log.warning("the lease of %s is not given back, and is over in %g s: %s", held.name, LEASE_S, err)

    def _alive(self, leases: Mapping[str, Lease], *, asked_at: float) -> dict[str, Lease]:
        """Return the leases without those whose count stood still for too long.

        Args:
            asked_at: before they were read; a count is first seen when it was read, and not earlier.
        """
        with self._lock:
            now = self._clock()
            self._seen = {
                name: seen if (seen := self._seen.get(name)) and seen[:2] == state else (*state, now)
                for name, lease in leases.items()
                for state in [(lease.holder, lease.count)]
            }
            return {name: lease for name, lease in leases.items() if asked_at - self._seen[name][2] < LEASE_S}

    def _parsed(self, content: bytes | None) -> Mapping[str, Lease]:
        return {} if not content else from_json(_Register, content, where=self._content.where).leases


def _register(leases: Mapping[str, Lease]) -> bytes:
    return to_json(_Register(leases=leases))
