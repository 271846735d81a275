"""What a baseline is: the level of a service in a scenario, the runs behind it, and how far it can be trusted.

States, by the runs behind an entry: ``provisional`` (fewer than 3) → ``candidate`` (3 to 9) → ``approved`` (10 or
more, and a named person). An entry that another one replaced is ``superseded``; one past its expiry counts as
``stale``: it still tells, but it alarms nobody.

How entries come about is in `include.perf.baselines.baselines`, how they are written in
`include.perf.baselines.file_format`.
"""

import math
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import AwareDatetime, ConfigDict, FiniteFloat

from include.perf.runs.record import CANDIDATE_RUNS, BaselineReference, RunRecord, Verdict

APPROVED_RUNS = 10

REVIEW_AFTER = timedelta(days=92)
"""A quarter: what a service should do changes with it."""

EXPIRES_AFTER = timedelta(days=184)
"""A baseline that nobody looked at for two quarters alarms nobody any more."""

NOBODY = ("", "unknown", "schedule")

EXACT = ConfigDict(extra="forbid")
"""In the file, a field that is not known is a mistake and would be lost with the next change."""


class State(StrEnum):
    """How far a baseline can be trusted."""

    PROVISIONAL = "provisional"
    CANDIDATE = "candidate"
    APPROVED = "approved"
    SUPERSEDED = "superseded"
    STALE = "stale"


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineRun:
    """What one run contributed; values in base units, with re-runs their median.

    Attributes:
        at: when its load started; ``None`` in baselines of earlier versions.
        due, failed: requests of the measured window.
        platform: the relative changes that all services of that night shared.
        within_run: standard deviation of the log of its minutes.
    """

    __pydantic_config__ = EXACT

    run_id: str
    metrics: Mapping[str, FiniteFloat]
    at: AwareDatetime | None = None
    due: int | None = None
    failed: int | None = None
    platform: Mapping[str, FiniteFloat] = field(default_factory=dict)
    within_run: Mapping[str, FiniteFloat] = field(default_factory=dict)
    deploy_version: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """Who made a change of a baseline, when and why."""

    __pydantic_config__ = EXACT

    by: str
    at: AwareDatetime
    reason: str
    run_id: str

    @property
    def is_by_person(self) -> bool:
        """Whether somebody with a name stands for it, not a schedule."""
        return self.by.strip() not in NOBODY and not self.by.startswith("airflow (")


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """The level that creeping is held to: it follows the baseline until that is approved, and is frozen from then on.

    Attributes:
        runs: behind it.
        version: of the baseline that it was last taken from.
    """

    __pydantic_config__ = EXACT

    metrics: Mapping[str, FiniteFloat]
    runs: int
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How far runs of one metric differ: standard deviations on the log scale, where 0.05 is about 5 %.

    Attributes:
        own: between the runs of this entry; ``None`` for fewer than two.
        pooled: between runs, by all entries of the file.
        pooled_dof: degrees of freedom that ``pooled`` is worth.
        within_run: between the minutes of a run; ``None`` where the runs are too short to tell.
    """

    __pydantic_config__ = EXACT

    own: FiniteFloat | None
    pooled: FiniteFloat
    pooled_dof: FiniteFloat
    within_run: FiniteFloat | None = None


def percent(spread: float | None) -> str:
    """Write a standard deviation of the log scale as the relative change that it stands for."""
    return "–" if spread is None else f"±{math.expm1(spread) * 100:.1f} %"


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """The level of one service in one scenario.

    Attributes:
        version: counts up with every promotion and roll-back.
        metrics: the median over ``runs`` of each metric, in base units.
        anchor: the frozen level that creeping is held to.
        spread: how far runs differ, by metric.
        review_by: from then on every message says that somebody should look at it.
        expires_at: from then on it is stale.
        supersedes: the version that it took the place of.
        previous: the entries before this one, latest first, without their own history.
    """

    __pydantic_config__ = EXACT

    version: int
    state: State
    fingerprint: Mapping[str, str]
    metrics: Mapping[str, FiniteFloat]
    anchor: Anchor
    spread: Mapping[str, Spread]
    runs: tuple[BaselineRun, ...]
    approval: Approval
    review_by: AwareDatetime
    expires_at: AwareDatetime
    supersedes: int | None = None
    previous: tuple["Baseline", ...] = ()

    @property
    def since(self) -> datetime | None:
        """When the first run of this level was; ``None`` when no run says."""
        moments = [run.at for run in self.runs if run.at is not None]
        return min(moments) if moments else None

    @property
    def is_anchored(self) -> bool:
        """Whether its anchor is frozen: it is approved, or has its anchor from a version before that was."""
        is_approved = state_of(len(self.runs), self.approval) is State.APPROVED
        return is_approved or self.anchor.version < self.version

    def has_run(self, run_id: str) -> bool:
        """Return whether a run is behind it."""
        return any(run.run_id == run_id for run in self.runs)

    def shares_level(self, version: int | None) -> bool:
        """Return whether an earlier version is of the present level: of the same anchor, or with a run in common.

        After a roll-back, or a new level from a run of some nights ago, what was held to another level is no part of
        this one. A version that nobody knows any more counts as of this level.
        """
        own = {run.run_id for run in self.runs}
        return all(
            old.anchor.version == self.anchor.version or any(run.run_id in own for run in old.runs)
            for old in self.previous
            if old.version == version
        )

    def was_not_compared(self, run: RunRecord) -> bool:
        """Return whether a run was held to nothing, or to another level.

        To a plain baseline, without a fingerprint, anything was held.
        """
        differs = bool(self.fingerprint) and run.fingerprint != self.fingerprint
        is_of_another = run.baseline is not None and not self.shares_level(run.baseline.version)
        return run.verdict is Verdict.NO_BASELINE or differs or is_of_another

    def state_at(self, moment: datetime) -> State:
        """Return the state: stale once it has expired."""
        return State.STALE if moment >= self.expires_at else self.state

    def is_due_for_review(self, moment: datetime) -> bool:
        """Return whether somebody should have looked at it by now."""
        return moment >= self.review_by

    def reference(self, moment: datetime) -> BaselineReference:
        """Return what a run's record keeps of it."""
        return BaselineReference(
            version=self.version,
            state=self.state_at(moment).value,
            runs=len(self.runs),
            approved_at=self.approval.at,
            metrics=self.metrics,
            nights=len(self.runs),
            since=self.since,
        )


def contribution(run: RunRecord) -> BaselineRun:
    """Return what a run gives to a baseline, and to the reference of later runs."""
    values = {name: metric.value for name, metric in run.metrics.items() if metric.value is not None}
    return BaselineRun(
        run_id=run.run_id,
        metrics=values | dict(run.judged),
        at=run.started_at,
        due=run.load.due,
        failed=_failed(run),
        platform=run.platform,
        within_run=run.within_run,
        deploy_version=run.deploy_version,
    )


def _failed(run: RunRecord) -> int | None:
    """Return how many requests failed; with re-runs so many as make the median rate that was judged."""
    judged = run.judged.get("error_rate")
    return run.load.failed if judged is None or run.load.due is None else round(judged * run.load.due)


def state_of(runs: int, approval: Approval) -> State:
    """Return the state of an entry with so many runs behind it."""
    if runs < CANDIDATE_RUNS:
        return State.PROVISIONAL
    return State.APPROVED if runs >= APPROVED_RUNS and approval.is_by_person else State.CANDIDATE


def centre_of(runs: Iterable[BaselineRun]) -> dict[str, float]:
    """Return the median of each metric over the runs that have it."""
    kept = tuple(runs)
    names = dict.fromkeys(name for run in kept for name in run.metrics)
    return {name: statistics.median(run.metrics[name] for run in kept if name in run.metrics) for name in names}
