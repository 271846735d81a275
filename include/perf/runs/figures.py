"""What was measured in a run: pure data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from pydantic import AwareDatetime

from include.perf.model.metric import MetricValue


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
    """A spell in which the service answered nothing although requests were waiting; see `include.perf.measure.stalls`.

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
