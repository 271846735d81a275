"""The only place that turns Airflow's Connections and Variables into adapters."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from airflow.configuration import conf
from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowNotFoundException
from airflow.sdk.log import mask_secret
from airflow.version import version as airflow_version

from bellwether.halting import halted
from bellwether.links import URL_PREFIX
from include.perf.adapters.credentials import Secrets, missing_connection, secret_headers
from include.perf.adapters.environment import build_pipeline, results_store
from include.perf.adapters.prometheus import Prometheus
from include.perf.alert import CellName, Links
from include.perf.catalogue import load_catalogue
from include.perf.errors import ConfigurationError
from include.perf.pages.addresses import Addresses
from include.perf.pipeline import Pipeline
from include.perf.ports import REPORT_FILE
from include.perf.run import RunRecord
from include.perf.service import Service

log = logging.getLogger(__name__)

PROMETHEUS_CONNECTION = "prometheus_default"
SCHEMES = ("http", "https")


def airflow_pipeline(*, halted: Callable[[], str | None] = halted) -> Pipeline:
    """Return the pipeline on what this Airflow knows.

    Args:
        halted: says why no load may run.

    Raises:
        ConfigurationError: the connection to Prometheus is missing, or the catalogue is wrong.
    """
    return build_pipeline(
        _prometheus(), credentials=airflow_credentials, halted=halted, versions={"airflow": airflow_version}
    )


def _prometheus() -> Prometheus:
    connection = _prometheus_connection()
    extra: dict[str, Any] = connection.extra_dejson
    return Prometheus(
        base_url(connection),
        auth=(connection.login, connection.password or "") if connection.login else None,
        headers=extra.get("headers"),
        verify_tls=bool(extra.get("verify", True)),
    )


def _prometheus_connection() -> Any:
    try:
        return Connection.get(PROMETHEUS_CONNECTION)
    except AirflowNotFoundException as err:
        raise ConfigurationError(
            f"there is no connection {PROMETHEUS_CONNECTION}; add one of type HTTP with Prometheus' address "
            f"(Admin → Connections, or AIRFLOW_CONN_{PROMETHEUS_CONNECTION.upper()}=http://prometheus:9090)"
        ) from err


def base_url(connection: Any) -> str:
    """Return the address in an HTTP connection.

    The scheme stands in the host, in the schema field, or is the type of a connection given as ``https://…``;
    a schema field that is no scheme is the path of such an address.

    Raises:
        ConfigurationError: it names no host.
    """
    host: str = connection.host or ""
    if not host:
        raise ConfigurationError(f"the connection {connection.conn_id} names no host; set it to Prometheus' address")
    schema = (connection.schema or "").strip("/")
    scheme = next((each for each in (schema, connection.conn_type) if each in SCHEMES), "http")
    address = host if "://" in host else f"{scheme}://{host}"
    if connection.port:
        address += f":{connection.port}"
    return f"{address}/{schema}" if schema and schema not in SCHEMES else address


def airflow_credentials(service: Service) -> Mapping[str, str]:
    """Return a service's secret headers from its Airflow Connection, and keep them out of the logs.

    Raises:
        ConfigurationError: the connection is missing, or there are no usable credentials in it.
    """
    if service.connection is None:
        return {}
    try:
        connection = Connection.get(service.connection)
    except AirflowNotFoundException as err:
        raise missing_connection(service) from err
    secrets = Secrets(login=connection.login, password=connection.password, extra=connection.extra)
    headers = secret_headers(secrets, connection=service.connection)
    for value in headers.values():
        mask_secret(value)
        mask_secret(value.rpartition(" ")[2])  # without Basic or Bearer before it
    return headers


def links_of(record: RunRecord) -> Links:
    """Return where a run can be looked at: in Airflow, its report, and in Prometheus for exactly its window."""
    provenance = record.provenance
    return replace(
        run_links(provenance.dag_id, provenance.dag_run_id),
        report=_report_address(record),
        prometheus=_prometheus_link(record),
    )


def _report_address(record: RunRecord) -> str:
    """Return the page of a run; its report in the results store, where nobody knows at what address Airflow is."""
    cell = CellName(record.service, record.scenario)
    if base := _airflow_address():
        return Addresses(base=f"{base}{URL_PREFIX}").runs(cell, record.run_id)
    uri = results_store().uri_of(service=cell.service, scenario=cell.scenario, run_id=record.run_id)
    return f"{uri}/{REPORT_FILE}"


def _airflow_address() -> str:
    base: str = conf.get("api", "base_url", fallback="")
    return base.rstrip("/")


def run_links(dag_id: str | None, dag_run_id: str | None) -> Links:
    """Return where a run of a DAG can be looked at."""
    base = _airflow_address()
    return Links(airflow_run=f"{base}/dags/{dag_id}/runs/{dag_run_id}" if base and dag_run_id else None)


def _prometheus_link(record: RunRecord) -> str | None:
    if record.window is None:
        return None
    try:
        service, prometheus = load_catalogue().service(record.service), _prometheus_connection()
    except ConfigurationError as err:
        log.warning("there is no link to Prometheus: %s", err)
        return None
    query = {
        "g0.expr": service.prometheus.query("cpu_usage", window="1m"),
        "g0.tab": 0,
        "g0.range_input": f"{max(1, round(record.window.duration_s))}s",
        "g0.end_input": f"{record.window.end:%Y-%m-%d %H:%M:%S}",
    }
    return f"{base_url(prometheus)}/graph?{urlencode(query)}"
