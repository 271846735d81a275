"""The quarterly review: which baselines somebody should look at, why, and what could be made of them.

A finding proposes; nothing changes by itself. The mean of the last nights is held to the entry's anchor, which does
not follow a drift: its standard error is s·√(1/n + 1/m) for n nights and m runs behind the anchor, with the spread s
between runs. Where nights are part of the anchor this is on the cautious side. The error rate is a count, and is
left to the nightly verdict.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from enum import StrEnum
from statistics import fmean

from include.perf.baselines.baselines import (
    APPROVED_RUNS,
    Baseline,
    BaselineRun,
    Baselines,
    State,
    centre_of,
    merged_runs,
    state_of,
)
from include.perf.baselines.history import Night, improved_before, of_level, passed_since
from include.perf.baselines.spread import (
    JUDGED_ON_LOG,
    from_log_scale,
    log_of,
    on_log_scale,
    spread_between,
    worse_sign,
)
from include.perf.model.metric import METRICS, Metric
from include.perf.model.numbers import format_change, format_value
from include.perf.model.text import counted
from include.perf.runs.record import Verdict

RECENT_NIGHTS = 7
MIN_NIGHTS = 3
DRIFT_MIN_EFFECTS, DRIFT_Z = 0.5, 2.0
IMPROVED_Z = 3.0

CellKey = tuple[str, str]


class FindingKind(StrEnum):
    """What a finding is about, the most pressing first."""

    EXPIRED = "expired"
    REVIEW_DUE = "review due"
    DRIFTING = "drifting"
    IMPROVED = "improved"
    READY = "ready"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that a review brings up.

    Attributes:
        version: of the baseline.
        run_id: the run whose promotion is proposed; ``None`` where nothing is.
        proposes: what would become of the baseline.
        is_new_level: the run would begin a level of its own and not strengthen the present one.
    """

    service: str
    scenario: str
    kind: FindingKind
    text: str
    version: int = 0
    run_id: str | None = None
    proposes: str | None = None
    is_new_level: bool = False

    @property
    def command(self) -> str | None:
        """What to type to have it so."""
        if self.run_id is None:
            return None
        force = " --force" if self.is_new_level else ""
        return f"python -m include.perf baselines promote {self.run_id}{force} --reason '…'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """How far the last nights lie from the anchor in one metric.

    Attributes:
        anchor, value: the anchor and the mean of the nights, in the metric's unit.
        shift: between them on the log scale, more is worse.
        z: ``shift`` in standard errors.
        nights: that have a value.
        is_always_better: each of the nights is better than the anchor.
    """

    metric: Metric
    anchor: float
    value: float
    shift: float
    z: float
    nights: int
    is_always_better: bool

    def worsening_in_minimum_effects(self) -> float:
        """Return by how many of the metric's floors it is worse; negative is better."""
        floor = self.metric.minimum_effect(baseline=self.anchor, is_provisional=False)
        return self.metric.worsening(baseline=self.anchor, value=self.value) / floor

    def __str__(self) -> str:
        change = format_change(math.expm1(worse_sign(self.metric) * self.shift))
        was, now = format_value(self.anchor, self.metric.unit), format_value(self.value, self.metric.unit)
        return (
            f"{self.metric.title} is {now} over the last {self.nights} nights and was {was} ({change}, "
            f"{abs(self.z):.1f} standard errors)"
        )


def review(
    baselines: Baselines, nights_by_cell: Mapping[CellKey, Sequence[Night]], *, now: datetime
) -> tuple[Finding, ...]:
    """Return what there is to look at, by service, scenario and kind.

    Args:
        nights_by_cell: by service and scenario the latest nights, oldest first.
    """
    findings = [
        finding
        for service, scenarios in sorted(baselines.entries.items())
        for scenario, entry in sorted(scenarios.items())
        for finding in _findings(_case(service, scenario, entry, nights_by_cell.get((service, scenario), ())), now)
    ]
    return tuple(findings)


def movements(entry: Baseline, runs: Iterable[BaselineRun]) -> tuple[Movement, ...]:
    """Return how far runs lie from an entry's anchor, for each metric that at least `MIN_NIGHTS` of them have."""
    kept = tuple(runs)
    found = []
    for name in JUDGED_ON_LOG:
        metric, anchor, spread = METRICS[name], entry.anchor.metrics.get(name), entry.spread.get(name)
        logs = [log for run in kept if not math.isnan(log := log_of(run, metric))]
        if anchor is None or spread is None or len(logs) < MIN_NIGHTS:
            continue
        level, mean = on_log_scale(metric, anchor), fmean(logs)
        error = spread_between(spread, runs=len(entry.runs)) * math.sqrt(1 / len(logs) + 1 / max(entry.anchor.runs, 1))
        found.append(
            Movement(
                metric=metric,
                anchor=anchor,
                value=from_log_scale(metric, mean),
                shift=mean - level,
                z=(mean - level) / error,
                nights=len(logs),
                is_always_better=max(logs) < level,
            )
        )
    return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """A cell under review.

    Attributes:
        nights: all of the cell, oldest first.
        level: those of the baseline's level, its own runs among them.
        drifting, improved: the metrics that crept away for the worse, or got better for good.
    """

    service: str
    scenario: str
    entry: Baseline
    nights: Sequence[Night]
    level: tuple[Night, ...]
    drifting: tuple[Movement, ...]
    improved: tuple[Movement, ...]

    @property
    def references(self) -> int:
        """Nights that agree with the level, its own runs among them."""
        return sum(night.is_reference for night in self.level)

    def finding(self, kind: FindingKind, text: str, proposal: "_Proposal | None" = None) -> Finding:
        """Return a finding on this cell."""
        found = Finding(service=self.service, scenario=self.scenario, kind=kind, text=text, version=self.entry.version)
        return replace(found, **asdict(proposal)) if proposal else found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Proposal:
    """The part of a finding that proposes a promotion."""

    run_id: str
    proposes: str
    is_new_level: bool


def _case(service: str, scenario: str, entry: Baseline, nights: Sequence[Night]) -> _Case:
    level = of_level(nights, entry)
    references = [night.run for night in level if night.is_reference]
    return _Case(
        service=service,
        scenario=scenario,
        entry=entry,
        nights=nights,
        level=level,
        drifting=_drifting(movements(entry, references[-RECENT_NIGHTS:])),
        improved=_improved(entry, level[-RECENT_NIGHTS:]),
    )


def _drifting(found: Iterable[Movement]) -> tuple[Movement, ...]:
    return tuple(each for each in found if each.worsening_in_minimum_effects() > DRIFT_MIN_EFFECTS and each.z > DRIFT_Z)


def _improved(entry: Baseline, nights: Sequence[Night]) -> tuple[Movement, ...]:
    """Return the metrics that are better for good; a week with a regression in it, of any metric, is no such week."""
    verdicts = {night.verdict for night in nights}
    if len(nights) < RECENT_NIGHTS or not verdicts <= {Verdict.PASS, Verdict.IMPROVEMENT}:
        return ()
    found = [each for each in movements(entry, [night.run for night in nights]) if each.nights == RECENT_NIGHTS]
    if verdicts == {Verdict.IMPROVEMENT}:
        told = [
            each for each in found if each.is_always_better and each.worsening_in_minimum_effects() < -DRIFT_MIN_EFFECTS
        ]
    else:
        told = [each for each in found if each.worsening_in_minimum_effects() < -1 and each.z <= -IMPROVED_Z]
    return tuple(told)


def _findings(case: _Case, now: datetime) -> Iterator[Finding]:
    """Yield what a cell gives rise to: each kind at most once, in the order of the kinds, with one proposal in all."""
    entry = case.entry
    is_ready = entry.state is not State.APPROVED and case.references >= APPROVED_RUNS
    strengthened = None if case.drifting or case.improved else _strengthened(case)
    yield from _grown_old(case, now, None if is_ready else strengthened)
    if case.drifting:
        told = "; ".join(map(str, case.drifting))
        yield case.finding(FindingKind.DRIFTING, f"{told}; find out why before anything is promoted")
    if case.improved:
        yield case.finding(FindingKind.IMPROVED, "; ".join(map(str, case.improved)), _tightened(case))
    if is_ready:
        text = f"{case.references} nights agree with it, {APPROVED_RUNS} and a named person make it approved"
        yield case.finding(FindingKind.READY, text, strengthened)


def _grown_old(case: _Case, now: datetime, proposal: _Proposal | None) -> Iterator[Finding]:
    entry = case.entry
    approved = f"approved by {entry.approval.by} on {entry.approval.at:%Y-%m-%d}"
    if entry.state_at(now) is State.STALE:
        text = f"expired on {entry.expires_at:%Y-%m-%d}, so that it is told as a warning at most; {approved}"
        yield case.finding(FindingKind.EXPIRED, text, proposal)
    elif entry.is_due_for_review(now):
        days = (now - entry.review_by).days
        text = f"the review was due on {entry.review_by:%Y-%m-%d}, {counted(days, 'day')} ago; {approved}"
        yield case.finding(FindingKind.REVIEW_DUE, text, proposal)


def _strengthened(case: _Case) -> _Proposal | None:
    """Propose the latest night that passed; an entry without a fingerprint is replaced by it."""
    entry = case.entry
    is_plain = not entry.fingerprint
    night = _latest(
        night
        for night in case.nights
        if night.verdict is Verdict.PASS
        and not night.is_suspicious
        and not entry.has_run(night.run.run_id)
        and (is_plain or (night.fingerprint == entry.fingerprint and entry.shares_level(night.version)))
    )
    if night is None or night.run.at is None:
        return None
    since = () if is_plain else passed_since(case.nights, entry, before=night.run.at)
    own = () if is_plain else entry.runs
    return _proposal(case, night, merged_runs(own, since, (night.run,)), is_new_level=False)


def _tightened(case: _Case) -> _Proposal | None:
    """Propose the latest night as a new level; one that merely passed begins it by force only, and alone."""
    entry = case.entry
    night = _latest(night for night in case.level if not entry.has_run(night.run.run_id))
    if case.drifting or night is None or night.run.at is None:
        return None
    if night.verdict is Verdict.PASS:
        return _proposal(case, night, (night.run,), is_new_level=True)
    row = improved_before(case.nights, entry, fingerprint=night.fingerprint, before=night.run.at)
    return _proposal(case, night, merged_runs(row, (night.run,)), is_new_level=False)


def _latest(nights: Iterable[Night]) -> Night | None:
    return next(iter(reversed(tuple(nights))), None)


def _proposal(case: _Case, night: Night, runs: tuple[BaselineRun, ...], *, is_new_level: bool) -> _Proposal:
    state = state_of(len(runs), replace(case.entry.approval, by="whoever promotes it"))
    now, then = case.entry.metrics, centre_of(runs)
    names = [each.metric.name for each in case.improved] or ["latency_p95"]
    levels = [
        f"{METRICS[name].title} {format_value(then.get(name), METRICS[name].unit)} "
        f"(now {format_value(now.get(name), METRICS[name].unit)})"
        for name in names
    ]
    text = f"version {case.entry.version + 1}, {state}, {counted(len(runs), 'run')}: {', '.join(levels)}"
    return _Proposal(run_id=night.run.run_id, proposes=text, is_new_level=is_new_level)
