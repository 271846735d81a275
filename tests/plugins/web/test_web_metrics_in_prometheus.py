"""Bellwether's own metrics, scraped with the token by a real Prometheus, and what Grafana then shows."""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
import uvicorn
from starlette.applications import Starlette

from include.perf.adapters.files.load_log import LoadLog
from include.perf.monitoring.dashboards.__main__ import grafana_files
from include.perf.monitoring.rule_limits import CellLimits, Limit, RuleLimits
from include.perf.runs.record import Verdict
from tests.loads import sent_load
from tests.plugins.web.conftest import Pages
from tests.records import HEALTHY_METRICS
from tests.socket_servers import eventually, free_port, prometheus_with

pytestmark = pytest.mark.integration

TOKEN = "a-long-random-token"
BOARD: dict[str, Any] = json.loads(grafana_files()["dashboards/bellwether.json"])
LIMITS = CellLimits(
    service="engine",
    scenario="calm",
    environment="staging",
    baseline_version=1,
    metrics={name: Limit(centre=value, warning=value, critical=value) for name, value in HEALTHY_METRICS.items()},
)


@contextmanager
def served(app: Starlette) -> Iterator[int]:
    """Serve an app and return its port."""
    port = free_port()
    config = uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error", loop="asyncio", ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    eventually(lambda: server.started)
    try:
        yield port
    finally:
        server.should_exit = True
        thread.join(timeout=20)


def filled(pages: Pages) -> None:
    """Store data for every metric family: a baseline, a run compared with it, limits, and a running load."""
    pages.tokens["metrics"] = TOKEN
    first = pages.add_run(run_id="run-0", verdict=Verdict.NO_BASELINE, baseline=None)
    pages.post(f"/runs/engine/calm/{first.run_id}/promote", reason="first baseline", over="0")
    pages.add_run()
    metrics = pages.site.metrics
    assert isinstance(metrics.loads, LoadLog)
    metrics.loads.load_began(sent_load(service="engine", scenario="calm", ends_by=pages.clock() + timedelta(hours=1)))
    pages.use(metrics=replace(metrics, limits=lambda: RuleLimits(cells=(LIMITS,))))


class Server:
    """Prometheus, queried as Grafana does."""

    def __init__(self, address: str) -> None:
        self._address = address

    def query(self, query: str) -> list[Any]:
        """Return the series of a query, which must succeed."""
        answer = requests.get(f"{self._address}/api/v1/query", params={"query": query}, timeout=10)
        assert answer.status_code == 200, answer.text
        found: list[Any] = answer.json()["data"]["result"]
        return found

    def values(self, label: str, selector: str) -> list[str]:
        """Return the values of a label."""
        path = f"{self._address}/api/v1/label/{label}/values"
        found: list[str] = requests.get(path, params={"match[]": selector}, timeout=10).json()["data"]
        return found


@pytest.fixture
def server(pages: Pages, tmp_path: Path) -> Iterator[Server]:
    """A Prometheus that has scraped our metrics with the configuration from docs/monitoring.md."""
    filled(pages)
    (tmp_path / "token").write_text(f"{TOKEN}\n", encoding="ascii")
    with served(pages.outer) as port:
        job = {
            "job_name": "bellwether",
            "metrics_path": "/bellwether/metrics",
            "honor_labels": True,
            "authorization": {"credentials_file": str(tmp_path / "token")},
            "static_configs": [{"targets": [f"127.0.0.1:{port}"]}],
        }
        defaults = {"scrape_interval": "1s", "scrape_timeout": "1s"}
        with prometheus_with(tmp_path, {"global": defaults, "scrape_configs": [job]}) as address:
            prometheus = Server(address)
            eventually(lambda: prometheus.query('up{job="bellwether"} == 1'))
            yield prometheus


def expanded(query: str) -> str:
    """Return a query as Grafana sends it while all variables are set to "All"."""
    return re.sub(r"\$(environment|scenario|service)\b", ".*", query)


def test_every_query_of_the_dashboard_returns_data(server: Server) -> None:
    """Panels, annotations and variables, on a real scrape."""
    queries = [target["expr"] for panel in BOARD["panels"] for target in panel.get("targets", ())]
    queries += [annotation["expr"] for annotation in BOARD["annotations"]["list"]]
    assert len(queries) > 20
    for query in queries:
        assert server.query(expanded(query)), query
    for variable in BOARD["templating"]["list"][1:]:
        selector, label = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"]).groups()  # type: ignore[union-attr]
        assert server.values(label, expanded(selector)), variable["name"]


def test_the_values_are_those_of_the_run(server: Server) -> None:
    """Also the labels, whatever the scrape job adds."""
    (series,) = server.query('bellwether_run_latency_p95_seconds{service="engine", scenario="calm"}')
    assert float(series["value"][1]) == HEALTHY_METRICS["latency_p95"]
    assert {name: series["metric"][name] for name in ("service", "scenario", "environment")} == {
        "service": "engine",
        "scenario": "calm",
        "environment": "staging",
    }
    (verdict,) = server.query("bellwether_run_verdict == 1")
    assert verdict["metric"]["verdict"] == "PASS"
