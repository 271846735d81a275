"""A run and its record: what was asked, what was measured, what it means.

The record is ``run.json`` in the run's folder of the results store; other tools rely on its shape. Every
class here is immutable and turns to and from JSON with :func:`to_json` and :func:`from_json`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TypeVar

from pydantic import AwareDatetime

from include.perf.catalogue.scenario.arrival_rate import CurvePoint, RateCurve
from include.perf.model.metric import MetricValue, Unit
from include.perf.runs.figures import EndpointFigures, ErrorGroup, GeneratorFigures, Stall, Window

SCHEMA_VERSION = 1

T = TypeVar("T")


class Verdict(StrEnum):
    """What a run says about its service. No exception handler ever yields one but ``INVALID``."""

    PASS = "PASS"  # noqa: S105 - a verdict, not a password
    REGRESSION = "REGRESSION"
    IMPROVEMENT = "IMPROVEMENT"
    NO_BASELINE = "NO_BASELINE"
    NOT_COMPARABLE = "NOT_COMPARABLE"
    INVALID = "INVALID"
    SKIPPED = "SKIPPED"

    @property
    def is_measured(self) -> bool:
        """Whether the run's figures can be trusted."""
        return self not in (Verdict.INVALID, Verdict.SKIPPED)


class Cause(StrEnum):
    """How far a deviation reaches: deviations of one cause are one problem."""

    CELL = "cell"
    SERVICE = "service"
    PLATFORM = "platform"


class Severity(StrEnum):
    """Who should hear of a deviation, and when; the gravest comes last."""

    DIGEST = "digest"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """Its place from the least grave on: the words themselves sort by letters."""
        return list(Severity).index(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadSummary:
    """The ``load`` part of the record: requested beside achieved.

    Attributes:
        requested_rate_rps: mean over the measured part.
        requested_curve: the rate over time, from the beginning of the warm-up on; empty when it is the same
            throughout.
    """

    requested_rate_rps: float
    achieved_rate_rps: float | None
    duration_s: float
    warmup_s: float
    due: int | None
    sent: int | None
    finished: int | None
    failed: int | None
    timed_out: int | None
    unfinished: int | None
    requested_curve: tuple[CurvePoint, ...] = ()

    @property
    def peak_rate_rps(self) -> float:
        """The highest rate that was requested."""
        if not self.requested_curve:
            return self.requested_rate_rps
        return RateCurve.through(self.requested_curve).peak(self.warmup_s + self.duration_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """A relative change, as a ratio: 0.45 is 45 % more.

    Attributes:
        ratio: ``None`` when the baseline is zero.
        absolute: the change in the metric's unit.
        low, high: 95 % interval of ``ratio``; ``None`` while the history is too short to give one.
        absolute_low, absolute_high: the same of ``absolute``.
    """

    ratio: float | None
    absolute: float
    low: float | None = None
    high: float | None = None
    absolute_low: float | None = None
    absolute_high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deviation:
    """One metric that moved by more than its floors, for the worse or the better.

    Attributes:
        baseline: the level that it was held to.
        value: tonight's; with re-runs their median.
        is_confirmed: whether it is sure; a suspicion is told in the digest only and makes no regression.
        since: the first night of it, where more than tonight speaks for it.
        evidence: why it is significant, or only suspicious, in words without the statistics; empty in the records
            of earlier versions.
        first_version: deploy version of the service when it was first seen; ``None`` when unknown.
        previous_version: deploy version on the night before; the same as ``first_version`` when nothing was deployed
            in between, ``None`` when unknown.
    """

    metric: str
    unit: Unit
    baseline: float
    value: float
    shift: Shift
    is_worse: bool
    severity: Severity
    reason: str
    is_confirmed: bool = True
    cause: Cause = Cause.CELL
    since: datetime | None = None
    evidence: str = ""
    first_version: str | None = None
    previous_version: str | None = None

    @property
    def is_suspicion(self) -> bool:
        """Whether it looks worse, if not surely so."""
        return self.is_worse and not self.is_confirmed


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineReference:
    """What a run was compared with.

    Attributes:
        runs: behind the baseline.
        metrics: the level that each metric was held to.
        nights: in the reference: the baseline's runs, and those since that passed.
        since: the first of them.
    """

    version: int
    state: str
    runs: int
    approved_at: datetime
    metrics: Mapping[str, float]
    nights: int = 0
    since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where a record comes from, and whether it was asked to become the baseline."""

    dag_id: str | None
    dag_run_id: str | None
    triggered_by: str
    update_baseline: bool
    reason: str | None
    versions: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """``run.json``: the whole truth about a run, written once and last.

    Attributes:
        validity: why the figures cannot be trusted; empty when they can.
        reasons: how the verdict came about, a sentence each.
        notes: what a reader should know and what changes no verdict.
        shifts: of every metric that was compared.
        judged: the values that were judged, where they are not this run's own: medians of it and its re-runs.
        reruns: ids of the runs that were judged together with this one.
        rerun_of: id of the run that this one was judged with.
        told_by: id of the run whose message tells this one's deviations too, as they have one cause.
        platform: by metric, the relative change that all services of the night share; it is taken out of
            ``shifts``.
        within_run: by metric, standard deviation of the log of its minutes.
        deploy_version: of the service, as it says itself.
        stalls: spells in which the service answered nothing although requests were waiting, warm-up included.
    """

    run_id: str
    service: str
    scenario: str
    environment: str
    started_at: AwareDatetime
    window: Window | None
    load: LoadSummary
    metrics: Mapping[str, MetricValue]
    fingerprint: Mapping[str, str]
    validity: tuple[str, ...]
    verdict: Verdict
    reasons: tuple[str, ...]
    deviations: tuple[Deviation, ...]
    baseline: BaselineReference | None
    endpoints: tuple[EndpointFigures, ...]
    errors: tuple[ErrorGroup, ...]
    generator: GeneratorFigures | None
    provenance: Provenance
    notes: tuple[str, ...] = ()
    shifts: Mapping[str, Shift] = field(default_factory=dict)
    judged: Mapping[str, float] = field(default_factory=dict)
    reruns: tuple[str, ...] = ()
    rerun_of: str | None = None
    told_by: str | None = None
    platform: Mapping[str, float] = field(default_factory=dict)
    within_run: Mapping[str, float] = field(default_factory=dict)
    deploy_version: str | None = None
    stalls: tuple[Stall, ...] = ()
    schema_version: int = field(default=SCHEMA_VERSION)

    def value_of(self, metric: str) -> float | None:
        """Return the value of a metric that was judged: with re-runs the median of all; ``None`` for no value."""
        measured = self.metrics.get(metric)
        return self.judged.get(metric, measured.value if measured else None)

    @property
    def regressions(self) -> tuple[Deviation, ...]:
        """The sure deviations for the worse, gravest first."""
        worse = [deviation for deviation in self.deviations if deviation.is_worse and deviation.is_confirmed]
        return tuple(sorted(worse, key=lambda each: abs(each.shift.ratio or float("inf")), reverse=True))


CANDIDATE_RUNS = 3
