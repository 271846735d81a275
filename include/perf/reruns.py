"""Which suspicious runs are done again the same night: as many as the scenario allows, and only those over in time."""

import secrets
from dataclasses import replace
from datetime import datetime, timedelta

from include.perf.phrase import span, utc_time
from include.perf.run import RunSpec
from include.perf.scenario import Scenario

RERUNS = 2
"""A suspicious run is done so many times more: of three, one bad one is outvoted."""

RERUN_OVERHEAD_S = 60
"""What a run takes beside its load: start-up, the last answers, the last scrapes."""


def refusal(spec: RunSpec, scenario: Scenario, *, ahead: int, now: datetime) -> str | None:
    """Return why a suspicious run is not done again, or ``None``.

    Args:
        ahead: re-runs that come before its own.
    """
    if not spec.may_rerun:
        return "re-runs were not wanted"
    if ahead // RERUNS >= scenario.reruns:
        return f"at most {scenario.reruns} services a night are run again"
    if scenario.schedule is None or scenario.schedule.finish_by is None:
        return None
    runs = ahead + RERUNS
    needed = timedelta(seconds=runs * (spec.load.total_s + RERUN_OVERHEAD_S))
    deadline = scenario.schedule.finish_after(spec.created_at)
    if now + needed <= deadline:
        return None
    return f"{runs} re-runs take {span(needed.total_seconds())} and must be over by {utc_time(deadline)}"


def reruns_of(spec: RunSpec, *, now: datetime) -> tuple[RunSpec, ...]:
    """Return what the re-runs of a run are to be: the same load, and never a baseline by themselves."""
    again = replace(spec, created_at=now, rerun_of=spec.run_id, update_baseline=False)
    return tuple(replace(again, run_id=run_id_of(now)) for _ in range(RERUNS))


def run_id_of(moment: datetime) -> str:
    """Return the id of a run that is planned at a moment; ids sort by time."""
    return f"{moment:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
