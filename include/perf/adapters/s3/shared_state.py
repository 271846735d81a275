"""What machines without a common file system share in an object store: load reservations, latest loads, alerts.

Reservations and the lock for deliveries are leases; the latest loads and the alert book are shared objects.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter

from include.perf.adapters.files.alert_file import SharedAlerts
from include.perf.adapters.files.locked_file import Changed
from include.perf.adapters.s3.leases import LEASE_S, Lease, Leases, RenewedLease
from include.perf.adapters.s3.shared_object import SharedObject
from include.perf.alerts.alert_store import Lost
from include.perf.load.announcing import SentLoad
from include.perf.load.reservations import Reservation, Reservations, admit, read_reservation
from include.perf.model.errors import ItemError, Occupied
from include.perf.model.json_files import from_json, to_json
from include.perf.runs.results_store import log_left_out
from include.perf.runs.spec import ReservationRequest

DELIVERY_LEASE = "delivering"

DELIVERY_WAIT_S = LEASE_S + 120.0
"""Longer than the lease of a process that was killed during a delivery, and a delivery that waits for a look-up."""

DELIVERY_POLL_S = 2.0


class LoadLeases:
    """Grants reservations as leases. The load of a killed task counts until its lease expires."""

    def __init__(self, leases: Leases) -> None:
        self._leases = leases

    @contextmanager
    def reserve(self, request: ReservationRequest, *, capacity_rps: float) -> Iterator[Reservation]:
        """Reserve what a load needs until the block ends.

        Raises:
            Occupied: another load is on one of the targets, or the remaining capacity is too small.
            StoreError: the existing reservations cannot be read.
        """
        concurrent: tuple[ReservationRequest, ...] = ()

        def check(others: Mapping[str, Lease]) -> None:
            nonlocal concurrent
            concurrent = tuple(_request_of(name, lease) for name, lease in others.items())
            admit(request, concurrent, capacity_rps=capacity_rps)

        with self._leases.held(request.run_id, to_json(request).decode(), admit=check) as held:
            yield Reservation(concurrent=concurrent, lost=held.lost)

    def held(self) -> frozenset[str] | None:
        """Return the runs whose loads run or may run; ``None`` (unknown) where no load ever took a lease."""
        running = self._leases.running()
        return None if running is None else frozenset(running)


def _request_of(name: str, lease: Lease) -> ReservationRequest:
    return read_reservation(lease.about.encode(errors="replace"), run_id=name, where=f"the lease of {name}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Latest:
    """The latest loads by service and scenario, before they are checked one by one."""

    loads: Mapping[str, Any] = field(default_factory=dict)


_SENT: TypeAdapter[SentLoad] = TypeAdapter(SentLoad)


class LatestLoads:
    """Observes loads and stores the latest load of every cell in one object.

    Attributes:
        content: the object.
    """

    def __init__(self, content: SharedObject, *, locks: Reservations) -> None:
        self.content = content
        self._locks = locks

    def load_began(self, load: SentLoad) -> None:
        """Record a load as the latest of its cell.

        Raises:
            StoreError: the object cannot be changed.
        """

        def change(content: bytes | None) -> Changed[None]:
            stored = _SENT.dump_python(load, mode="json")
            loads = {**self._parsed(content), f"{load.service} {load.scenario}": stored}
            return Changed(content=to_json(_Latest(loads=loads)), result=None)

        self.content.update(change)

    def load_ended(self, load: SentLoad) -> None:
        """Record when a load ended.

        Raises:
            StoreError: the object cannot be changed.
        """
        self.load_began(load)

    def latest(self) -> tuple[SentLoad, ...]:
        """Return the latest load of every cell that had one, without entries that cannot be used.

        Raises:
            StoreError: the object is invalid as a whole, or cannot be read.
        """
        stored = self._parsed(self.content.read())
        return tuple(load for name, entry in stored.items() if (load := self._load(name, entry)) is not None)

    def held(self) -> Set[str] | None:
        """Return the runs whose loads run; ``None`` where that is unknown."""
        return self._locks.held()

    def _load(self, name: str, stored: Any) -> SentLoad | None:
        """Return a load; ``None``, with a log entry, if its entry cannot be used."""
        try:
            return from_json(SentLoad, json.dumps(stored).encode(), where=f"{name} in {self.content.where}")
        except ItemError as err:
            log_left_out(self.content.where, str(err))
            return None

    def _parsed(self, content: bytes | None) -> Mapping[str, Any]:
        return {} if content is None else from_json(_Latest, content, where=self.content.where).loads


def alerts_in(content: SharedObject, leases: Leases, *, wait: Callable[[float], None] = time.sleep) -> SharedAlerts:
    """Return the alert book in an object.

    Args:
        leases: have the lock for deliveries.
        wait: sleeps for a number of seconds.
    """
    return SharedAlerts(
        content, lambda: _delivery_lease(leases), wait_s=DELIVERY_WAIT_S, poll_s=DELIVERY_POLL_S, wait=wait
    )


@contextmanager
def _delivery_lease(leases: Leases) -> Iterator[Lost | None]:
    """Try to take the lease for deliveries; yield whether it is lost, or ``None`` if it was not free."""
    with ExitStack() as held:
        try:
            lease = held.enter_context(leases.held(DELIVERY_LEASE, "", admit=_refuse_second))
        except Occupied:
            yield None
        else:
            yield lambda: _why_lost(leases, lease)


def _why_lost(leases: Leases, lease: RenewedLease) -> str | None:
    """Return why a lease is or may be lost. It is renewed first: a suspended machine does not notice that it was."""
    leases.renew(lease)
    return lease.lost()


def _refuse_second(others: Mapping[str, Lease]) -> None:
    if others:
        raise Occupied("another task is delivering")
