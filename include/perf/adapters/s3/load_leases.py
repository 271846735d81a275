"""Which loads run, as leases in an object, for tasks on machines that share no file system."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from include.perf.adapters.load_admission import admit
from include.perf.adapters.s3.leases import Lease, Leases
from include.perf.ports import Claim, Reservation
from include.perf.run import from_json, to_json


class LoadLeases:
    """Grants claims one at a time; a load whose task is killed counts until its lease is over."""

    def __init__(self, leases: Leases) -> None:
        self._leases = leases

    @contextmanager
    def reserve(self, claim: Claim, *, capacity_rps: float) -> Iterator[Reservation]:
        """Take what a load needs for as long as the block lasts.

        Raises:
            Occupied: another load is on one of the targets, or there is not capacity enough left.
            StoreError: it cannot be told what is taken.
        """
        beside: tuple[Claim, ...] = ()

        def look(others: Mapping[str, Lease]) -> None:
            nonlocal beside
            beside = tuple(map(_claim_of, others.values()))
            admit(claim, beside, capacity_rps=capacity_rps)

        with self._leases.held(claim.run_id, to_json(claim).decode(), admit=look) as held:
            yield Reservation(beside=beside, lost=held.lost)

    def held(self) -> frozenset[str] | None:
        """Return the runs whose loads run, or may; ``None`` where nobody can tell, as no load ever took a lease."""
        running = self._leases.running()
        return None if running is None else frozenset(running)


def _claim_of(lease: Lease) -> Claim:
    return from_json(Claim, lease.about.encode(), where="a load's lease")
