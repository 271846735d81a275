"""Real loads by real load processes, against a target process that records its requests."""

import subprocess
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pandas as pd
import psutil
import requests

from include.perf.adapters.generator.locust_generator import LocustGenerator
from include.perf.catalogue.scenario.load_profile import LoadProfile
from include.perf.catalogue.service import Service
from include.perf.load.feed import Feed, FeedEndpoint, Request
from include.perf.load.generator import LoadOrder, Progress
from include.perf.load.load_plan import GeneratorLog
from include.perf.load.service_secrets import ServiceSecrets, SigningKey
from include.perf.measure.request_rows import read_requests
from include.perf.model.json_files import from_json
from include.perf.runs.results_store import FEED_FILE, GENERATOR_FILE, REQUESTS_FILE

FEED = Feed(
    endpoints=(
        FeedEndpoint(name="orders", method="POST", weight=3, rows=1),
        FeedEndpoint(name="positions", method="GET", weight=2, rows=1),
    ),
    requests=((Request("/api/v1/orders", b'{"quantity":1000}'),), (Request("/api/v1/positions?i=EUR_USD", None),)),
)
LOAD = LoadProfile(rate_rps=100, duration_s=10, warmup_s=0, max_concurrency=200)
DUE = 1_000  # 100/s × 10 s


@dataclass(frozen=True, slots=True)
class Target:
    """A target process and the file of its record."""

    process: subprocess.Popen[bytes]
    port: int
    file: Path

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def truth(self, kind: str = "request") -> pd.DataFrame:
        """Return its record: when each request arrived and was answered, in Unix seconds."""
        table = pd.read_csv(self.file, names=["kind", "came", "went"])
        return table[table["kind"] == kind]

    def answered(self) -> int:
        """How many requests it has answered, by its own count."""
        return int(requests.get(f"{self.url}/truth/count", timeout=10).text)


def service_at(url: str, **changes: Any) -> Service:
    """Return a service at a URL."""
    made: dict[str, Any] = {
        "name": "trading-gateway-service",
        "base_url": url,
        "allowed_hosts": [urlsplit(url).hostname],
        "prometheus": {"selector": 'service="x"'},
        "endpoints": [
            {"name": "orders", "method": "POST", "path": "/api/v1/orders"},
            {"name": "positions", "method": "GET", "path": "/api/v1/positions"},
        ],
    }
    return Service.model_validate(made | changes)


class Onlooker:
    """Watches a load and stops it when a test gives a reason.

    Attributes:
        reason: why the load must end.
    """

    def __init__(self, on_progress: Callable[[Progress], None] = lambda _: None) -> None:
        self._on_progress = on_progress
        self.reason: str | None = None

    def take_in(self, progress: Progress) -> None:
        """Forward the progress to the test."""
        self._on_progress(progress)

    def reason_to_stop(self) -> str | None:
        """Return the reason that the test gave."""
        return self.reason


def order_for(service: Service, load: LoadProfile, folder: Path) -> LoadOrder:
    """Return the order of a load to a service whose host is an address."""
    return LoadOrder(service=service, load=load, folder=folder, addresses=(service.host,))


def folder_in(parent: Path, name: str) -> Path:
    """Create the folder of a run, with its feed."""
    folder = parent / name
    folder.mkdir()
    FEED.write(folder / FEED_FILE)
    return folder


def drive(
    folder: Path,
    url: str,
    *,
    load: LoadProfile = LOAD,
    on_progress: Callable[[Progress], None] = lambda _: None,
    secrets: Mapping[str, str] | None = None,
    signing_key: SigningKey | None = None,
    **service: Any,
) -> None:
    """Drive a load to its end, and check that none of its processes is left."""
    held = ServiceSecrets(headers=secrets or {}, signing_key=signing_key)
    generator = LocustGenerator(credentials=lambda _: held)
    generator.run(order_for(service_at(url, **service), load, folder), watch=Onlooker(on_progress))
    assert loads_of(folder) == []


def loads_of(folder: Path) -> list[psutil.Process]:
    """Return the load processes of a folder."""
    found = []
    for process in psutil.process_iter():
        try:
            command = process.cmdline()
        except psutil.Error:
            continue
        if "include.load" in command and str(folder / "load-plan.json") in command:
            found.append(process)
    return found


def rows_in(folder: Path) -> pd.DataFrame:
    """Return the record of a load."""
    return read_requests(folder / REQUESTS_FILE)


def summary_in(folder: Path) -> GeneratorLog:
    """Return the summary of the load generator."""
    return from_json(GeneratorLog, (folder / GENERATOR_FILE).read_bytes(), where=str(folder))


def kinds(rows: pd.DataFrame) -> Counter[str]:
    """Return how the requests ended."""
    return Counter(rows["error"])


def when_finished(count: int, act: Callable[[], None]) -> Callable[[Progress], None]:
    """Return a listener that calls ``act`` once, after a number of good answers."""
    done: list[int] = []

    def on_progress(progress: Progress) -> None:
        if progress.finished >= count and not done:
            done.append(progress.finished)
            act()

    return on_progress
