"""How Airflow's Connections and Variables become adapters and links."""

import json
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import pytest
from airflow.sdk import Connection
from bellwether import wiring
from bellwether.wiring import airflow_credentials, airflow_pipeline, base_url, links_of

from include.perf.adapters.credentials import environment_credentials
from include.perf.errors import ConfigurationError
from include.perf.run import Verdict
from tests.fakes import small_service
from tests.records import record_of, run_record

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
    """Above all, https stays https: credentials never go out in the clear by mistake."""
    monkeypatch.setenv(CONNECTION, given)
    assert base_url(Connection.get("prometheus_default")) == address


def test_an_address_without_a_host_is_refused() -> None:
    """An empty field in the form is named, not requested."""
    nameless = SimpleNamespace(host="", schema=None, port=None, conn_type="http", conn_id="prometheus_default")
    with pytest.raises(ConfigurationError, match="prometheus_default names no host; set it to Prometheus' address"):
        base_url(nameless)


def test_without_a_connection_the_remedy_is_named() -> None:
    """Who installs Bellwether learns where to add what."""
    with pytest.raises(ConfigurationError) as caught:
        airflow_pipeline()
    assert str(caught.value) == (
        "there is no connection prometheus_default; add one of type HTTP with Prometheus' address "
        "(Admin → Connections, or AIRFLOW_CONN_PROMETHEUS_DEFAULT=http://prometheus:9090)"
    )


def test_the_variable_halts_load_and_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One switch stops all runs; it is asked anew each time."""
    monkeypatch.setenv("BELLWETHER_HALT_FILE", str(tmp_path / "halt.json"))
    monkeypatch.setenv(CONNECTION, "http://prometheus:9090")
    pipeline = airflow_pipeline()
    assert pipeline.halted() is None
    monkeypatch.setenv("AIRFLOW_VAR_BELLWETHER_HALT", "incident 4711")
    assert pipeline.halted() == "load is halted: incident 4711 (to go on, remove the Variable bellwether_halt)"
    monkeypatch.setenv("AIRFLOW_VAR_BELLWETHER_HALT", "")
    assert pipeline.halted() is None


def test_the_record_will_name_the_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    """What ran a run is part of its provenance."""
    monkeypatch.setenv(CONNECTION, "http://prometheus:9090")
    versions = airflow_pipeline().versions
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
    """A link that leads nowhere is worse than none."""
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
    """Airflow parses its connections itself; what it makes of one is what the command line makes of it."""
    monkeypatch.setenv(ORDERS, given)
    service = small_service(connection="orders_api")
    headers = airflow_credentials(service)
    assert headers
    assert headers == environment_credentials(service)


def test_credentials_are_masked_in_airflows_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The headers are not what Airflow knows as a secret by itself; with and without the word before it."""
    masked: list[str] = []
    monkeypatch.setattr(wiring, "mask_secret", masked.append)
    monkeypatch.setenv(ORDERS, json.dumps({"conn_type": "http", "extra": {"token": SECRET}}))
    assert airflow_credentials(small_service(connection="orders_api")) == {"Authorization": f"Bearer {SECRET}"}
    assert masked == [f"Bearer {SECRET}", SECRET]


def test_a_missing_connection_of_a_service_is_told_like_that_of_prometheus() -> None:
    """Who added the service learns what to add to Airflow."""
    with pytest.raises(ConfigurationError, match=r"^there is no connection orders_api, which orders-service names in"):
        airflow_credentials(small_service(connection="orders_api"))


def test_an_unusable_connection_is_told_without_what_it_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow itself would log that extra is broken and go on without it."""
    monkeypatch.setenv(ORDERS, json.dumps({"conn_type": "http", "login": "ann", "extra": f"{{{SECRET}"}))
    with pytest.raises(ConfigurationError) as caught:
        airflow_credentials(small_service(connection="orders_api"))
    assert str(caught.value) == "the connection orders_api cannot be used: extra is not valid JSON"


def test_a_service_without_a_connection_asks_airflow_for_none() -> None:
    """No look-up, no header."""
    assert airflow_credentials(small_service()) == {}
