"""A run and its record: what was asked, what was measured, what it means.

The record is ``run.json`` in the run's folder of the results store; other tools rely on its shape. Every
class here is immutable and turns to and from JSON with :func:`to_json` and :func:`from_json`.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar

from pydantic import AwareDatetime, TypeAdapter, ValidationError

from include.perf.arrival_rate import CurvePoint, RateCurve
from include.perf.deadline import Deadline
from include.perf.errors import StoreError
from include.perf.load_profile import LoadProfile
from include.perf.metric import MetricValue, Unit

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
class RunSpec:
    """What a run was asked to be; fixed before anything is touched.

    Attributes:
        update_baseline: promote the run if it is valid; needs a ``reason``.
        triggered_by: the person or the schedule that asked.
        dag_id: the Airflow DAG, ``None`` from the command line.
        may_rerun: whether it is measured again when it looks suspicious.
        rerun_of: the run that looked suspicious and is judged together with this one.
        deadline: when its load must be over; ``None`` where nothing presses.
    """

    run_id: str
    service: str
    scenario: str
    environment: str
    load: LoadProfile
    created_at: datetime
    update_baseline: bool = False
    reason: str | None = None
    triggered_by: str = "unknown"
    dag_id: str | None = None
    dag_run_id: str | None = None
    may_rerun: bool = True
    rerun_of: str | None = None
    deadline: Deadline | None = None


def run_id_of(moment: datetime) -> str:
    """Return the id of a run that is planned at a moment; ids sort by time."""
    return f"{moment:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The measured part of a run, warm-up left out."""

    start: datetime
    end: datetime

    @property
    def duration_s(self) -> float:
        """Its length in seconds."""
        return (self.end - self.start).total_seconds()


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointFigures:
    """One endpoint within the measured window; latencies in seconds.

    Attributes:
        rows: different requests that were sent in turn; 0 in the records of earlier versions.
    """

    name: str
    due: int
    failed: int
    latency_p50: float | None
    latency_p95: float | None
    latency_p99: float | None
    rows: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorGroup:
    """Failed requests of one kind, with one example."""

    kind: str
    endpoint: str
    count: int
    example: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratorFigures:
    """How the load generator itself fared.

    Attributes:
        version: of the generator and its engine.
        ended: ``completed``, or why it stopped early.
        schedule_lag_p99_s: how late arrivals were released, 99th percentile; the generator's own fault.
        start_lag_p99_s: from due to actually sent; includes waiting for a free connection slot.
        cpu_cores: cores it used in the measured window.
        wanted_cores: cores it would have used had it never waited for one; of several workers the most that
            one wanted. ``None`` where the kernel does not tell, as the ratios below.
        concurrency_peak: most requests in flight.
        capped: arrivals that found every slot taken, the target being slow.
        clock_step_s: wall clock minus monotonic clock, over the run.
        wait_ratio: share of the window in which it was ready to run and did not; of several the most.
        steal_ratio: share of the machine's time that the hypervisor gave to others.
        distortion: by latency metric, by how many seconds the generator's own lateness raised it.
        workers: load processes that shared the arrivals.
        lost_workers: numbers, from 1, of those that ended without a word.
        hosts: where each worker ran; empty when all ran beside the task.
        clock_uncertainty_s: how far off the common start may have been on a worker elsewhere, at most.
        clock_drift_s: by how much the clock of such a worker went away from the master's during the load.
    """

    version: str
    ended: str
    schedule_lag_p99_s: float
    start_lag_p99_s: float
    cpu_cores: float
    wanted_cores: float | None
    concurrency_peak: int
    capped: int
    clock_step_s: float
    wait_ratio: float | None = None
    steal_ratio: float | None = None
    distortion: Mapping[str, float] = field(default_factory=dict)
    workers: int = 1
    lost_workers: tuple[int, ...] = ()
    hosts: tuple[str, ...] = ()
    clock_uncertainty_s: float | None = None
    clock_drift_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stall:
    """A spell in which the service answered nothing although requests were waiting; see `include.perf.stalls`.

    Attributes:
        start_s: since the schedule started, warm-up included.
    """

    start_s: float
    duration_s: float


COMPLETED = "completed"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadFigures:
    """What the load generator recorded.

    Counts are of the measured window: ``due = finished + failed``; ``finished`` are the requests answered
    as they should be. ``rows`` and ``arrivals`` are of the whole run, warm-up included.

    Attributes:
        sent: requests that really went out within the window.
        metrics: the client-side metrics by name.
        within_run: by metric, standard deviation of the log of its minutes; empty for a run of few minutes.
        stalls: of the whole run.
    """

    started_at: datetime
    window: Window
    due: int
    sent: int
    finished: int
    failed: int
    timed_out: int
    unfinished: int
    arrivals: int
    rows: int
    metrics: Mapping[str, MetricValue]
    endpoints: tuple[EndpointFigures, ...]
    errors: tuple[ErrorGroup, ...]
    generator: GeneratorFigures
    within_run: Mapping[str, float] = field(default_factory=dict)
    stalls: tuple[Stall, ...] = ()

    @property
    def achieved_rate_rps(self) -> float | None:
        """Requests per second that really went out in the window; ``None`` when the load ended before it began."""
        return self.sent / self.window.duration_s if self.window.duration_s > 0 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFigures:
    """What Prometheus says of the service over exactly the measured window.

    Attributes:
        coverage_ratio: share of the scrapes that should be there and are; ``None`` when it could not be asked.
        metrics: the server-side metrics by name.
        problem: why there is nothing, when Prometheus could not be asked at all.
        restarted_at: when a process of the service began within the window.
    """

    coverage_ratio: float | None
    metrics: Mapping[str, MetricValue]
    problem: str | None = None
    restarted_at: AwareDatetime | None = None


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


_ADAPTERS: dict[Any, TypeAdapter[Any]] = {}


def _adapter(kind: Any) -> TypeAdapter[Any]:
    """Return the converter of a class; making one is slow, so each is made once."""
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


def to_json(value: object) -> bytes:
    """Write any of these classes as readable JSON, times as RFC 3339 in UTC."""
    return _adapter(type(value)).dump_json(value, indent=2) + b"\n"


def from_json(kind: type[T], content: bytes, *, where: str) -> T:
    """Read one of these classes back.

    Raises:
        StoreError: the content is not what ``kind`` looks like; ``where`` says which file.
    """
    try:
        record: T = _adapter(kind).validate_json(content)
    except ValidationError as err:
        first = err.errors()[0]
        path = ".".join(map(str, first["loc"])) or "the document"
        raise StoreError(f"{where} is not a valid {kind.__name__}: {path}: {first['msg']}") from err
    return record
