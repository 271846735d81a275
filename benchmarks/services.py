"""Measure what a service of the reference platform costs at a fixed request rate.

Run from the project's root::

    python -m benchmarks.services [--rate 500] [--for 10] [--service analysis-engine-service …] [--quick]

Method. Each service runs alone, in a process of its own on a free loopback port. The driver is open-loop: request i is
due at start + i / rate, whatever became of earlier requests. It is sent over a free kept-alive connection, or over a
new one if none is free, and its latency counts from its due time. Requests come from `demo.platform.examples`, all four
endpoints of the service in turn. After a warm-up, the /metrics of the service are read before and after the measured
seconds:

- CPU is the increase of `process_cpu_seconds_total` divided by the elapsed time, in cores.
- p50 and p99 are quantiles of the increase of `http_request_duration_seconds`, summed over endpoints, interpolated
  within a bucket like PromQL's histogram_quantile. Below the first bucket's bound they are coarse: read "≤ 1 ms".
- client p99 is exact. It includes the driver, the loopback and every delay of a busy machine.

CPU time is the cost of the service. Latencies also depend on what else the machine does.
"""

import asyncio
import json
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urlencode

import uvloop

from benchmarks.options import notes_of, parse, parser_of
from benchmarks.tables import Row, Table
from demo.platform.catalogue import SERVICES, service_name
from demo.platform.examples import ExampleRequest, example

_HOST = "127.0.0.1"
_DISTINCT_REQUESTS = 4_000
_SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$")


@dataclass(slots=True)
class Tally:
    """Latencies and statuses, as seen by the driver."""

    latencies_s: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    sent: int = 0


class _Connection(asyncio.Protocol):
    """A kept-alive connection with at most one request at a time; answers have a content-length."""

    def __init__(self, free: list["_Connection"], tally: Tally) -> None:
        self._free = free
        self._tally = tally
        self._buffer = b""
        self._due_s = 0.0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the interface but not the base class
        self._transport = cast(asyncio.Transport, transport)

    def send(self, payload: bytes, due_s: float) -> None:
        if self._transport is None:
            raise RuntimeError("the connection is not established")
        self._due_s = due_s
        self._transport.write(payload)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, blank, body = self._buffer.partition(b"\r\n\r\n")
        if not blank:
            return
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n", 1)[0])
        if len(body) < length:
            return
        self._tally.latencies_s.append(time.perf_counter() - self._due_s)
        self._tally.statuses[int(head[9:12])] += 1
        self._buffer = b""
        self._free.append(self)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


class Driver:
    """Sends requests to one port on a schedule."""

    def __init__(self, port: int, payloads: Sequence[bytes]) -> None:
        self._port = port
        self._payloads = payloads
        self._free: list[_Connection] = []
        self._all: list[_Connection] = []
        self._opening: set[asyncio.Task[None]] = set()

    async def drive(self, *, rate_rps: float, for_s: float) -> Tally:
        """Send ``rate_rps × for_s`` requests on schedule, and wait up to 10 s for the last answers."""
        tally = Tally()
        self._free.clear()
        started_s = time.perf_counter()
        for number in range(round(rate_rps * for_s)):
            due_s = started_s + number / rate_rps
            while (wait_s := due_s - time.perf_counter()) > 0:
                await asyncio.sleep(wait_s)
            self._dispatch(self._payloads[number % len(self._payloads)], due_s, tally)
        deadline_s = time.perf_counter() + 10
        while len(tally.latencies_s) < tally.sent and time.perf_counter() < deadline_s:
            await asyncio.sleep(0.01)
        for connection in self._all:
            connection.close()
        self._all.clear()
        return tally

    def _dispatch(self, payload: bytes, due_s: float, tally: Tally) -> None:
        tally.sent += 1
        if self._free:
            self._free.pop().send(payload, due_s)
            return
        task = asyncio.get_running_loop().create_task(self._open(payload, due_s, tally))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _open(self, payload: bytes, due_s: float, tally: Tally) -> None:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(lambda: _Connection(self._free, tally), _HOST, self._port)
        self._all.append(connection)
        connection.send(payload, due_s)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure services one after another and print a table."""
    parser = parser_of("services", __doc__)
    parser.add_argument("--service", action="append", type=service_name, help="repeatable; default: all services")
    parser.add_argument("--rate", type=float, default=500.0, help="requests per second")
    parser.add_argument("--for", dest="for_s", type=float, default=10.0, help="measured seconds per service")
    parser.add_argument("--warmup", type=float, default=2.0, help="seconds before them")
    quick = {"service": [next(iter(SERVICES))], "rate": 50.0, "for_s": 1.0, "warmup": 0.5}
    options = parse(parser, arguments, quick=quick)
    rows = []
    for service in options.service or SERVICES:
        sys.stderr.write(f"… {service}\n")
        rows.append(measure(service, rate_rps=options.rate, for_s=options.for_s, warmup_s=options.warmup))
    sys.stdout.write(Table(title="services: the cost of a service", rows=rows, notes=notes_of(options)).text())
    return 0


def measure(service: str, *, rate_rps: float, for_s: float, warmup_s: float) -> Row:
    """Measure one service and return its row of the table."""
    port = _free_port()
    command = [sys.executable, "-m", "demo.platform", "--service", service, "--port", str(port)]
    process = subprocess.Popen([*command, "--exit-with-parent"], stderr=subprocess.DEVNULL)
    try:
        _wait_until_healthy(port)
        payloads = [encode(example(service, n), port) for n in range(_DISTINCT_REQUESTS)]
        figures = uvloop.run(_measure(port, payloads, rate_rps=rate_rps, for_s=for_s, warmup_s=warmup_s))
        return {"service": service} | figures
    finally:
        process.terminate()
        process.wait(timeout=10)


async def _measure(
    port: int, payloads: Sequence[bytes], *, rate_rps: float, for_s: float, warmup_s: float
) -> dict[str, float]:
    driver = Driver(port, payloads)
    await driver.drive(rate_rps=rate_rps, for_s=warmup_s)
    before, began_s = _scrape(port), time.perf_counter()
    tally = await driver.drive(rate_rps=rate_rps, for_s=for_s)
    after, elapsed_s = _scrape(port), time.perf_counter() - began_s
    buckets = _bucket_increase(before, after)
    if not tally.latencies_s:
        raise RuntimeError(f"no answer to {tally.sent} requests on port {port}")
    latencies_s = sorted(tally.latencies_s)
    return {
        "requests /s": len(latencies_s) / elapsed_s,
        "CPU cores": (after["process_cpu_seconds_total", ""] - before["process_cpu_seconds_total", ""]) / elapsed_s,
        "p50 ms": 1000 * quantile(buckets, 0.5),
        "p99 ms": 1000 * quantile(buckets, 0.99),
        "client p99 ms": 1000 * latencies_s[min(len(latencies_s) - 1, int(0.99 * len(latencies_s)))],
        "RSS MB": after["process_resident_memory_bytes", ""] / 1e6,
        "not 200": tally.sent - tally.statuses[200],
    }


def encode(request: ExampleRequest, port: int) -> bytes:
    """Write a request as HTTP/1.1 bytes."""
    target = f"{request.path}?{urlencode(request.query)}" if request.query else request.path
    body = b"" if request.body is None else json.dumps(request.body).encode()
    kind = f"content-type: application/json\r\ncontent-length: {len(body)}\r\n" if body else ""
    return f"{request.method} {target} HTTP/1.1\r\nhost: {_HOST}:{port}\r\n{kind}\r\n".encode() + body


def quantile(buckets: Sequence[tuple[float, float]], share: float) -> float:
    """Interpolate a quantile from cumulative (upper bound, count) pairs, like PromQL's histogram_quantile."""
    rank = share * buckets[-1][1]
    lower, below = 0.0, 0.0
    for bound, count in buckets:
        if count >= rank:
            if bound == float("inf"):
                return lower
            return lower + (bound - lower) * (rank - below) / (count - below)
        lower, below = bound, count
    return lower


def _bucket_increase(
    before: dict[tuple[str, str], float], after: dict[tuple[str, str], float]
) -> list[tuple[float, float]]:
    totals: dict[float, float] = {}
    for (name, labels), count in after.items():
        if name == "http_request_duration_seconds_bucket":
            bound = float(labels.split('le="', 1)[1].split('"', 1)[0])
            totals[bound] = totals.get(bound, 0.0) + count - before[name, labels]
    return sorted(totals.items())


def _scrape(port: int) -> dict[tuple[str, str], float]:
    with urllib.request.urlopen(f"http://{_HOST}:{port}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    matches = (_SAMPLE.match(line) for line in lines)
    return {(m[1], m[2] or ""): float(m[3]) for m in matches if m}


def _wait_until_healthy(port: int) -> None:
    deadline_s = time.monotonic() + 20
    while True:
        try:
            with urllib.request.urlopen(f"http://{_HOST}:{port}/healthz", timeout=2):
                return
        except (urllib.error.URLError, ConnectionError):
            if time.monotonic() > deadline_s:
                raise
            time.sleep(0.1)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    raise SystemExit(main())
