"""Adapters and links from Airflow's Connections and Variables."""

import json
import warnings
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import pytest
from airflow.sdk import Connection
from bellwether import tasks, wiring
from bellwether.wiring import airflow_credentials, airflow_outside, base_url, links_of
from urllib3.exceptions import InsecureRequestWarning

from include.perf.adapters.http.credentials import environment_credentials
from include.perf.load.service_secrets import ServiceSecrets, User
from include.perf.model.errors import ConfigurationError, PrometheusUnavailable
from include.perf.pipeline.night_stages import NightStages
from include.perf.pipeline.planning.request import RunRequest
from include.perf.runs.record import Verdict
from tests.catalogues import SERVICES, catalogue_folder
from tests.certificates import self_signed
from tests.fakes.clock import START
from tests.fakes.small_catalogue import small_service
from tests.records import record_of, run_record
from tests.socket_servers import Serve, SocketServer, Talk, always, answer

CONNECTION = "AIRFLOW_CONN_PROMETHEUS_DEFAULT"
ORDERS = "AIRFLOW_CONN_ORDERS_API"
SECRET = "s3cr3t-4711"


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("http://prometheus:9090", "http://prometheus:9090"),
        ("http://prometheus", "http://prometheus"),
        ("https://prometheus.example:9443", "https://prometheus.example:9443"),
        ("https://prometheus.example/", "https://prometheus.example"),
        ("http://prometheus:9090/https", "https://prometheus:9090"),  # Airflow's own way to say it
        ("http://prometheus:9090/prometheus", "http://prometheus:9090/prometheus"),
        ("https://user:secret@prometheus:9090", "https://prometheus:9090"),
        ("http://https%3A%2F%2Fprometheus.example", "https://prometheus.example"),
        (json.dumps({"conn_type": "http", "host": "prometheus", "port": 9090}), "http://prometheus:9090"),
        (json.dumps({"conn_type": "http", "host": "http://prometheus", "port": 9090}), "http://prometheus:9090"),
        (json.dumps({"conn_type": "http", "host": "prometheus", "schema": "https"}), "https://prometheus"),
    ],
)
def test_every_way_to_write_an_address_is_understood(monkeypatch: pytest.MonkeyPatch, given: str, address: str) -> None:
    """In particular, https stays https, so credentials are never sent unencrypted."""
    monkeypatch.setenv(CONNECTION, given)
    assert base_url(Connection.get("prometheus_default")) == address


def test_an_address_without_a_host_is_refused() -> None:
    """The message names the empty field."""
    nameless = SimpleNamespace(host="", schema=None, port=None, conn_type="http", conn_id="prometheus_default")
    with pytest.raises(ConfigurationError, match="prometheus_default names no host; set it to the server's address"):
        base_url(nameless)


def test_a_login_in_the_host_is_refused_without_showing_it() -> None:
    """Links to Prometheus contain the host, and are sent to everybody."""
    whole = f"https://ann:{SECRET}@prometheus"
    with pytest.raises(ConfigurationError) as caught:
        base_url(SimpleNamespace(host=whole, schema=None, port=None, conn_type="http", conn_id="prometheus_default"))
    assert str(caught.value) == (
        "the connection prometheus_default has a login in its host; put it into the fields login and password"
    )


@pytest.mark.parametrize(
    ("given", "authorization"),
    [
        ({}, None),
        ({"login": "ann", "password": SECRET}, "Basic YW5uOnMzY3IzdC00NzEx"),  # ann:s3cr3t-4711
        ({"password": SECRET}, f"Bearer {SECRET}"),
        ({"extra": {"token": SECRET}}, f"Bearer {SECRET}"),
        ({"extra": {"token": SECRET, "verify": False, "headers": {"X-Scope-OrgID": "fx"}}}, f"Bearer {SECRET}"),
    ],
)
def test_prometheus_gets_the_login_of_its_connection(
    monkeypatch: pytest.MonkeyPatch, serve: Serve, given: dict[str, object], authorization: str | None
) -> None:
    """The same kinds of login as for a service."""
    seen: list[bytes] = []

    def script(talk: Talk) -> None:
        while (request := talk.read_request()) is not None:
            seen.append(request)
            talk.send(answer(b'{"status": "success", "data": {"result": [{"metric": {}, "value": [1, "4"]}]}}'))

    host, _, port = serve(script).url.removeprefix("http://").partition(":")
    monkeypatch.setenv(CONNECTION, json.dumps({"conn_type": "http", "host": host, "port": int(port)} | given))
    assert airflow_outside().metrics.value("up", at=START) == 4.0
    sent = [line.partition(": ")[2] for line in seen[0].decode().split("\r\n") if line.startswith("Authorization")]
    assert sent == ([] if authorization is None else [authorization])
    assert (b"X-Scope-OrgID: fx\r\n" in seen[0]) == ("headers" in str(given))


def test_a_refused_login_names_the_connection(monkeypatch: pytest.MonkeyPatch, serve: Serve) -> None:
    """Its secrets are masked."""
    masked: list[str] = []
    monkeypatch.setattr(wiring, "mask_secret", masked.append)
    url = serve(always(answer(status="401 Unauthorized"))).url
    monkeypatch.setenv(CONNECTION, url.replace("http://", f"http://:{SECRET}@"))
    with pytest.raises(PrometheusUnavailable) as caught:
        airflow_outside().metrics.value("up", at=START)
    assert str(caught.value) == (
        f"Prometheus at {url} rejected the credentials (401); correct them in the connection prometheus_default "
        "(docs/prometheus.md, Logging in)"
    )
    assert masked == [f"Bearer {SECRET}", SECRET]


@pytest.mark.parametrize(
    ("extra", "problem"),
    [
        ({"verify": "/etc/ca.pem"}, "verify in extra must be true or false, but is '/etc/ca.pem'; a bundle of"),
        ({"ca_file": "/no/such.pem"}, "must be a bundle of certificates (PEM), but there is no file /no/such.pem"),
        (
            {"token": SECRET, "headers": {"Authorization": "x"}},
            "would all set the Authorization header; keep one of them",
        ),
    ],
)
def test_an_unusable_connection_to_prometheus(
    monkeypatch: pytest.MonkeyPatch, extra: dict[str, object], problem: str
) -> None:
    """It is refused before anything is sent, without its secrets in the message."""
    given = {"conn_type": "http", "host": "prometheus", "extra": extra}
    monkeypatch.setenv(CONNECTION, json.dumps(given))
    with pytest.raises(ConfigurationError) as caught:
        airflow_outside()
    assert problem in str(caught.value)
    assert "prometheus_default" in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(("verify", "is_verified"), [("false", False), ("False", False), ("true", True), ("", True)])
def test_a_connection_uri_has_verify_as_text(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, verify: str, is_verified: bool
) -> None:
    """A URI allows nothing else; the text ``false`` was once taken for true."""
    with SocketServer(always(answer(b"no")), tls=self_signed(tmp_path)) as server:
        query = f"?verify={verify}" if verify else ""
        monkeypatch.setenv(CONNECTION, f"{server.url}{query}")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InsecureRequestWarning)
            with pytest.raises(PrometheusUnavailable, match="certificate" if is_verified else "is not JSON"):
                airflow_outside().metrics.value("up", at=START)


def test_without_a_connection_the_remedy_is_named() -> None:
    """The message says where to add which connection."""
    with pytest.raises(ConfigurationError) as caught:
        airflow_outside()
    assert str(caught.value) == (
        "there is no connection prometheus_default; add one of type HTTP with Prometheus' address "
        "(Admin → Connections, or AIRFLOW_CONN_PROMETHEUS_DEFAULT=http://prometheus:9090)"
    )


def test_the_variable_halts_load_and_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It stops all runs, and is read each time."""
    monkeypatch.setenv("BELLWETHER_HALT_FILE", str(tmp_path / "halt.json"))
    monkeypatch.setenv(CONNECTION, "http://prometheus:9090")
    outside = airflow_outside()
    assert outside.halted() is None
    monkeypatch.setenv("AIRFLOW_VAR_BELLWETHER_HALT", "incident 4711")
    assert outside.halted() == "load is halted: incident 4711 (to resume, remove the Variable bellwether_halt)"
    monkeypatch.setenv("AIRFLOW_VAR_BELLWETHER_HALT", "")
    assert outside.halted() is None


def test_the_record_will_name_the_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are part of its provenance."""
    monkeypatch.setenv(CONNECTION, "http://prometheus:9090")
    versions = airflow_outside().stores.versions
    assert versions["airflow"].startswith("3.")
    assert set(versions) >= {"bellwether", "locust", "python", "system"}


def test_a_run_links_to_airflow_and_to_its_window_in_prometheus(monkeypatch: pytest.MonkeyPatch) -> None:
    """The window of 06:40 to 06:55 UTC is 900 s ending at 06:55."""
    monkeypatch.setenv(CONNECTION, "https://prometheus.example")
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example/")
    links = links_of(run_record())
    assert links.airflow_run == ("https://airflow.example/dags/market_open/runs/scheduled__2026-03-02T06:30:00+00:00")
    assert links.report == (
        "https://airflow.example/bellwether/runs/analysis-engine-service/market_open/20260302T063900Z-7f3a"
    )
    address = urlsplit(str(links.prometheus))
    assert (address.scheme, address.netloc, address.path) == ("https", "prometheus.example", "/graph")
    query = parse_qs(address.query)
    assert query["g0.range_input"] == ["900s"]
    assert query["g0.end_input"] == ["2026-03-02 06:55:00"]
    assert query["g0.expr"] == [
        'sum(rate(process_cpu_seconds_total{service="analysis-engine-service",environment="staging"}[1m]))'
    ]


def test_a_run_that_sent_no_load_has_no_window_to_link_to() -> None:
    """A skipped run needs no connection to Prometheus."""
    assert links_of(record_of(Verdict.SKIPPED)).prometheus is None


def test_without_a_public_address_nothing_links_to_airflow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A link that leads nowhere would be worse."""
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "")
    links = links_of(record_of(Verdict.SKIPPED))
    assert links.airflow_run is None
    assert str(links.report).endswith("/results/analysis-engine-service/market_open/20260302T063900Z-7f3a/report.md")


@pytest.mark.parametrize(
    "given",
    [
        f"http://ann:{SECRET}@host:8000",
        f"http://ann:p%40ss%2F{SECRET}@host",
        f"http://:{SECRET}@host",
        f"http://host/?token={SECRET}",
        f"http://:{SECRET}@host/?__extra__=%7B%22headers%22%3A%20%7B%22X-Tenant%22%3A%20%22fx%22%7D%7D",
        json.dumps({"conn_type": "http", "login": "ann", "password": SECRET}),
        json.dumps({"conn_type": "http", "extra": {"headers": {"X-Api-Key": SECRET}}}),
        json.dumps({"conn_type": "http", "extra": json.dumps({"token": SECRET})}),
    ],
)
def test_airflow_and_the_command_line_read_the_same_credentials(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    """Airflow parses its connections itself, with the same result as the command line."""
    monkeypatch.setenv(ORDERS, given)
    service = small_service(connection="orders_api")
    secrets = airflow_credentials(service)
    assert secrets.headers
    assert secrets == environment_credentials(service)


def test_credentials_are_masked_in_airflows_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow does not know the headers as secrets; they are masked with and without Bearer or Basic."""
    masked: list[str] = []
    monkeypatch.setattr(wiring, "mask_secret", masked.append)
    monkeypatch.setenv(ORDERS, json.dumps({"conn_type": "http", "extra": {"token": SECRET}}))
    assert airflow_credentials(small_service(connection="orders_api")).headers == {"Authorization": f"Bearer {SECRET}"}
    assert masked == [f"Bearer {SECRET}", SECRET]


@pytest.mark.parametrize(
    "given",
    [
        f"http://ann:{SECRET}@host:8000",
        json.dumps({"conn_type": "http", "login": "ann", "password": SECRET, "extra": {"client_id": "app"}}),
        json.dumps({"conn_type": "http", "extra": {"users": [{"login": "ann", "password": SECRET}]}}),
    ],
)
def test_the_secrets_of_a_login_are_read_alike_and_masked(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    """They are no headers; the tokens that they fetch are masked as well."""
    masked: list[str] = []
    monkeypatch.setattr(wiring, "mask_secret", masked.append)
    monkeypatch.setenv(ORDERS, given)
    service = small_service(connection="orders_api", login={"url": "/login", "grant": "password"})
    secrets = airflow_credentials(service)
    assert secrets.login is not None
    assert (secrets.login.users, dict(secrets.headers)) == ((User(login="ann", password=SECRET),), {})
    assert secrets == environment_credentials(service)
    assert masked == [SECRET]


def test_a_missing_connection_of_a_service_names_the_remedy() -> None:
    """The message says what to add to Airflow."""
    with pytest.raises(ConfigurationError, match=r"^there is no connection orders_api, which orders-service names in"):
        airflow_credentials(small_service(connection="orders_api"))


def test_an_unusable_connection_is_refused_without_its_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow itself would log the broken extra and continue without it."""
    monkeypatch.setenv(ORDERS, json.dumps({"conn_type": "http", "login": "ann", "extra": f"{{{SECRET}"}))
    with pytest.raises(ConfigurationError) as caught:
        airflow_credentials(small_service(connection="orders_api"))
    assert str(caught.value) == "the connection orders_api cannot be used: extra is not valid JSON"


def test_a_service_without_a_connection_reads_none() -> None:
    """No look-up, no header."""
    assert airflow_credentials(small_service()) == ServiceSecrets()


def test_tasks_in_flight_use_the_catalogue_of_their_plan(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Those that measure it and those that judge it; a new plan is refused with the problems of the entry."""
    folder = catalogue_folder(tmp_path)
    monkeypatch.setenv("BELLWETHER_CATALOGUE", str(folder))
    monkeypatch.setenv("BELLWETHER_RESULTS_URI", (tmp_path / "results").as_uri())
    monkeypatch.setenv("BELLWETHER_BASELINES", str(tmp_path / "baselines.json"))
    monkeypatch.setenv("AIRFLOW_CONN_PROMETHEUS_DEFAULT", "http://prometheus:9090")
    monkeypatch.setattr(tasks, "task_context", dict)
    request = RunRequest(scenario="calm", service="orders")
    runs = NightStages(wiring.airflow_stores()).plan(request)
    service = wiring.airflow_stores().catalogue.service("orders")
    catalogue_folder(tmp_path, services=SERVICES.replace("$price", "$prise"))
    assert tasks._run_stages(runs[0]).outside.stores.catalogue.service("orders") == service
    assert tasks._night_stages(runs).stores.catalogue.service("orders") == service
    with pytest.raises(ConfigurationError, match=r"^services.yaml: orders-service.*body: \$prise"):
        NightStages(wiring.airflow_stores()).plan(request)
