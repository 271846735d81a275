"""A load that goes out, as the machine sees it: its processes, and what its service counts."""

import contextlib
import gzip
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from include.perf.runs.results_store import REQUESTS_FILE
from tests.integration.conftest import Platform
from tests.waiting import until

START_S = 120.0
QUIET_S = 2.0
ENOUGH = 20
"""So many answers show that a load goes out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """A load that goes out: its run, its folder and its processes.

    Attributes:
        processes: of the load itself.
        task: the process of Airflow's that started them.
        supervisor: that one's parent.
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
        """Whether any of its processes is still there."""
        return any(map(is_there, self.processes))

    @property
    def rows(self) -> int:
        """How many requests are in its record."""
        with gzip.open(self.folder / REQUESTS_FILE, "rb") as file:
            return sum(1 for _ in file) - 1


def is_there(process: psutil.Process) -> bool:
    """Whether a process runs; one that only waits to be reaped does not."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def load_processes(folder: Path) -> list[psutil.Process]:
    """Return the processes of the load whose record is in a folder."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess):
            words = process.cmdline()
            if "include.load" in words and any(word.startswith(f"{folder}/") for word in words):
                found.append(process)
    return found


def sending(platform: Platform, dag_id: str, run_id: str, *, service: str) -> Sending:
    """Wait until a load goes out: the service counts it."""
    (folder,) = until(lambda: platform.planned(run_id), within_s=START_S, what=f"{dag_id} is planned")
    processes = until(lambda: load_processes(folder), within_s=START_S, what=f"the load of {dag_id} is started")
    enough = platform.answered(service) + ENOUGH
    until(lambda: platform.answered(service) >= enough, within_s=START_S, what=f"the load of {dag_id} goes out")
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
    """Return when, on the monotonic clock, a load last ran or was counted; none of both happened for two seconds."""
    counted, sign = platform.answered(load.service), time.monotonic()
    while time.monotonic() < sign + QUIET_S:
        now = platform.answered(load.service)
        if now != counted or load.is_running:
            counted, sign = now, time.monotonic()
        time.sleep(0.05)
    return sign
