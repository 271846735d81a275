"""The load generator: Locust in processes of its own.

Locust patches the standard library when it is imported, so no process of Airflow's may import it. Each worker
gets a command pipe whose other end only this process holds. When this process is gone, however it went, the
pipe closes and the worker stops its load.

Nothing is judged by an exit code (Locust leaves with 0 after a SIGTERM and after a dead target): what the
workers wrote is the record, and whether it is whole is for `include.perf.validity` to say.
"""

import json
import logging
import math
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from include.perf.adapters.credentials import environment_credentials
from include.perf.errors import LoadError
from include.perf.load_plan import COMMANDS_VARIABLE, REPORTS_VARIABLE, LoadPlan, plan_for
from include.perf.load_progress import LoadProgress
from include.perf.ports import REQUESTS_FILE, Credentials, ProgressListener
from include.perf.scenario import LoadProfile
from include.perf.service import Service
from include.perf.worker_parts import forget, join

log = logging.getLogger(__name__)

LOG_FILE = "generator.log"
START_UP_S = 60.0
"""How long the workers may take to import Locust, read the feed and start their users, on a busy machine."""

HEAD_START_S = 0.3
"""How long the start is told beforehand."""

END_S = 5.0
"""How long they may take to end once they were asked to."""

PROJECT_ROOT = Path(__file__).parents[3]


class LocustGenerator:
    """Runs `include.load` as child processes and waits for them.

    Args:
        credentials: gives the secret headers of a service; they go to the workers through a pipe.
    """

    def __init__(
        self,
        *,
        credentials: Credentials = environment_credentials,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._credentials = credentials
        self._clock = clock

    def run(self, *, service: Service, load: LoadProfile, folder: Path, on_progress: ProgressListener) -> None:
        """Send the feed in ``folder`` at the arrival schedule and leave the raw record there.

        Raises:
            ConfigurationError: the service's credentials are missing.
            LoadError: a worker could not be started, or none left a record.
        """
        plan = plan_for(service, load, folder)
        secrets = self._credentials(service)
        forget(folder, workers=load.worker_count)
        try:
            with _workers(plan) as workers:
                self._drive(workers, plan, secrets, on_progress)
        except OSError as err:
            raise LoadError(f"the load generator could not be started: {err}") from err
        finally:
            join(folder, workers=load.worker_count)
        if not (folder / REQUESTS_FILE).exists():
            raise LoadError(f"the load generator left no record; its last words: {_last_words(folder)}")

    def _drive(
        self, workers: Sequence["Worker"], plan: LoadPlan, secrets: Mapping[str, str], on_progress: ProgressListener
    ) -> None:
        for worker in workers:
            worker.tell({"headers": dict(secrets)})
        load = _Load(workers, plan, on_progress, clock=self._clock)
        with selectors.DefaultSelector() as selector:
            for worker in workers:
                selector.register(worker.reports, selectors.EVENT_READ, worker)
            while selector.get_map() and (left := load.deadline - self._clock()) > 0:
                for key, _ in selector.select(timeout=left):
                    if not load.follow(key.data):
                        selector.unregister(key.fileobj)
            if selector.get_map():
                log.warning("the load did not end by itself and is stopped; see %s", plan.folder / LOG_FILE)
                load.stop("stopped: it did not end by itself")


class Worker:
    """One load process and the two pipes to it."""

    def __init__(self, number: int, process: "subprocess.Popen[bytes]", *, commands: int, reports: int) -> None:
        self.number = number
        self.process = process
        self.reports = reports
        self._commands = commands
        self._pending = b""

    def tell(self, command: Mapping[str, Any]) -> None:
        """Send a command; a worker that is gone gets none."""
        try:
            os.write(self._commands, json.dumps(command).encode() + b"\n")
        except BrokenPipeError:
            return

    def read(self) -> list[dict[str, Any]] | None:
        """Return what the worker has reported meanwhile; ``None`` when it reports no more."""
        data = os.read(self.reports, 1 << 16)
        if not data:
            return None
        *lines, self._pending = (self._pending + data).split(b"\n")
        return [json.loads(line) for line in lines]

    def is_lost(self) -> bool:
        """Whether it has ended, and not as it should."""
        return self._has_ended() and self.process.returncode != 0

    def _has_ended(self) -> bool:
        """Whether it ends within `END_S`."""
        try:
            self.process.wait(timeout=END_S)
        except subprocess.TimeoutExpired:
            return False
        return True

    def end(self) -> None:
        """Make sure that nothing of it runs any more."""
        if self._has_ended():
            return
        self.process.terminate()
        if not self._has_ended():
            log.warning("worker %d of the load generator ignored SIGTERM and is killed", self.number + 1)
            self.process.kill()
            self.process.wait()

    def close(self) -> None:
        """Close the pipes; a worker that still runs takes that as its end."""
        os.close(self._commands)
        os.close(self.reports)


class _Load:
    """What the workers do together: they start at one moment, and none goes on without the others.

    Attributes:
        deadline: on the clock, when they must have started; once they have, when they must have ended.
    """

    def __init__(
        self,
        workers: Sequence[Worker],
        plan: LoadPlan,
        on_progress: ProgressListener,
        *,
        clock: Callable[[], float],
    ) -> None:
        self._workers = workers
        self._plan = plan
        self._progress = LoadProgress(workers=len(workers), total_s=plan.total_s)
        self._on_progress = on_progress
        self._clock = clock
        self.deadline = clock() + START_UP_S
        self._ready: set[int] = set()
        self._end = math.inf

    def follow(self, worker: Worker) -> bool:
        """Take in what a worker reports; whether it will report more."""
        reports = worker.read()
        if reports is None:
            if time.perf_counter() < self._end:
                how = "was lost" if worker.is_lost() else "ended early"
                self.stop(f"stopped: worker {worker.number + 1} of {len(self._workers)} {how}")
            return False
        for report in reports:
            if "ready" in report:
                self._ready.add(worker.number)
                self._start_when_all_are_ready()
            elif progress := self._progress.take_in(worker.number, report):
                self._on_progress(progress)
        return True

    def _start_when_all_are_ready(self) -> None:
        """Start on a whole second, so that each second of the clock has its arrivals to itself."""
        if len(self._ready) == len(self._workers):
            now = time.time()
            started_at = float(math.ceil(now + HEAD_START_S))
            start = time.perf_counter() + (started_at - now)
            self._end = start + self._plan.total_s
            self.deadline = self._clock() + HEAD_START_S + 1 + self._plan.total_s + self._plan.drain_s + END_S
            for worker in self._workers:
                worker.tell({"start": {"start": start, "started_at": started_at}})

    def stop(self, reason: str) -> None:
        """Ask every worker to end its load."""
        for worker in self._workers:
            worker.tell({"stop": reason})


@contextmanager
def _workers(plan: LoadPlan) -> Iterator[list[Worker]]:
    """Lend the processes of a load, all of which are gone when the block ends."""
    path = plan.write()
    with ExitStack() as opened:
        log_file = opened.enter_context((plan.folder / LOG_FILE).open("wb"))
        workers: list[Worker] = []
        for number in range(plan.load.worker_count):
            workers.append(_start(number, path, log_file))
            opened.callback(workers[-1].close)
            opened.callback(workers[-1].end)
        try:
            yield workers
        except BaseException:
            for worker in workers:
                worker.process.terminate()
            raise


def _start(number: int, plan: Path, log_file: Any) -> Worker:
    commands_read, commands_write = os.pipe()
    reports_read, reports_write = os.pipe()
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "include.load", str(plan), str(number)],
            cwd=PROJECT_ROOT,
            env=_environment(commands_read, reports_write),
            pass_fds=(commands_read, reports_write),
            stdin=subprocess.DEVNULL,
            stdout=log_file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except BaseException:
        os.close(commands_write)
        os.close(reports_read)
        raise
    finally:
        os.close(commands_read)
        os.close(reports_write)
    return Worker(number, process, commands=commands_write, reports=reports_read)


def _environment(commands: int, reports: int) -> dict[str, str]:
    """Return a worker's environment: ours, without what belongs to Airflow, its secrets above all."""
    python_path = os.pathsep.join(filter(None, [str(PROJECT_ROOT), os.environ.get("PYTHONPATH", "")]))
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    return inherited | {
        COMMANDS_VARIABLE: str(commands),
        REPORTS_VARIABLE: str(reports),
        "PYTHONPATH": python_path,
        "PYTHONUNBUFFERED": "1",
    }


def _last_words(folder: Path) -> str:
    try:
        lines = (folder / LOG_FILE).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return "none"
    return " / ".join(line.strip() for line in lines[-3:]) or "none"
