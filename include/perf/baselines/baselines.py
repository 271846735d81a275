"""The baselines of all cells: promote a run, or roll back to an earlier version.

A run that agrees with the current baseline strengthens it, together with the runs that passed since. Any other run
starts a new baseline: deliberately, with a stored reason. Nothing is promoted automatically. Earlier versions are kept,
so every promotion can be undone.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar

from include.perf.baselines.entry import (
    EXPIRES_AFTER,
    MAX_HISTORY,
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
from include.perf.baselines.odd_entry import OddEntries, OddEntry
from include.perf.model.cell import CellName
from include.perf.model.errors import BaselineError
from include.perf.runs.record import RunRecord, Verdict

T = TypeVar("T")

MAX_RUNS = 45
"""Runs behind an entry; older ones are dropped."""


@dataclass(slots=True)
class Baselines:
    """The content of the baselines file.

    Attributes:
        entries: by service and scenario.
        odd: what the file has beside them that cannot be used.
    """

    entries: dict[str, dict[str, Baseline]] = field(default_factory=dict)
    odd: OddEntries = field(default_factory=OddEntries)

    def get(self, service: str, scenario: str) -> Baseline | None:
        """Return the baseline of a cell; ``None`` if it has none that can be used."""
        return self.entries.get(service, {}).get(scenario)

    def problem_of(self, service: str, scenario: str) -> str | None:
        """Return why the baseline of a cell cannot be used; ``None`` if nothing is wrong with it, or it has none."""
        odd = self.odd.of(service, scenario)
        return None if odd is None else odd.problem

    def promote(
        self,
        run: RunRecord,
        *,
        approval: Approval,
        force: bool = False,
        since: Sequence[BaselineRun] = (),
        used: int = 0,
    ) -> Baseline:
        """Add a run to the baseline of its cell, or start a new baseline from it.

        Args:
            force: start a new baseline from this run alone, even if it is a regression, suspicious or not comparable,
                or the current baseline cannot be used.
            since: runs to promote together with it, see `include.perf.baselines.history.runs_to_promote_with`;
                ignored with ``force``.
            used: the highest version that any night was compared with; a new number must differ from it where the
                number of the current baseline cannot be read.

        Raises:
            BaselineError: the run must not become a baseline; the message has the reason and the remedy.
        """
        current, odd = self.get(run.service, run.scenario), self._replaceable(run, force=force)
        if current is not None and current.has_run(run.run_id):
            raise BaselineError(f"run {run.run_id} is already part of the baseline of {_cell(run)}")
        _check_promotable(run, current, force=force)
        _check_reason(approval)
        runs: tuple[BaselineRun, ...] = (contribution(run),)
        anchor = None
        if current is not None and not force and _agrees(run, current):
            runs = merged_runs(current.runs, since, runs)
            anchor = current.anchor if current.is_anchored else None
        elif run.verdict is Verdict.IMPROVEMENT and not force:
            runs = merged_runs(since, runs)
        from include.perf.baselines.spread import spread_of  # imports NumPy and SciPy, which only promotions need

        spread = spread_of(runs, others=self._runs_of_others(run.service, run.scenario))
        entry = _entry(
            runs,
            fingerprint=run.fingerprint,
            spread=spread,
            approval=approval,
            anchor=anchor,
            after=current,
            first=max(odd.version, used) + 1 if odd else 1,
        )
        if odd is not None:
            self.odd.supersede(CellName(run.service, run.scenario))
        self.entries.setdefault(run.service, {})[run.scenario] = entry
        return entry

    def roll_back(self, service: str, scenario: str, *, version: int, approval: Approval) -> Baseline:
        """Make an earlier version the baseline again, as a new version; the current one is kept as an earlier version.

        Raises:
            BaselineError: there is no such baseline or version.
        """
        _check_reason(approval)
        current = self.get(service, scenario)
        if problem := self.problem_of(service, scenario):
            raise BaselineError(f"the baseline of {service} under {scenario} cannot be used: {problem}")
        if current is None:
            raise BaselineError(f"there is no baseline of {service} under {scenario}; `baselines list` shows all")
        wanted = next((old for old in current.previous if old.version == version), None)
        if wanted is None:
            versions = ", ".join(str(old.version) for old in current.previous) or "none"
            raise BaselineError(
                f"{service} under {scenario} has no earlier version {version}; earlier versions: {versions}"
            )
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

    def _replaceable(self, run: RunRecord, *, force: bool) -> OddEntry | None:
        """Return the odd entry that a promotion replaces, if there is one.

        Raises:
            BaselineError: it must not be replaced: nobody asked for it, or it is not the cell's alone.
        """
        odd = self.odd.of(run.service, run.scenario)
        if odd is None:
            return None
        if run.service in self.odd.services:
            raise BaselineError(f"the baselines of {run.service} cannot be used, so none can be added: {odd.problem}")
        if not force:
            raise BaselineError(
                f"the baseline of {_cell(run)} cannot be used: {odd.problem}, or replace it: "
                f"{promote_command(run.run_id)}"
            )
        return odd

    def _runs_of_others(self, service: str, scenario: str) -> list[tuple[BaselineRun, ...]]:
        """Return the runs behind the baseline of every other cell."""
        return [
            entry.runs
            for of_service, scenarios in self.entries.items()
            for of_scenario, entry in scenarios.items()
            if (of_service, of_scenario) != (service, scenario)
        ]


class BaselineStore(Protocol):
    """Where the baselines are kept."""

    def read(self) -> Baselines:
        """Return all baselines."""

    def update(self, change: Callable[[Baselines], T]) -> T:
        """Change the baselines atomically and return what ``change`` returns.

        Args:
            change: changes the given baselines in place. It may be called again on newer content, so it must have no
                other effect. If it raises, nothing is written.
        """


def _entry(
    runs: tuple[BaselineRun, ...],
    *,
    fingerprint: Mapping[str, str],
    spread: Mapping[str, Spread],
    approval: Approval,
    anchor: Anchor | None,
    after: Baseline | None,
    first: int = 1,
) -> Baseline:
    """Return the entry that replaces ``after``; without ``anchor`` its own metrics become the anchor.

    Args:
        first: the version without ``after``.
    """
    version = after.version + 1 if after else first
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
    """Return the latest `MAX_RUNS` runs in the order of the parts, without duplicates."""
    runs = {run.run_id: run for part in parts for run in part}
    return tuple(runs.values())[-MAX_RUNS:]


def _check_promotable(run: RunRecord, current: Baseline | None, *, force: bool) -> None:
    """Refuse a run that later runs must not be compared with.

    The verdict alone is not enough: it may be older than the current baseline.
    """
    if not run.verdict.is_measured:
        why = "; ".join(run.reasons)
        raise BaselineError(f"run {run.run_id} is {run.verdict} and cannot become a baseline: {why}")
    if run.rerun_of is not None:
        raise BaselineError(
            f"run {run.run_id} is a re-run and was judged together with {run.rerun_of}; promote that run, it holds the "
            "medians"
        )
    if run.is_failing:
        raise BaselineError(failing_run(run))
    if force:
        return
    remedy = promote_command(run.run_id)
    if run.verdict.is_failure or run.verdict is Verdict.NOT_COMPARABLE:
        raise BaselineError(
            f"run {run.run_id} is {run.verdict} and is only promoted by force; to accept it as the new baseline: "
            f"{remedy}"
        )
    suspicious = [deviation.metric for deviation in run.deviations if deviation.is_suspicion]
    if suspicious:
        raise BaselineError(
            f"run {run.run_id} is suspicious: {', '.join(suspicious)} may be worse than the baseline; promote another "
            f"run, or accept this one as the new baseline: {remedy}"
        )
    if current is not None and current.was_not_compared(run):
        raise BaselineError(
            f"run {run.run_id} was not compared with the current baseline (version {current.version}); run the "
            f"scenario again, or replace the baseline: {remedy}"
        )


def failing_run(run: RunRecord) -> str:
    """Return why a run whose requests failed cannot become a baseline, whoever asks for it."""
    if run.collapse is not None:
        return (
            f"run {run.run_id} cannot become a baseline, because the service did not survive the load: its figures end "
            "early; repair the service and start a new run"
        )
    rate = run.value_of("error_rate") or 0.0
    return (
        f"run {run.run_id} cannot become a baseline, because too many requests failed ({rate:.2%} of all): later runs "
        "would be compared with failures; repair the service, or set error_rate in hard_limits of services.yaml if "
        "such failures are right, and start a new run"
    )


def _check_reason(approval: Approval) -> None:
    if not approval.reason.strip():
        raise BaselineError(
            "a change of a baseline needs a reason, which is stored with it; say why the new values are right"
        )


def promote_command(run_id: str) -> str:
    """Return the command that makes a run the new baseline, whatever the current one is."""
    return f"python -m include.perf baselines promote {run_id} --force --reason '…'"


def _cell(run: RunRecord) -> str:
    return f"{run.service} under {run.scenario}"


def _history(current: Baseline | None) -> tuple[Baseline, ...]:
    if current is None:
        return ()
    return (replace(current, state=State.SUPERSEDED, previous=()), *current.previous)[:MAX_HISTORY]
