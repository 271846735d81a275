"""Our own metrics in Prometheus, scraped from Airflow with the token after a real run."""

from typing import Any

import pytest
import requests

from tests.integration.conftest import SERVICE, Platform, Run
from tests.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

CELL = f'service="{SERVICE}", scenario="market_open", environment="staging"'


def query_result(platform: Platform, query: str) -> list[dict[str, Any]]:
    """Return the series that a query selects."""
    answer = requests.get(f"{platform.stack.prometheus_url}/api/v1/query", params={"query": query}, timeout=10)
    answer.raise_for_status()
    found: list[dict[str, Any]] = answer.json()["data"]["result"]
    return found


def test_a_run_is_in_prometheus(platform: Platform, first_run: Run) -> None:
    """Prometheus has its verdict soon after the run, and shows that its load ran and has ended."""
    load = first_run.record["load"]
    assert load["finished"]
    verdict = f"bellwether_run_verdict{{{CELL}}} == 1"
    (series,) = until(lambda: query_result(platform, verdict), within_s=60, what="a verdict in Prometheus")
    assert series["metric"]["verdict"] in {run["verdict"] for run in platform.records() if run["service"] == SERVICE}
    load_running = query_result(platform, f"max_over_time(bellwether_load_running{{{CELL}}}[1h])")
    assert [series["value"][1] for series in load_running] == ["1"]
    ended = f"bellwether_load_running{{{CELL}}} == 0"
    until(lambda: query_result(platform, ended), within_s=60, what="the end of the load")


def test_our_metrics_need_the_token(platform: Platform) -> None:
    """Airflow does not protect the pages of plugins, so ours must do it."""
    url = f"{platform.stack.airflow_url}/bellwether/metrics"
    assert requests.get(url, timeout=30).status_code == 401
    wrong = requests.get(url, headers={"Authorization": "Bearer wrong"}, timeout=30)
    assert (wrong.status_code, wrong.json()) == (401, {"detail": "Not authenticated"})
    token = {"Authorization": f"Bearer {platform.stack.metrics_token}"}
    assert "bellwether_run_verdict" in requests.get(url, headers=token, timeout=30).text
