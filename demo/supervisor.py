"""The supervisor of the demo stack: it starts all parts as its children, and they end with it.

That holds even if the supervisor is killed (on Linux; see `demo.children`).
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from demo import configuration
from demo.children import Child, start, stop
from demo.settings import HOST, ROOT, Stack

PID_FILE = "supervisor.pid"
POLL_EVERY_S = 0.5


def children_of(stack: Stack) -> list[Child]:
    """Return every process of a stack, in start order."""
    children = [_airflow(stack), _prometheus(stack), _slack(stack)]
    children += [_service(stack, name, port, environment="staging") for name, port in stack.services.items()]
    children += [
        _service(stack, name, port, environment=configuration.PRODUCTION) for name, port in stack.production.items()
    ]
    if stack.production:
        children.append(_traffic(stack))
    return children


def _child(stack: Stack, name: str, command: Sequence[str]) -> Child:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return Child(name=name, command=command, environment=environment, log=stack.folder / "logs" / f"{name}.log")


def _airflow(stack: Stack) -> Child:
    return Child(
        name="airflow",
        command=[sys.executable, "-m", "airflow", "standalone"],
        environment=configuration.airflow_environment(stack),
        log=stack.folder / "logs" / "airflow.log",
        stop_signal=signal.SIGINT,  # `airflow standalone` ends its own children on SIGINT
    )


def _prometheus(stack: Stack) -> Child:
    folder = stack.folder / "prometheus"
    return _child(
        stack,
        "prometheus",
        [
            shutil.which("prometheus") or "prometheus",
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            "--storage.tsdb.retention.time=2d",
            f"--web.listen-address={HOST}:{stack.prometheus}",
            "--web.enable-lifecycle",  # changed alert rules are reloaded at once
            "--log.level=warn",
        ],
    )


def _slack(stack: Stack) -> Child:
    command = [sys.executable, "-m", "demo.slack", "--port", str(stack.slack)]
    return _child(stack, "slack", command)


def _service(stack: Stack, name: str, port: int, *, environment: str) -> Child:
    command = [sys.executable, "-m", "demo.platform", "--service", name, "--port", str(port)]
    command += ["--environment", environment, "--data-dir", str(stack.folder)]
    if environment != configuration.PRODUCTION:
        command.append("--with-faults")
    return _child(stack, f"{environment}-{name}", command)


def _traffic(stack: Stack) -> Child:
    command = [sys.executable, "-m", "demo.platform.traffic", "--rate", "5", "--for", "86400"]
    for name, port in stack.production.items():
        command += ["--url", f"{name}=http://{HOST}:{port}"]
    return _child(stack, "production-traffic", command)


def supervise(stack: Stack, *, lifetime_s: float | None) -> int:
    """Run the stack until a signal, the end of its lifetime, the end of a part, or the removal of its folder.

    Returns:
        The exit code: 1 if a part ended on its own.
    """
    ending: list[int] = []

    def end(number: int, _: FrameType | None) -> None:
        ending.append(number)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    pid_file = stack.folder / PID_FILE
    pid_file.write_text(str(os.getpid()), encoding="ascii")
    configuration.write_catalogue(stack, started_at=datetime.now(UTC))
    configuration.write_prometheus(stack)
    deadline = None if lifetime_s is None else time.monotonic() + lifetime_s
    running: list[tuple[Child, subprocess.Popen[bytes]]] = []
    try:
        for child in children_of(stack):
            running.append((child, start(child, cwd=ROOT)))
        while not ending and _is_ours(pid_file) and (deadline is None or time.monotonic() < deadline):
            for child, process in running:
                if process.poll() is not None:
                    print(f"{child.name} ended with exit code {process.returncode}; see {child.log}", flush=True)
                    return 1
            time.sleep(POLL_EVERY_S)
    finally:
        for child, process in reversed(running):
            stop(process, stop_signal=child.stop_signal)
        if _is_ours(pid_file):
            pid_file.unlink()
    return 0


def _is_ours(pid_file: Path) -> bool:
    """Whether the stack's folder still exists and belongs to this process."""
    try:
        return pid_file.read_text(encoding="ascii") == str(os.getpid())
    except FileNotFoundError:
        return False


def running_supervisor(folder: Path) -> int | None:
    """Return the process ID of the supervisor of a folder's stack; ``None`` if it is not running."""
    try:
        pid = int((folder / PID_FILE).read_text(encoding="ascii"))
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes() if sys.platform == "linux" else b"demo"
        os.kill(pid, 0)
    except (FileNotFoundError, ValueError, ProcessLookupError):
        return None
    return pid if b"demo" in arguments else None
