"""The composition root: the adapters that the environment variables name, for the command line and for Airflow.

What Airflow keeps in Connections and Variables comes in through arguments.
"""

import importlib.metadata
import logging
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from include.perf import __version__
from include.perf.adapters.files.halt_file import HaltFile
from include.perf.adapters.generator.locust_generator import LocustGenerator
from include.perf.adapters.generator.locust_pool import LocustPool, environment_pool
from include.perf.adapters.http.annotation_webhook import AnnotationWebhook, Webhook, environment_webhook
from include.perf.adapters.http.credentials import environment_credentials
from include.perf.adapters.http.http_target import HttpTarget, resolve
from include.perf.adapters.http.token_issuer import HttpTokenIssuer
from include.perf.adapters.wiring.last_catalogue import usable_catalogue
from include.perf.adapters.wiring.prometheus_access import production_prometheus
from include.perf.adapters.wiring.storage import Storage
from include.perf.catalogue.catalogue import Catalogue
from include.perf.catalogue.reading import read_catalogue
from include.perf.load.wire import Credentials
from include.perf.measure.metrics_source import MetricsSource
from include.perf.model.errors import CatalogueError, ItemError
from include.perf.model.text import utc_now
from include.perf.model.yaml_entries import PROJECT_ROOT, default_folder
from include.perf.monitoring.cell_status import Sources
from include.perf.monitoring.rule_limits import LIMITS_FILE, RuleLimits, read_limits
from include.perf.pipeline.outside import Outside, Stores
from include.perf.reporting.charts.charts import MatplotlibCharts
from include.perf.runs.kept_catalogue import kept_catalogue
from include.perf.runs.results_store import ResultsStore
from include.perf.runs.stage_files import StageFiles

log = logging.getLogger(__name__)


def build_stores(storage: Storage, *, versions: Mapping[str, str] | None = None, runs: Sequence[str] = ()) -> Stores:
    """Return the catalogue, the results and the baselines that the environment names.

    Args:
        runs: URIs of planned runs, which are continued with the catalogue that they were planned with.
        versions: versions to put into each record, in addition to those of Bellwether, Locust, Python and the system.

    Raises:
        ConfigurationError: the catalogue or an address is wrong.
    """
    results = storage.results()
    return Stores(
        catalogue=catalogue_of(runs, results),
        results=results,
        baselines=storage.baselines(),
        charts=MatplotlibCharts(),
        clock=utc_now,
        versions=_versions() | dict(versions or {}),
    )


def build_outside(
    metrics: MetricsSource,
    *,
    storage: Storage,
    credentials: Credentials = environment_credentials,
    conceal: Callable[[str], None] = lambda _: None,
    halted: Callable[[], str | None] | None = None,
    annotations: Callable[[], Webhook | None] = environment_webhook,
    pool: Callable[[], LocustPool | None] = environment_pool,
    production_metrics: Callable[[], MetricsSource | None] = production_prometheus,
    versions: Mapping[str, str] | None = None,
    runs: Sequence[str] = (),
) -> Outside:
    """Return everything that a run is measured with.

    Args:
        credentials: returns the secrets of a service; called only before something is sent to it.
        conceal: receives each new token, to mask it in logs.
        halted: returns why no load may run; by default what `halt_file` says.
        annotations: returns where loads are announced, or ``None``; called only when a load begins or ends.
        pool: returns the Locust workers on other machines; ``None`` if this machine sends the load.
        production_metrics: returns the Prometheus that watches production; ``None`` if it is ``metrics``.
        versions, runs: as in `build_stores`.

    Raises:
        ConfigurationError: as `build_stores`.
    """
    stores = build_stores(storage, versions=versions, runs=runs)
    issuer = HttpTokenIssuer(
        credentials=credentials, forbidden_for=stores.catalogue.forbidden_for, resolve=resolve, conceal=conceal
    )
    return Outside(
        stores=stores,
        metrics=metrics,
        generator=LocustGenerator(credentials=credentials, issuer=issuer, pool=pool),
        target=HttpTarget(credentials=credentials, issuer=issuer),
        resolve=resolve,
        reservations=storage.load_locks(),
        wait=time.sleep,
        halted=halted or halt_file().reason,
        observers=(storage.load_log(), AnnotationWebhook(annotations)),
        production_metrics=production_metrics,
    )


def catalogue_of(runs: Sequence[str], results: ResultsStore) -> Catalogue:
    """Return the catalogue that runs were planned with; the current one for none, and for runs that kept none.

    Raises:
        CatalogueError: the current one is needed and cannot be used.
    """
    try:
        kept = [content for uri in runs if (content := StageFiles(results, uri).catalogue.read()) is not None]
    except ItemError as err:  # for example after an update of Bellwether
        log.warning("the current catalogue is used: %s", err)
        kept = []
    if not runs or len(kept) < len(runs):
        return read_catalogue()
    current: Catalogue | None = None
    try:
        current = read_catalogue()
    except CatalogueError as err:
        log.warning("runs in flight continue with the catalogue that they were planned with: %s", err)
    return kept_catalogue(kept, folder=default_folder(), current=current)


def halt_file() -> HaltFile:
    """Return the file that ``BELLWETHER_HALT_FILE`` names, by default ``halt.json`` in the project."""
    return HaltFile(Path(os.environ.get("BELLWETHER_HALT_FILE") or PROJECT_ROOT / "halt.json"))


def metrics_sources(storage: Storage) -> Sources:
    """Return the sources of Bellwether's own metrics."""

    def limits() -> RuleLimits | None:
        folder = storage.rules_folder()
        return None if folder is None else read_limits(folder / LIMITS_FILE)

    return Sources(
        catalogue=lambda: usable_catalogue(lambda: storage),
        index=storage.run_index(),
        baselines=storage.baselines(),
        alerts=storage.alerts(),
        loads=storage.load_log(),
        limits=limits,
        clock=utc_now,
    )


def _versions() -> dict[str, str]:
    return {
        "bellwether": __version__,
        "locust": importlib.metadata.version("locust"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
    }
