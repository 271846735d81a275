"""Measure what a service of the reference platform costs at a fixed request rate.

Run from the project's root (as a module: this file has the name of a standard-library module)::

    python -m benchmarks.platform --rate 500 --for 10 [--service analysis-engine-service …]

Method. Each service is started alone, in a process of its own on a free loopback port. The driver is open-loop:
request i is due at start + i / rate whatever became of those before it, is sent over a free kept-alive
connection (a new one where none is free), and its latency counts from when it was due. Requests are those of
`demo.platform.examples`, all four endpoints of the service in turn. After a warm-up,
the service's own /metrics are read before and after the measured seconds:

- CPU is the growth of `process_cpu_seconds_total` over the elapsed time, in cores;
- server p50 and p99 are quantiles of the growth of `http_request_duration_seconds`, summed over
  endpoints, interpolated within a bucket as Prometheus' histogram_quantile does. Below the first bucket's bound
  that is coarse: read "≤ 1 ms";
- client p99 is exact and includes the driver, the loopback and every delay of a busy machine.

CPU seconds say what the service costs; on a machine that others use, latencies say also what they did.
"""

import argparse
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

from demo.platform.catalogue import SERVICES, service_name
from demo.platform.examples import ExampleRequest, example

_HOST = "127.0.0.1"
_WARMUP_S = 2.0
_DISTINCT_REQUESTS = 4_000
_SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$")


@dataclass(slots=True)
class Tally:
    """What the driver saw."""

    latencies_s: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    sent: int = 0


class _Connection(asyncio.Protocol):
    """One kept-alive connection with at most one request under way; answers have a content-length."""

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
            raise RuntimeError("the connection is not made yet")
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
        """Send rate · for requests on time, wait for their answers (10 s at most), and tell."""
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
    parser = argparse.ArgumentParser(prog="python -m benchmarks.platform", description=__doc__.split("\n")[0])
    parser.add_argument("--service", action="append", type=service_name, help="all unless given; repeatable")
    parser.add_argument("--rate", type=float, default=500.0, help="requests a second")
    parser.add_argument("--for", dest="for_s", type=float, default=10.0, help="seconds measured a service")
    options = parser.parse_args(arguments)
    columns = "service", "rate", "CPU cores", "p50 ms", "p99 ms", "client p99 ms", "RSS MB", "not 200"
    _line("{:<27}{:>7}{:>11}{:>8}{:>8}{:>15}{:>8}{:>9}", *columns)
    for service in options.service or SERVICES:
        _line(
            "{:<27}{:>7.1f}{:>11.3f}{:>8.2f}{:>8.2f}{:>15.2f}{:>8.1f}{:>9}",
            *measure(service, rate_rps=options.rate, for_s=options.for_s),
        )
    return 0


def measure(service: str, *, rate_rps: float, for_s: float) -> tuple[object, ...]:
    """Measure one service; the columns of the table."""
    port = _free_port()
    command = [sys.executable, "-m", "demo.platform", "--service", service, "--port", str(port)]
    process = subprocess.Popen([*command, "--exit-with-parent"], stderr=subprocess.DEVNULL)
    try:
        _wait_until_healthy(port)
        payloads = [encode(example(service, n), port) for n in range(_DISTINCT_REQUESTS)]
        return (service, *uvloop.run(_measure(port, payloads, rate_rps=rate_rps, for_s=for_s)))
    finally:
        process.terminate()
        process.wait(timeout=10)


async def _measure(port: int, payloads: Sequence[bytes], *, rate_rps: float, for_s: float) -> tuple[object, ...]:
    driver = Driver(port, payloads)
    await driver.drive(rate_rps=rate_rps, for_s=_WARMUP_S)
    before, began_s = _scrape(port), time.perf_counter()
    tally = await driver.drive(rate_rps=rate_rps, for_s=for_s)
    after, elapsed_s = _scrape(port), time.perf_counter() - began_s
    buckets = _bucket_growth(before, after)
    if not tally.latencies_s:
        raise RuntimeError(f"no answer to {tally.sent} requests on port {port}")
    latencies_s = sorted(tally.latencies_s)
    lost = tally.sent - tally.statuses[200]
    return (
        len(latencies_s) / elapsed_s,
        (after["process_cpu_seconds_total", ""] - before["process_cpu_seconds_total", ""]) / elapsed_s,
        1000 * quantile(buckets, 0.5),
        1000 * quantile(buckets, 0.99),
        1000 * latencies_s[min(len(latencies_s) - 1, int(0.99 * len(latencies_s)))],
        after["process_resident_memory_bytes", ""] / 1e6,
        lost,
    )


def encode(request: ExampleRequest, port: int) -> bytes:
    """Write a request as HTTP/1.1 bytes."""
    target = f"{request.path}?{urlencode(request.query)}" if request.query else request.path
    body = b"" if request.body is None else json.dumps(request.body).encode()
    kind = f"content-type: application/json\r\ncontent-length: {len(body)}\r\n" if body else ""
    return f"{request.method} {target} HTTP/1.1\r\nhost: {_HOST}:{port}\r\n{kind}\r\n".encode() + body


def quantile(buckets: Sequence[tuple[float, float]], share: float) -> float:
    """Interpolate a quantile from cumulative (upper bound, count), as histogram_quantile does."""
    rank = share * buckets[-1][1]
    lower, below = 0.0, 0.0
    for bound, count in buckets:
        if count >= rank:
            if bound == float("inf"):
                return lower
            return lower + (bound - lower) * (rank - below) / (count - below)
        lower, below = bound, count
    return lower


def _bucket_growth(
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


def _line(template: str, *values: object) -> None:
    sys.stdout.write(template.format(*values) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
