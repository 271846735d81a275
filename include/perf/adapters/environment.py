"""The pipeline as the environment variables say; Connections and Variables come in from outside."""

import importlib.metadata
import os
import platform
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote, urlsplit

from include.perf import __version__
from include.perf.adapters.alert_file import AlertFile
from include.perf.adapters.annotation_webhook import AnnotationWebhook, Webhook, environment_webhook
from include.perf.adapters.baseline_file import BaselineFile
from include.perf.adapters.charts import MatplotlibCharts
from include.perf.adapters.credentials import Secrets, environment_credentials, optional_headers
from include.perf.adapters.folder_store import DEFAULT_RESULTS, FolderStore
from include.perf.adapters.halt_file import HaltFile
from include.perf.adapters.load_locks import LoadLocks
from include.perf.adapters.load_log import LoadLog
from include.perf.adapters.load_process import PROJECT_ROOT
from include.perf.adapters.locust import LocustGenerator
from include.perf.adapters.prometheus import Prometheus
from include.perf.adapters.resolver import resolve
from include.perf.adapters.sqlite_index import INDEX_FILE, SqliteIndex
from include.perf.adapters.target import HttpTarget
from include.perf.alert_rules.limits_file import LIMITS_FILE, read_limits
from include.perf.catalogue import load_catalogue
from include.perf.errors import ConfigurationError
from include.perf.exposition.sources import Sources
from include.perf.pipeline import Pipeline
from include.perf.ports import Credentials, MetricsSource

ServerT = TypeVar("ServerT")

PRODUCTION_PROMETHEUS = "PROMETHEUS_PRODUCTION"
"""What the variables begin with that name the Prometheus of production, where it is another one."""


def results_store() -> FolderStore:
    """Return the store that ``BELLWETHER_RESULTS_URI`` names, by default ``results/`` in the project."""
    return FolderStore(os.environ.get("BELLWETHER_RESULTS_URI") or str(PROJECT_ROOT / DEFAULT_RESULTS))


def baseline_file() -> BaselineFile:
    """Return the file that ``BELLWETHER_BASELINES`` names, by default the one in the project."""
    path = os.environ.get("BELLWETHER_BASELINES")
    return BaselineFile(Path(path) if path else PROJECT_ROOT / "include" / "baselines.json")


def halt_file() -> HaltFile:
    """Return the file that ``BELLWETHER_HALT_FILE`` names, by default ``halt.json`` in the project."""
    return HaltFile(Path(os.environ.get("BELLWETHER_HALT_FILE") or PROJECT_ROOT / "halt.json"))


def load_locks() -> LoadLocks:
    """Return the locks in the folder that ``BELLWETHER_LOAD_LOCKS`` names, by default one beside the results."""
    folder = os.environ.get("BELLWETHER_LOAD_LOCKS")
    return LoadLocks(Path(folder) if folder else results_store().root / ".loads")


def load_log() -> LoadLog:
    """Return the latest load of each cell, beside the results."""
    return LoadLog(results_store().root / ".load-log", locks=load_locks())


def alert_file() -> AlertFile:
    """Return the file that ``BELLWETHER_ALERTS`` names, by default one beside the results."""
    path = os.environ.get("BELLWETHER_ALERTS")
    return AlertFile(Path(path) if path else results_store().root / ".alerts.json")


def run_index() -> SqliteIndex:
    """Return the index in the file that ``BELLWETHER_INDEX`` names, by default one beside the results."""
    store = results_store()
    path = os.environ.get("BELLWETHER_INDEX")
    return SqliteIndex(Path(path) if path else store.root / INDEX_FILE, store=store, clock=lambda: datetime.now(UTC))


def production_prometheus() -> Prometheus | None:
    """Return the Prometheus that ``PROMETHEUS_PRODUCTION_URL`` names; ``None`` without one, where it is the same.

    Raises:
        ConfigurationError: as `prometheus_at`.
    """
    url = os.environ.get(f"{PRODUCTION_PROMETHEUS}_URL")
    return prometheus_at(url, named=PRODUCTION_PROMETHEUS) if url else None


def prometheus_at(url: str, *, named: str = "PROMETHEUS") -> Prometheus:
    """Return the Prometheus at a URL; a login may stand in it, a token in ``PROMETHEUS_TOKEN``.

    ``PROMETHEUS_CA_FILE`` names the bundle that its certificate is verified with.

    Args:
        named: what the names of its variables begin with.

    Raises:
        ConfigurationError: both a login and a token are given, or there is no such bundle.
    """
    return server_at(url, Prometheus, named=named)


def server_at(url: str, make: Callable[..., ServerT], *, named: str = "PROMETHEUS") -> ServerT:
    """Return an adapter of the Prometheus at a URL, with the credentials and the trust that `prometheus_at` has."""
    parts, token = urlsplit(url), os.environ.get(f"{named}_TOKEN")
    if parts.username and token:
        raise ConfigurationError(f"{named}_URL has a login in it and {named}_TOKEN a token; leave one of them")
    secrets = Secrets(login=unquote(parts.username or ""), password=token or unquote(parts.password or ""))
    return make(
        parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl(),
        set_in=f"{named}_URL",
        headers=optional_headers(secrets, connection=f"{named}_URL"),
        ca_file=existing_ca_file(os.environ.get(f"{named}_CA_FILE"), named=f"{named}_CA_FILE"),
    )


def existing_ca_file(given: str | None, *, named: str) -> Path | None:
    """Return the bundle of certificates at a path; ``None`` where none is given.

    Raises:
        ConfigurationError: there is no such file; ``named`` says where it stands.
    """
    if not given:
        return None
    if not Path(given).is_file():
        raise ConfigurationError(f"{named} must be a bundle of certificates (PEM), but there is no file {given}")
    return Path(given)


def rules_folder() -> Path:
    """Return the folder that ``BELLWETHER_RULES`` names, by default ``rules/`` beside the baselines file."""
    folder = os.environ.get("BELLWETHER_RULES")
    return Path(folder) if folder else baseline_file().path.parent / "rules"


def metrics_sources() -> Sources:
    """Return what our own metrics are made of."""
    return Sources(
        catalogue=load_catalogue,
        index=run_index(),
        baselines=baseline_file(),
        alerts=alert_file(),
        loads=load_log(),
        limits=lambda: read_limits(rules_folder() / LIMITS_FILE),
        clock=lambda: datetime.now(UTC),
    )


def build_pipeline(
    metrics: MetricsSource,
    *,
    credentials: Credentials = environment_credentials,
    halted: Callable[[], str | None] | None = None,
    annotations: Callable[[], Webhook | None] = environment_webhook,
    production_metrics: Callable[[], MetricsSource | None] = production_prometheus,
    versions: Mapping[str, str] | None = None,
) -> Pipeline:
    """Return a pipeline on the catalogue, the results and the baselines that the environment names.

    Args:
        credentials: gives the secret headers of a service; asked only before something is sent to it.
        halted: says why no load may run, by default what `halt_file` says.
        annotations: says where loads are announced, if anywhere; asked only when one begins or ends.
        production_metrics: gives the Prometheus that watches production, ``None`` where it is ``metrics``.

    Raises:
        ConfigurationError: the catalogue or an address is wrong.
    """
    return Pipeline(
        catalogue=load_catalogue(),
        store=results_store(),
        baselines=baseline_file(),
        metrics=metrics,
        generator=LocustGenerator(credentials=credentials),
        target=HttpTarget(credentials=credentials),
        resolve=resolve,
        reservations=load_locks(),
        charts=MatplotlibCharts(),
        clock=lambda: datetime.now(UTC),
        wait=time.sleep,
        halted=halted or halt_file().reason,
        versions=_versions() | dict(versions or {}),
        observers=(load_log(), AnnotationWebhook(annotations)),
        production_metrics=production_metrics,
    )


def _versions() -> dict[str, str]:
    return {
        "bellwether": __version__,
        "locust": importlib.metadata.version("locust"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
    }
