"""Recognisable secrets in Airflow's connections, and servers that repeat them: no output contains one.

Text from users is not rendered as a template either: the reason of the run is a template with a password.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from include.perf.catalogue.catalogue import SCENARIOS_FILE, SERVICES_FILE
from tests.integration.conftest import LOAD, Platform, Run, replace_at_once
from tests.security import echoing
from tests.security.planted import SECRETS, leaks_in, written_in
from tests.socket_servers import SocketServer

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

SERVICE = "planted-service"
SCENARIO = "planted"
CONNECTIONS = ("planted", "bellwether_annotations")
TEMPLATE = "{{ conn.planted.password }} {{ conn.planted.get_password() }} ${jndi:x} {% raw %}"
IN_AIRFLOW = ("basic password", "api key", "annotations token")


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """A run of a service that repeats its credentials.

    Attributes:
        seen: the names of the secrets that arrived at the service.
        received: the requests that the receiver of annotations got.
    """

    run: Run
    seen: set[str] = field(default_factory=set)
    received: list[bytes] = field(default_factory=list)


@pytest.fixture(scope="module")
def planted(platform: Platform) -> Iterator[Planted]:
    """Add the service, its scenario and the connections, run the scenario once, and remove them again."""
    with platform.catalogue.exclusive():
        yield from _planted(platform)


def _planted(platform: Platform) -> Iterator[Planted]:
    seen: set[str] = set()
    received: list[bytes] = []
    files = {name: platform.stack.catalogue / name for name in (SERVICES_FILE, SCENARIOS_FILE)}
    before = {name: path.read_bytes() for name, path in files.items()}
    with SocketServer(echoing.service(seen=seen)) as service, SocketServer(echoing.receiver(received)) as hook:
        try:
            add_connections(platform, hook.url)
            add_to_catalogue(platform, before, service.url)
            platform.await_dags(lambda dags: SCENARIO in dags, what="the DAG of the scenario")
            conf = {"service": SERVICE, "update_baseline": True, "reason": TEMPLATE}
            yield Planted(run=platform.run(SCENARIO, LOAD | conf), seen=seen, received=received)
        finally:
            for name, content in before.items():
                replace_at_once(files[name], content)
            for connection in CONNECTIONS:
                platform.api.call("DELETE", f"/connections/{connection}")


def add_connections(platform: Platform, hook: str) -> None:
    """Add Airflow's connections to the service and to the receiver of annotations."""
    address = urlsplit(hook)
    login = {
        "connection_id": "planted",
        "conn_type": "http",
        "login": "ana",
        "password": SECRETS["basic password"],
        "extra": json.dumps({"headers": {"X-Api-Key": SECRETS["api key"]}}),
    }
    receiver = {
        "connection_id": "bellwether_annotations",
        "conn_type": "http",
        "host": address.hostname,
        "port": address.port,
        "password": SECRETS["annotations token"],
    }
    for connection in (login, receiver):
        platform.api.call("POST", "/connections", connection)


def add_to_catalogue(platform: Platform, files: Mapping[str, bytes], url: str) -> None:
    """Add a service with a connection, and a scenario for it."""
    services, scenarios = (yaml.safe_load(files[name]) for name in (SERVICES_FILE, SCENARIOS_FILE))
    model = services["services"]["data-pipeline-service"]
    services["services"][SERVICE] = model | {"base_url": url, "connection": "planted"}
    model = scenarios["scenarios"]["overnight_processing"]
    scenarios["scenarios"][SCENARIO] = model | {
        "title": "Planted",
        "load": {"rate_rps": 30, "duration_s": 10, "warmup_s": 2},
        "services": [SERVICE],
        "stop_when": [],
    }
    for name, document in ((SERVICES_FILE, services), (SCENARIOS_FILE, scenarios)):
        replace_at_once(platform.stack.catalogue / name, yaml.safe_dump(document, sort_keys=False).encode())


def returned_by(platform: Platform, run: Run) -> dict[str, bytes]:
    """Return the XComs of all tasks of a run."""
    path = f"/dags/{run.dag_id}/dagRuns/{run.run_id}/taskInstances/~/xcomEntries?limit=1000"
    entries: list[dict[str, Any]] = platform.api.call("GET", path)["xcom_entries"]
    return {f"XCom of {entry['task_id']} {entry['map_index']}": json.dumps(entry).encode() for entry in entries}


def test_the_secrets_arrived_where_they_belong(planted: Planted) -> None:
    """Otherwise the next test would prove nothing."""
    assert planted.seen >= {"basic password", "api key"}
    assert planted.run.record["load"]["due"] == 300  # 30/s × 10 s
    assert planted.received
    assert planted.run.record["errors"]


def test_no_secret_is_in_what_was_written(platform: Platform, planted: Planted) -> None:
    """The logs, results, alerts, XComs, Slack messages and annotations contain none."""
    assert planted.seen
    written = written_in(platform.stack.airflow_home / "logs", platform.stack.results, platform.stack.alerts.parent)
    assert len(written) > 20
    annotations = {f"annotation {number}": text for number, text in enumerate(echoing.bodies_of(planted.received))}
    messages = {f"message {number}": json.dumps(message).encode() for number, message in enumerate(platform.messages())}
    found = leaks_in(written | annotations | messages | returned_by(platform, planted.run))
    # Airflow's database, in which it stores connections, is in the folder of the stack
    assert [leak for leak in found if "airflow.db" not in leak] == []


def test_text_from_users_is_not_a_template(platform: Platform, planted: Planted) -> None:
    """The reason is stored unchanged; Airflow does not render it."""
    assert planted.run.record["provenance"]["reason"] == TEMPLATE
    details = platform.api.call("GET", f"/dags/{SCENARIO}/dagRuns/{planted.run.run_id}")
    assert details["conf"]["reason"] == TEMPLATE
