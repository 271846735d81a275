"""Scenarios that should have run by now but have not."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from include.perf.catalogue.catalogue import Catalogue
from include.perf.catalogue.scenario.scenario import Scenario
from include.perf.model.cell import CellName, RunAddress
from include.perf.model.errors import ItemError, NoRecord
from include.perf.pipeline.planning.time_plan import time_plan
from include.perf.runs.dag_run import Overdue
from include.perf.runs.results_store import ResultsStore, log_left_out
from include.perf.runs.spec import planned_at_of
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

    Raises:
        ItemError: no run since then was found, but the runs of a service cannot be listed.
        StoreError: the store cannot be read.
    """
    if scenario.schedule is None:
        return None
    plan = time_plan(scenario, catalogue)
    due_at = _last_start(scenario, catalogue, by=now - plan.needed - plan.reruns_needed - PATIENCE)
    if due_at is None or due_at < since:
        return None
    last_run_at = _last_run(scenario, catalogue, store, since=due_at)
    if last_run_at is not None and last_run_at >= due_at:
        return None
    return Overdue(due_at=due_at, last_run_at=last_run_at)


def _last_start(scenario: Scenario, catalogue: Catalogue, *, by: datetime) -> datetime | None:
    """Return the last scheduled start up to a moment."""
    last, start = None, by - LOOK_BACK
    while scenario.schedule and (start := scenario.schedule.next_start(start, catalogue.market_hours)) <= by:
        last = start
    return last


def _last_run(scenario: Scenario, catalogue: Catalogue, store: ResultsStore, *, since: datetime) -> datetime | None:
    """Return when the last run with a record of a scenario was planned or started.

    Raises:
        ItemError: there is none since a moment, but the runs of a service cannot be listed.
    """
    moments: list[datetime] = []
    unlisted: list[ItemError] = []
    for service in catalogue.services_of(scenario):
        try:
            moments += _last_of_cell(CellName(service.name, scenario.name), store)
        except ItemError as err:
            unlisted.append(err)
    last = max(moments, default=None)
    if unlisted and (last is None or last < since):
        raise unlisted[0]
    return last


def _last_of_cell(cell: CellName, store: ResultsStore) -> Iterator[datetime]:
    """Yield the moment of the last run of a cell that has a record. One that cannot be read has that of its id."""
    for uri in store.latest(service=cell.service, scenario=cell.scenario):
        try:
            yield StageFiles(store, uri).read_record().started_at
        except NoRecord:
            continue
        except ItemError as err:
            planned_at = planned_at_of(RunAddress.from_uri(uri).run_id)
            log_left_out(uri, str(err))
            if planned_at is None:
                continue
            yield planned_at
        return
