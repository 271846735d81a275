"""Other load generators against the same target: stock Locust, hey, wrk and autocannon.

Each gets the same load by its own options, and its own summary is read. Generators that are not in PATH are left out.
Their processor time is sampled like that of Bellwether's generator.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import target as targets
from benchmarks.target import Behaviour, Truth
from benchmarks.watch import Watch

LOCUSTFILE = Path(__file__).with_name("stock_locust.py")
MARGIN_S = 60.0
SETTLING_S = 1.0
SHARES = {"p50": 0.50, "p95": 0.95, "p99": 0.99}

Percentiles = Mapping[str, float | None]
"""``p50``, ``p95`` and ``p99`` in milliseconds, ``None`` where a generator does not report one."""

WRK_SCRIPT = """
done = function(summary, latency, requests)
  io.write(string.format("p50=%f p95=%f p99=%f", latency:percentile(50), latency:percentile(95),
    latency:percentile(99)))
end
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerLoad:
    """The load that a peer sends; a ``rate_rps`` of ``None`` is as fast as the target answers."""

    url: str
    connections: int
    for_s: int
    rate_rps: float | None
    folder: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A load generator.

    Attributes:
        command: builds its command line.
        read: reads its summary from its standard output, or from the file ``result.json`` where it leaves one.
        paced: its option for a fixed rate, ``None`` for a generator that has none.
    """

    name: str
    program: str
    command: Callable[[PeerLoad], list[str]]
    read: Callable[[str], Percentiles]
    paced: str | None = None
    environment: Callable[[PeerLoad], dict[str, str]] = lambda load: {}

    @property
    def is_there(self) -> bool:
        """Whether it is installed."""
        return shutil.which(self.program) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerOutcome:
    """What a peer reported, and what the target logged of it.

    Attributes:
        requested_rps: ``None`` for as fast as the target answers.
        rss: sampled memory in bytes while the target saw requests.
    """

    name: str
    connections: int
    requested_rps: float | None
    reported_ms: Percentiles
    truth: Truth
    cpu_per_1000_s: float | None
    foreign_cores: float | None
    rss: list[int]

    @property
    def rate_rps(self) -> float:
        """Requests a second that reached the target."""
        return float(len(self.truth.arrived) / np.ptp(self.truth.arrived))

    def true_ms(self, share: float) -> float:
        """Return a percentile in ms of the requests that it sent, from arrival to answer."""
        return float(1000 * np.quantile(self.truth.latency_s, share))

    def bias_ms(self, name: str) -> float | None:
        """Return reported minus true in ms; ``None`` for a percentile that the peer does not report."""
        reported = self.reported_ms[name]
        return None if reported is None else reported - self.true_ms(SHARES[name])

    def per_second(self) -> "np.ndarray[Any, np.dtype[np.int64]]":
        """Return how many requests reached the target in each second after the first one, without the last second."""
        seconds = (self.truth.arrived - self.truth.arrived[0]).astype(np.int64)
        return np.bincount(seconds)[:-1]


def run(
    peer: Peer, program: Path, behaviour: Behaviour, *, connections: int, for_s: int, rate_rps: float | None
) -> PeerOutcome:
    """Run a peer against a fresh target."""
    with (
        tempfile.TemporaryDirectory(prefix="bellwether-peer-") as name,
        targets.running(program, behaviour, for_s=for_s + MARGIN_S) as target,
        Watch(others=(target.pid,)) as watch,
    ):
        load = PeerLoad(url=target.url, connections=connections, for_s=for_s, rate_rps=rate_rps, folder=Path(name))
        done = subprocess.run(
            peer.command(load),
            cwd=name,
            env=dict(os.environ) | peer.environment(load),
            capture_output=True,
            text=True,
            check=False,
            timeout=for_s + MARGIN_S,
        )
        truth = target.truth()
        if not len(truth.arrived):
            raise targets.BenchmarkError(f"{peer.name} sent no request: {(done.stderr or done.stdout).strip()[-300:]}")
        result = Path(name) / "result.json"
        return PeerOutcome(
            name=peer.name,
            connections=connections,
            requested_rps=rate_rps,
            reported_ms=peer.read(result.read_text(encoding="utf-8") if result.exists() else done.stdout),
            truth=truth,
            cpu_per_1000_s=_cpu_per_1000_s(watch, truth),
            foreign_cores=watch.foreign_cores(truth.arrived[0], truth.arrived[-1]),
            rss=watch.rss_between(truth.arrived[0], truth.arrived[-1]),
        )


def _cpu_per_1000_s(watch: Watch, truth: Truth) -> float | None:
    used = watch.cpu_between(truth.arrived[0] + SETTLING_S, truth.arrived[-1])
    if used is None:
        return None
    cpu, first, last = used
    return 1000 * cpu / max(1, len(truth.between(first, last).arrived))


def _locust(load: PeerLoad) -> list[str]:
    users = str(load.connections)
    options = ["--headless", "--only-summary", "--exit-code-on-error", "0", "--stop-timeout", "5"]
    amount = ["-u", users, "-r", users, "-t", f"{load.for_s}s", "-H", load.url]
    return [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), *options, *amount]


def _locust_environment(load: PeerLoad) -> dict[str, str]:
    pace = {} if load.rate_rps is None else {"RATE_PER_USER": str(load.rate_rps / load.connections)}
    return {"RESULT": str(load.folder / "result.json")} | pace


def _hey(load: PeerLoad) -> list[str]:
    pace = [] if load.rate_rps is None else ["-q", str(load.rate_rps / load.connections)]
    return ["hey", "-z", f"{load.for_s}s", "-c", str(load.connections), *pace, load.url + "/v1/prices/eurusd"]


def _wrk(load: PeerLoad) -> list[str]:
    script = load.folder / "percentiles.lua"
    script.write_text(WRK_SCRIPT, encoding="ascii")
    amount = ["-t", "1", "-c", str(load.connections), "-d", f"{load.for_s}s"]
    return ["wrk", *amount, "-s", str(script), load.url + "/v1/prices/eurusd"]


def _autocannon(load: PeerLoad) -> list[str]:
    pace = [] if load.rate_rps is None else ["-R", f"{load.rate_rps:g}"]
    amount = ["-c", str(load.connections), "-d", str(load.for_s)]
    return ["autocannon", "--json", "--no-progress", *amount, *pace, load.url + "/v1/prices/eurusd"]


def _read_json(text: str) -> Percentiles:
    return {name: float(value) for name, value in json.loads(text).items()}


def _read_hey(text: str) -> Percentiles:
    found = {f"p{share}": 1000 * float(seconds) for share, seconds in re.findall(r"(\d+)%+ in ([\d.]+) secs", text)}
    return {name: found.get(name) for name in ("p50", "p95", "p99")}


def _read_wrk(text: str) -> Percentiles:
    return {name: float(micros) / 1000 for name, micros in re.findall(r"(p50|p95|p99)=([\d.]+)", text)}


def _read_autocannon(text: str) -> Percentiles:
    latency = json.loads(text)["latency"]
    return {"p50": float(latency["p50"]), "p95": None, "p99": float(latency["p99"])}


STOCK_LOCUST = Peer(
    name="stock Locust, FastHttpUser",
    program=sys.executable,
    command=_locust,
    read=_read_json,
    paced="constant_throughput",
    environment=_locust_environment,
)

PEERS = (
    Peer(name="hey", program="hey", command=_hey, read=_read_hey, paced="-q"),
    Peer(name="wrk", program="wrk", command=_wrk, read=_read_wrk),
    Peer(name="autocannon", program="autocannon", command=_autocannon, read=_read_autocannon, paced="-R"),
)
