"""The nights of a cell: what its finished runs measured, and which nights later runs may be compared with.

A night with a significant change, for the worse or the better, is never part of the history that later runs are
compared with; otherwise a regression would slowly become normal. Nor is a night with too many failures. A night beyond
another hard limit is, if nothing changed: a service that breaks a promise every night would have no history otherwise.
A re-run is not a night: the medians are in the record of the run that it repeated.

**A day counts once.** Twenty runs of one afternoon know no more of how nights differ than one. So the runs of a market
day are one night, with the median of their figures and the sum of their requests. Scheduled runs decide; runs by hand
count on a day without one, and then the last one decides.
"""

import statistics
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import groupby, islice, takewhile
from zoneinfo import ZoneInfo

from include.perf.baselines.detection import WINDOWS
from include.perf.baselines.entry import Baseline, BaselineRun, contribution
from include.perf.baselines.reference import MAX_REFERENCE
from include.perf.model.errors import ItemError
from include.perf.model.metric import METRICS
from include.perf.runs.record import Cause, RunRecord, Verdict
from include.perf.runs.results_store import ResultsStore, log_left_out
from include.perf.runs.stage_files import StageFiles

MAX_NIGHTS = MAX_REFERENCE + max(WINDOWS)
MAX_READ = 6 * MAX_NIGHTS
"""Records read to find a cell's nights: between them are re-runs, invalid runs, runs of other loads and by hand."""

MARKET_ZONE, MARKET_DAY_ENDS = ZoneInfo("America/New_York"), timedelta(hours=17)
"""The forex market's day ends at 17:00 in New York, so a night over midnight is one day."""

SCHEDULED = "scheduled__"
"""In Airflow's id of a DAG run that its schedule started, and of one that such a run started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    """One night of a cell.

    Attributes:
        is_reference: whether later nights may be compared with it.
        version: of the baseline that it was compared with; ``None`` without a baseline.
        is_suspicious: whether a metric was suspicious, but not significantly worse.
        worse: metrics that were significantly worse.
        service_wide: those of ``worse`` that were significant over all scenarios of the service.
        is_scheduled: whether its schedule started it, and not a person.
        is_accepted: whether it is a run of the baseline.
    """

    run: BaselineRun
    fingerprint: Mapping[str, str]
    verdict: Verdict
    is_reference: bool
    version: int | None = None
    is_suspicious: bool = False
    worse: frozenset[str] = frozenset()
    service_wide: frozenset[str] = frozenset()
    is_scheduled: bool = False
    is_accepted: bool = False


def night_of(record: RunRecord) -> Night | None:
    """Return a record as a night; ``None`` for a re-run, a run without complete figures, and a run of another load.

    A short manual run is such a run of another load: many of them would push real nights out of the history, and a
    single one would end a series of improvements.
    """
    is_other_load = record.verdict is Verdict.NOT_COMPARABLE or (
        record.verdict is Verdict.OVER_LIMIT and record.baseline is not None and not record.shifts
    )
    if record.collapse is not None:
        return None
    if record.rerun_of is not None or is_other_load or not record.verdict.is_measured:
        return None
    return Night(
        run=contribution(record),
        fingerprint=record.fingerprint,
        verdict=record.verdict,
        is_reference=_is_reference(record),
        version=record.baseline.version if record.baseline else None,
        is_suspicious=any(deviation.is_suspicion for deviation in record.deviations),
        worse=frozenset(deviation.metric for deviation in record.regressions),
        service_wide=frozenset(
            deviation.metric for deviation in record.regressions if deviation.cause is Cause.SERVICE
        ),
        is_scheduled=SCHEDULED in (record.provenance.dag_run_id or ""),
    )


def _is_reference(record: RunRecord) -> bool:
    if record.is_failing:
        return False
    if record.verdict is Verdict.OVER_LIMIT:
        return bool(record.shifts) and not any(deviation.is_confirmed for deviation in record.deviations)
    return record.verdict is Verdict.PASS


def read_nights(
    store: ResultsStore,
    *,
    service: str,
    scenario: str,
    before: datetime | None = None,
    limit: int = MAX_NIGHTS,
) -> tuple[Night, ...]:
    """Return the runs of the latest days of a cell, oldest first; `comparable_nights` makes one night of each day.

    Args:
        before: leave out runs that started at this moment or later.
        limit: maximum number of days.
    """
    records = _records(store, service, scenario)
    earlier = (record for record in records if before is None or record.started_at < before)
    nights = (night for record in islice(earlier, MAX_READ) if (night := night_of(record)) is not None)
    return tuple(sorted(_of_days(nights, limit), key=_moment))


def _of_days(nights: Iterable[Night], limit: int) -> Iterator[Night]:
    """Yield the nights of the first so many days."""
    days: set[date] = set()
    for night in nights:
        days.add(market_day(_moment(night)))
        if len(days) > limit:
            return
        yield night


def market_day(moment: datetime) -> date:
    """Return the market day of a moment."""
    return (moment.astimezone(MARKET_ZONE) + timedelta(days=1) - MARKET_DAY_ENDS).date()


def values_of(nights: Iterable[Night], *, fingerprint: Mapping[str, str]) -> dict[str, tuple[float, ...]]:
    """Return by metric the values of the nights with this fingerprint, in their order."""
    alike = [night.run.metrics for night in nights if night.fingerprint == fingerprint]
    return {name: tuple(values[name] for values in alike if name in values) for name in METRICS}


def _records(store: ResultsStore, service: str, scenario: str) -> Iterable[RunRecord]:
    """Return the finished runs of a cell, latest first, without records that cannot be read."""
    for uri in store.latest(service=service, scenario=scenario):
        try:
            record = StageFiles(store, uri).record.read()
        except ItemError as err:
            log_left_out(uri, str(err))
            continue
        if record is not None:
            yield record


def _moment(night: Night) -> datetime:
    assert night.run.at is not None  # noqa: S101 - every record has its start
    return night.run.at


def comparable_nights(nights: Iterable[Night], baseline: Baseline) -> tuple[Night, ...]:
    """Return the nights that belong to a baseline, oldest first: its own runs, and later nights with its fingerprint.

    A day is one night, or two if a run of the baseline and a night with a significant change share it.
    """
    return tuple(day.merged() for day in _comparable_days(nights, baseline))


def _comparable_days(nights: Iterable[Night], baseline: Baseline) -> tuple["_Day", ...]:
    """Return the days of a baseline, oldest first.

    The runs of the baseline count as `PASS`, whatever their own verdict was. A night that was compared with a version
    that this baseline does not continue is left out, even if it is later than the baseline's first run.
    """
    accepted = {run.run_id: run for run in baseline.runs}
    since = baseline.since
    own = [
        Night(run=run, fingerprint=baseline.fingerprint, verdict=Verdict.PASS, is_reference=True, is_accepted=True)
        for run in baseline.runs
    ]
    later = [
        night
        for night in nights
        if night.run.run_id not in accepted
        and night.fingerprint == baseline.fingerprint
        and since is not None
        and _moment(night) > since
        and baseline.continues(night.version)
    ]
    undated = [night for night in own if night.run.at is None]
    dated = sorted([night for night in own if night.run.at is not None] + later, key=_moment)
    return (*(_Day((night,)) for night in undated), *_days(dated))


@dataclass(frozen=True, slots=True)
class _Day:
    """The runs of a day that count, oldest first: all of them reference nights, or none. The last one leads."""

    nights: tuple[Night, ...]

    @property
    def lead(self) -> Night:
        """The night whose verdict is that of the day."""
        return self.nights[-1]

    def merged(self) -> Night:
        """Return the day as one night."""
        if len(self.nights) == 1:
            return self.lead
        runs = [night.run for night in self.nights]
        values = {name: [run.metrics[name] for run in runs if name in run.metrics] for name in METRICS}
        counts = [(run.due, run.failed) for run in runs if run.due is not None and run.failed is not None]
        merged = replace(
            self.lead.run,
            metrics={name: statistics.median(known) for name, known in values.items() if known},
            due=sum(due for due, _ in counts) if counts else None,
            failed=sum(failed for _, failed in counts) if counts else None,
        )
        return replace(self.lead, run=merged)


def _days(nights: Iterable[Night]) -> Iterator[_Day]:
    """Group nights by market day.

    Args:
        nights: oldest first, each with its time.
    """
    for _, group in groupby(nights, key=lambda night: market_day(_moment(night))):
        of_day = list(group)
        accepted = [night for night in of_day if night.is_accepted]
        others = [night for night in of_day if not night.is_accepted]
        candidates = [night for night in others if night.is_scheduled] or others
        is_reference = not candidates or candidates[-1].is_reference
        counting = [night for night in candidates if night.is_reference is is_reference]
        if accepted and not is_reference:
            yield _Day(tuple(accepted))
        if is_reference:
            counting = sorted([*accepted, *counting], key=_moment)
        yield _Day(tuple(counting))


def passed_since(nights: Iterable[Night], baseline: Baseline, *, before: datetime) -> tuple[BaselineRun, ...]:
    """Return the runs that passed since the baseline's first run, up to a moment, one a day: they may strengthen it."""
    leads = (day.lead for day in _comparable_days(nights, baseline))
    return tuple(
        night.run
        for night in leads
        if night.is_reference and not night.is_suspicious and night.run.at is not None and night.run.at < before
    )


def improved_before(
    nights: Iterable[Night], baseline: Baseline, *, fingerprint: Mapping[str, str], before: datetime
) -> tuple[BaselineRun, ...]:
    """Return the unbroken series of improvements up to a moment: together they make a new baseline more precise.

    Runs behind the current baseline, and improvements over a baseline that it does not continue, end the series.
    """
    series = takewhile(
        lambda night: (
            night.verdict is Verdict.IMPROVEMENT
            and night.fingerprint == fingerprint
            and not baseline.has_run(night.run.run_id)
            and baseline.continues(night.version)
        ),
        reversed([night for night in nights if _moment(night) < before]),
    )
    return tuple(reversed([night.run for night in series]))


def runs_to_promote_with(nights: Iterable[Night], baseline: Baseline, record: RunRecord) -> tuple[BaselineRun, ...]:
    """Return the earlier runs that are promoted together with a run.

    For a run that passed these are the runs that passed since the baseline's first run; for an improvement, the
    improvements directly before it.
    """
    if record.verdict is Verdict.IMPROVEMENT:
        return improved_before(nights, baseline, fingerprint=record.fingerprint, before=record.started_at)
    return passed_since(nights, baseline, before=record.started_at)
