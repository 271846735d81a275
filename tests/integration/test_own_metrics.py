"""Our own metrics in the demo's Prometheus: scraped from Airflow with the token, after a real run."""

from typing import Any

import pytest
import requests

from tests.integration.conftest import SERVICE, Platform, Run
from tests.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

CELL = f'service="{SERVICE}", scenario="market_open", environment="staging"'


def asked(platform: Platform, query: str) -> list[dict[str, Any]]:
    """Return the series of a query."""
    answer = requests.get(f"{platform.stack.prometheus_url}/api/v1/query", params={"query": query}, timeout=10)
    answer.raise_for_status()
    found: list[dict[str, Any]] = answer.json()["data"]["result"]
    return found


def test_a_run_is_in_prometheus(platform: Platform, first_run: Run) -> None:
    """What its record says, soon after it is over; and that a load went out, and none does now."""
    load = first_run.record["load"]
    assert load["finished"]
    verdict = f"bellwether_run_verdict{{{CELL}}} == 1"
    (series,) = until(lambda: asked(platform, verdict), within_s=60, what="a verdict in Prometheus")
    assert series["metric"]["verdict"] in {run["verdict"] for run in platform.records() if run["service"] == SERVICE}
    ran = asked(platform, f"max_over_time(bellwether_load_running{{{CELL}}}[1h])")
    assert [each["value"][1] for each in ran] == ["1"]
    until(lambda: asked(platform, f"bellwether_load_running{{{CELL}}} == 0"), within_s=60, what="the end of the load")


def test_nobody_else_gets_them(platform: Platform) -> None:
    """Airflow adds no protection to what plugins serve, so ours must be there."""
    url = f"{platform.stack.airflow_url}/bellwether/metrics"
    assert requests.get(url, timeout=30).status_code == 401
    wrong = requests.get(url, headers={"Authorization": "Bearer wrong"}, timeout=30)
    assert (wrong.status_code, wrong.json()) == (401, {"detail": "Not authenticated"})
    token = {"Authorization": f"Bearer {platform.stack.metrics_token}"}
    assert "bellwether_run_verdict" in requests.get(url, headers=token, timeout=30).text
