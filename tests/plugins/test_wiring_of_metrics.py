"""The optional connections: the token for Prometheus, and the webhook for loads."""

import json

import pytest
from bellwether.wiring import airflow_annotations, metrics_token

from include.perf.adapters.http.annotation_webhook import Webhook
from include.perf.model.errors import ConfigurationError

METRICS, ANNOTATIONS = "AIRFLOW_CONN_BELLWETHER_METRICS", "AIRFLOW_CONN_BELLWETHER_ANNOTATIONS"


@pytest.mark.parametrize(
    ("given", "token"),
    [
        ('{"conn_type": "http", "password": "t0ken"}', "t0ken"),
        ('{"conn_type": "http", "password": "t0ken\\n"}', "t0ken"),  # as files end
        ("http://:t0ken@", "t0ken"),
        ('{"conn_type": "http", "password": " "}', None),
        ('{"conn_type": "http"}', None),
    ],
)
def test_the_token_is_the_password(monkeypatch: pytest.MonkeyPatch, given: str, token: str | None) -> None:
    """A connection without a password opens nothing."""
    monkeypatch.setenv(METRICS, given)
    assert metrics_token() == token


@pytest.mark.parametrize(
    ("given", "webhook"),
    [
        (
            json.dumps({"conn_type": "http", "host": "https://grafana.example/api/annotations", "password": "t0ken"}),
            Webhook(url="https://grafana.example/api/annotations", token="t0ken"),
        ),
        ("https://grafana.example/api%2Fannotations", Webhook(url="https://grafana.example/api/annotations")),
        ("http://hook:8080", Webhook(url="http://hook:8080")),
    ],
)
def test_annotations_go_to_the_host(monkeypatch: pytest.MonkeyPatch, given: str, webhook: Webhook) -> None:
    """With the password as a token, if there is one."""
    monkeypatch.setenv(ANNOTATIONS, given)
    assert airflow_annotations() == webhook


def test_an_annotation_connection_without_a_host_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the annotations would be missing silently."""
    monkeypatch.setenv(ANNOTATIONS, '{"conn_type": "http", "password": "t0ken"}')
    with pytest.raises(ConfigurationError, match="bellwether_annotations names no host"):
        airflow_annotations()


def test_without_connections_there_is_neither_token_nor_webhook(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are optional."""
    for name in (METRICS, ANNOTATIONS):
        monkeypatch.delenv(name, raising=False)
    assert (metrics_token(), airflow_annotations()) == (None, None)
