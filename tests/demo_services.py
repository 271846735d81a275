"""A service of the demo platform in a process of its own."""

import contextlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import requests

from tests.socket_servers import eventually, free_port, python


@dataclass(frozen=True, slots=True)
class DemoService:
    """A service that answers."""

    url: str
    port: int
    process: subprocess.Popen[bytes]


@contextlib.contextmanager
def demo_service(name: str, *options: str) -> Iterator[DemoService]:
    """Run a service with options of `demo.platform` until the end of the block; wait until it is healthy."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with python("-m", "demo.platform", "--service", name, "--port", str(port), *options) as process:
        eventually(lambda: _is_healthy(url, process), within_s=60)
        yield DemoService(url, port, process)


def _is_healthy(url: str, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, "the service has ended"
    try:
        return requests.get(f"{url}/healthz", timeout=2).status_code == 200
    except requests.RequestException:
        return False
