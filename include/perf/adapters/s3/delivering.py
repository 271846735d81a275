"""The book of alerts in an object, and the lease of who delivers what is in it."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager

from include.perf.adapters.alert_file import SharedAlerts
from include.perf.adapters.s3.leases import LEASE_S, Lease, Leases
from include.perf.adapters.s3.shared_object import SharedObject
from include.perf.errors import Occupied

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
