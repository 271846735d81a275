"""What shows that a service did not survive a load: it refused connections, restarted, or reached a stop criterion.

That is a finding about the service, not a doubt about the figures: missing scrapes and an early end follow from it. A
restart without a broken connection proves nothing, because a service that is scaled starts processes too; and a version
that changed means that somebody deployed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd

from include.perf.catalogue.scenario.stop_criterion import STOPPED_BY_TARGET
from include.perf.runs.figures import LoadFigures, ServerFigures, UnreachableService

UNREACHABLE = ("connection refused", "host unreachable")
"""The errors of a request that nobody answers."""

BROKEN = (*UNREACHABLE, "connection reset", "broken answer", "network error")
"""The errors of requests to a process that ends."""

LOST = (*BROKEN, "HTTP 502", "HTTP 503", "HTTP 504")
"""What requests get while a service is down: directly, or from a proxy before it."""

NEXT, MIN_LOST = 10, 5
"""A service is down from a lost request on if so many of the next requests are lost, too."""

MAX_REFUSED_SHARE = 0.01
"""Share of the requests whose connection may be refused without another sign that the service was down."""


@dataclass(frozen=True, slots=True, order=True)
class _Happening:
    """One sign of a collapse; ``what`` goes on after "the service …"."""

    at: datetime
    what: str


def unreachable_in(rows: pd.DataFrame, *, started_at: float) -> UnreachableService | None:
    """Return the requests that got no answer of the service; ``None`` without any.

    Args:
        rows: with the columns ``due_at`` and ``error``, warm-up included.
    """
    ordered = rows.sort_values("due_at")
    is_lost = ordered["error"].isin(LOST).to_numpy()
    if not is_lost.any():
        return None
    lost = ordered[is_lost]
    following = np.convolve(is_lost, np.ones(NEXT, dtype=int))[NEXT - 1 :]
    is_down = is_lost & (following >= MIN_LOST)
    first = int(np.argmax(is_down if is_down.any() else is_lost))
    return UnreachableService(
        count=len(lost),
        kind=str(lost["error"].mode().iloc[0]),
        refused_share=float(ordered["error"].isin(UNREACHABLE).mean()),
        since_s=max(0.0, float(ordered["due_at"].iloc[first]) - started_at),
    )


def collapse_of(load: LoadFigures, server: ServerFigures | None, *, was_deployed: bool) -> tuple[str, ...]:
    """Return what happened, first things first; empty if the service survived.

    Args:
        was_deployed: whether its version changed during the run.
    """
    if was_deployed:
        return ()
    return tuple(happening.what for happening in sorted(_happenings(load, server)))


def _happenings(load: LoadFigures, server: ServerFigures | None) -> Iterator[_Happening]:
    is_stopped = load.generator.ended.endswith(STOPPED_BY_TARGET)
    has_gap = server is not None and server.is_incomplete
    restarted_at = None if server is None else server.restarted_at
    unreachable = load.unreachable
    if unreachable is not None and (
        unreachable.refused_share > MAX_REFUSED_SHARE or is_stopped or has_gap or restarted_at is not None
    ):
        since = load.started_at + timedelta(seconds=unreachable.since_s)
        yield _Happening(
            since,
            f"could not be reached from {_clock(since)} on ({unreachable.count} requests, mostly {unreachable.kind})",
        )
    if restarted_at is not None and any(group.kind in BROKEN for group in load.errors):
        yield _Happening(restarted_at, f"started a new process at {_clock(restarted_at)}: it had crashed or restarted")
    if is_stopped:
        reason = load.generator.ended.removeprefix("stopped: ")
        yield _Happening(load.window.end, f"made the load stop: {reason}")


def _clock(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%H:%M:%S} UTC"
