"""What the load process is told: one JSON file, so that nothing travels over the command line.

The core writes it, `include.load` reads it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from include.perf.run import from_json, to_json
from include.perf.scenario import LoadProfile
from include.perf.service import Service

GENERATOR_VERSION = "1"
"""Raised whenever the generator changes in a way that may change a figure; part of a run's fingerprint."""

PLAN_FILE = "load-plan.json"
LIFELINE_VARIABLE = "BELLWETHER_LIFELINE_FD"
PROGRESS_VARIABLE = "BELLWETHER_PROGRESS_FD"

REQUEST_COLUMNS = (
    "due_at",
    "phase",
    "endpoint",
    "status",
    "start_lag_s",
    "service_time_s",
    "latency_s",
    "bytes",
    "error",
)
"""The columns of ``requests.csv.gz``, one row a request, in the order in which they ended.

``due_at`` is in Unix seconds; ``phase`` is ``warmup`` or ``measured``; ``latency_s`` counts from the due
time and is ``start_lag_s + service_time_s``; ``status`` is 0 without an answer; ``error`` is empty for an
answer that is as it should be.
"""

TIMED_OUT = "timeout"
UNFINISHED = "unfinished"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPlan:
    """A load, ready to be driven; every path is absolute."""

    base_url: str
    verify_tls: bool
    timeout_s: float
    headers: Mapping[str, str]
    load: LoadProfile
    folder: Path

    @property
    def drain_s(self) -> float:
        """How long answers are waited for after the last arrival."""
        return self.timeout_s if self.load.drain_s is None else self.load.drain_s

    @property
    def warmup_arrivals(self) -> int:
        """Arrivals before the measured window."""
        return round(self.load.rate_rps * self.load.warmup_s)

    @property
    def arrivals(self) -> int:
        """Arrivals of the whole run."""
        return self.warmup_arrivals + round(self.load.rate_rps * self.load.duration_s)

    @property
    def total_s(self) -> float:
        """Warm-up and measured part together."""
        return self.load.warmup_s + self.load.duration_s

    def write(self) -> Path:
        """Write the plan into its folder and return the file."""
        path = self.folder / PLAN_FILE
        path.write_bytes(to_json(self))
        return path

    @staticmethod
    def read(path: Path) -> "LoadPlan":
        """Read a plan back."""
        return from_json(LoadPlan, path.read_bytes(), where=str(path))


def plan_for(service: Service, load: LoadProfile, folder: Path) -> LoadPlan:
    """Return the plan of a load against a service, its feed and its record in ``folder``."""
    return LoadPlan(
        base_url=service.base_url,
        verify_tls=service.verify_tls,
        timeout_s=service.timeout_s,
        headers=service.headers,
        load=load,
        folder=folder.absolute(),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratorLog:
    """What the load process says of itself when it ends; ``generator.json``.

    Attributes:
        ended: ``completed``, or why it stopped early.
        first_due_at: Unix time at which the first arrival was due.
        measured_from, measured_to: Unix times of the measured window; ``measured_to`` is earlier than
            planned when the run was stopped.
        arrivals: arrivals released over the whole run.
        error_examples: one example a ``<endpoint> <kind>``.
    """

    ended: str
    version: str
    first_due_at: float
    measured_from: float
    measured_to: float
    arrivals: int
    schedule_lag_p99_s: float
    cpu_cores: float
    wanted_cores: float | None
    concurrency_peak: int
    capped: int
    clock_step_s: float
    error_examples: Mapping[str, str]
