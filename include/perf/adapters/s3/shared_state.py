"""Which loads run, as leases in an object, for tasks on machines that share no file system.

The latest load of each cell, in one object: what others are told of loads that run, or ran last.

The book of alerts in an object, and the lease of who delivers what is in it.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from include.perf.adapters.files.alert_file import SharedAlerts
from include.perf.adapters.files.locked_file import Changed
from include.perf.adapters.s3.leases import LEASE_S, Lease, Leases
from include.perf.adapters.s3.shared_object import SharedObject
from include.perf.load.announcing import SentLoad
from include.perf.load.reservations import Reservation, Reservations, admit
from include.perf.model.errors import Occupied
from include.perf.model.json_files import from_json, to_json
from include.perf.runs.spec import ReservationRequest


class LoadLeases:
    """Grants claims one at a time; a load whose task is killed counts until its lease is over."""

    def __init__(self, leases: Leases) -> None:
        self._leases = leases

    @contextmanager
    def reserve(self, claim: ReservationRequest, *, capacity_rps: float) -> Iterator[Reservation]:
        """Take what a load needs for as long as the block lasts.

        Raises:
            Occupied: another load is on one of the targets, or there is not capacity enough left.
            StoreError: it cannot be told what is taken.
        """
        beside: tuple[ReservationRequest, ...] = ()

        def look(others: Mapping[str, Lease]) -> None:
            nonlocal beside
            beside = tuple(map(_claim_of, others.values()))
            admit(claim, beside, capacity_rps=capacity_rps)

        with self._leases.held(claim.run_id, to_json(claim).decode(), admit=look) as held:
            yield Reservation(concurrent=beside, lost=held.lost)

    def held(self) -> frozenset[str] | None:
        """Return the runs whose loads run, or may; ``None`` where nobody can tell, as no load ever took a lease."""
        running = self._leases.running()
        return None if running is None else frozenset(running)


def _claim_of(lease: Lease) -> ReservationRequest:
    return from_json(ReservationRequest, lease.about.encode(), where="a load's lease")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Latest:
    """The loads, by service and scenario."""

    loads: Mapping[str, SentLoad] = field(default_factory=dict)


class LatestLoads:
    """Keeps them; an observer of loads.

    Attributes:
        content: where they are.
    """

    def __init__(self, content: SharedObject, *, locks: Reservations) -> None:
        self.content = content
        self._locks = locks

    def load_began(self, load: SentLoad) -> None:
        """Keep it as the latest of its cell.

        Raises:
            StoreError: it cannot be kept.
        """

        def change(content: bytes | None) -> Changed[None]:
            loads = {**self._parsed(content), f"{load.service} {load.scenario}": load}
            return Changed(content=to_json(_Latest(loads=loads)), result=None)

        self.content.update(change)

    def load_ended(self, load: SentLoad) -> None:
        """Keep when it was over.

        Raises:
            StoreError: it cannot be kept.
        """
        self.load_began(load)

    def latest(self) -> tuple[SentLoad, ...]:
        """Return the latest load of each cell that had one.

        Raises:
            StoreError: they are broken or cannot be read.
        """
        return tuple(self._parsed(self.content.read()).values())

    def held(self) -> Set[str] | None:
        """Return the runs that hold a lease for their load; ``None`` where nobody can tell."""
        return self._locks.held()

    def _parsed(self, content: bytes | None) -> Mapping[str, SentLoad]:
        return {} if content is None else from_json(_Latest, content, where=self.content.where).loads


NAME = "delivering"

WAIT_S = LEASE_S + 30.0
"""Longer than the lease of one that was killed while it delivered."""

POLL_S = 2.0


def alerts_in(content: SharedObject, leases: Leases, *, wait: Callable[[float], None] = time.sleep) -> SharedAlerts:
    """Return the book of alerts in an object.

    Args:
        wait: sleeps for so many seconds.
    """
    return SharedAlerts(content, lambda: _alone(leases), wait_s=WAIT_S, poll_s=POLL_S, wait=wait)


@contextmanager
def _alone(leases: Leases) -> Iterator[bool]:
    with ExitStack() as held:
        try:
            held.enter_context(leases.held(NAME, "", admit=_refuse_any))
        except Occupied:
            yield False
        else:
            yield True


def _refuse_any(others: Mapping[str, Lease]) -> None:
    if others:
        raise Occupied("another task is delivering")
