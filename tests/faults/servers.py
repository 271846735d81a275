"""PostgreSQL and Redis of a production stack, as processes that tests can kill and restart."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from demo.children import Child, start, stop
from tests.socket_servers import free_port
from tests.waiting import until

HOST = "127.0.0.1"
POSTGRES_FOLDERS = "/usr/lib/postgresql/*/bin"
"""On Debian, the server programs are not in PATH."""


def answers(port: int) -> bool:
    """Return whether a server accepts connections."""
    with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=1):
        return True
    return False


class Server:
    """A process of the stack that tests can restart."""

    def __init__(self, child: Child, *, is_ready: Callable[[], bool]) -> None:
        self._child = child
        self._is_ready = is_ready
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def name(self) -> str:
        """Its name in logs."""
        return self._child.name

    @property
    def pid(self) -> int:
        """Its process ID."""
        assert self._process is not None
        return self._process.pid

    def launch(self) -> None:
        """Start the process without waiting until it is ready."""
        self._process = start(self._child, cwd=Path(__file__).parents[2])

    def await_ready(self) -> None:
        """Wait until it is ready."""
        until(self._is_ready, what=f"{self.name} is ready (see {self._child.log})", within_s=600)

    def start(self) -> None:
        """Start it and wait until it is ready."""
        self.launch()
        self.await_ready()

    def stop(self) -> None:
        """Stop it and its descendants."""
        if self._process is not None:
            stop(self._process, stop_signal=self._child.stop_signal)
            self._process = None

    def kill(self) -> None:
        """Kill it with SIGKILL, like the kernel does when memory is short; its children keep running."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._process = None


def redis(folder: Path) -> tuple[Server, int]:
    """Return a Redis that persists every change, as for a production broker, and its port."""
    port, data = free_port(), folder / "redis"
    data.mkdir()
    command = ["redis-server", "--port", str(port), "--bind", HOST, "--dir", str(data), "--appendonly", "yes"]
    child = Child(name="redis", command=command, environment=os.environ, log=folder / "logs" / "redis.log")
    return Server(child, is_ready=lambda: answers(port)), port


def postgres(folder: Path) -> tuple[Server, int]:
    """Return a PostgreSQL with an empty database ``airflow`` of the user ``airflow``, and its port."""
    port, data = free_port(), folder / "postgres"
    programs = _postgres_programs()
    as_user = _as_other_user(data)
    trusted = [f"{programs}/initdb", "--pgdata", str(data), "--username", "airflow", "--auth", "trust", "--no-sync"]
    subprocess.run([*as_user, *trusted], check=True, capture_output=True, cwd="/")
    command = [*as_user, f"{programs}/postgres", "-D", str(data), "-p", str(port), "-c", f"listen_addresses={HOST}"]
    command += ["-c", "unix_socket_directories=", "-c", "fsync=off"]
    child = Child(
        name="postgres",
        command=command,
        environment=os.environ,
        log=folder / "logs" / "postgres.log",
        stop_signal=signal.SIGINT,  # fast shutdown, despite open connections
    )
    ask = [f"{programs}/pg_isready", "--host", HOST, "--port", str(port)]
    return Server(child, is_ready=lambda: subprocess.run(ask, capture_output=True, check=False).returncode == 0), port


def make_database(port: int) -> None:
    """Create Airflow's database."""
    command = [
        f"{_postgres_programs()}/createdb",
        "--host",
        HOST,
        "--port",
        str(port),
        "--username",
        "airflow",
        "airflow",
    ]
    subprocess.run(command, check=True, capture_output=True)


def _postgres_programs() -> str:
    found = sorted(Path("/").glob(POSTGRES_FOLDERS.removeprefix("/")))
    if found:
        return str(found[-1])
    on_path = shutil.which("postgres")
    if on_path is None:
        raise FileNotFoundError("the PostgreSQL server is not installed; run apt-get install postgresql")
    return str(Path(on_path).parent)


def _as_other_user(data: Path) -> Sequence[str]:
    """Return the command prefix that drops root, as which PostgreSQL refuses to run; create its folder."""
    data.mkdir()
    if os.getuid() != 0:
        return []
    shutil.chown(data, "postgres", "postgres")
    for parent in list(data.parents)[:-2]:
        parent.chmod(parent.stat().st_mode | 0o011)
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
