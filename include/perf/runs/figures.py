"""The figures that a run measured; only data classes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from pydantic import AwareDatetime

from include.perf.model.bounds import Amount, Change, Count, Moment, Name, Seconds, Text
from include.perf.model.metric import MetricValue


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The measured part of a run, without the warm-up."""

    start: Moment
    end: Moment

    @property
    def duration_s(self) -> float:
        """Its length in seconds."""
        return (self.end - self.start).total_seconds()


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointFigures:
    """The figures of one endpoint in the measured window; latencies in seconds.

    Attributes:
        rows: number of different requests that were sent in rotation; 0 in records of earlier versions.
        throughput: good answers received within the window per second; ``None`` in records of earlier versions.
    """

    name: Name
    due: Count
    failed: Count
    latency_p50: Amount | None
    latency_p95: Amount | None
    latency_p99: Amount | None
    rows: Count = 0
    throughput: Amount | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JourneyFigures:
    """The figures of one journey as a whole in the measured window; latencies in seconds, from due time to last answer.

    Attributes:
        due: how often it was due; each is one arrival.
        abandoned: how often it did not reach its end.
        reasons: how often for each reason, such as ``abandoned at orders/quote``.
    """

    name: Name
    due: Count
    abandoned: Count
    latency_p50: Amount | None
    latency_p95: Amount | None
    latency_p99: Amount | None
    reasons: Mapping[Name, Count] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorGroup:
    """The failed requests of one kind, with an example."""

    kind: Name
    endpoint: Name
    count: Count
    example: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratorFigures:
    """How the load generator itself performed.

    Attributes:
        version: of the generator and its engine.
        ended: ``completed``, or why it stopped early.
        schedule_lag_p99_s: 99th percentile of the schedule lag, which the generator itself causes.
        start_lag_p99_s: 99th percentile from due time to send time, including the wait for a free connection slot.
        cpu_cores: cores used in the measured window.
        wanted_cores: cores that it would have used without waiting for a CPU; the maximum of several workers.
            ``None`` if the kernel does not report it; the same applies to the ratios below.
        concurrency_peak: maximum number of requests in flight.
        capped: arrivals that found all connection slots in use because the target was slow.
        clock_step_s: change of the wall clock relative to the monotonic clock during the run.
        wait_ratio: share of the window in which it waited for a CPU; the maximum of several workers.
        steal_ratio: share of the machine's time that the hypervisor gave to other machines.
        distortion: by latency metric, the seconds that the generator's own lag added.
        workers: number of load processes that shared the arrivals.
        lost_workers: numbers, from 1, of the workers that ended without a report.
        hosts: the host of each worker; empty if all ran on the host of the task.
        clock_uncertainty_s: maximum error of the common start time on a remote worker.
        clock_drift_s: drift between the clocks of a remote worker and the master during the load.
        resent: requests that were sent again, because the server had closed an idle connection.
        requests_by_address: number of requests that were sent to each address of the host, warm-up included.
    """

    version: Name
    ended: Text
    schedule_lag_p99_s: Change
    start_lag_p99_s: Change
    cpu_cores: Change
    wanted_cores: Change | None
    concurrency_peak: Count
    capped: Count
    clock_step_s: Change
    wait_ratio: Change | None = None
    steal_ratio: Change | None = None
    distortion: Mapping[Name, Change] = field(default_factory=dict)
    workers: Count = 1
    lost_workers: tuple[Count, ...] = ()
    hosts: tuple[Name, ...] = ()
    clock_uncertainty_s: Change | None = None
    clock_drift_s: Change | None = None
    resent: Count = 0
    requests_by_address: Mapping[Name, Count] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stall:
    """A period without any response although requests were waiting; see `include.perf.measure.stalls`.

    Attributes:
        start_s: seconds since the start of the schedule, warm-up included.
    """

    start_s: Seconds
    duration_s: Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedRequests:
    """Requests that were refused after others had been let in; see `include.perf.measure.refusals`.

    Attributes:
        statuses: of the refusals.
        count: in the measured window.
        since_s: seconds since the start of the schedule, warm-up included.
    """

    statuses: tuple[int, ...]
    count: int
    since_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreachableService:
    """Requests that got no answer of the service: the connection broke or was refused, or a proxy says so.

    Attributes:
        count: warm-up included.
        kind: the most frequent error.
        refused_share: share of all requests whose connection was refused, or that found no way to the host.
        since_s: from when on most requests were lost, in seconds since the start of the schedule.
    """

    count: Count
    kind: Name
    refused_share: Amount
    since_s: Seconds


COMPLETED = "completed"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadFigures:
    """What the load generator recorded.

    Counts refer to the measured window: ``due = finished + failed``, where ``finished`` requests had a correct
    response. ``rows``, ``arrivals`` and ``stalls`` refer to the complete run, warm-up included.

    Attributes:
        sent: requests sent within the window.
        recorded: requests that the generator recorded, where an arrival may be several or none; ``None`` if each
            arrival is one request.
        measured_arrivals: arrivals released in the window; ``None`` likewise.
        notes: sentences of the generator for the reader.
        metrics: the client-side metrics by name.
        within_run: by metric, standard deviation of the logarithm of its values per minute; empty for a short run.
        refusals: those that began in mid-run; ``None`` without any.
        unreachable: requests that got no answer of the service; ``None`` without any.
        journeys: as a whole; their steps are among ``endpoints``.
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
    refusals: RefusedRequests | None = None
    unreachable: UnreachableService | None = None
    recorded: int | None = None
    measured_arrivals: int | None = None
    journeys: tuple[JourneyFigures, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def expected_rows(self) -> int:
        """How many rows a complete record has."""
        return self.arrivals if self.recorded is None else self.recorded

    @property
    def released(self) -> int:
        """Arrivals released in the window."""
        return self.due if self.measured_arrivals is None else self.measured_arrivals

    @property
    def achieved_rate_rps(self) -> float | None:
        """Arrivals that were sent per second in the window; ``None`` if the load ended before the window."""
        sent = self.sent if self.measured_arrivals is None else self.measured_arrivals
        return sent / self.window.duration_s if self.window.duration_s > 0 else None


MIN_COVERAGE_RATIO = 0.95
"""Share of the scrapes that must have succeeded; with fewer an average looks normal but is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFigures:
    """What Prometheus recorded of the service in exactly the measured window.

    Attributes:
        coverage_ratio: share of the expected scrapes that exist; ``None`` if Prometheus could not be queried.
        metrics: the server-side metrics by name.
        problem: why there are no figures, if Prometheus could not be queried.
        restarted_at: when a process of the service started within the window.
    """

    coverage_ratio: float | None
    metrics: Mapping[str, MetricValue]
    problem: str | None = None
    restarted_at: AwareDatetime | None = None

    @property
    def is_incomplete(self) -> bool:
        """Whether scrapes of the service are missing."""
        return self.problem is not None or self.coverage_ratio is None or self.coverage_ratio < MIN_COVERAGE_RATIO
