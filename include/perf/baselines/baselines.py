"""Baselines: how a run becomes the level of a service in a scenario, and how to go back.

A run that agrees with the baseline strengthens it, together with the nights since that agreed; anything else begins
a new level, on purpose and with a reason. Nothing changes by itself. The entries before are kept, so that going back
is possible.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar

from include.perf.baselines.entry import (
    APPROVED_RUNS,
    EXPIRES_AFTER,
    REVIEW_AFTER,
    Anchor,
    Approval,
    Baseline,
    BaselineRun,
    Spread,
    State,
    centre_of,
    contribution,
    state_of,
)
from include.perf.model.errors import BaselineError
from include.perf.runs.record import CANDIDATE_RUNS, RunRecord, Verdict

T = TypeVar("T")

__all__ = [
    "APPROVED_RUNS",
    "CANDIDATE_RUNS",
    "EXPIRES_AFTER",
    "MAX_HISTORY",
    "MAX_RUNS",
    "REVIEW_AFTER",
    "Anchor",
    "Approval",
    "Baseline",
    "BaselineRun",
    "Baselines",
    "Spread",
    "State",
    "centre_of",
    "contribution",
    "merged_runs",
    "state_of",
]

MAX_RUNS = 45

MAX_HISTORY = 20


@dataclass(slots=True)
class Baselines:
    """All baselines, as they stand in the file."""

    entries: dict[str, dict[str, Baseline]] = field(default_factory=dict)

    def get(self, service: str, scenario: str) -> Baseline | None:
        """Return a cell's baseline, if it has one."""
        return self.entries.get(service, {}).get(scenario)

    def promote(
        self, run: RunRecord, *, approval: Approval, force: bool = False, since: Sequence[BaselineRun] = ()
    ) -> Baseline:
        """Make a run part of its cell's baseline, or the beginning of a new one.

        Args:
            force: take the run as a new level, also if it is a regression, suspicious or not comparable.
            since: the runs that it takes along, as `include.perf.baselines.history.taken_along` finds them; by force
            none.

        Raises:
            BaselineError: the run may not become a baseline; says why and what to do.
        """
        current = self.get(run.service, run.scenario)
        if current is not None and current.has_run(run.run_id):
            raise BaselineError(f"run {run.run_id} is part of the baseline of {_cell(run)} already")
        _check_promotable(run, current, force=force)
        _check_reason(approval)
        runs: tuple[BaselineRun, ...] = (contribution(run),)
        anchor = None
        if current is not None and not force and _agrees(run, current):
            runs = merged_runs(current.runs, since, runs)
            anchor = current.anchor if current.is_anchored else None
        elif run.verdict is Verdict.IMPROVEMENT and not force:
            runs = merged_runs(since, runs)
        from include.perf.baselines.spread import spread_of  # takes NumPy and SciPy, which only a promotion needs

        spread = spread_of(runs, others=self._runs_of_others(run.service, run.scenario))
        entry = _entry(
            runs, fingerprint=run.fingerprint, spread=spread, approval=approval, anchor=anchor, after=current
        )
        self.entries.setdefault(run.service, {})[run.scenario] = entry
        return entry

    def roll_back(self, service: str, scenario: str, *, version: int, approval: Approval) -> Baseline:
        """Make an earlier version the baseline again; the present one joins the history.

        Raises:
            BaselineError: there is no such baseline or version.
        """
        _check_reason(approval)
        current = self.get(service, scenario)
        if current is None:
            raise BaselineError(f"there is no baseline of {service} in {scenario}; `baselines list` shows all")
        wanted = next((old for old in current.previous if old.version == version), None)
        if wanted is None:
            versions = ", ".join(str(old.version) for old in current.previous) or "none"
            raise BaselineError(f"{service} in {scenario} has no earlier version {version}; there are: {versions}")
        entry = _entry(
            wanted.runs,
            fingerprint=wanted.fingerprint,
            spread=wanted.spread,
            approval=approval,
            anchor=wanted.anchor if wanted.is_anchored else None,
            after=current,
        )
        self.entries[service][scenario] = replace(entry, metrics=wanted.metrics)
        return self.entries[service][scenario]

    def _runs_of_others(self, service: str, scenario: str) -> list[tuple[BaselineRun, ...]]:
        """Return the runs behind the baseline of every other cell."""
        return [
            entry.runs
            for of_service, scenarios in self.entries.items()
            for of_scenario, entry in scenarios.items()
            if (of_service, of_scenario) != (service, scenario)
        ]


def _entry(
    runs: tuple[BaselineRun, ...],
    *,
    fingerprint: Mapping[str, str],
    spread: Mapping[str, Spread],
    approval: Approval,
    anchor: Anchor | None,
    after: Baseline | None,
) -> Baseline:
    """Return the entry that takes the place of ``after``; without an anchor it is its own."""
    version = after.version + 1 if after else 1
    metrics = centre_of(runs)
    return Baseline(
        version=version,
        state=state_of(len(runs), approval),
        fingerprint=dict(fingerprint),
        metrics=metrics,
        anchor=anchor or Anchor(metrics=metrics, runs=len(runs), version=version),
        spread=spread,
        runs=runs,
        approval=approval,
        review_by=approval.at + REVIEW_AFTER,
        expires_at=approval.at + EXPIRES_AFTER,
        supersedes=after.version if after else None,
        previous=_history(after),
    )


def _agrees(run: RunRecord, current: Baseline) -> bool:
    return run.verdict is Verdict.PASS and run.fingerprint == current.fingerprint


def merged_runs(*parts: Iterable[BaselineRun]) -> tuple[BaselineRun, ...]:
    """Return the runs in the order of the parts, each once, the latest `MAX_RUNS` of them."""
    runs = {run.run_id: run for part in parts for run in part}
    return tuple(runs.values())[-MAX_RUNS:]


def _check_promotable(run: RunRecord, current: Baseline | None, *, force: bool) -> None:
    """Refuse what is no level to hold later runs to; a verdict may be older than the present baseline."""
    if not run.verdict.is_measured:
        why = "; ".join(run.reasons)
        raise BaselineError(f"run {run.run_id} is {run.verdict} and can never be a baseline: {why}")
    if run.rerun_of is not None:
        raise BaselineError(
            f"run {run.run_id} is a re-run and was judged together with {run.rerun_of}; promote that one, its values "
            "are the medians"
        )
    if force:
        return
    remedy = f"python -m include.perf baselines promote {run.run_id} --force --reason '…'"
    if run.verdict in (Verdict.REGRESSION, Verdict.NOT_COMPARABLE):
        raise BaselineError(
            f"run {run.run_id} is {run.verdict}, so it does not become the baseline by itself; to accept it as "
            f"the new level: {remedy}"
        )
    suspicions = [each.metric for each in run.deviations if each.is_suspicion]
    if suspicions:
        raise BaselineError(
            f"run {run.run_id} looks worse in {', '.join(suspicions)} than the baseline, if not surely so; promote "
            f"another run, or to accept this one as the new level: {remedy}"
        )
    if current is not None and current.was_not_compared(run):
        raise BaselineError(
            f"run {run.run_id} was never compared with the present baseline (version {current.version}); run the "
            f"scenario again, or to replace the baseline: {remedy}"
        )


def _check_reason(approval: Approval) -> None:
    if not approval.reason.strip():
        raise BaselineError("a baseline is changed for a reason, which is kept with it; say why the level is right")


def _cell(run: RunRecord) -> str:
    return f"{run.service} in {run.scenario}"


def _history(current: Baseline | None) -> tuple[Baseline, ...]:
    if current is None:
        return ()
    return (replace(current, state=State.SUPERSEDED, previous=()), *current.previous)[:MAX_HISTORY]


class BaselineStore(Protocol):
    """The baselines file; see `include.perf.baselines.baselines` for what is in it."""

    def read(self) -> Any:
        """Return all baselines."""

    def update(self, change: Callable[[Any], T]) -> T:
        """Change the baselines, all or nothing, and return what ``change`` returns.

        Args:
            change: as `AlertStore.update`.
        """
