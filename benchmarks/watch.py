"""Processor time and memory of a load: of all processes below this one, from /proc.

The method is the same for every generator: sampled while the load runs, and only over seconds in which the target saw
requests. Start-up and the reading of results do not count.
"""

import os
import platform as standard_platform
import threading
import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

EVERY_S = 0.5
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PROC = Path("/proc")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The usage up to a moment.

    Attributes:
        by_process: CPU seconds of each process of the load.
        rss_bytes: memory of all of them.
        foreign_s: CPU seconds of this machine's other processes.
    """

    at: float
    by_process: dict[int, float]
    rss_bytes: int
    foreign_s: float


class Watch:
    """Samples all processes below this one except ``others`` (the target, burners), inside a ``with`` block."""

    def __init__(self, *, others: Collection[int], every_s: float = EVERY_S) -> None:
        self._others = frozenset(others)
        self._every_s = every_s
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="watch", daemon=True)
        self.samples: list[Sample] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over.set()
        self._thread.join()

    def _sample(self) -> None:
        own_pid = os.getpid()
        while not self._is_over.wait(self._every_s):
            busy_s = float(busy_ticks(_machine_ticks())) / TICKS_PER_S
            own_s = sum(cpu_s(pid) or 0.0 for pid in (own_pid, *descendants(own_pid)))
            pids = descendants(own_pid, without=self._others)
            usage = {pid: used for pid in pids if (used := cpu_s(pid)) is not None}
            memory = sum(rss_bytes(pid) for pid in usage)
            self.samples.append(Sample(at=time.time(), by_process=usage, rss_bytes=memory, foreign_s=busy_s - own_s))

    def cpu_between(self, start: float, end: float) -> tuple[float, float, float] | None:
        """Return the CPU seconds between the first and last sample in [start, end], and the times of both."""
        inside = [sample for sample in self.samples if start <= sample.at <= end and sample.by_process]
        if len(inside) < 2:
            return None
        first, last = inside[0], inside[-1]
        used = sum(cpu - first.by_process.get(pid, 0.0) for pid, cpu in last.by_process.items())
        return used, first.at, last.at

    def foreign_cores(self, start: float, end: float) -> float | None:
        """Return how many cores other processes of this machine used in [start, end]."""
        inside = [sample for sample in self.samples if start <= sample.at <= end]
        if len(inside) < 2:
            return None
        first, last = inside[0], inside[-1]
        return max(0.0, (last.foreign_s - first.foreign_s) / (last.at - first.at))

    def rss_between(self, start: float, end: float) -> list[int]:
        """Return the sampled memory in [start, end]."""
        return [sample.rss_bytes for sample in self.samples if start <= sample.at <= end and sample.by_process]


def descendants(pid: int, *, without: Collection[int] = ()) -> list[int]:
    """Return the processes below one, except ``without`` and what is below those."""
    found: list[int] = []
    try:
        lists = list(PROC.glob(f"{pid}/task/*/children"))
    except OSError:  # the process has ended
        return found
    for children in lists:
        try:
            below = [int(child) for child in children.read_text(encoding="ascii").split()]
        except OSError:
            continue
        for child in below:
            if child not in without:
                found += [child, *descendants(child, without=without)]
    return found


def cpu_s(pid: int) -> float | None:
    """Return the user and system seconds of a process; ``None`` when it has ended."""
    try:
        fields = (PROC / f"{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def rss_bytes(pid: int) -> int:
    """Return the resident memory of a process in bytes; 0 when it has ended."""
    try:
        status = (PROC / f"{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0
    lines = [line for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(lines[0].split()[1]) * 1024 if lines else 0


def machine() -> dict[str, Any]:
    """Return a description of this machine."""
    models = [line for line in _lines(PROC / "cpuinfo") if line.startswith("model name")]
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "cores": os.cpu_count(),
        "model": models[0].partition(":")[2].strip() if models else standard_platform.machine(),
        "kernel": standard_platform.release(),
        "python": standard_platform.python_version(),
    }


def busy_share(during_s: float = 1.0) -> float:
    """Return the share of this machine's processors that is busy now; other load spoils figures."""
    before = _machine_ticks()
    time.sleep(during_s)
    spent = _machine_ticks() - before
    return busy_ticks(spent) / float(spent.sum())


def busy_ticks(ticks: "np.ndarray[Any, np.dtype[np.int64]]") -> int:
    """Return the ticks that were not idle; ``ticks``: (8,) user, nice, system, idle, iowait, irq, softirq, steal."""
    return int(ticks.sum() - ticks[3] - ticks[4])


def _machine_ticks() -> "np.ndarray[Any, np.dtype[np.int64]]":
    return np.array([int(field) for field in _lines(PROC / "stat")[0].split()[1:9]])


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="ascii", errors="replace").splitlines()
