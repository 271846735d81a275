"""The record of a run: what was requested, what was measured, and the verdict.

It is stored as ``run.json`` in the run's folder; other tools rely on its format. All classes are immutable, and
converted to and from JSON by `include.perf.model.json_files`. Parsing checks every value (`include.perf.model.bounds`),
so what reads a record never sees a value outside its domain. `include.perf.runs.stage_files` reads the file; nothing
else parses it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, AliasChoices, Field

from include.perf.catalogue.hard_limits import DEFAULT_ERROR_RATE, ERROR_RATE
from include.perf.catalogue.scenario.arrival_rate import CurvePoint, RateCurve
from include.perf.model.bounds import (
    MAX_AMOUNT,
    MAX_ITEMS,
    MAX_SECONDS,
    Amount,
    Change,
    Count,
    Moment,
    Name,
    Seconds,
    Text,
)
from include.perf.model.metric import MetricValue, Unit
from include.perf.runs.figures import EndpointFigures, ErrorGroup, GeneratorFigures, JourneyFigures, Stall, Window

SCHEMA_VERSION = 1

CANDIDATE_RUNS = 3
"""A baseline of fewer runs is provisional: only large changes count."""


class Verdict(StrEnum):
    """The result of a run. An exception handler may only produce ``INVALID``."""

    PASS = "PASS"  # noqa: S105 - a verdict, not a password
    REGRESSION = "REGRESSION"
    OVER_LIMIT = "OVER_LIMIT"
    IMPROVEMENT = "IMPROVEMENT"
    NO_BASELINE = "NO_BASELINE"
    NOT_COMPARABLE = "NOT_COMPARABLE"
    INVALID = "INVALID"
    SKIPPED = "SKIPPED"

    @property
    def is_measured(self) -> bool:
        """Whether the run's figures can be trusted."""
        return self not in (Verdict.INVALID, Verdict.SKIPPED)

    @property
    def is_failure(self) -> bool:
        """Whether the run found a problem of the service."""
        return self in (Verdict.REGRESSION, Verdict.OVER_LIMIT)


class Cause(StrEnum):
    """The scope of a deviation; deviations with the same cause are one problem."""

    CELL = "cell"
    SERVICE = "service"
    PLATFORM = "platform"


class Severity(StrEnum):
    """How urgent a deviation is, in ascending order."""

    DIGEST = "digest"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """Its position in ascending order; the values themselves would sort alphabetically."""
        return list(Severity).index(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadSummary:
    """The ``load`` part of the record: requested and achieved.

    The rates are those of arrivals. The counts are those of requests, of which a journey has several.

    Attributes:
        requested_rate_rps: mean over the measured window.
        requested_curve: the rate over time from the start of the warm-up; empty if it is constant.
    """

    requested_rate_rps: Amount
    achieved_rate_rps: Amount | None
    duration_s: Seconds
    warmup_s: Seconds
    due: Count | None
    sent: Count | None
    finished: Count | None
    failed: Count | None
    timed_out: Count | None
    unfinished: Count | None
    requested_curve: Annotated[tuple[CurvePoint, ...], Field(max_length=MAX_ITEMS)] = ()

    @property
    def peak_rate_rps(self) -> float:
        """The highest requested rate."""
        if not self.requested_curve:
            return self.requested_rate_rps
        return RateCurve.through(self.requested_curve).peak(self.warmup_s + self.duration_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """A relative change, as a ratio: 0.45 is 45 % more.

    Attributes:
        ratio: ``None`` if the baseline is zero.
        absolute: the change in the metric's unit.
        low, high: 95 % interval of ``ratio``; ``None`` if the history is too short.
        absolute_low, absolute_high: 95 % interval of ``absolute``.
    """

    ratio: Change | None
    absolute: Change
    low: Change | None = None
    high: Change | None = None
    absolute_low: Change | None = None
    absolute_high: Change | None = None


def _checked_shift(shift: Shift) -> Shift:
    """Refuse an interval whose ends are swapped.

    Raises:
        ValueError: with the interval.
    """
    for low, high in ((shift.low, shift.high), (shift.absolute_low, shift.absolute_high)):
        if low is not None and high is not None and low > high:
            raise ValueError(f"the interval from {low} to {high} ends before it begins")
    return shift


CheckedShift = Annotated[Shift, AfterValidator(_checked_shift)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deviation:
    """A significant or suspicious change of one metric that reaches its minimum effect, for the worse or the better.

    Attributes:
        baseline: what the value is compared with.
        value: of this night; with re-runs the median.
        is_confirmed: whether the change is significant; a suspicion appears in the digest only and is no regression.
        since: the first night with the change, if earlier nights show it, too.
        evidence: why the change is significant or only suspicious, in words; empty in records of earlier versions.
        first_version: deploy version of the service when the change was first seen; ``None`` if unknown.
        previous_version: deploy version on the night before that, equal to ``first_version`` if nothing was deployed
            in between; ``None`` if unknown.
    """

    metric: Name
    unit: Unit
    baseline: Amount
    value: Amount
    shift: CheckedShift
    is_worse: bool
    severity: Severity
    reason: Text
    is_confirmed: bool = True
    cause: Cause = Cause.CELL
    since: Moment | None = None
    evidence: Text = ""
    first_version: Name | None = None
    previous_version: Name | None = None

    @property
    def is_suspicion(self) -> bool:
        """Whether the metric looks worse without being significant."""
        return self.is_worse and not self.is_confirmed


@dataclass(frozen=True, slots=True, kw_only=True)
class ExceededLimit:
    """A hard limit that a run is beyond, whatever its baseline.

    Attributes:
        limit: an upper limit, for throughput a lower one.
        value: of this night; with re-runs the median.
        endpoint: empty for the service as a whole.
        evidence: on how many runs the finding rests.
    """

    metric: Name
    unit: Unit
    limit: Amount
    value: Amount
    severity: Severity
    endpoint: Name = ""
    evidence: Text = ""

    @property
    def key(self) -> str:
        """What distinguishes it from other findings of the same problem."""
        return f"limit:{self.endpoint}:{self.metric}" if self.endpoint else f"limit:{self.metric}"


COLLAPSE_KEY = "limit:collapse"
"""As `ExceededLimit.key`, for a service that did not survive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Collapse:
    """A service that did not survive its load; the figures of the run end early.

    Attributes:
        happened: what shows it, first things first; each goes on after "the service …".
        evidence: in how many runs.
    """

    happened: Annotated[tuple[Text, ...], Field(min_length=1, max_length=MAX_ITEMS)]
    severity: Severity
    evidence: Text = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineReference:
    """What a run was compared with.

    Attributes:
        runs: number of runs in the baseline.
        metrics: the baseline of each metric.
        nights: number of nights in the comparison: those of the baseline, and later ones that passed.
        since: the first of these nights.
    """

    version: Count
    state: Name
    runs: Count
    approved_at: Moment
    metrics: Mapping[Name, Amount]
    nights: Count = 0
    since: Moment | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where a record comes from, and whether it was requested as the new baseline."""

    dag_id: str | None
    dag_run_id: str | None
    triggered_by: str
    update_baseline: bool
    reason: str | None
    versions: Mapping[str, str]


def _checked_load(load: LoadSummary) -> LoadSummary:
    """Refuse counts that contradict each other, and a curve that is none.

    Raises:
        ValueError: with the counts or the problem.
    """
    _check_failed(load.failed, due=load.due)
    for point in load.requested_curve:
        if not (0 <= point.at_s <= MAX_AMOUNT and 0 <= point.rate_rps <= MAX_AMOUNT):
            raise ValueError(f"requested_curve has the point {point.rate_rps} requests/s at {point.at_s} s")
    if load.requested_curve:
        RateCurve.through(load.requested_curve)
    return load


def _checked_endpoints(endpoints: tuple[EndpointFigures, ...]) -> tuple[EndpointFigures, ...]:
    for endpoint in endpoints:
        _check_failed(endpoint.failed, due=endpoint.due)
    return endpoints


def _checked_journeys(journeys: tuple[JourneyFigures, ...]) -> tuple[JourneyFigures, ...]:
    for journey in journeys:
        if journey.abandoned > journey.due:
            raise ValueError(f"abandoned ({journey.abandoned}) must not be more than due ({journey.due})")
    return journeys


def _checked_window(window: Window | None) -> Window | None:
    if window is not None and not 0 <= window.duration_s <= MAX_SECONDS:
        raise ValueError(f"the end ({window.end}) must be after the start ({window.start}), by at most a year")
    return window


def _check_failed(failed: int | None, *, due: int | None) -> None:
    if failed is not None and due is not None and failed > due:
        raise ValueError(f"failed ({failed}) must not be more than due ({due})")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """``run.json``: everything known about a run; written once, as the last file.

    Attributes:
        validity: why the figures cannot be trusted; empty if they can.
        reasons: the reasons of the verdict, a sentence each.
        notes: information that does not change the verdict.
        shifts: the change of every metric that was compared.
        judged: the values that were compared, if they are not this run's own: medians of this run and its re-runs.
        reruns: ids of the re-runs that were judged together with this run.
        rerun_of: id of the run that this one repeats.
        reported_by: id of the run whose alert also reports the deviations of this one, because they have the same
            cause. ``told_by`` in records of earlier versions.
        platform: by metric, the relative change that all services share in this night; it is removed from ``shifts``.
        within_run: by metric, standard deviation of the logarithm of its values per minute.
        deploy_version: the version that the service reports.
        limits: by metric, the hard limits of the service as a whole; empty in records of earlier versions.
        exceeded: the hard limits that the run is beyond, those of endpoints included.
        collapse: how the service failed under the load; ``None`` if it survived.
        stalls: periods in which the service answered nothing although requests were waiting, warm-up included.
        journeys: as a whole; their steps are among ``endpoints``.
    """

    run_id: Name
    service: Name
    scenario: Name
    environment: Name
    started_at: Moment
    window: Annotated[Window | None, AfterValidator(_checked_window)]
    load: Annotated[LoadSummary, AfterValidator(_checked_load)]
    metrics: Mapping[Name, MetricValue]
    fingerprint: Mapping[Name, Text]
    validity: tuple[Text, ...]
    verdict: Verdict
    reasons: tuple[Text, ...]
    deviations: tuple[Deviation, ...]
    baseline: BaselineReference | None
    endpoints: Annotated[tuple[EndpointFigures, ...], Field(max_length=MAX_ITEMS), AfterValidator(_checked_endpoints)]
    errors: Annotated[tuple[ErrorGroup, ...], Field(max_length=MAX_ITEMS)]
    generator: GeneratorFigures | None
    provenance: Provenance
    notes: tuple[Text, ...] = ()
    shifts: Mapping[Name, CheckedShift] = field(default_factory=dict)
    judged: Mapping[Name, Amount] = field(default_factory=dict)
    reruns: tuple[Name, ...] = ()
    rerun_of: Name | None = None
    reported_by: Annotated[Name | None, Field(validation_alias=AliasChoices("reported_by", "told_by"))] = None
    platform: Mapping[Name, Change] = field(default_factory=dict)
    within_run: Mapping[Name, Amount] = field(default_factory=dict)
    deploy_version: Name | None = None
    stalls: Annotated[tuple[Stall, ...], Field(max_length=MAX_ITEMS)] = ()
    journeys: Annotated[tuple[JourneyFigures, ...], Field(max_length=MAX_ITEMS), AfterValidator(_checked_journeys)] = ()
    limits: Mapping[Name, Amount] = field(default_factory=dict)
    exceeded: Annotated[tuple[ExceededLimit, ...], Field(max_length=MAX_ITEMS)] = ()
    collapse: Collapse | None = None
    schema_version: int = field(default=SCHEMA_VERSION)

    @property
    def has_findings(self) -> bool:
        """Whether it shows a problem that people are alerted to."""
        return bool(self.regressions or self.exceeded or self.collapse)

    @property
    def is_failing(self) -> bool:
        """Whether no later run may be compared with it: the service collapsed, or too many requests failed.

        Records of earlier versions have no limit; the default one applies to them.
        """
        if self.collapse is not None or any(exceeded.metric == ERROR_RATE for exceeded in self.exceeded):
            return True
        rate = self.value_of(ERROR_RATE)
        return not self.limits and rate is not None and rate > DEFAULT_ERROR_RATE

    def value_of(self, metric: str) -> float | None:
        """Return the value of a metric that was compared, with re-runs the median; ``None`` if there is none."""
        measured = self.metrics.get(metric)
        return self.judged.get(metric, measured.value if measured else None)

    @property
    def regressions(self) -> tuple[Deviation, ...]:
        """The confirmed deviations for the worse, largest first."""
        worse = [deviation for deviation in self.deviations if deviation.is_worse and deviation.is_confirmed]
        return tuple(sorted(worse, key=lambda deviation: abs(deviation.shift.ratio or float("inf")), reverse=True))
