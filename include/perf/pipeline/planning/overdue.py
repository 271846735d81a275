"""Which scenarios should have run by now and have not."""

from datetime import datetime, timedelta

from include.perf.catalogue.catalogue import Catalogue
from include.perf.catalogue.scenario.scenario import Scenario
from include.perf.model.errors import StoreError
from include.perf.pipeline.planning.time_plan import time_plan
from include.perf.runs.dag_run import Overdue
from include.perf.runs.results_store import ResultsStore
from include.perf.runs.stage_files import StageFiles

PATIENCE = timedelta(hours=2)
"""Beside what its runs and re-runs take; so a nightly scenario is missed 26 h or so after it last began."""

LOOK_BACK = timedelta(days=15)
"""So far back a start that was due is looked for."""


def overdue(
    scenario: Scenario, catalogue: Catalogue, store: ResultsStore, *, since: datetime, now: datetime
) -> Overdue | None:
    """Return what should have run and has left no record, or ``None``.

    Args:
        since: starts before are nobody's business: the pipeline was not there yet.
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
    """Return the last start of a schedule up to a moment."""
    last, start = None, by - LOOK_BACK
    while scenario.schedule and (start := scenario.schedule.next_start(start, catalogue.market_hours)) <= by:
        last = start
    return last


def _last_run(scenario: Scenario, catalogue: Catalogue, store: ResultsStore) -> datetime | None:
    """Return when the last run of a scenario that has a record was begun."""
    moments = []
    for service in catalogue.services_of(scenario):
        for uri in store.latest(service=service.name, scenario=scenario.name):
            try:
                moments.append(StageFiles(store, uri).read_record().started_at)
            except StoreError:
                continue
            break
    return max(moments, default=None)
