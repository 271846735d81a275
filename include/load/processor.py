"""How much processor time the load process got, and how long it waited for a processor."""

import time
from dataclasses import dataclass
from pathlib import Path

WAIT_FILE = Path("/proc/self/schedstat")
MACHINE_FILE = Path("/proc/stat")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessorUse:
    """Processor use over a period; values that the kernel does not report are ``None``.

    Attributes:
        cores: cores that this process used.
        wait_ratio: share of the time in which its main thread was runnable but did not run.
        steal_ratio: share of the machine's time that the hypervisor gave to other machines.
    """

    cores: float
    wait_ratio: float | None
    steal_ratio: float | None

    @property
    def wanted_cores(self) -> float | None:
        """Cores that it would have used had it never waited."""
        return None if self.wait_ratio is None else wanted_cores(self.cores, wait_ratio=self.wait_ratio)


def wanted_cores(cores: float, *, wait_ratio: float) -> float:
    """Return the cores used, corrected for waiting: with a share w of the time waited, cores / (1 − w)."""
    return cores / max(0.01, 1 - wait_ratio)


class WantedCores:
    """Measures how many cores this process needed between two calls; cheap enough for use during a load."""

    def __init__(self) -> None:
        self._last = self._now()

    def take(self) -> float | None:
        """Return the cores needed since the previous call; ``None`` where the kernel does not report the wait."""
        (wall, processor, waited), self._last = self._last, self._now()
        passed = self._last[0] - wall
        if passed <= 0 or waited is None or self._last[2] is None:
            return None
        return wanted_cores((self._last[1] - processor) / passed, wait_ratio=(self._last[2] - waited) / passed)

    def _now(self) -> tuple[float, float, float | None]:
        return time.perf_counter(), time.process_time(), _run_queue_wait_s()


class ProcessorClock:
    """Measures the processor use from its creation on."""

    def __init__(self) -> None:
        self._wall = time.perf_counter()
        self._processor = time.process_time()
        self._waited = _run_queue_wait_s()
        self._machine = _machine_ticks()

    def since_start(self) -> ProcessorUse:
        """Return the use until now."""
        wall = time.perf_counter() - self._wall
        return ProcessorUse(
            cores=(time.process_time() - self._processor) / wall,
            wait_ratio=self._wait_ratio(wall),
            steal_ratio=self._steal_ratio(),
        )

    def _wait_ratio(self, wall: float) -> float | None:
        waited = _run_queue_wait_s()
        return None if waited is None or self._waited is None else (waited - self._waited) / wall

    def _steal_ratio(self) -> float | None:
        now = _machine_ticks()
        if now is None or self._machine is None:
            return None
        passed = [after - before for before, after in zip(self._machine, now, strict=True)]
        return passed[-1] / sum(passed) if sum(passed) > 0 else 0.0


def _run_queue_wait_s() -> float | None:
    """Return how long the main thread has waited in the run queue, in seconds."""
    try:
        return int(WAIT_FILE.read_text(encoding="ascii").split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return None


def _machine_ticks() -> list[int] | None:
    """Return the machine's ticks (proc(5)): user, nice, system, idle, iowait, irq, softirq, steal."""
    try:
        return [int(ticks) for ticks in MACHINE_FILE.read_text(encoding="ascii").split("\n", 1)[0].split()[1:9]]
    except (OSError, ValueError):
        return None
