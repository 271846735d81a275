"""The contract between the core and the load processes: the plan of a load, and the summary of its generator.

The core writes the plan as a JSON file, so that nothing is passed on the command line; `include.load` reads it. The
names of the environment variables and of the columns of the record are here too.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from include.perf.catalogue.expectation import Check, Expectation
from include.perf.catalogue.journey import Journey
from include.perf.catalogue.locustfile import Locustfile
from include.perf.catalogue.scenario.load_profile import LoadProfile
from include.perf.catalogue.signing import Signing
from include.perf.catalogue.worker_rates import least_workers, workers_for
from include.perf.load.generator import LoadOrder
from include.perf.model.json_files import from_json, to_json

GENERATOR_VERSION = "3"
"""Increased whenever a change of the generator may change a figure; part of a run's fingerprint."""

PLAN_FILE = "load-plan.json"

COMMANDS_VARIABLE = "BELLWETHER_COMMANDS_FD"

REPORTS_VARIABLE = "BELLWETHER_REPORTS_FD"
"""The pipes between a load process and its parent."""

DEFAULT_PORT = 5557
"""Locust's own."""

HEARTBEAT_INTERVAL_S = 0.25
"""How often every process of a load gives the next ones a sign of life; `include.load.sign_of_life` says why."""

REQUEST_COLUMNS = (
    "due_at",
    "phase",
    "endpoint",
    "status",
    "schedule_lag_s",
    "start_lag_s",
    "service_time_s",
    "latency_s",
    "bytes",
    "error",
)
"""The columns of ``requests.csv.gz``, one row per request, in the order in which the requests ended.

``due_at`` is in Unix seconds; ``phase`` is ``warmup`` or ``measured``; ``status`` is 0 without an answer.
``schedule_lag_s`` is how late the generator released the request, ``start_lag_s`` how late it was sent, including the
wait for a free connection; ``latency_s`` counts from the due time and is ``start_lag_s + service_time_s``; ``error`` is
empty for a good answer.
"""

JOURNEY_COLUMNS = ("arrival", "part")
"""The further columns of a record that has journeys.

``arrival`` is the number of the arrival. ``part`` is ``step`` for a request of a journey, whose ``endpoint`` is
``<journey>/<step>``; it is due when the answer before it had arrived and its user had thought. ``part`` is ``journey``
for the row of a journey as a whole, which follows those of its steps and is no request: it lasts until its last step
ended, without those of ``finally``; its status is the last one, and its bytes those of all answers. Both columns are
empty for the request of a plain endpoint.
"""

STEP, JOURNEY = "step", "journey"

TIMED_OUT = "timeout"

UNFINISHED = "unfinished"
"""Kinds of error of requests without an answer: after their time limit, and when the load ended."""

TIME_OUT_GRACE_S = 0.25
"""How much longer than the timeout to wait after the last arrival, so that its timeout is recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPlan:
    """A load, ready to be driven; every path is absolute.

    Attributes:
        addresses: of the host, in the order in which they are tried; the load connects to no others.
        headers: of every request. Headers that contain secrets are not here: they go through a pipe.
        expectations: by endpoint, where a good answer needs more than a good status.
        workers: load processes that share the arrivals.
        cookies: whether each user keeps the cookies of the service.
        signing: how requests are signed, without the key; ``None`` if they are not.
        token_header: the header of every request that has the current token; ``None`` without a login.
        least_workers: the fewest that hold the peak rate, on any machines.
        journeys: by name.
        longest_pause_s: how much longer to wait for the last answer, because users think.
        locustfile: which user classes and tasks of the run's locustfile are the load; ``None`` without one.
    """

    base_url: str
    addresses: tuple[str, ...]
    verify_tls: bool
    ca_file: Path | None
    keep_alive: bool
    timeout_s: float
    connect_timeout_s: float | None
    headers: Mapping[str, str]
    expectations: Mapping[str, Expectation]
    load: LoadProfile
    workers: int
    folder: Path
    least_workers: int = 1
    max_requests_per_connection: int | None = None
    max_connection_age_s: float | None = None
    idle_timeout_s: float | None = None
    client_certificate: Path | None = None
    signing: Signing | None = None
    token_header: str | None = None
    cookies: bool = False
    journeys: Mapping[str, Journey] = field(default_factory=dict)
    longest_pause_s: float = 0.0
    locustfile: Locustfile | None = None

    def check_of(self, endpoint: str) -> Check:
        """Return the check that an answer of an endpoint must pass."""
        return self.expectations.get(endpoint, Expectation()).compiled()

    @property
    def drain_s(self) -> float:
        """How long to wait for answers after the last arrival; by default until it has timed out."""
        if self.load.drain_s is not None:
            return self.load.drain_s
        return self.timeout_s + TIME_OUT_GRACE_S + self.longest_pause_s

    @property
    def total_s(self) -> float:
        """Warm-up and measured part together."""
        return self.load.total_s

    def write(self) -> Path:
        """Write the plan into its folder and return the file."""
        path = self.folder / PLAN_FILE
        path.write_bytes(to_json(self))
        return path

    @staticmethod
    def read(path: Path) -> "LoadPlan":
        """Read a plan back."""
        return from_json(LoadPlan, path.read_bytes(), where=str(path))


def plan_for(order: LoadOrder) -> LoadPlan:
    """Return the plan of a load that was ordered."""
    service = order.service
    return LoadPlan(
        base_url=service.base_url,
        addresses=order.addresses,
        verify_tls=service.verify_tls,
        ca_file=service.ca_file,
        keep_alive=service.keep_alive,
        timeout_s=service.timeout_s,
        connect_timeout_s=service.connect_timeout_s,
        headers=service.headers,
        expectations={endpoint.name: endpoint.expect for endpoint in service.requests if endpoint.expect},
        load=order.load,
        workers=workers_for(order.load, service),
        least_workers=least_workers(order.load, service),
        folder=order.folder.absolute(),
        max_requests_per_connection=service.max_requests_per_connection,
        max_connection_age_s=service.max_connection_age_s,
        idle_timeout_s=service.idle_timeout_s,
        client_certificate=service.client_certificate,
        signing=service.signing,
        token_header=service.login.header if service.login else None,
        cookies=service.cookies,
        journeys=service.journeys,
        longest_pause_s=service.longest_pause_s,
        locustfile=service.locustfile,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratorLog:
    """The summary that the load process writes when it ends: ``generator.json``.

    Attributes:
        ended: ``completed``, or why it stopped early.
        started_at: Unix time at which the schedule started.
        measured_from, measured_to: Unix times of the measured window; ``measured_to`` is earlier than
            planned when the run was stopped.
        arrivals: arrivals released in the warm-up and the measured window together.
        schedule_lags: how late the arrivals of the measured window were released, as the counts of a
            `include.perf.model.histogram.Histogram`.
        cpu_cores: cores used in the measured window.
        wanted_cores: cores it would have used had it never waited for one; the maximum over several workers.
            This and the next two are ``None`` where the kernel does not report them.
        wait_ratio: share of the window in which it was runnable but did not run.
        steal_ratio: share of the machine's time that the hypervisor gave to other machines.
        concurrency_peak: most requests in flight at once.
        capped: arrivals that found every connection busy.
        clock_step_s: by how much the wall clock was set during the load.
        error_examples: one example per ``<endpoint> <kind>``.
        feed_rows: number of different requests by endpoint; after the last one they repeat.
        lost_workers: numbers, from 1, of the workers that left no summary.
        hosts: the host of each worker, when they ran on other machines.
        clock_uncertainty_s: the largest possible error of the common start on such a worker.
        clock_drift_s: how far the clock of such a worker drifted from the master's during the load.
        resent: requests that were sent again, because the server had closed an idle connection.
        requests_by_address: how many requests were sent to each address of the host.
        rows: requests in the record, where an arrival may be several requests or none; ``None`` if each is one.
        measured_arrivals: arrivals released in the measured window; ``None`` likewise.
        notes: sentences about the load for the reader of its report, each with the number in place of its ``{count}``.
    """

    ended: str
    version: str
    started_at: float
    measured_from: float
    measured_to: float
    arrivals: int
    schedule_lags: Mapping[int, int]
    cpu_cores: float
    wanted_cores: float | None
    wait_ratio: float | None
    steal_ratio: float | None
    concurrency_peak: int
    capped: int
    clock_step_s: float
    error_examples: Mapping[str, str]
    feed_rows: Mapping[str, int]
    workers: int = 1
    lost_workers: tuple[int, ...] = ()
    hosts: tuple[str, ...] = ()
    clock_uncertainty_s: float | None = None
    clock_drift_s: float | None = None
    resent: int = 0
    requests_by_address: Mapping[str, int] = field(default_factory=dict)
    rows: int | None = None
    measured_arrivals: int | None = None
    notes: Mapping[str, int] = field(default_factory=dict)


def host_and_port(given: str, *, named: str) -> tuple[str, int]:
    """Return host and port of ``host``, ``host:port`` or ``[address]:port``.

    Args:
        named: what messages call it.

    Raises:
        ValueError: it has none of these forms.
    """
    host, colon, port = given.strip().rpartition(":")
    if not colon or port.endswith("]"):
        host, port = given.strip(), str(DEFAULT_PORT)
    if ":" in host and not (host.startswith("[") and host.endswith("]")):
        raise ValueError(f"{named} must have brackets around an IPv6 address, as in [fd00::7]:5557, but is {given!r}")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdigit() or not 0 < int(port) < 1 << 16:
        raise ValueError(f"{named} must be host or host:port, but is {given!r}")
    return host, int(port)
