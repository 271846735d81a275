"""The processes of a load: each has a command pipe, whose other end only this process holds, and one for reports."""

import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from include.perf.load_plan import COMMANDS_VARIABLE, REPORTS_VARIABLE, LoadPlan

log = logging.getLogger(__name__)

LOG_FILE = "generator.log"

END_S = 3.0
"""How long they may take, all together, to leave when nobody follows them any more; who does not is killed."""

EXIT_S = 1.0
"""How long a worker may take to leave once its pipe is closed."""

PROJECT_ROOT = Path(__file__).parents[3]


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
        return self.has_ended(within_s=EXIT_S) and self.process.returncode != 0

    def has_ended(self, *, within_s: float) -> bool:
        """Whether it ends within so many seconds."""
        try:
            self.process.wait(timeout=max(0.0, within_s))
        except subprocess.TimeoutExpired:
            return False
        return True

    def kill(self) -> None:
        """End it at once, also one that is stopped or hangs."""
        log.warning("worker %d of the load generator does not end and is killed", self.number + 1)
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        """Close the pipes; a worker that still runs takes that as its end."""
        os.close(self._commands)
        os.close(self.reports)


@contextmanager
def running_workers(plan: LoadPlan, *, hold: int | None) -> Iterator[list[Worker]]:
    """Lend the processes of a load, all of which are gone when the block ends."""
    path = plan.write()
    workers: list[Worker] = []
    with ExitStack() as opened, ExitStack() as running:
        log_file = opened.enter_context((plan.folder / LOG_FILE).open("wb"))
        running.callback(_end, workers)
        try:
            for number in range(plan.load.worker_count):
                workers.append(_start(number, path, log_file, hold=hold))
                opened.callback(workers[-1].close)
            yield workers
        except BaseException:
            for worker in workers:
                worker.process.terminate()
            raise


def _end(workers: Sequence[Worker]) -> None:
    """Make sure that nothing of a load runs any more; all are waited for together."""
    deadline = time.monotonic() + END_S
    for worker in workers:
        if not worker.has_ended(within_s=deadline - time.monotonic()):
            worker.kill()


def _start(number: int, plan: Path, log_file: Any, *, hold: int | None) -> Worker:
    commands_read, commands_write = os.pipe()
    reports_read, reports_write = os.pipe()
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "include.load", str(plan), str(number)],
            cwd=PROJECT_ROOT,
            env=_environment(commands_read, reports_write),
            pass_fds=(commands_read, reports_write) if hold is None else (commands_read, reports_write, hold),
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
