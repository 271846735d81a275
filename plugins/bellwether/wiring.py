"""The composition root for Airflow: the only place that turns its Connections and Variables into adapters."""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from airflow.configuration import conf
from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowNotFoundException
from airflow.sdk.log import mask_secret
from airflow.version import version as airflow_version

from bellwether.halting import halted
from bellwether.links import URL_PREFIX
from bellwether.timed_cache import TimedCache
from include.perf.adapters.generator.locust_pool import LocustPool, locust_pool
from include.perf.adapters.http.annotation_webhook import Webhook
from include.perf.adapters.http.credentials import Secrets, missing_connection, optional_headers, service_secrets
from include.perf.adapters.metrics.prometheus_metrics import Prometheus
from include.perf.adapters.s3.client import S3Login
from include.perf.adapters.wiring.environment import build_outside, build_stores
from include.perf.adapters.wiring.prometheus_access import PrometheusAccess, existing_ca_file
from include.perf.adapters.wiring.storage import Storage
from include.perf.alerts.book import Links
from include.perf.catalogue.reading import read_catalogue
from include.perf.catalogue.service import Service
from include.perf.load.service_secrets import ServiceSecrets
from include.perf.model.cell import CellName
from include.perf.model.errors import ConfigurationError, StoreError
from include.perf.model.secret_values import secret_values
from include.perf.pages.addresses import Addresses
from include.perf.pipeline.outside import Outside, Stores
from include.perf.runs.record import RunRecord
from include.perf.runs.results_store import REPORT_FILE

if TYPE_CHECKING:
    from include.perf.monitoring.rule_writer import RuleWriter

log = logging.getLogger(__name__)

PROMETHEUS_CONNECTION = "prometheus_default"
PRODUCTION_CONNECTION = "prometheus_production"
METRICS_CONNECTION = "bellwether_metrics"
ANNOTATIONS_CONNECTION = "bellwether_annotations"
LOCUST_CONNECTION = "bellwether_locust"
S3_CONNECTION = "bellwether_s3"
SCHEMES = ("http", "https")

S3_KEPT_S = 30.0
"""How long a process may still use the connection to the object store after it was changed."""


def airflow_stores(*, runs: Sequence[str] = ()) -> Stores:
    """Return the catalogue, the results and the baselines: enough for a task that only reads and writes records.

    Args:
        runs: URIs of planned runs, which are continued with the catalogue that they were planned with.

    Raises:
        ConfigurationError: the catalogue is wrong.
    """
    return build_stores(storage(), versions=_versions(), runs=runs)


def airflow_outside(*, halted: Callable[[], str | None] = halted, runs: Sequence[str] = ()) -> Outside:
    """Return everything that a run is measured with, from Airflow's Connections and Variables.

    Args:
        halted: returns why no load may run, or ``None``.
        runs: as in `airflow_stores`.

    Raises:
        ConfigurationError: the connection to Prometheus is missing, or the catalogue is wrong.
    """
    return build_outside(
        _prometheus(_prometheus_connection()).metrics(),
        storage=storage(),
        credentials=airflow_credentials,
        conceal=lambda token: _mask([token]),
        halted=halted,
        annotations=airflow_annotations,
        pool=airflow_pool,
        production_metrics=_production_prometheus,
        versions=_versions(),
        runs=runs,
    )


def airflow_rule_writer() -> "RuleWriter":
    """Return the writer of the alert rules; Prometheus loads them if the catalogue says so.

    Raises:
        ConfigurationError: the connection to Prometheus is missing, or the catalogue is wrong.
    """
    from include.perf.adapters.wiring.rules import rule_writer

    return rule_writer(_prometheus(_prometheus_connection()), storage=storage())


def _versions() -> dict[str, str]:
    return {"airflow": airflow_version}


def _production_prometheus() -> Prometheus | None:
    """Return the Prometheus that watches production; ``None`` if one Prometheus watches everything."""
    connection = _optional_connection(PRODUCTION_CONNECTION)
    return None if connection is None else _prometheus(connection).metrics()


def _prometheus(connection: Any) -> PrometheusAccess:
    """Return the access to the Prometheus of a connection."""
    secrets = Secrets(login=connection.login, password=connection.password, extra=connection.extra)
    headers = optional_headers(secrets, connection=connection.conn_id)
    _mask(headers.values())
    return PrometheusAccess(
        url=base_url(connection),
        set_in=f"the connection {connection.conn_id}",
        headers=headers,
        verify_tls=_verifies_tls(connection),
        ca_file=_ca_file(connection),
    )


def _verifies_tls(connection: Any) -> bool:
    """Return ``verify`` from extra; in a connection that is given as a URI it is text."""
    given = connection.extra_dejson.get("verify", True)
    found = {"true": True, "false": False}.get(str(given).lower())
    if found is None:
        raise ConfigurationError(
            f"the connection {connection.conn_id} cannot be used: verify in extra must be true or false, but is "
            f"{given!r}; a bundle of certificates is named with ca_file"
        )
    return found


def _ca_file(connection: Any) -> Path | None:
    given = connection.extra_dejson.get("ca_file")
    return existing_ca_file(given, set_in=f"ca_file in extra of the connection {connection.conn_id}")


def _prometheus_connection() -> Any:
    try:
        return Connection.get(PROMETHEUS_CONNECTION)
    except AirflowNotFoundException as err:
        raise ConfigurationError(
            f"there is no connection {PROMETHEUS_CONNECTION}; add one of type HTTP with Prometheus' address "
            f"(Admin → Connections, or AIRFLOW_CONN_{PROMETHEUS_CONNECTION.upper()}=http://prometheus:9090)"
        ) from err


def base_url(connection: Any) -> str:
    """Return the URL in an HTTP connection.

    The scheme is in the host, in the schema field, or it is the type of a connection given as ``https://…``. A schema
    field that is not a scheme is the path of such a URL.

    Raises:
        ConfigurationError: the connection has no host.
    """
    host: str = connection.host or ""
    if not host:
        raise ConfigurationError(f"the connection {connection.conn_id} names no host; set it to the server's address")
    if "@" in host:
        raise ConfigurationError(
            f"the connection {connection.conn_id} has a login in its host; put it into the fields login and password"
        )
    schema = (connection.schema or "").strip("/")
    scheme = next((name for name in (schema, connection.conn_type) if name in SCHEMES), "http")
    address = host if "://" in host else f"{scheme}://{host}"
    if connection.port:
        address += f":{connection.port}"
    return f"{address}/{schema}" if schema and schema not in SCHEMES else address


def airflow_credentials(service: Service) -> ServiceSecrets:
    """Return the secrets of a service from its Airflow Connection, and mask them in the logs.

    Raises:
        ConfigurationError: the connection is missing, or has no usable credentials.
    """
    if service.connection is None:
        return ServiceSecrets()
    try:
        connection = Connection.get(service.connection)
    except AirflowNotFoundException as err:
        raise missing_connection(service) from err
    secrets = Secrets(login=connection.login, password=connection.password, extra=connection.extra)
    found = service_secrets(secrets, service)
    _mask(found.texts())
    return found


def _mask(texts: Iterable[str]) -> None:
    """Mask secrets in the logs, also the parts of them that a server may repeat."""
    for text in texts:
        for value in secret_values(text):
            mask_secret(value)


def metrics_token() -> str | None:
    """Return the token with which Prometheus may scrape Bellwether's own metrics; ``None`` if none is set."""
    connection = _optional_connection(METRICS_CONNECTION)
    return (connection.password or "").strip() or None if connection else None


def airflow_annotations() -> Webhook | None:
    """Return the webhook to which loads are announced; ``None`` without a connection.

    Raises:
        ConfigurationError: the connection has no host.
    """
    connection = _optional_connection(ANNOTATIONS_CONNECTION)
    if connection is None:
        return None
    return Webhook(url=base_url(connection), token=connection.password or None)


def airflow_pool() -> LocustPool | None:
    """Return the Locust workers on other machines; ``None`` if the machine of the task sends the load.

    Raises:
        ConfigurationError: the connection is wrong.
    """
    connection = _optional_connection(LOCUST_CONNECTION)
    if connection is None:
        return None
    return locust_pool(
        host=connection.host,
        port=connection.port,
        key=connection.password,
        workers=connection.extra_dejson.get("workers"),
        named=f"the connection {LOCUST_CONNECTION}",
        key_named=f"the password of the connection {LOCUST_CONNECTION}",
    )


def storage() -> Storage:
    """Return the stores; an object store gets the credentials of its connection."""
    return Storage(s3=TimedCache(AirflowS3(), for_s=S3_KEPT_S))


class AirflowS3:
    """Returns the login for the object store, and remembers whether there was a connection.

    Airflow also answers "not found" for a connection that it cannot read, and then boto3's own credentials must not
    take its place.
    """

    def __init__(self) -> None:
        self._was_there = False

    def __call__(self) -> S3Login:
        """Return the login.

        Raises:
            ConfigurationError: the connection has only one of the two keys.
            StoreError: there was a connection, but Airflow does not find it any more.
        """
        connection = _optional_connection(S3_CONNECTION)
        if connection is None and self._was_there:
            raise StoreError(
                f"the connection {S3_CONNECTION} is no longer found; try again, or restart if it was removed"
            )
        self._was_there = connection is not None
        return _s3_login(connection)


def _s3_login(connection: Any) -> S3Login:
    """Return the login and the endpoint; boto3 finds what the connection does not contain."""
    if connection is None:
        return S3Login(given_in=f"the connection {S3_CONNECTION}, or where else boto3 finds them")
    if bool(connection.login) != bool(connection.password):
        raise ConfigurationError(
            f"the connection {S3_CONNECTION} must have the access key id as login and the secret key as password, or "
            "neither, so that boto3 finds them"
        )
    extra = connection.extra_dejson
    return S3Login(
        access_key_id=connection.login or None,
        secret_access_key=connection.password or None,
        endpoint_url=extra.get("endpoint_url") or None,
        region_name=extra.get("region_name") or None,
        given_in=f"the connection {S3_CONNECTION}",
    )


def _optional_connection(conn_id: str) -> Any:
    """Return a connection, with its password masked in the logs, or ``None``."""
    try:
        connection = Connection.get(conn_id)
    except AirflowNotFoundException:
        return None
    if connection.password:
        mask_secret(connection.password)
    return connection


def links_of(record: RunRecord) -> Links:
    """Return the links of a run: to Airflow, to its report, and to Prometheus for exactly its window."""
    provenance = record.provenance
    return replace(
        run_links(provenance.dag_id, provenance.dag_run_id),
        report=_report_address(record),
        prometheus=_prometheus_link(record),
    )


def _report_address(record: RunRecord) -> str:
    """Return the page of a run, or its report in the results store if the address of Airflow is not configured."""
    cell = CellName(record.service, record.scenario)
    if base := _airflow_address():
        return Addresses(base=f"{base}{URL_PREFIX}").runs(cell, record.run_id)
    uri = storage().results().uri_of(service=cell.service, scenario=cell.scenario, run_id=record.run_id)
    return f"{uri}/{REPORT_FILE}"


def _airflow_address() -> str:
    base: str = conf.get("api", "base_url", fallback="")
    return base.rstrip("/")


def run_links(dag_id: str | None, dag_run_id: str | None) -> Links:
    """Return the link to a DAG run."""
    base = _airflow_address()
    return Links(airflow_run=f"{base}/dags/{dag_id}/runs/{dag_run_id}" if base and dag_run_id else None)


def _prometheus_link(record: RunRecord) -> str | None:
    if record.window is None:
        return None
    try:
        service, prometheus = read_catalogue().service(record.service), _prometheus_connection()
    except ConfigurationError as err:
        log.warning("no link to Prometheus: %s", err)
        return None
    query = {
        "g0.expr": service.prometheus.query("cpu_usage", window="1m"),
        "g0.tab": 0,
        "g0.range_input": f"{max(1, round(record.window.duration_s))}s",
        "g0.end_input": f"{record.window.end:%Y-%m-%d %H:%M:%S}",
    }
    return f"{base_url(prometheus)}/graph?{urlencode(query)}"
