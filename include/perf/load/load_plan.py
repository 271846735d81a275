"""What the load process is told: one JSON file, so that nothing travels over the command line.

The core writes it, `include.load` reads it.

What both ends of Locust's channel must know: the master beside a task, and the workers elsewhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from include.perf.catalogue.endpoint import Check, Expectation
from include.perf.catalogue.scenario.load_profile import LoadProfile
from include.perf.load.generator import LoadOrder
from include.perf.model.json_files import from_json, to_json

GENERATOR_VERSION = "2"
"""Raised whenever the generator changes in a way that may change a figure; part of a run's fingerprint."""

PLAN_FILE = "load-plan.json"

COMMANDS_VARIABLE = "BELLWETHER_COMMANDS_FD"

REPORTS_VARIABLE = "BELLWETHER_REPORTS_FD"
"""The pipes between the load process and the one that starts it."""

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
"""The columns of ``requests.csv.gz``, one row a request, in the order in which they ended.

``due_at`` is in Unix seconds; ``phase`` is ``warmup`` or ``measured``; ``status`` is 0 without an answer.
``schedule_lag_s`` is how late the generator released the request, ``start_lag_s`` how late it was sent, waiting for
a free connection included; ``latency_s`` counts from the due time and is ``start_lag_s + service_time_s``; ``error``
is empty for an answer that is as it should be.
"""

TIME_OUT_GRACE_S = 0.25

TIMED_OUT = "timeout"

UNFINISHED = "unfinished"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPlan:
    """A load, ready to be driven; every path is absolute.

    Attributes:
        addresses: of the host, in the order in which they are tried; no other is connected to.
        headers: of every request. Those that hold secrets are not here: they go through a pipe.
        expectations: by endpoint, where more than a good status is asked of an answer.
        workers: load processes that share the arrivals.
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

    def check_of(self, endpoint: str) -> Check:
        """Return what says how good an answer of an endpoint is."""
        return self.expectations.get(endpoint, Expectation()).compiled()

    @property
    def drain_s(self) -> float:
        """How long answers are waited for after the last arrival; by default until it has timed out."""
        return self.timeout_s + TIME_OUT_GRACE_S if self.load.drain_s is None else self.load.drain_s

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
        expectations={endpoint.name: endpoint.expect for endpoint in service.endpoints if endpoint.expect},
        load=order.load,
        workers=order.load.worker_count,
        folder=order.folder.absolute(),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratorLog:
    """What the load process says of itself when it ends; ``generator.json``.

    Attributes:
        ended: ``completed``, or why it stopped early.
        started_at: Unix time at which the schedule started.
        measured_from, measured_to: Unix times of the measured window; ``measured_to`` is earlier than
            planned when the run was stopped.
        arrivals: arrivals released over the whole run.
        schedule_lags: how late the arrivals of the measured window were released, as the counts of a
            `include.perf.model.histogram.Histogram`.
        cpu_cores: cores used in the measured window.
        wanted_cores: cores it would have used had it never waited for one; of several workers the most that
            one wanted. ``None`` where the kernel does not tell, as the next two.
        wait_ratio: share of the window in which it was ready to run and did not.
        steal_ratio: share of the machine's time that the hypervisor gave to others.
        error_examples: one example a ``<endpoint> <kind>``.
        feed_rows: different requests that were ready, by endpoint; used up, they begin again.
        lost_workers: numbers, from 1, of the workers that ended without a word.
        hosts: where each worker ran, when they ran elsewhere.
        clock_uncertainty_s: how far off the common start may have been on a worker that ran elsewhere, at most.
        clock_drift_s: by how much the clock of such a worker went away from the master's during the load.
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


KEY_VARIABLE = "BELLWETHER_LOCUST_KEY"

DEFAULT_PORT = 5557
"""Locust's own."""

LEAST_KEY = 16
"""Characters of a key that nobody guesses."""


def host_and_port(given: str, *, named: str) -> tuple[str, int]:
    """Return host and port of ``host``, ``host:port`` or ``[address]:port``.

    Raises:
        ValueError: it is none of these; ``named`` says where it stands.
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
