"""Child processes that end with their parent."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

_PR_SET_PDEATHSIG = 1  # <sys/prctl.h>
STOP_S = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """A process to start.

    Attributes:
        stop_signal: makes it shut down cleanly.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    stop_signal: signal.Signals = signal.SIGTERM


def start(child: Child, *, cwd: Path) -> subprocess.Popen[bytes]:
    """Start a child in a new session; its output goes to its log."""
    child.log.parent.mkdir(parents=True, exist_ok=True)
    with child.log.open("ab") as log:
        return subprocess.Popen(
            child.command,
            cwd=cwd,
            env=dict(child.environment),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_end_with_parent(child.stop_signal),
        )


def _end_with_parent(stop_signal: signal.Signals) -> Callable[[], None] | None:
    """Return what makes the kernel end the child with its parent; Linux only, elsewhere `stop` must be called."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    return lambda: libc.prctl(_PR_SET_PDEATHSIG, int(stop_signal))


def stop(process: subprocess.Popen[bytes], *, stop_signal: signal.Signals = signal.SIGTERM) -> None:
    """End a child and all its descendants; kill those that do not shut down in time."""
    family = _descendants(process.pid)
    if process.poll() is None:
        process.send_signal(stop_signal)
        try:
            process.wait(timeout=STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    _, left = psutil.wait_procs(family, timeout=1)
    for descendant in left:
        _signal(descendant, signal.SIGTERM)
    _, left = psutil.wait_procs(left, timeout=STOP_S)
    for descendant in left:
        _signal(descendant, signal.SIGKILL)


def _descendants(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    try:
        os.kill(process.pid, number)
    except ProcessLookupError:
        return
