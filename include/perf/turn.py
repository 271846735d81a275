"""Waiting for the turn of a load: no two on one target, and no more at once than the generators can send."""

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime

from include.perf.errors import Occupied, RunSkipped
from include.perf.phrase import span
from include.perf.ports import Claim, Reservation, Reservations
from include.perf.run import RunSpec

log = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
MOST_WAIT_S = 4 * 3600.0
"""Who waits longer waits for something that is wrong."""


def claim_of(spec: RunSpec, targets: tuple[str, ...], *, since: datetime) -> Claim:
    """Return what the load of a run takes."""
    return Claim(
        run_id=spec.run_id,
        service=spec.service,
        scenario=spec.scenario,
        targets=targets,
        rate_rps=spec.load.peak_rate_rps,
        since=since,
    )


@contextmanager
def turn_of(
    claim: Callable[[], Claim],
    reservations: Reservations,
    *,
    capacity_rps: float,
    still_wanted: Callable[[], None],
    wait: Callable[[float], None],
) -> Iterator[Reservation]:
    """Lend a reservation, as soon as there is room for it.

    Args:
        claim: what the load takes, as of now.
        still_wanted: asked while it waits; raises when the load must not come any more.

    Raises:
        RunSkipped: there was no room for too long; what ``still_wanted`` raises.
    """
    with ExitStack() as held:
        waited_s = 0.0
        while True:
            try:
                reservation = held.enter_context(reservations.reserve(claim(), capacity_rps=capacity_rps))
                break
            except Occupied as err:
                if waited_s == 0:
                    log.info("%s waits for its turn: %s", claim().run_id, err)
                if waited_s >= MOST_WAIT_S:
                    raise RunSkipped(f"it waited {span(MOST_WAIT_S)} for its turn: {err}") from err
            still_wanted()
            wait(LOOK_EVERY_S)
            waited_s += LOOK_EVERY_S
        yield reservation
