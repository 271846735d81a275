"""A worker for loads of a master on another machine: ``python -m include.load.worker``. It runs until it is stopped.

``BELLWETHER_LOCUST_MASTER`` names the master (``host`` or ``host:port``), ``BELLWETHER_LOCUST_KEY`` is the key that
both sides share. Most of the time there is no master: the worker tries to connect once a second, without logging. When
a master listens, a new process takes part in its load (`include.load.remote`).

``--check`` reports by its exit code whether a worker is alive, for the health check of a container with one worker: all
workers of one user on one machine write to the same file in the temporary directory.
"""

import argparse
import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType
from typing import NoReturn

from include.perf.load.channel_key import KEY_VARIABLE, channel_key
from include.perf.load.load_plan import host_and_port
from include.perf.model.child_environment import child_environment

log = logging.getLogger("include.load.worker")

MASTER_VARIABLE = "BELLWETHER_LOCUST_MASTER"

REFUSED = 3
"""Exit code of a process that the master refused."""

CONNECT_INTERVAL_S = 1.0
CONNECT_TIMEOUT_S = 3.0

REFUSED_PAUSE_S = 60.0
"""How long a refused worker waits: somebody has to change something first."""

FAILED_PAUSES_S = (5.0, 10.0, 20.0, 60.0)
"""How long a worker waits after the first, second, … failed process in a row."""

END_S = 15.0
"""How long the process of a load may take to end the load and to hand over its record."""

REMOTE = (sys.executable, "-m", "include.load.remote")
"""The process that takes part in a load; its argument is a folder for its files."""

ALIVE_FILE = Path(tempfile.gettempdir()) / f"bellwether-worker-alive-{os.getuid()}"
ALIVE_WITHIN_S = 30.0
OWN_FILE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
"""Everybody may write to the temporary directory, so a symbolic link in the file's place is not followed."""

PROJECT_ROOT = Path(__file__).parents[2]


class WorkerStopped(BaseException):
    """The worker was stopped; no ``Exception``, because logging swallows one that is raised while it writes."""


class Agent:
    """Waits for masters and starts a process for each of their loads, one after another."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._load: subprocess.Popen[bytes] | None = None
        self._can_write_alive = True

    def run(self) -> NoReturn:
        """Serve one master after another."""
        log.info("waiting for a master at %s:%d", self._host, self._port)
        failed = 0
        while True:
            self._write_alive()
            if self._is_master_there():
                code = self._take_part()
                failed = failed + 1 if code else 0
                self._pause(_pause_s(code, failed=failed))
            else:
                time.sleep(CONNECT_INTERVAL_S)

    def _is_master_there(self) -> bool:
        try:
            socket.create_connection((self._host, self._port), timeout=CONNECT_TIMEOUT_S).close()
        except OSError:
            return False
        return True

    def _take_part(self) -> int:
        with tempfile.TemporaryDirectory(prefix="bellwether-load-") as folder:
            try:
                self._load = self._started(folder)
                while (code := _ended(self._load, within_s=CONNECT_INTERVAL_S)) is None:
                    self._write_alive()
                return code
            finally:
                self._end_load()

    def _started(self, folder: str) -> "subprocess.Popen[bytes]":
        """Start the process of a load, and give it the key through its standard input."""
        environment = child_environment(**{MASTER_VARIABLE: os.environ[MASTER_VARIABLE]})
        load = subprocess.Popen([*REMOTE, folder], cwd=PROJECT_ROOT, env=environment, stdin=subprocess.PIPE)
        with contextlib.suppress(BrokenPipeError):  # its exit code says more
            assert load.stdin is not None  # noqa: S101 - it is a pipe
            load.stdin.write(os.environ[KEY_VARIABLE].strip().encode() + b"\n")
            load.stdin.flush()
        return load

    def _end_load(self) -> None:
        """Have the process end its load and hand over the record; kill it if it does not end."""
        load, self._load = self._load, None
        if load is None:
            return
        if load.poll() is None:
            load.terminate()
            if _ended(load, within_s=END_S) is None:
                load.kill()
                load.wait()
        if load.stdin:
            load.stdin.close()

    def _pause(self, pause_s: float) -> None:
        deadline = time.monotonic() + pause_s
        while (left_s := deadline - time.monotonic()) > 0:
            self._write_alive()
            time.sleep(min(left_s, CONNECT_INTERVAL_S))

    def _write_alive(self) -> None:
        """Write the time of the monotonic clock as a sign of life; a failure does not end the load."""
        try:
            with os.fdopen(os.open(ALIVE_FILE, OWN_FILE, mode=0o600), "w", encoding="ascii") as file:
                file.write(str(time.monotonic()))
        except OSError as err:
            if self._can_write_alive:
                log.warning("cannot write %s (%s): the health check (--check) will fail", ALIVE_FILE, err.strerror)
            self._can_write_alive = False
        else:
            self._can_write_alive = True


def _pause_s(code: int, *, failed: int) -> float:
    """Return how long to wait after a process with an exit code; ``failed`` counts the failures in a row."""
    if not code:
        return CONNECT_INTERVAL_S
    pause_s = REFUSED_PAUSE_S if code == REFUSED else FAILED_PAUSES_S[min(failed, len(FAILED_PAUSES_S)) - 1]
    log.info("not taking part in a load; trying again in %g s", pause_s)
    return pause_s


def _ended(process: "subprocess.Popen[bytes]", *, within_s: float) -> int | None:
    try:
        return process.wait(timeout=within_s)
    except subprocess.TimeoutExpired:
        return None


def is_alive() -> bool:
    """Return whether a worker of this user on this machine gave a sign of life a short time ago."""
    try:
        written_at = float(ALIVE_FILE.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return False
    return 0 <= time.monotonic() - written_at <= ALIVE_WITHIN_S


def _problem() -> str | None:
    """Describe what is wrong with the environment variables; ``None`` when nothing is."""
    if not os.environ.get(MASTER_VARIABLE):
        return f"{MASTER_VARIABLE} is not set; it names the machine that drives the loads, as host or host:port"
    try:
        host_and_port(os.environ[MASTER_VARIABLE], named=MASTER_VARIABLE)
        channel_key(os.environ.get(KEY_VARIABLE), named=KEY_VARIABLE)
    except ValueError as err:
        return str(err)
    return None


def _end(number: int, frame: FrameType | None) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise WorkerStopped


def main() -> int:
    """Run the worker, or check whether one is alive."""
    parser = argparse.ArgumentParser(prog="python -m include.load.worker", description=__doc__)
    parser.add_argument("--check", action="store_true", help="exit with 0 when a worker of this user is alive")
    if parser.parse_args().check:
        return 0 if is_alive() else 1
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    problem = _problem()
    if problem is not None:
        log.error(problem)
        return 2
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    try:
        Agent(*host_and_port(os.environ[MASTER_VARIABLE], named=MASTER_VARIABLE)).run()
    except WorkerStopped:
        with contextlib.suppress(OSError):
            ALIVE_FILE.unlink()  # other workers on this machine write it again within a second
        log.info("ended")
        return 0


if __name__ == "__main__":
    sys.exit(main())
