"""Services in this process, called without a network, and services in other processes."""

import asyncio
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from demo.platform.app import ServiceSettings, create_app
from demo.platform.examples import ExampleRequest
from demo.platform.faults import PlatformFaults

ROOT = Path(__file__).parents[3]
# 2026-01-07 12:00:00 UTC, a Wednesday
NOON_S = 1_767_787_200.0


class FakeClock:
    """A clock that a test advances."""

    def __init__(self, now_s: float = NOON_S) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        return self.now_s


class Service:
    """A service in this process, with a synchronous client."""

    def __init__(self, settings: ServiceSettings, clock: FakeClock, faults: PlatformFaults | None) -> None:
        self.runner = asyncio.Runner()
        app = create_app(settings, clock=clock, faults=faults)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        self._http = httpx.AsyncClient(transport=transport, base_url="http://service")

    def ask(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        return self.runner.run(self._http.request(method, path, **kwargs))

    def send(self, request: ExampleRequest) -> httpx.Response:
        return self.ask(request.method, request.path, params=dict(request.query), json=request.body)

    def metric(self, name: str, **labels: str) -> float:
        return sample(self.ask("GET", "/metrics").text, name, **labels)

    def close(self) -> None:
        self.runner.run(self._http.aclose())
        self.runner.close()


class Process:
    """A service in another process."""

    def __init__(self, service: str, *options: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        command = [sys.executable, "-m", "demo.platform", "--service", service]
        self.process = subprocess.Popen(
            [*command, "--port", str(self.port), "--exit-with-parent", *options],
            cwd=ROOT,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        )
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=10, trust_env=False)

    def wait_until_healthy(self) -> None:
        deadline_s = time.monotonic() + 30
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=2):
                    return
            except (urllib.error.URLError, ConnectionError):
                if time.monotonic() > deadline_s:
                    raise
                time.sleep(0.05)

    def metric(self, name: str, **labels: str) -> float:
        return sample(self.http.get("/metrics").text, name, **labels)

    def stop(self) -> int:
        self.http.close()
        self.process.terminate()
        return self.process.wait(timeout=10)


def sample(text: str, name: str, **labels: str) -> float:
    """Return the only sample of a metric with these labels."""
    found = [
        float(line.rsplit(" ", 1)[1])
        for line in text.splitlines()
        if line.split("{")[0].split(" ")[0] == name and all(f'{k}="{v}"' in line for k, v in labels.items())
    ]
    assert len(found) == 1, f"{name} {labels}: {len(found)} samples"
    return found[0]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def start(clock: FakeClock, tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Start a service in this process."""
    started: list[Service] = []

    def begin(service: str, *, faults: PlatformFaults | None = None) -> Service:
        settings = ServiceSettings(service=service, data_dir=tmp_path, with_faults=faults is not None)
        started.append(Service(settings, clock, faults))
        return started[-1]

    yield begin
    for service in started:
        service.close()


@pytest.fixture(scope="session")
def gateway_process() -> Iterator[Process]:
    """A real service with fault injection for all tests; its fault ends with a test."""
    process = Process("trading-gateway-service", "--with-faults", "--version", "9.8.7", "--environment", "lab")
    try:
        process.wait_until_healthy()
        yield process
    finally:
        code = process.stop()
    assert code == 0, f"a stopped process ended with exit code {code}"
