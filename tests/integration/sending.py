"""Observes a running load from outside: its processes, and the requests that its service counts."""

import contextlib
import gzip
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from include.perf.runs.results_store import REQUESTS_FILE
from tests.integration.conftest import Platform
from tests.waiting import until

START_S = 600.0
QUIET_S = 2.0
ENOUGH = 20
"""A load is running once the service has answered this many requests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """A running load.

    Attributes:
        folder: of its run.
        processes: the processes of the load generator.
        task: Airflow's task process, which started them.
        supervisor: the parent of the task process.
    """

    dag_id: str
    run_id: str
    service: str
    folder: Path
    processes: list[psutil.Process]
    task: psutil.Process
    supervisor: psutil.Process

    @property
    def is_running(self) -> bool:
        """Whether any of its processes runs."""
        return any(map(is_there, self.processes))

    @property
    def rows(self) -> int:
        """The number of requests in its raw record."""
        with gzip.open(self.folder / REQUESTS_FILE, "rb") as file:
            return sum(1 for _ in file) - 1


def is_there(process: psutil.Process) -> bool:
    """Return whether a process runs; a zombie does not."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def load_processes(folder: Path) -> list[psutil.Process]:
    """Return the processes of the load that writes to a folder."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess):
            words = process.cmdline()
            if "include.load" in words and any(word.startswith(f"{folder}/") for word in words):
                found.append(process)
    return found


def sending(platform: Platform, dag_id: str, run_id: str, *, service: str) -> Sending:
    """Wait until the service counts the requests of a load."""
    (folder,) = until(lambda: platform.planned(run_id), within_s=START_S, what=f"the plan of {dag_id}")
    processes = until(lambda: load_processes(folder), within_s=START_S, what=f"the processes of the load of {dag_id}")
    enough = platform.answered(service) + ENOUGH
    until(lambda: platform.answered(service) >= enough, within_s=START_S, what=f"requests of the load of {dag_id}")
    task = psutil.Process(processes[0].ppid())
    return Sending(
        dag_id=dag_id,
        run_id=run_id,
        service=service,
        folder=folder,
        processes=processes,
        task=task,
        supervisor=psutil.Process(task.ppid()),
    )


def last_sign_of(platform: Platform, load: Sending) -> float:
    """Wait until a load has stopped for `QUIET_S`; return the monotonic time when it last ran or sent a request."""
    counted, sign = platform.answered(load.service), time.monotonic()
    while time.monotonic() < sign + QUIET_S:
        now = platform.answered(load.service)
        if now != counted or load.is_running:
            counted, sign = now, time.monotonic()
        time.sleep(0.05)
    return sign
