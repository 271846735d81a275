"""Distinctive secrets in Airflow's Connections, servers that repeat them: nothing that was written has one.

And what people type is never taken for a template: the reason of the run asks Airflow for a password.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from include.perf.catalogue.catalogue import SCENARIOS_FILE
from include.perf.catalogue.reading import SERVICES_FILE
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
        seen: the secrets that arrived there.
        received: the annotations that were sent.
    """

    run: Run
    seen: set[str] = field(default_factory=set)
    received: list[bytes] = field(default_factory=list)


@pytest.fixture(scope="module")
def planted(platform: Platform) -> Iterator[Planted]:
    """Add the service, its scenario and the connections, run it once, and take all of it away again."""
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
            platform.await_dags(lambda dags: SCENARIO in dags, what="the DAG of the scenario appears")
            asked = {"service": SERVICE, "update_baseline": True, "reason": TEMPLATE}
            yield Planted(run=platform.run(SCENARIO, LOAD | asked), seen=seen, received=received)
        finally:
            for name, content in before.items():
                replace_at_once(files[name], content)
            for connection in CONNECTIONS:
                platform.api.call("DELETE", f"/connections/{connection}")


def add_connections(platform: Platform, hook: str) -> None:
    """Add what a service's and a receiver's logins are in Airflow."""
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
    """Add a service like another one, with a connection, and a scenario that loads it alone."""
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
    """Return what every task of a run handed on."""
    path = f"/dags/{run.dag_id}/dagRuns/{run.run_id}/taskInstances/~/xcomEntries?limit=1000"
    entries: list[dict[str, Any]] = platform.api.call("GET", path)["xcom_entries"]
    return {f"XCom of {each['task_id']} {each['map_index']}": json.dumps(each).encode() for each in entries}


def test_the_secrets_arrived_where_they_belong(planted: Planted) -> None:
    """The load was sent with them, and the service repeated them."""
    assert planted.seen >= {"basic password", "api key"}
    assert planted.run.record["load"]["due"] == 300  # 30/s × 10 s
    assert planted.received
    assert planted.run.record["errors"]


def test_no_secret_is_in_what_was_written(platform: Platform, planted: Planted) -> None:
    """Logs of every task and component, results, problems, what tasks handed on, Slack, and the annotations."""
    assert planted.seen
    written = written_in(platform.stack.airflow_home / "logs", platform.stack.results, platform.stack.alerts.parent)
    assert len(written) > 20
    said = {f"annotation {number}": text for number, text in enumerate(echoing.bodies_of(planted.received))}
    told = {f"message {number}": json.dumps(each).encode() for number, each in enumerate(platform.messages())}
    found = leaks_in(written | said | told | returned_by(platform, planted.run))
    # the folder of the stack has Airflow's database in it, where connections are kept
    assert [each for each in found if "airflow.db" not in each] == []


def test_what_people_type_is_no_template(platform: Platform, planted: Planted) -> None:
    """The reason stays as it was typed, wherever it is shown; Airflow fills in nothing."""
    assert planted.run.record["provenance"]["reason"] == TEMPLATE
    details = platform.api.call("GET", f"/dags/{SCENARIO}/dagRuns/{planted.run.run_id}")
    assert details["conf"]["reason"] == TEMPLATE
