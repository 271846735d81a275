"""An entry of the baselines file: the approved values of one cell, the runs behind them, and how far to trust them.

The state follows from the runs behind an entry: ``provisional`` (fewer than 3) → ``candidate`` (3 to 9) → ``approved``
(10 or more, promoted by a named person). A replaced entry is ``superseded``. An expired entry counts as ``stale``:
runs are still compared with it, but no deviation is critical.

`include.perf.baselines.baselines` creates entries, `include.perf.baselines.file_format` reads and writes them.
"""

import math
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import AwareDatetime, ConfigDict, Field

from include.perf.model.bounds import LATEST, Amount, Change, Count, Moment, Name, Text
from include.perf.runs.record import CANDIDATE_RUNS, BaselineReference, RunRecord, Verdict

APPROVED_RUNS = 10

REVIEW_AFTER = timedelta(days=92)
"""A quarter."""

EXPIRES_AFTER = timedelta(days=184)
"""Two quarters without a review: from then on, deviations are warnings at most."""

NOBODY = ("", "unknown", "schedule")
"""Approvers that are not a person."""

EXACT = ConfigDict(extra="forbid")
"""An unknown field in the file is an error: the next change would lose it."""

MAX_HISTORY = 20
"""Earlier versions kept in an entry."""

FIRST_APPROVAL = datetime(1970, 1, 1, tzinfo=UTC)
"""Stands for the unknown time of an approval that a file of plain numbers did not have."""

When = Annotated[AwareDatetime, Field(ge=FIRST_APPROVAL, lt=LATEST)]


class State(StrEnum):
    """How far a baseline can be trusted."""

    PROVISIONAL = "provisional"
    CANDIDATE = "candidate"
    APPROVED = "approved"
    SUPERSEDED = "superseded"
    STALE = "stale"


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineRun:
    """What one run contributed to a baseline: values in base units, medians if there were re-runs.

    Attributes:
        at: when its load started; ``None`` in baselines of earlier versions.
        due, failed: requests of the measured window.
        platform: by metric, the relative change that all services of that night shared.
        within_run: by metric, the standard deviation of the logarithm over the minutes of the run.
    """

    __pydantic_config__ = EXACT

    run_id: Name
    metrics: Mapping[str, Amount]
    at: Moment | None = None
    due: Count | None = None
    failed: Count | None = None
    platform: Mapping[str, Change] = field(default_factory=dict)
    within_run: Mapping[str, Amount] = field(default_factory=dict)
    deploy_version: Name | None = None

    def __post_init__(self) -> None:
        """Check the counts together.

        Raises:
            ValueError: more requests failed than were due.
        """
        if self.due is not None and self.failed is not None and self.failed > self.due:
            raise ValueError(f"failed must be at most due ({self.due}), but is {self.failed}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """Who changed a baseline, when and why."""

    __pydantic_config__ = EXACT

    by: Name
    at: When
    reason: Text
    run_id: Name

    @property
    def is_by_person(self) -> bool:
        """Whether a named person approved it, not a schedule."""
        return self.by.strip() not in NOBODY and not self.by.startswith("airflow (")


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """The values that a slow drift is compared with: they follow the baseline until it is approved, then stay frozen.

    Attributes:
        runs: number of runs behind it.
        version: baseline version that it was taken from.
    """

    __pydantic_config__ = EXACT

    metrics: Mapping[str, Amount]
    runs: Count
    version: Count


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """The spread of one metric: standard deviations on the log scale, where 0.05 is about 5 %.

    Attributes:
        own: s₁, between the runs of this entry; ``None`` for fewer than two.
        pooled: s₀, between runs, common to all entries of the file.
        pooled_dof: d₀, the degrees of freedom that ``pooled`` is worth.
        within_run: between the minutes of a run; ``None`` if the runs are too short for it.
    """

    __pydantic_config__ = EXACT

    own: Amount | None
    pooled: Amount
    pooled_dof: Amount
    within_run: Amount | None = None


def percent(spread: float | None) -> str:
    """Format a standard deviation on the log scale as a relative change: ``±5.1 %``."""
    return "–" if spread is None else f"±{math.expm1(spread) * 100:.1f} %"


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """The baseline of one cell (a service under a scenario).

    Attributes:
        version: increases with every promotion and roll-back.
        metrics: the median over ``runs`` of each metric, in base units.
        anchor: the frozen values that a slow drift is compared with.
        spread: by metric, how far runs differ.
        review_by: from then on, reports and alerts ask for a review.
        expires_at: from then on it is stale.
        supersedes: the version that it replaced.
        previous: earlier entries, latest first, without their own ``previous``.
    """

    __pydantic_config__ = EXACT

    version: Count
    state: State
    fingerprint: Mapping[str, str]
    metrics: Mapping[str, Amount]
    anchor: Anchor
    spread: Mapping[str, Spread]
    runs: tuple[BaselineRun, ...]
    approval: Approval
    review_by: When
    expires_at: When
    supersedes: Count | None = None
    previous: tuple["Baseline", ...] = ()

    @property
    def since(self) -> datetime | None:
        """Start of the earliest run behind it; ``None`` if no run has a start."""
        moments = [run.at for run in self.runs if run.at is not None]
        return min(moments) if moments else None

    @property
    def is_anchored(self) -> bool:
        """Whether its anchor is frozen: it is approved, or inherited the anchor of an approved version."""
        is_approved = state_of(len(self.runs), self.approval) is State.APPROVED
        return is_approved or self.anchor.version < self.version

    def has_run(self, run_id: str) -> bool:
        """Return whether a run is one of those behind it."""
        return any(run.run_id == run_id for run in self.runs)

    def continues(self, version: int | None) -> bool:
        """Return whether it continues an earlier version: same anchor, or at least one run in common.

        After a roll-back, or after a new baseline from an older run, nights that were compared with the replaced
        version do not belong to this one; neither do those of a lost version, because what it accepted is unknown. A
        version that is too old to be kept, a later one, and ``None`` count as continued.
        """
        if self._is_lost(version):
            return False
        own = {run.run_id for run in self.runs}
        return all(
            old.anchor.version == self.anchor.version or any(run.run_id in own for run in old.runs)
            for old in self.previous
            if old.version == version
        )

    def _is_lost(self, version: int | None) -> bool:
        """Return whether a version should be among the earlier ones and is not: it was damaged, and replaced by force.

        `MAX_HISTORY` earlier versions are kept, so of a full list the end is missing as well.
        """
        kept = [self.version, *(old.version for old in self.previous)]
        first = kept[-1] if len(self.previous) >= MAX_HISTORY else 0
        return version is not None and first < version < self.version and version not in kept

    def was_not_compared(self, run: RunRecord) -> bool:
        """Return whether a run was compared with nothing, or with a baseline that this one does not continue.

        A baseline without a fingerprint was compared with any run.
        """
        differs = bool(self.fingerprint) and run.fingerprint != self.fingerprint
        is_of_another = run.baseline is not None and not self.continues(run.baseline.version)
        return run.verdict is Verdict.NO_BASELINE or differs or is_of_another

    def state_at(self, moment: datetime) -> State:
        """Return the state at a moment: ``stale`` after expiry."""
        return State.STALE if moment >= self.expires_at else self.state

    def is_due_for_review(self, moment: datetime) -> bool:
        """Return whether the review is due."""
        return moment >= self.review_by

    def reference(self, moment: datetime) -> BaselineReference:
        """Return what a run's record stores about it."""
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
    """Return what a run contributes to a baseline, and to the history of later runs."""
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
    """Return the number of failed requests; with re-runs the number that gives the judged median rate."""
    judged = run.judged.get("error_rate")
    if judged is None or run.load.due is None:
        return run.load.failed
    return round(min(judged, 1) * run.load.due)


def state_of(runs: int, approval: Approval) -> State:
    """Return the state of an entry with ``runs`` runs behind it."""
    if runs < CANDIDATE_RUNS:
        return State.PROVISIONAL
    return State.APPROVED if runs >= APPROVED_RUNS and approval.is_by_person else State.CANDIDATE


def centre_of(runs: Iterable[BaselineRun]) -> dict[str, float]:
    """Return the median of each metric over the runs that have it."""
    kept = tuple(runs)
    names = dict.fromkeys(name for run in kept for name in run.metrics)
    return {name: statistics.median(run.metrics[name] for run in kept if name in run.metrics) for name in names}
