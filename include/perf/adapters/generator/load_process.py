"""The workers of a load: the port to them, and its implementation by processes on this machine.

A process has a pipe for commands and heartbeats, whose other end only this process has open, and a pipe for reports.
"""

import contextlib
import json
import logging
import os
import select
import selectors
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from include.perf.load.load_plan import COMMANDS_VARIABLE, HEARTBEAT_INTERVAL_S, REPORTS_VARIABLE, LoadPlan
from include.perf.model.child_environment import child_environment
from include.perf.model.yaml_entries import PROJECT_ROOT

log = logging.getLogger(__name__)

LOG_FILE = "generator.log"

ENDED = "ended"
"""How a worker leaves when its record is complete."""

END_S = 3.0
"""How long all processes together may take to exit after the load; the others are killed."""

EXIT_S = 1.0
"""How long a process may take to exit after it has closed its pipe."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerReport:
    """Reports of one worker.

    Attributes:
        worker: its number, from 0.
        reports: in order.
        left: how it left, when it sends no more reports; see `ENDED`.
    """

    worker: int
    reports: Sequence[Mapping[str, Any]] = ()
    left: str | None = None


class LoadWorkers(Protocol):
    """The workers of one load, on this machine or on others."""

    @property
    def hosts(self) -> Sequence[str]:
        """The host of each worker; empty when all run on this machine."""

    def __len__(self) -> int:
        """Return how many there are."""

    def send(self, command: Mapping[str, Any]) -> None:
        """Send a command to all workers that still run."""

    def receive(self, *, within_s: float) -> Iterable[WorkerReport]:
        """Wait for the next reports, at most this long."""

    def drop(self, worker: int) -> None:
        """Continue without a worker that does not end."""


class LoadProcess:
    """One process of a load, and the two pipes to it."""

    def __init__(self, process: "subprocess.Popen[bytes]", *, commands: int, reports: int) -> None:
        self.process = process
        self.reports = reports
        self._commands = commands
        self._pending = b""
        self._writing = threading.Lock()
        self._has_room = select.poll()
        self._has_room.register(commands, select.POLLOUT)

    def send(self, command: Mapping[str, Any]) -> None:
        """Send a command; does nothing when the process has exited."""
        with self._writing, contextlib.suppress(BrokenPipeError):
            os.write(self._commands, json.dumps(command).encode() + b"\n")

    def send_heartbeat(self) -> None:
        """Send a sign of life, an empty line, unless the process is being sent something else or does not read."""
        if not self._writing.acquire(blocking=False):
            return
        try:
            if self._has_room.poll(0):
                os.write(self._commands, b"\n")
        except BrokenPipeError:
            return
        finally:
            self._writing.release()

    def read(self) -> list[dict[str, Any]] | None:
        """Return the reports since the previous call; ``None`` once the pipe is closed."""
        data = os.read(self.reports, 1 << 16)
        if not data:
            return None
        *lines, self._pending = (self._pending + data).split(b"\n")
        return [json.loads(line) for line in lines]

    def is_lost(self) -> bool:
        """Whether it has exited with an error."""
        return self.has_ended(within_s=EXIT_S) and self.process.returncode != 0

    def has_ended(self, *, within_s: float) -> bool:
        """Whether it exits within a number of seconds."""
        try:
            self.process.wait(timeout=max(0.0, within_s))
        except subprocess.TimeoutExpired:
            return False
        return True

    def kill(self) -> None:
        """Kill it, also when it is suspended or hangs."""
        log.warning("process %d of the load generator does not end and is killed", self.process.pid)
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        """Close the pipes, which ends a process that still runs."""
        os.close(self._commands)
        os.close(self.reports)


class LocalWorkers:
    """The workers of a load that run as processes on this machine."""

    hosts: Sequence[str] = ()

    def __init__(self, processes: Sequence[LoadProcess], selector: selectors.BaseSelector) -> None:
        self._processes = processes
        self._selector = selector
        for number, process in enumerate(processes):
            selector.register(process.reports, selectors.EVENT_READ, number)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._processes)

    def send(self, command: Mapping[str, Any]) -> None:
        """Send a command to all processes."""
        for process in self._processes:
            process.send(command)

    def receive(self, *, within_s: float) -> Iterator[WorkerReport]:
        """Wait for the next reports, at most this long."""
        for key, _ in self._selector.select(timeout=within_s):
            process = self._processes[key.data]
            reports = process.read()
            if reports is None:
                self._selector.unregister(key.fileobj)
                yield WorkerReport(worker=key.data, left="was lost" if process.is_lost() else ENDED)
            else:
                yield WorkerReport(worker=key.data, reports=reports)

    def drop(self, worker: int) -> None:
        """Kill a process that does not end."""
        self._processes[worker].kill()


@contextmanager
def local_workers(plan: LoadPlan, *, lock_fd: int | None) -> Iterator[LocalWorkers]:
    """Run the workers of a load; all have exited when the block ends."""
    path = str(plan.write())
    commands = [["include.load", path, str(number)] for number in range(plan.workers)]
    running = load_processes(commands, log_file=plan.folder / LOG_FILE, lock_fd=lock_fd)
    with running as processes, selectors.DefaultSelector() as selector:
        yield LocalWorkers(processes, selector)


@contextmanager
def load_processes(
    commands: Sequence[Sequence[str]], *, log_file: Path, lock_fd: int | None
) -> Iterator[Sequence[LoadProcess]]:
    """Run modules of `include.load` as processes; all have exited when the block ends.

    Args:
        commands: for each process the module and its arguments.
        lock_fd: a descriptor that they keep open to their end.
    """
    processes: list[LoadProcess] = []
    with ExitStack() as opened, ExitStack() as running:
        output = opened.enter_context(log_file.open("wb"))
        running.callback(_end, processes)
        try:
            for command in commands:
                processes.append(_start(command, output, lock_fd=lock_fd))
                opened.callback(processes[-1].close)
            with _heartbeats(processes):
                yield processes
        except BaseException:
            for process in processes:
                process.process.terminate()
            raise


@contextmanager
def _heartbeats(processes: Sequence[LoadProcess]) -> Iterator[None]:
    """Send signs of life to load processes until the block ends: they end their load when this process hangs."""
    is_over = threading.Event()

    def send() -> None:
        while not is_over.wait(HEARTBEAT_INTERVAL_S):
            for process in processes:
                process.send_heartbeat()

    thread = threading.Thread(target=send, name="heartbeats to the load processes", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def _end(processes: Sequence[LoadProcess]) -> None:
    """Wait until all processes have exited, with one deadline for all, and kill the others."""
    deadline = time.monotonic() + END_S
    for process in processes:
        if not process.has_ended(within_s=deadline - time.monotonic()):
            process.kill()


def _start(command: Sequence[str], output: Any, *, lock_fd: int | None) -> LoadProcess:
    commands_read, commands_write = os.pipe()
    reports_read, reports_write = os.pipe()
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=PROJECT_ROOT,
            env=_environment(commands_read, reports_write),
            pass_fds=(commands_read, reports_write) if lock_fd is None else (commands_read, reports_write, lock_fd),
            stdin=subprocess.DEVNULL,
            stdout=output,
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
    return LoadProcess(process, commands=commands_write, reports=reports_read)


def _environment(commands: int, reports: int) -> dict[str, str]:
    """Return the environment of a process, with its pipes."""
    python_path = os.pathsep.join(filter(None, [str(PROJECT_ROOT), os.environ.get("PYTHONPATH", "")]))
    pipes = {COMMANDS_VARIABLE: str(commands), REPORTS_VARIABLE: str(reports)}
    return child_environment(PYTHONPATH=python_path, PYTHONUNBUFFERED="1", **pipes)
