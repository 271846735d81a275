"""Whether there is room for a load beside those that run, wherever they are kept account of."""

from collections.abc import Sequence

from include.perf.errors import Occupied
from include.perf.phrase import utc_time
from include.perf.ports import Claim


def admit(claim: Claim, others: Sequence[Claim], *, capacity_rps: float) -> None:
    """Make sure that a load may run beside others.

    Raises:
        Occupied: another one is on one of its targets, or there is not capacity enough left.
    """
    _refuse_overlap(claim, others)
    _refuse_excess(claim, others, capacity_rps)


def _refuse_overlap(claim: Claim, others: Sequence[Claim]) -> None:
    for other in others:
        shared = sorted(set(claim.targets) & set(other.targets))
        if shared:
            raise Occupied(f"{', '.join(shared)} is under load by {_told(other)}")


def _refuse_excess(claim: Claim, others: Sequence[Claim], capacity_rps: float) -> None:
    used = sum(other.rate_rps for other in others)
    if others and used + claim.rate_rps > capacity_rps:
        raise Occupied(
            f"of the generators' {capacity_rps:g}/s (capacity_rps) {used:g}/s are taken by "
            f"{'; '.join(map(_told, others))}, and this load needs {claim.rate_rps:g}/s"
        )


def _told(other: Claim) -> str:
    return f"run {other.run_id} ({other.scenario} on {other.service}, since {utc_time(other.since)})"
