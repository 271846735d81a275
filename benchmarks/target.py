"""The target of the load benchmarks, and the truth that it logs.

`target.c` is compiled into a temporary folder, and listens on a free loopback port.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

SOURCE = Path(__file__).with_name("target.c")
COMPILERS = ("cc", "gcc", "clang")
NS = 1e-9
END_S = 5.0

ENTRY = np.dtype(
    [
        ("arrived_ns", "<i8"),
        ("read_ns", "<i8"),
        ("answered_ns", "<i8"),
        ("service_ns", "<i8"),
        ("connection", "<i4"),
        ("status", "<i2"),
        ("kind", "<i2"),
    ]
)
"""``struct entry`` of target.c."""

REQUEST, STALL = 0, 1

Floats = np.ndarray[Any, np.dtype[np.float64]]


class BenchmarkError(Exception):
    """A benchmark cannot run; the message says why and what to do."""


class MissingToolError(BenchmarkError):
    """A program that a benchmark needs is not installed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """What the target does.

    Attributes:
        service_ms: median service time; 0 answers at once.
        spread: sigma of the lognormal service time, 0 for a constant one; with 0.5, p99 is 3.2 times the median.
        stall_s, every_s: the process sleeps for ``stall_s`` once in every ``every_s``.
        errors: share of the requests answered with status 500.
        resets: share of the requests whose connection is reset.
    """

    service_ms: float = 5.0
    spread: float = 0.5
    stall_s: float = 0.0
    every_s: float = 10.0
    errors: float = 0.0
    resets: float = 0.0
    seed: int = 1

    def arguments(self) -> list[str]:
        """Return the command line of target.c."""
        named = {
            "--service-ms": self.service_ms,
            "--spread": self.spread,
            "--stall": self.stall_s,
            "--every": self.every_s,
            "--errors": self.errors,
            "--resets": self.resets,
            "--seed": self.seed,
        }
        return [text for name, value in named.items() for text in (name, str(value))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """The log of the target; all times in Unix seconds.

    Attributes:
        arrived: (n,) when each request reached this machine, ascending.
        answered: (n,) when each answer was handed to the kernel; NaN for no answer.
        service_s: (n,) the service time that was drawn for each.
        stalls: (k, 2) start and end of each stall.
    """

    arrived: Floats
    answered: Floats
    service_s: Floats
    stalls: Floats

    @property
    def latency_s(self) -> Floats:
        """The time from arrival to answer, of the answered requests."""
        took: Floats = (self.answered - self.arrived)[~np.isnan(self.answered)]
        return took

    def between(self, start: float, end: float) -> "Truth":
        """Return the requests that arrived in [start, end)."""
        chosen = (self.arrived >= start) & (self.arrived < end)
        return Truth(
            arrived=self.arrived[chosen],
            answered=self.answered[chosen],
            service_s=self.service_s[chosen],
            stalls=self.stalls,
        )


def read_truth(path: Path) -> Truth:
    """Read the log of target.c."""
    entries = np.fromfile(path, dtype=ENTRY)
    requests = np.sort(entries[entries["kind"] == REQUEST], order="arrived_ns", kind="stable")
    stalls = entries[entries["kind"] == STALL]
    answered = np.where(requests["answered_ns"] > 0, requests["answered_ns"] * NS, np.nan)
    return Truth(
        arrived=requests["arrived_ns"] * NS,
        answered=answered,
        service_s=requests["service_ns"] * NS,
        stalls=np.column_stack([stalls["arrived_ns"] * NS, stalls["answered_ns"] * NS]),
    )


def build(folder: Path) -> Path:
    """Compile target.c into a folder and return the program.

    Raises:
        MissingToolError: there is no C compiler.
        BenchmarkError: the compilation failed.
    """
    compiler = next(filter(None, map(shutil.which, COMPILERS)), None)
    if compiler is None:
        raise MissingToolError(
            f"the load benchmarks need a C compiler ({', '.join(COMPILERS)}) for their target, but none is in PATH; "
            "install one, on Debian with: apt-get install gcc libc6-dev"
        )
    program = folder / "target"
    done = subprocess.run(
        [compiler, "-O2", "-o", program, SOURCE, "-lm"], capture_output=True, text=True, check=False, timeout=120
    )
    if done.returncode:
        raise BenchmarkError(f"{SOURCE.name} could not be compiled (it needs Linux):\n{done.stderr}")
    return program


class Target:
    """A running target."""

    def __init__(self, process: "subprocess.Popen[str]", log: Path, priority: str) -> None:
        self._process = process
        self._log = log
        self.priority = priority
        if process.stdout is None:
            raise TypeError("the target's standard output must be a pipe")
        self.port = int(process.stdout.readline())
        self.url = f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def stop(self) -> None:
        """End it and wait until its log is complete; it may be in a stall."""
        self._process.terminate()
        try:
            self._process.wait(timeout=END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def truth(self) -> Truth:
        """Stop it and return its log."""
        self.stop()
        return read_truth(self._log)


@contextmanager
def running(program: Path, behaviour: Behaviour, *, for_s: float) -> Iterator[Target]:
    """Run a target for at most ``for_s`` seconds."""
    with tempfile.TemporaryDirectory(prefix="bellwether-target-") as folder:
        log = Path(folder) / "truth.bin"
        process = subprocess.Popen(
            [program, "--log", log, "--for", str(for_s), *behaviour.arguments()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            if process.stderr is None:
                raise TypeError("the target's standard error must be a pipe")
            target = Target(process, log, process.stderr.readline().strip())
            yield target
            target.stop()
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
            for pipe in (process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()
