"""The Connection of the Prometheus that watches production."""

import pytest
from bellwether.wiring import airflow_outside

from include.perf.adapters.metrics.prometheus_metrics import Prometheus
from include.perf.model.errors import ConfigurationError
from tests.fakes.clock import START
from tests.socket_servers import Serve, always, answer


def one(value: int) -> bytes:
    return answer(b'{"status": "success", "data": {"result": [{"metric": {}, "value": [1, "%d"]}]}}' % value)


def test_production_has_its_own_connection(monkeypatch: pytest.MonkeyPatch, serve: Serve) -> None:
    """Without it, one Prometheus watches everything."""
    monkeypatch.setenv("AIRFLOW_CONN_PROMETHEUS_DEFAULT", serve(always(one(1))).url)
    outside = airflow_outside()
    assert outside.production_metrics() is None
    monkeypatch.setenv("AIRFLOW_CONN_PROMETHEUS_PRODUCTION", serve(always(one(2))).url)
    source = outside.production_metrics()
    assert isinstance(source, Prometheus)
    assert (outside.metrics.value("up", at=START), source.value("up", at=START)) == (1.0, 2.0)


def test_a_wrong_connection_of_production_is_reported_when_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not stop the stages of a run."""
    monkeypatch.setenv("AIRFLOW_CONN_PROMETHEUS_DEFAULT", "http://prometheus:9090")
    monkeypatch.setenv("AIRFLOW_CONN_PROMETHEUS_PRODUCTION", "http://")
    outside = airflow_outside()
    with pytest.raises(ConfigurationError, match="prometheus_production names no host"):
        outside.production_metrics()
