"""Changing baselines with what was measured since: promotions, and the review that proposes them."""

from datetime import datetime

from include.perf.baseline import Approval, Baseline, Baselines
from include.perf.history import read_nights, taken_along
from include.perf.ports import BaselineStore, ResultsStore
from include.perf.review import Finding, review
from include.perf.run import RunRecord


def promote(
    record: RunRecord, *, approval: Approval, force: bool, store: ResultsStore, baselines: BaselineStore
) -> Baseline:
    """Make a finished run, and the nights that it takes along, part of its baseline or the beginning of a new one.

    Raises:
        BaselineError: the run may not become a baseline.
    """
    nights = read_nights(store, service=record.service, scenario=record.scenario, before=record.started_at)
    with baselines.change() as changed:
        current = changed.get(record.service, record.scenario)
        since = taken_along(nights, current, record) if current else ()
        promoted: Baseline = changed.promote(record, approval=approval, force=force, since=since)
    return promoted


def review_all(*, store: ResultsStore, baselines: BaselineStore, now: datetime) -> tuple[Finding, ...]:
    """Look at every baseline and at what was measured since."""
    every: Baselines = baselines.read()
    nights = {
        (service, scenario): read_nights(store, service=service, scenario=scenario)
        for service, scenarios in every.entries.items()
        for scenario in scenarios
    }
    return review(every, nights, now=now)
