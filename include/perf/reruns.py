"""Which suspicious runs are done again the same night: as many as the scenario allows, and only those over in time."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from include.perf.phrase import counted, span, utc_time
from include.perf.run import RunSpec, run_id_of
from include.perf.scenario import Scenario

RERUNS = 2
"""A suspicious run is done so many times more: of three, one bad one is outvoted."""

RERUN_OVERHEAD_S = 60
"""What a run takes beside its load: start-up, the last answers, the last scrapes."""


def refusal(spec: RunSpec, scenario: Scenario, *, length: timedelta, ahead: int, now: datetime) -> str | None:
    """Return why a suspicious run is not done again, or ``None``.

    Args:
        length: of one re-run, from its turn to the next one's.
        ahead: services whose re-runs come before its own.
    """
    if not spec.may_rerun:
        return "re-runs were not wanted"
    if ahead >= scenario.reruns:
        return f"at most {counted(scenario.reruns, 'service')} a night may be run again"
    if spec.deadline is None:
        return None
    rounds = (ahead // scenario.parallel + 1) * RERUNS
    needed = rounds * length
    if now + needed <= spec.deadline.at:
        return None
    return (
        f"its re-runs would take {span(needed.total_seconds())} from {utc_time(now)}, and must be over by "
        f"{utc_time(spec.deadline.at)}"
    )


def in_turn(reruns: Sequence[Sequence[str]], *, parallel: int) -> list[str]:
    """Return the re-runs of several services in the order in which they are done.

    Services side by side take turns, since the re-runs of one go to the same target and would wait for one another.
    """
    return [each for batch in _batches(reruns, parallel) for turn in zip(*batch, strict=True) for each in turn]


def reruns_of(spec: RunSpec, *, now: datetime) -> tuple[RunSpec, ...]:
    """Return what the re-runs of a run are to be: the same load, and never a baseline by themselves."""
    again = replace(spec, created_at=now, rerun_of=spec.run_id, update_baseline=False)
    return tuple(replace(again, run_id=run_id_of(now)) for _ in range(RERUNS))


def _batches(reruns: Sequence[Sequence[str]], size: int) -> list[Sequence[Sequence[str]]]:
    return [reruns[first : first + size] for first in range(0, len(reruns), size)]
