"""Promote runs, roll back and review baselines, with the nights in the results store."""

import logging
from datetime import datetime

from include.perf.baselines.baselines import Baselines, BaselineStore
from include.perf.baselines.entry import Approval, Baseline
from include.perf.baselines.history import read_nights, runs_to_promote_with
from include.perf.baselines.review import Finding, review
from include.perf.model.cell import CellName
from include.perf.model.errors import BaselineError
from include.perf.runs.record import RunRecord
from include.perf.runs.results_store import ResultsStore

log = logging.getLogger(__name__)


def requested_approval(record: RunRecord, *, at: datetime) -> Approval:
    """Return the approval that a run's own request gave: its ``update_baseline`` came with a reason."""
    provenance = record.provenance
    return Approval(by=provenance.triggered_by, at=at, reason=provenance.reason or "", run_id=record.run_id)


def promote(
    record: RunRecord,
    *,
    approval: Approval,
    force: bool,
    store: ResultsStore,
    baselines: BaselineStore,
    over: int | None = None,
) -> Baseline:
    """Add a finished run, and earlier runs that agree with it, to its baseline, or start a new baseline from it.

    Args:
        over: the version that the approval was given for, 0 for "no baseline yet"; ``None`` to skip this check.

    Raises:
        BaselineError: the run must not become a baseline, or the baseline changed since the approval.
    """
    cell = CellName(record.service, record.scenario)
    nights = read_nights(store, service=record.service, scenario=record.scenario, before=record.started_at)

    def change(entries: Baselines) -> Baseline:
        current = entries.get(record.service, record.scenario)
        _check_version(current, over, where=f"{record.service} under {record.scenario}")
        since = runs_to_promote_with(nights, current, record) if current else ()
        used = _highest_version(store, cell) if entries.problem_of(cell.service, cell.scenario) else 0
        return entries.promote(record, approval=approval, force=force, since=since, used=used)

    baseline = baselines.update(change)
    log.info("%s %s baseline is version %d now", record.service, record.scenario, baseline.version)
    return baseline


def _highest_version(store: ResultsStore, cell: CellName) -> int:
    """Return the highest version that a night of the cell was compared with; 0 if there is none."""
    nights = read_nights(store, service=cell.service, scenario=cell.scenario)
    return max((night.version for night in nights if night.version is not None), default=0)


def roll_back(
    cell: CellName, *, version: int, approval: Approval, baselines: BaselineStore, over: int | None = None
) -> Baseline:
    """Make an earlier version of a cell's baseline the current one again.

    Args:
        over: as in `promote`.

    Raises:
        BaselineError: there is no such version, or the baseline changed since the approval.
    """

    def change(entries: Baselines) -> Baseline:
        _check_version(entries.get(cell.service, cell.scenario), over, where=f"{cell.service} under {cell.scenario}")
        return entries.roll_back(cell.service, cell.scenario, version=version, approval=approval)

    return baselines.update(change)


def _check_version(current: Baseline | None, over: int | None, *, where: str) -> None:
    """Refuse a change that was approved for another version of the baseline."""
    version = current.version if current else 0
    if over is not None and over != version:
        raise BaselineError(
            f"the baseline of {where} is now version {version}, but the approval was given for version {over}; "
            "ask for a new approval"
        )


def review_all(*, store: ResultsStore, baselines: BaselineStore, now: datetime) -> tuple[Finding, ...]:
    """Review every baseline with the nights measured since."""
    current = baselines.read()
    nights = {
        (service, scenario): read_nights(store, service=service, scenario=scenario)
        for service, scenarios in current.entries.items()
        for scenario in scenarios
    }
    return review(current, nights, now=now)


def referenced_runs(baselines: Baselines) -> frozenset[str]:
    """Return the ids of all runs behind any version of a baseline, and of the runs that were promoted.

    Every text in an odd entry counts, because some of them are the ids of its runs.
    """
    entries = [entry for scenarios in baselines.entries.values() for entry in scenarios.values()]
    versions = [version for entry in entries for version in (entry, *entry.previous)]
    behind = {run.run_id for version in versions for run in version.runs}
    approved = {version.approval.run_id for version in versions}
    odd = {text for entry in baselines.odd.all() for text in entry.texts()}
    return frozenset(behind | approved | odd)
