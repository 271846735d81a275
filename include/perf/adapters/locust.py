"""The load generator: Locust in a process of its own.

Locust patches the standard library when it is imported, so no process of Airflow's may import it. The child
gets a lifeline: a pipe whose other end only this process holds. When this process is gone, however it went,
the pipe closes and the child stops its load.

Nothing is judged by the exit code (Locust leaves with 0 after a SIGTERM and after a dead target): what the
child wrote is the record, and whether it is whole is for `include.perf.validity` to say.
"""

import json
import logging
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from include.perf.errors import LoadError
from include.perf.load_plan import LIFELINE_VARIABLE, PROGRESS_VARIABLE, LoadPlan, plan_for
from include.perf.ports import GENERATOR_FILE, REQUESTS_FILE, Progress, ProgressListener
from include.perf.scenario import LoadProfile
from include.perf.service import Service

log = logging.getLogger(__name__)

LOG_FILE = "generator.log"
START_UP_S = 60.0
"""How long the child may take to import Locust, read the feed and start its users, on a busy machine."""

END_S = 5.0
"""How long it may take to end once it was asked to."""

PROJECT_ROOT = Path(__file__).parents[3]


class LocustGenerator:
    """Runs `include.load` as a child process and waits for it."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock

    def run(self, *, service: Service, load: LoadProfile, folder: Path, on_progress: ProgressListener) -> None:
        """Send the feed in ``folder`` at the arrival schedule and leave the raw record there.

        Raises:
            LoadError: the child could not be started or left no record.
        """
        plan = plan_for(service, load, folder)
        for name in (REQUESTS_FILE, GENERATOR_FILE):
            (folder / name).unlink(missing_ok=True)
        self._drive(plan, on_progress)
        if not (folder / REQUESTS_FILE).exists():
            raise LoadError(f"the load generator left no record; its last words: {_last_words(folder)}")

    def _drive(self, plan: LoadPlan, on_progress: ProgressListener) -> None:
        lifeline_read, lifeline_write = os.pipe()
        progress_read, progress_write = os.pipe()
        os.set_blocking(progress_write, False)
        try:
            with (plan.folder / LOG_FILE).open("wb") as log_file:
                child = subprocess.Popen(
                    [sys.executable, "-m", "include.load", str(plan.write())],
                    cwd=PROJECT_ROOT,
                    env=_environment(lifeline_read, progress_write),
                    pass_fds=(lifeline_read, progress_write),
                    stdin=subprocess.DEVNULL,
                    stdout=log_file,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            os.close(progress_write)
            progress_write = -1
            try:
                self._follow(child, progress_read, plan, on_progress)
            except BaseException:
                child.terminate()
                raise
            finally:
                _end(child)
        except OSError as err:
            raise LoadError(f"the load generator could not be started: {err}") from err
        finally:
            for descriptor in (lifeline_read, lifeline_write, progress_read, progress_write):
                if descriptor >= 0:
                    os.close(descriptor)

    def _follow(
        self, child: subprocess.Popen[bytes], descriptor: int, plan: LoadPlan, on_progress: ProgressListener
    ) -> None:
        """Pass the progress on until the child closes its end, or its time is up."""
        deadline = self._clock() + START_UP_S + plan.total_s + plan.drain_s + END_S
        pending = b""
        with selectors.DefaultSelector() as selector:
            selector.register(descriptor, selectors.EVENT_READ)
            while (left := deadline - self._clock()) > 0:
                if not selector.select(timeout=left):
                    break
                data = os.read(descriptor, 65536)
                if not data:
                    return
                *lines, pending = (pending + data).split(b"\n")
                for line in lines:
                    on_progress(Progress(**json.loads(line)))
        log.warning("the load did not end by itself and is stopped; see %s", plan.folder / LOG_FILE)
        child.terminate()


def _environment(lifeline: int, progress: int) -> dict[str, str]:
    """Return the child's environment: ours, without what belongs to Airflow, its secrets above all."""
    python_path = os.pathsep.join(filter(None, [str(PROJECT_ROOT), os.environ.get("PYTHONPATH", "")]))
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    return inherited | {
        LIFELINE_VARIABLE: str(lifeline),
        PROGRESS_VARIABLE: str(progress),
        "PYTHONPATH": python_path,
        "PYTHONUNBUFFERED": "1",
    }


def _end(child: subprocess.Popen[bytes]) -> None:
    """Make sure that nothing of the load runs any more."""
    try:
        child.wait(timeout=END_S)
        return
    except subprocess.TimeoutExpired:
        child.terminate()
    try:
        child.wait(timeout=END_S)
    except subprocess.TimeoutExpired:
        log.warning("the load generator ignored SIGTERM and is killed")
        child.kill()
        child.wait()


def _last_words(folder: Path) -> str:
    try:
        lines = (folder / LOG_FILE).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return "none"
    return " / ".join(line.strip() for line in lines[-3:]) or "none"
