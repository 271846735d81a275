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
from include.perf.adapters.files.halt_file import HaltFile
from include.perf.adapters.generator.locust_generator import LocustGenerator
from include.perf.adapters.generator.locust_pool import LocustPool, environment_pool
from include.perf.adapters.http.annotation_webhook import AnnotationWebhook, Webhook, environment_webhook
from include.perf.adapters.http.credentials import Secrets, environment_credentials, optional_headers
from include.perf.adapters.http.http_target import HttpTarget, resolve
from include.perf.adapters.metrics.prometheus_metrics import Prometheus
from include.perf.adapters.wiring.storage import Storage
from include.perf.catalogue.reading import load_catalogue
from include.perf.load.wire import Credentials
from include.perf.measure.metrics_source import MetricsSource
from include.perf.model.errors import ConfigurationError
from include.perf.model.yaml_entries import PROJECT_ROOT
from include.perf.monitoring.rule_limits import LIMITS_FILE, read_limits
from include.perf.monitoring.rule_limits import RuleLimits as AlertLimits
from include.perf.monitoring.standings import Sources
from include.perf.pipeline.pipeline import Pipeline
from include.perf.reporting.charts.charts import MatplotlibCharts

ServerT = TypeVar("ServerT")

PRODUCTION_PROMETHEUS = "PROMETHEUS_PRODUCTION"
"""What the variables begin with that name the Prometheus of production, where it is another one."""


def halt_file() -> HaltFile:
    """Return the file that ``BELLWETHER_HALT_FILE`` names, by default ``halt.json`` in the project."""
    return HaltFile(Path(os.environ.get("BELLWETHER_HALT_FILE") or PROJECT_ROOT / "halt.json"))


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


def metrics_sources(storage: Storage) -> Sources:
    """Return what our own metrics are made of."""

    def limits() -> AlertLimits | None:
        folder = storage.rules_folder()
        return None if folder is None else read_limits(folder / LIMITS_FILE)

    return Sources(
        catalogue=load_catalogue,
        index=storage.run_index(),
        baselines=storage.baselines(),
        alerts=storage.alerts(),
        loads=storage.load_log(),
        limits=limits,
        clock=lambda: datetime.now(UTC),
    )


def build_pipeline(
    metrics: MetricsSource,
    *,
    storage: Storage,
    credentials: Credentials = environment_credentials,
    halted: Callable[[], str | None] | None = None,
    annotations: Callable[[], Webhook | None] = environment_webhook,
    pool: Callable[[], LocustPool | None] = environment_pool,
    production_metrics: Callable[[], MetricsSource | None] = production_prometheus,
    versions: Mapping[str, str] | None = None,
) -> Pipeline:
    """Return a pipeline on the catalogue, the results and the baselines that the environment names.

    Args:
        storage: gives the results and the baselines.
        credentials: gives the secret headers of a service; asked only before something is sent to it.
        halted: says why no load may run, by default what `halt_file` says.
        pool: names the workers on other machines that send the load, ``None`` where this one does.
        annotations: says where loads are announced, if anywhere; asked only when one begins or ends.
        production_metrics: gives the Prometheus that watches production, ``None`` where it is ``metrics``.

    Raises:
        ConfigurationError: the catalogue or an address is wrong.
    """
    return Pipeline(
        catalogue=load_catalogue(),
        store=storage.results(),
        baselines=storage.baselines(),
        metrics=metrics,
        generator=LocustGenerator(credentials=credentials, pool=pool),
        target=HttpTarget(credentials=credentials),
        resolve=resolve,
        reservations=storage.load_locks(),
        charts=MatplotlibCharts(),
        clock=lambda: datetime.now(UTC),
        wait=time.sleep,
        halted=halted or halt_file().reason,
        versions=_versions() | dict(versions or {}),
        observers=(storage.load_log(), AnnotationWebhook(annotations)),
        production_metrics=production_metrics,
    )


def _versions() -> dict[str, str]:
    return {
        "bellwether": __version__,
        "locust": importlib.metadata.version("locust"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
    }
