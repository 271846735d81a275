"""Targets for a real Prometheus: an exporter with known figures, and a process with 40 % CPU usage."""

import threading
import time
from typing import Any

from include.perf.catalogue.service import Service
from tests.socket_servers import SocketServer, Talk, answer

CPU_CORES = 0.25
MEMORY_BYTES = 104857600

BURNER = """
import sys, time
from prometheus_client import start_http_server
start_http_server(int(sys.argv[1]), "127.0.0.1")
print("ready", flush=True)
while True:  # 40 ms of work per 100 ms
    began = time.monotonic()
    used = time.thread_time()
    while time.thread_time() - used < 0.04:
        pass
    time.sleep(max(0.0, 0.1 - (time.monotonic() - began)))
"""


class Exporter:
    """An exporter with known figures that can fail its scrapes and restart."""

    TEXT = (
        b"process_resident_memory_bytes %d\n"
        b"process_cpu_seconds_total %.3f\n"
        b"process_start_time_seconds %.2f\n"
        b'node_filesystem_avail_bytes{mountpoint="/"} 250\n'
        b'node_filesystem_size_bytes{mountpoint="/"} 1000\n'
        b'two_series{half="a"} 1\ntwo_series{half="b"} 2\n'
        b"not_a_number NaN\ninfinite +Inf\n"
    )

    def __init__(self) -> None:
        self.is_up = True
        self.good = 0
        self.bad = 0
        self._lock = threading.Lock()
        self.restart()
        self.server = SocketServer(self._script)

    def restart(self) -> float:
        """Restart like a process: reset the counter and the start time; return that time."""
        with self._lock:
            self._began, self._began_at = time.monotonic(), time.time()
            return self._began_at

    def _script(self, talk: Talk) -> None:
        while talk.read_request() is not None:
            if self.is_up:
                with self._lock:
                    cpu_s, began_at = (time.monotonic() - self._began) * CPU_CORES, self._began_at
                body = self.TEXT % (MEMORY_BYTES, cpu_s, began_at)
                talk.send(answer(body, headers="Content-Type: text/plain; version=0.0.4\r\n"))
                self.good += 1
            else:
                talk.send(answer(b"", status="500 Oops"))
                self.bad += 1


def service_named(name: str, *, interval_s: float, **queries: str) -> Service:
    """Return a service with a name as its Prometheus label."""
    target: dict[str, Any] = {
        "selector": f'service="{name}",environment="staging"',
        "scrape_interval_s": interval_s,
        "queries": queries,
    }
    return Service.model_validate(
        {
            "name": name,
            "base_url": "http://127.0.0.1:9",
            "allowed_hosts": ["127.0.0.1"],
            "prometheus": target,
            "endpoints": [{"name": "orders", "method": "POST", "path": "/api/v1/orders"}],
        }
    )
