"""A Slack stand-in for the notifier, and Airflow's connections by environment variables."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from demo.slack.app import Settings
from demo.slack.server import running

TOKEN = "xoxb-secret-0123456789"
WEBHOOK_SECRET = "T0SECRET/B0SECRET/XSECRETX"


@dataclass(frozen=True, slots=True, kw_only=True)
class StandIn:
    """The stand-in as a test sees it."""

    http: httpx.Client

    def fail(self, **fault: Any) -> None:
        """Make the next calls fail."""
        self.http.put("/_standin/fault", json=fault).raise_for_status()

    def messages(self) -> list[dict[str, Any]]:
        """Return the messages that arrived, oldest first."""
        found: list[dict[str, Any]] = self.http.get("/_standin/messages").json()["messages"]
        return found

    def texts(self) -> list[str]:
        """Return the first lines of what arrived, thread and all."""
        return [message["text"] for message in self.messages()]

    def calls(self) -> list[str]:
        """Return which methods were called, oldest first."""
        return [call["method"] for call in self.http.get("/_standin/calls").json()["calls"]]


@pytest.fixture(scope="session")
def _stand_in() -> Iterator[StandIn]:
    with running(Settings()) as url, httpx.Client(base_url=url, timeout=5, trust_env=False) as http:
        yield StandIn(http=http)


@pytest.fixture
def slack(_stand_in: StandIn) -> StandIn:
    """An empty stand-in without a fault; nothing is connected to it yet."""
    for path in ("fault", "messages", "calls"):
        _stand_in.http.delete(f"/_standin/{path}").raise_for_status()
    return _stand_in


@pytest.fixture(autouse=True)
def _no_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the connections of another, or of the machine."""
    for name in ("BELLWETHER_APPRISE", "PROMETHEUS_DEFAULT", "SLACK_API_DEFAULT", "SLACK_DEFAULT"):
        monkeypatch.delenv(f"AIRFLOW_CONN_{name}", raising=False)


@pytest.fixture(autouse=True)
def _own_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept of alerts is kept beside the results of the test."""
    monkeypatch.setenv("BELLWETHER_RESULTS_URI", str(tmp_path / "results"))
    monkeypatch.delenv("BELLWETHER_ALERTS", raising=False)


@pytest.fixture
def bot(slack: StandIn, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """A stand-in that Airflow reaches by bot token; it waits one second for an answer."""
    connection = {
        "conn_type": "slack",
        "password": TOKEN,
        "extra": {"base_url": f"{slack.http.base_url}/api/", "timeout": 1},
    }
    monkeypatch.setenv("AIRFLOW_CONN_SLACK_API_DEFAULT", json.dumps(connection))
    return slack


@pytest.fixture
def webhook(slack: StandIn, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """A stand-in that Airflow reaches by incoming webhook only."""
    connection = {
        "conn_type": "slackwebhook",
        "host": f"{slack.http.base_url}/services",
        "password": WEBHOOK_SECRET,
        "extra": {"timeout": 1},
    }
    monkeypatch.setenv("AIRFLOW_CONN_SLACK_DEFAULT", json.dumps(connection))
    return slack
