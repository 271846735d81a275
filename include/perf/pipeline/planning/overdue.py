"""Scenarios that should have run by now but have not."""

from datetime import datetime, timedelta

from include.perf.catalogue.catalogue import Catalogue
from include.perf.catalogue.scenario.scenario import Scenario
from include.perf.model.cell import CellName
from include.perf.model.errors import StoreError
from include.perf.pipeline.planning.time_plan import time_plan
from include.perf.runs.dag_run import Overdue
from include.perf.runs.results_store import ResultsStore, latest_or_none
from include.perf.runs.stage_files import StageFiles

PATIENCE = timedelta(hours=2)
"""Added to the time of the runs and re-runs; a nightly scenario is overdue about 26 h after its last start."""

LOOK_BACK = timedelta(days=15)
"""How far back the last scheduled start is searched for."""


def overdue(
    scenario: Scenario, catalogue: Catalogue, store: ResultsStore, *, since: datetime, now: datetime
) -> Overdue | None:
    """Return the missed start of a scenario that has left no record since, or ``None``.

    Args:
        since: starts before this time are ignored, because the pipeline was not deployed yet.
    """
    if scenario.schedule is None:
        return None
    plan = time_plan(scenario, catalogue)
    due_at = _last_start(scenario, catalogue, by=now - plan.needed - plan.reruns_needed - PATIENCE)
    if due_at is None or due_at < since:
        return None
    last_run_at = _last_run(scenario, catalogue, store)
    if last_run_at is not None and last_run_at >= due_at:
        return None
    return Overdue(due_at=due_at, last_run_at=last_run_at)


def _last_start(scenario: Scenario, catalogue: Catalogue, *, by: datetime) -> datetime | None:
    """Return the last scheduled start up to a moment."""
    last, start = None, by - LOOK_BACK
    while scenario.schedule and (start := scenario.schedule.next_start(start, catalogue.market_hours)) <= by:
        last = start
    return last


def _last_run(scenario: Scenario, catalogue: Catalogue, store: ResultsStore) -> datetime | None:
    """Return when the last run with a record of a scenario started."""
    moments = []
    for service in catalogue.services_of(scenario):
        for uri in latest_or_none(store, CellName(service.name, scenario.name)):
            try:
                moments.append(StageFiles(store, uri).read_record().started_at)
            except StoreError:
                continue
            break
    return max(moments, default=None)
