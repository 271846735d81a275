"""The nights of a cell: what its finished runs measured, and which of them later ones may be held to.

A night that was flagged, for the worse or the better, is never part of a reference: a regression would become the
level, and so would a lucky night. Re-runs are no nights of their own; their median is in the record of the run that
they were done for.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice, takewhile

from include.perf.baselines.baselines import Baseline, BaselineRun, contribution
from include.perf.baselines.detection import WINDOWS
from include.perf.baselines.level import MAX_REFERENCE
from include.perf.model.errors import StoreError
from include.perf.model.json_files import from_json
from include.perf.model.metric import METRICS
from include.perf.runs.record import Cause, RunRecord, Verdict
from include.perf.runs.results_store import RECORD_FILE, ResultsStore

log = logging.getLogger(__name__)

MAX_NIGHTS = MAX_REFERENCE + max(WINDOWS)
MAX_READ = 3 * MAX_NIGHTS
"""Records looked at for a cell's nights: re-runs, invalid runs and other loads lie between them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    """One night of a cell.

    Attributes:
        is_reference: whether later nights may be held to it.
        version: of the baseline that it was judged by; ``None`` where there was none.
        is_suspicious: whether a metric looked worse, if not surely so.
        worse: the metrics that were surely worse.
        service_wide: those of them that were so over all scenarios of the service.
    """

    run: BaselineRun
    fingerprint: Mapping[str, str]
    verdict: Verdict
    is_reference: bool
    version: int | None = None
    is_suspicious: bool = False
    worse: frozenset[str] = frozenset()
    service_wide: frozenset[str] = frozenset()


def night_of(record: RunRecord) -> Night | None:
    """Return what a record is as a night; ``None`` for a re-run, one without figures to trust, and one of another load.

    A short run by hand is no night: many of them would push the nights out, and one would end a row of improvements.
    """
    is_other_load = record.verdict is Verdict.NOT_COMPARABLE
    if record.rerun_of is not None or is_other_load or not record.verdict.is_measured:
        return None
    return Night(
        run=contribution(record),
        fingerprint=record.fingerprint,
        verdict=record.verdict,
        is_reference=record.verdict is Verdict.PASS,
        version=record.baseline.version if record.baseline else None,
        is_suspicious=any(each.is_suspicion for each in record.deviations),
        worse=frozenset(each.metric for each in record.regressions),
        service_wide=frozenset(each.metric for each in record.regressions if each.cause is Cause.SERVICE),
    )


def read_nights(
    store: ResultsStore,
    *,
    service: str,
    scenario: str,
    before: datetime | None = None,
    most: int = MAX_NIGHTS,
) -> tuple[Night, ...]:
    """Return the latest nights of a cell, oldest first.

    Args:
        before: leave out what started then or later.
        most: so many at most.
    """
    records = _records(store, service, scenario)
    earlier = (record for record in records if before is None or record.started_at < before)
    nights = (night for record in islice(earlier, MAX_READ) if (night := night_of(record)) is not None)
    return tuple(sorted(islice(nights, most), key=_moment))


def values_of(nights: Iterable[Night], *, fingerprint: Mapping[str, str]) -> dict[str, tuple[float, ...]]:
    """Return by metric what the nights of one load and data measured, in their order."""
    alike = [night.run.metrics for night in nights if night.fingerprint == fingerprint]
    return {name: tuple(values[name] for values in alike if name in values) for name in METRICS}


def _records(store: ResultsStore, service: str, scenario: str) -> Iterable[RunRecord]:
    """Return the finished runs of a cell, latest first; a record that cannot be read is no night."""
    for uri in store.latest(service=service, scenario=scenario):
        content = store.read(uri, RECORD_FILE)
        if content is None:
            continue
        try:
            yield from_json(RunRecord, content, where=f"{uri}/{RECORD_FILE}")
        except StoreError as err:
            log.warning("left out of the history: %s", err)


def _moment(night: Night) -> datetime:
    assert night.run.at is not None  # noqa: S101 - every record says when it started
    return night.run.at


def of_level(nights: Iterable[Night], baseline: Baseline) -> tuple[Night, ...]:
    """Return the nights of a baseline's level, oldest first: its own runs, and what was measured since like them.

    A run of the baseline counts as accepted, whatever its own verdict was. A night that was judged by a version of
    another level says nothing of this one, also when it is later than the first run of this one.
    """
    accepted = {run.run_id: run for run in baseline.runs}
    since = baseline.since
    own = [
        Night(run=run, fingerprint=baseline.fingerprint, verdict=Verdict.PASS, is_reference=True)
        for run in baseline.runs
    ]
    later = [
        night
        for night in nights
        if night.run.run_id not in accepted
        and night.fingerprint == baseline.fingerprint
        and since is not None
        and _moment(night) > since
        and baseline.shares_level(night.version)
    ]
    undated = [night for night in own if night.run.at is None]
    dated = sorted([night for night in own if night.run.at is not None] + later, key=_moment)
    return (*undated, *dated)


def passed_since(nights: Iterable[Night], baseline: Baseline, *, before: datetime) -> tuple[BaselineRun, ...]:
    """Return the runs that passed since the baseline's level began, up to a moment: they may strengthen it."""
    return tuple(
        night.run
        for night in of_level(nights, baseline)
        if night.is_reference and not night.is_suspicious and night.run.at is not None and night.run.at < before
    )


def improved_before(
    nights: Iterable[Night], baseline: Baseline, *, fingerprint: Mapping[str, str], before: datetime
) -> tuple[BaselineRun, ...]:
    """Return the unbroken row of improvements up to a moment, so that a new level is worth as much as it was seen.

    Those that the present level is made of, or that were better than another one, are no part of that row.
    """
    row = takewhile(
        lambda night: (
            night.verdict is Verdict.IMPROVEMENT
            and night.fingerprint == fingerprint
            and not baseline.has_run(night.run.run_id)
            and baseline.shares_level(night.version)
        ),
        reversed([night for night in nights if _moment(night) < before]),
    )
    return tuple(reversed([night.run for night in row]))


def taken_along(nights: Iterable[Night], baseline: Baseline, record: RunRecord) -> tuple[BaselineRun, ...]:
    """Return the runs that a promotion takes along.

    One that passed takes those that passed since the level began, an improvement the row of improvements before it.
    """
    if record.verdict is Verdict.IMPROVEMENT:
        return improved_before(nights, baseline, fingerprint=record.fingerprint, before=record.started_at)
    return passed_since(nights, baseline, before=record.started_at)
