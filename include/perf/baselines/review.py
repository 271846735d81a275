"""The quarterly review: which baselines need attention, why, and which promotion is proposed.

A finding only proposes; a person promotes. The mean of the last n ≤ 7 nights is compared with the entry's anchor of m
runs, which does not follow a drift. On the log scale of `include.perf.baselines.spread`, with the spread s between
runs::

    shift = mean of y over the nights − y of the anchor
    z     = shift / ( s · √(1/n + 1/m) )                   n ≥ 3

If some of the nights are part of the anchor, this errs on the cautious side. The error rate is a count and is left to
the nightly verdict.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from enum import StrEnum
from statistics import fmean

from include.perf.baselines.baselines import Baselines, merged_runs
from include.perf.baselines.entry import APPROVED_RUNS, Baseline, BaselineRun, State, centre_of, state_of
from include.perf.baselines.history import Night, comparable_nights, improved_before, passed_since
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
"""A drift is more than half a minimum effect worse, and z > 2."""

IMPROVED_Z = 3.0
"""An improvement over nights that only passed is more than a minimum effect better, and z ≤ −3."""

CellKey = tuple[str, str]


class FindingKind(StrEnum):
    """What a finding is about, the most urgent first."""

    EXPIRED = "expired"
    REVIEW_DUE = "review due"
    DRIFTING = "drifting"
    IMPROVED = "improved"
    READY = "ready"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One finding of a review.

    Attributes:
        version: of the baseline.
        run_id: the run whose promotion is proposed; ``None`` if none is.
        proposes: the baseline that would result.
        is_new_baseline: whether the run starts a new baseline by force, instead of being added to the current one.
    """

    service: str
    scenario: str
    kind: FindingKind
    text: str
    version: int = 0
    run_id: str | None = None
    proposes: str | None = None
    is_new_baseline: bool = False

    @property
    def command(self) -> str | None:
        """The command that does what is proposed; ``None`` without a proposal."""
        if self.run_id is None:
            return None
        force = " --force" if self.is_new_baseline else ""
        return f"python -m include.perf baselines promote {self.run_id}{force} --reason '…'"


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchorShift:
    """How far the last nights lie from the anchor in one metric.

    Attributes:
        anchor, value: the anchor and the mean of the nights, in the metric's base unit.
        shift: on the log scale, larger is worse.
        z: ``shift`` in standard errors.
        nights: n, the number of nights with a value.
        is_always_better: whether every night is better than the anchor.
    """

    metric: Metric
    anchor: float
    value: float
    shift: float
    z: float
    nights: int
    is_always_better: bool

    def worsening_in_minimum_effects(self) -> float:
        """Return the worsening in minimum effects of the metric; negative is better."""
        minimum_effect = self.metric.minimum_effect(baseline=self.anchor, is_provisional=False)
        return self.metric.worsening(baseline=self.anchor, value=self.value) / minimum_effect

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
    """Return the findings, ordered by service, scenario and kind.

    Args:
        nights_by_cell: by service and scenario, the latest nights, oldest first.
    """
    findings = [
        finding
        for service, scenarios in sorted(baselines.entries.items())
        for scenario, entry in sorted(scenarios.items())
        for finding in _findings(_case(service, scenario, entry, nights_by_cell.get((service, scenario), ())), now)
    ]
    return tuple(findings)


def anchor_shifts(entry: Baseline, runs: Iterable[BaselineRun]) -> tuple[AnchorShift, ...]:
    """Return how far runs lie from an entry's anchor, for every metric with at least `MIN_NIGHTS` values."""
    kept = tuple(runs)
    found = []
    for name in JUDGED_ON_LOG:
        metric, anchor, spread = METRICS[name], entry.anchor.metrics.get(name), entry.spread.get(name)
        logs = [log for run in kept if not math.isnan(log := log_of(run, metric))]
        if anchor is None or spread is None or len(logs) < MIN_NIGHTS:
            continue
        centre, mean = on_log_scale(metric, anchor), fmean(logs)
        error = spread_between(spread, runs=len(entry.runs)) * math.sqrt(1 / len(logs) + 1 / max(entry.anchor.runs, 1))
        found.append(
            AnchorShift(
                metric=metric,
                anchor=anchor,
                value=from_log_scale(metric, mean),
                shift=mean - centre,
                z=(mean - centre) / error,
                nights=len(logs),
                is_always_better=max(logs) < centre,
            )
        )
    return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """A cell under review.

    Attributes:
        nights: all nights of the cell, oldest first.
        comparable: the nights that belong to the baseline, its own runs included.
        drifting, improved: the metrics that drift for the worse, and those with a lasting improvement.
    """

    service: str
    scenario: str
    entry: Baseline
    nights: Sequence[Night]
    comparable: tuple[Night, ...]
    drifting: tuple[AnchorShift, ...]
    improved: tuple[AnchorShift, ...]

    @property
    def references(self) -> int:
        """Number of nights that agree with the baseline, its own runs included."""
        return sum(night.is_reference for night in self.comparable)

    def finding(self, kind: FindingKind, text: str, proposal: "_Proposal | None" = None) -> Finding:
        """Return a finding about this cell."""
        found = Finding(service=self.service, scenario=self.scenario, kind=kind, text=text, version=self.entry.version)
        return replace(found, **asdict(proposal)) if proposal else found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Proposal:
    """The part of a finding that proposes a promotion."""

    run_id: str
    proposes: str
    is_new_baseline: bool


def _case(service: str, scenario: str, entry: Baseline, nights: Sequence[Night]) -> _Case:
    comparable = comparable_nights(nights, entry)
    references = [night.run for night in comparable if night.is_reference]
    return _Case(
        service=service,
        scenario=scenario,
        entry=entry,
        nights=nights,
        comparable=comparable,
        drifting=_drifting(anchor_shifts(entry, references[-RECENT_NIGHTS:])),
        improved=_improved(entry, comparable[-RECENT_NIGHTS:]),
    )


def _drifting(shifts: Iterable[AnchorShift]) -> tuple[AnchorShift, ...]:
    return tuple(
        shift for shift in shifts if shift.worsening_in_minimum_effects() > DRIFT_MIN_EFFECTS and shift.z > DRIFT_Z
    )


def _improved(entry: Baseline, nights: Sequence[Night]) -> tuple[AnchorShift, ...]:
    """Return the metrics with a lasting improvement; a week with any regression has none."""
    verdicts = {night.verdict for night in nights}
    if len(nights) < RECENT_NIGHTS or not verdicts <= {Verdict.PASS, Verdict.IMPROVEMENT}:
        return ()
    shifts = [shift for shift in anchor_shifts(entry, [night.run for night in nights]) if shift.nights == RECENT_NIGHTS]
    if verdicts == {Verdict.IMPROVEMENT}:
        return tuple(
            shift
            for shift in shifts
            if shift.is_always_better and shift.worsening_in_minimum_effects() < -DRIFT_MIN_EFFECTS
        )
    return tuple(shift for shift in shifts if shift.worsening_in_minimum_effects() < -1 and shift.z <= -IMPROVED_Z)


def _findings(case: _Case, now: datetime) -> Iterator[Finding]:
    """Yield the findings of a cell in the order of the kinds: every kind at most once, one proposal in total."""
    entry = case.entry
    is_ready = entry.state is not State.APPROVED and case.references >= APPROVED_RUNS
    strengthened = None if case.drifting or case.improved else _strengthened(case)
    yield from _outdated(case, now, None if is_ready else strengthened)
    if case.drifting:
        shifts = "; ".join(map(str, case.drifting))
        yield case.finding(FindingKind.DRIFTING, f"{shifts}; find the cause before you promote a run")
    if case.improved:
        yield case.finding(FindingKind.IMPROVED, "; ".join(map(str, case.improved)), _renewed(case))
    if is_ready:
        text = f"{case.references} nights agree with it; {APPROVED_RUNS} and a promotion by a named person approve it"
        yield case.finding(FindingKind.READY, text, strengthened)


def _outdated(case: _Case, now: datetime, proposal: _Proposal | None) -> Iterator[Finding]:
    entry = case.entry
    approved = f"approved by {entry.approval.by} on {entry.approval.at:%Y-%m-%d}"
    if entry.state_at(now) is State.STALE:
        text = f"expired on {entry.expires_at:%Y-%m-%d}, so deviations are warnings at most; {approved}"
        yield case.finding(FindingKind.EXPIRED, text, proposal)
    elif entry.is_due_for_review(now):
        days = (now - entry.review_by).days
        text = f"the review was due on {entry.review_by:%Y-%m-%d}, {counted(days, 'day')} ago; {approved}"
        yield case.finding(FindingKind.REVIEW_DUE, text, proposal)


def _strengthened(case: _Case) -> _Proposal | None:
    """Propose the latest night that passed; it replaces an entry without a fingerprint."""
    entry = case.entry
    is_plain = not entry.fingerprint
    night = _latest(
        night
        for night in case.nights
        if night.verdict is Verdict.PASS
        and not night.is_suspicious
        and not entry.has_run(night.run.run_id)
        and (is_plain or (night.fingerprint == entry.fingerprint and entry.continues(night.version)))
    )
    if night is None or night.run.at is None:
        return None
    since = () if is_plain else passed_since(case.nights, entry, before=night.run.at)
    own = () if is_plain else entry.runs
    return _proposal(case, night, merged_runs(own, since, (night.run,)), is_new_baseline=False)


def _renewed(case: _Case) -> _Proposal | None:
    """Propose the latest night as a new baseline; a night that only passed starts it by force, and alone."""
    entry = case.entry
    night = _latest(night for night in case.comparable if not entry.has_run(night.run.run_id))
    if case.drifting or night is None or night.run.at is None:
        return None
    if night.verdict is Verdict.PASS:
        return _proposal(case, night, (night.run,), is_new_baseline=True)
    series = improved_before(case.nights, entry, fingerprint=night.fingerprint, before=night.run.at)
    return _proposal(case, night, merged_runs(series, (night.run,)), is_new_baseline=False)


def _latest(nights: Iterable[Night]) -> Night | None:
    return next(iter(reversed(tuple(nights))), None)


def _proposal(case: _Case, night: Night, runs: tuple[BaselineRun, ...], *, is_new_baseline: bool) -> _Proposal:
    state = state_of(len(runs), replace(case.entry.approval, by="a person"))
    now, then = case.entry.metrics, centre_of(runs)
    names = [shift.metric.name for shift in case.improved] or ["latency_p95"]
    values = [
        f"{METRICS[name].title} {format_value(then.get(name), METRICS[name].unit)} "
        f"(now {format_value(now.get(name), METRICS[name].unit)})"
        for name in names
    ]
    text = f"version {case.entry.version + 1}, {state}, {counted(len(runs), 'run')}: {', '.join(values)}"
    return _Proposal(run_id=night.run.run_id, proposes=text, is_new_baseline=is_new_baseline)
