"""A real demo service and a real Prometheus, and runs without Airflow that measure the service."""

import contextlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from include.perf.adapters.metrics.prometheus_metrics import Prometheus
from include.perf.adapters.wiring.environment import build_outside
from include.perf.adapters.wiring.storage import Storage
from include.perf.load.generator import Progress
from include.perf.measure.request_rows import read_requests
from include.perf.measure.scraping import is_scraped
from include.perf.pipeline.night_stages import NightStages
from include.perf.pipeline.outside import Outside
from include.perf.pipeline.pipeline import execute
from include.perf.pipeline.planning.request import RunRequest
from include.perf.runs.record import RunRecord
from tests.demo_services import demo_service
from tests.integration.conftest import NOISE
from tests.socket_servers import PROJECT, eventually, prometheus

SERVICE = "trading-gateway-service"
DUE = 500  # 50/s × 10 s


@dataclass(frozen=True, slots=True)
class Counted:
    """The counters of the service.

    Attributes:
        answers: the number of responses by method, path and status.
        observed: the number of observed durations by method and path.
        seconds: the sum of all durations.
    """

    answers: Counter[tuple[str, str, str]]
    observed: Counter[tuple[str, str]]
    seconds: float

    def __sub__(self, before: "Counted") -> "Counted":
        return Counted(self.answers - before.answers, self.observed - before.observed, self.seconds - before.seconds)

    @property
    def failed(self) -> int:
        """The number of responses with status 5xx."""
        return sum(count for (_, _, status), count in self.answers.items() if status.startswith("5"))


@dataclass(frozen=True, slots=True)
class Platform:
    """A service that simulates faults, and the pipeline that measures it."""

    url: str
    process: psutil.Process
    outside: Outside

    def counted(self) -> Counted:
        """Read the counters of the service."""
        answers: Counter[tuple[str, str, str]] = Counter()
        observed: Counter[tuple[str, str]] = Counter()
        seconds = 0.0
        text = requests.get(f"{self.url}/metrics", timeout=10).text
        for family in text_string_to_metric_families(text):
            for name, labels, value, *_ in family.samples:
                if name == "http_requests_total":
                    answers[labels["method"], labels["endpoint"], labels["status"]] += int(value)
                elif name == "http_request_duration_seconds_count":
                    observed[labels["method"], labels["endpoint"]] += int(value)
                elif name == "http_request_duration_seconds_sum":
                    seconds += value
        return Counted(answers, observed, seconds)

    def fault(self, **fault: float) -> None:
        """Set a fault."""
        requests.put(f"{self.url}/admin/fault", json=fault, timeout=30).raise_for_status()

    def heal(self) -> None:
        """Remove the fault."""
        requests.delete(f"{self.url}/admin/fault", timeout=30).raise_for_status()


@dataclass(frozen=True, slots=True)
class Result:
    """A run: its record, its raw requests, and what the service counted meanwhile."""

    record: RunRecord
    rows: pd.DataFrame
    counted: Counted

    def value(self, metric: str) -> float:
        """Return the value of a metric, which must exist."""
        found = self.record.metrics[metric].value
        assert found is not None, self.record.metrics[metric].reason
        return found


def _catalogue_in(folder: Path, url: str, requests_of_service: Mapping[str, Any]) -> None:
    """Write a catalogue with one service and one short scenario."""
    disk = (
        "1 - min(avg_over_time(data_volume_avail_bytes{$selector}[$window])"
        " / avg_over_time(data_volume_size_bytes{$selector}[$window]))"
    )
    service = {
        "base_url": url,
        "allowed_hosts": ["127.0.0.1"],
        "timeout_s": 5,
        "prometheus": {
            "selector": f'service="{SERVICE}",environment="staging"',
            "scrape_interval_s": 0.2,
            "queries": {"disk_usage": disk},
        },
    }
    scenario = {
        "title": "Short",
        "load": {"rate_rps": 50, "duration_s": 10, "warmup_s": 0, "max_concurrency": 200},
        "data": str(PROJECT / "include" / "data" / "normal_trading_data.csv"),
    }
    services = {SERVICE: service | dict(requests_of_service)}
    # JSON is valid YAML.
    (folder / "services.yaml").write_text(json.dumps({"schema_version": 1, "services": services}))
    (folder / "scenarios.yaml").write_text(json.dumps({"schema_version": 1, "scenarios": {"short": scenario}}))


@contextlib.contextmanager
def environment(**variables: Path) -> Iterator[None]:
    """Set environment variables during the block."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, str(value))
        yield


@contextlib.contextmanager
def measured_service(folder: Path, requests_of_service: Mapping[str, Any], *options: str) -> Iterator[Platform]:
    """Start a service and Prometheus.

    Args:
        requests_of_service: the part of the catalogue's entry that says what is sent.
        options: of the demo service.
    """
    with demo_service(SERVICE, "--exit-with-parent", *options) as service:
        _catalogue_in(folder, service.url, requests_of_service)
        with (
            prometheus(folder, targets={SERVICE: service.port}) as prometheus_url,
            environment(
                BELLWETHER_CATALOGUE=folder,
                BELLWETHER_RESULTS_URI=folder / "results",
                BELLWETHER_BASELINES=folder / "baselines.json",
            ),
        ):
            outside = build_outside(Prometheus(prometheus_url), storage=Storage())
            found = Platform(service.url, psutil.Process(service.process.pid), outside)
            eventually(lambda: _is_scraped(found), within_s=60)
            yield found


def _is_scraped(platform: Platform) -> bool:
    stores = platform.outside.stores
    return is_scraped(stores.catalogue.service(SERVICE), platform.outside.metrics, at=stores.clock())


def run(platform: Platform, on_progress: Callable[[Progress], None] = lambda _: None) -> Result:
    """Execute a run from the plan to the record."""
    (uri,) = NightStages(platform.outside.stores).plan(
        RunRequest(scenario="short", triggered_by="test", may_rerun=False)
    )
    before = platform.counted()
    (record,) = execute([uri], platform.outside, on_progress=on_progress)
    counted = platform.counted() - before
    with platform.outside.stores.results.folder(uri) as folder:
        rows = read_requests(folder / "requests.csv.gz")
    return Result(record, rows, counted)


def without_noise(record: RunRecord) -> list[str]:
    """Return why a run is invalid, without the reasons of a busy machine."""
    return [reason for reason in record.validity if not reason.startswith(NOISE)]
