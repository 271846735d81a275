"""Changing baselines with what was measured since: promotions, and the review that proposes them."""

from datetime import datetime

from include.perf.baselines.baselines import Approval, Baseline, Baselines, BaselineStore
from include.perf.baselines.history import read_nights, taken_along
from include.perf.baselines.review import Finding, review
from include.perf.model.cell import CellName
from include.perf.model.errors import BaselineError
from include.perf.runs.record import RunRecord
from include.perf.runs.results_store import ResultsStore


def promote(
    record: RunRecord,
    *,
    approval: Approval,
    force: bool,
    store: ResultsStore,
    baselines: BaselineStore,
    over: int | None = None,
) -> Baseline:
    """Make a finished run, and the nights that it takes along, part of its baseline or the beginning of a new one.

    Args:
        over: the version that somebody decided to replace, 0 for none; ``None`` where nobody was asked.

    Raises:
        BaselineError: the run may not become a baseline, or the baseline is not what was decided about any more.
    """
    nights = read_nights(store, service=record.service, scenario=record.scenario, before=record.started_at)

    def change(every: Baselines) -> Baseline:
        current = every.get(record.service, record.scenario)
        _check_version(current, over, where=f"{record.service} in {record.scenario}")
        since = taken_along(nights, current, record) if current else ()
        return every.promote(record, approval=approval, force=force, since=since)

    return baselines.update(change)


def roll_back(
    cell: CellName, *, version: int, approval: Approval, baselines: BaselineStore, over: int | None = None
) -> Baseline:
    """Make an earlier version of a cell's baseline the present one again.

    Args:
        over: as `promote`.

    Raises:
        BaselineError: there is no such version, or the baseline is not what was decided about any more.
    """

    def change(every: Baselines) -> Baseline:
        _check_version(every.get(cell.service, cell.scenario), over, where=f"{cell.service} in {cell.scenario}")
        return every.roll_back(cell.service, cell.scenario, version=version, approval=approval)

    return baselines.update(change)


def _check_version(current: Baseline | None, over: int | None, *, where: str) -> None:
    """Refuse a change that was decided when the baseline was another one."""
    version = current.version if current else 0
    if over is not None and over != version:
        raise BaselineError(
            f"the baseline of {where} is version {version} by now, and what was approved was about version {over}; "
            "ask again"
        )


def review_all(*, store: ResultsStore, baselines: BaselineStore, now: datetime) -> tuple[Finding, ...]:
    """Look at every baseline and at what was measured since."""
    every: Baselines = baselines.read()
    nights = {
        (service, scenario): read_nights(store, service=service, scenario=scenario)
        for service, scenarios in every.entries.items()
        for scenario in scenarios
    }
    return review(every, nights, now=now)


def referenced_runs(baselines: Baselines) -> frozenset[str]:
    """Return the ids of the runs behind any version of a baseline, and of those that it was approved by."""
    entries = [entry for scenarios in baselines.entries.values() for entry in scenarios.values()]
    versions = [version for entry in entries for version in (entry, *entry.previous)]
    behind = {run.run_id for version in versions for run in version.runs}
    return frozenset(behind | {version.approval.run_id for version in versions})
