"""What shows that a service did not survive a load: it refused connections, restarted, or reached a stop criterion.

That is a finding about the service, not a doubt about the figures: missing scrapes and an early end follow from it. A
restart without a broken connection proves nothing, because a service that is scaled starts processes too; and a version
that changed means that somebody deployed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pandas as pd

from include.perf.catalogue.scenario.stop_criterion import STOPPED_BY_TARGET
from include.perf.runs.figures import LoadFigures, ServerFigures, UnreachableService

UNREACHABLE = ("connection refused", "host unreachable")
"""The errors of a request that nobody answers."""

BROKEN = (*UNREACHABLE, "connection reset", "broken answer", "network error")
"""The errors of requests to a process that ends."""

MAX_UNREACHABLE_SHARE = 0.01
"""Share of the requests that nobody may answer without another sign that the service was down."""


@dataclass(frozen=True, slots=True, order=True)
class _Happening:
    """One sign of a collapse; ``what`` goes on after "the service …"."""

    at: datetime
    what: str


def unreachable_in(rows: pd.DataFrame, *, started_at: float) -> UnreachableService | None:
    """Return the requests that nobody answered; ``None`` without any.

    Args:
        rows: with the columns ``due_at`` and ``error``, warm-up included.
    """
    found = rows[rows["error"].isin(UNREACHABLE)]
    if found.empty:
        return None
    since_s = max(0.0, float(found["due_at"].min()) - started_at)
    return UnreachableService(count=len(found), share=len(found) / len(rows), since_s=since_s)


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
        unreachable.share > MAX_UNREACHABLE_SHARE or is_stopped or has_gap or restarted_at is not None
    ):
        since = load.started_at + timedelta(seconds=unreachable.since_s)
        yield _Happening(since, f"could not be reached from {_clock(since)} on ({unreachable.count} requests)")
    if restarted_at is not None and any(group.kind in BROKEN for group in load.errors):
        yield _Happening(restarted_at, f"started a new process at {_clock(restarted_at)}: it had crashed or restarted")
    if is_stopped:
        reason = load.generator.ended.removeprefix("stopped: ")
        yield _Happening(load.window.end, f"made the load stop: {reason}")


def _clock(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%H:%M:%S} UTC"
