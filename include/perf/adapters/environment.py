"""The pipeline as the environment variables say; Connections and Variables come in from outside."""

import importlib.metadata
import os
import platform
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from include.perf import __version__
from include.perf.adapters.alert_file import AlertFile
from include.perf.adapters.baseline_file import BaselineFile
from include.perf.adapters.charts import MatplotlibCharts
from include.perf.adapters.credentials import environment_credentials
from include.perf.adapters.folder_store import DEFAULT_RESULTS, FolderStore
from include.perf.adapters.halt_file import HaltFile
from include.perf.adapters.load_locks import LoadLocks
from include.perf.adapters.load_process import PROJECT_ROOT
from include.perf.adapters.locust import LocustGenerator
from include.perf.adapters.resolver import resolve
from include.perf.adapters.sqlite_index import INDEX_FILE, SqliteIndex
from include.perf.adapters.target import HttpTarget
from include.perf.catalogue import load_catalogue
from include.perf.pipeline import Pipeline
from include.perf.ports import Credentials, MetricsSource


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


def alert_file() -> AlertFile:
    """Return the file that ``BELLWETHER_ALERTS`` names, by default one beside the results."""
    path = os.environ.get("BELLWETHER_ALERTS")
    return AlertFile(Path(path) if path else results_store().root / ".alerts.json")


def run_index() -> SqliteIndex:
    """Return the index in the file that ``BELLWETHER_INDEX`` names, by default one beside the results."""
    store = results_store()
    path = os.environ.get("BELLWETHER_INDEX")
    return SqliteIndex(Path(path) if path else store.root / INDEX_FILE, store=store, clock=lambda: datetime.now(UTC))


def build_pipeline(
    metrics: MetricsSource,
    *,
    credentials: Credentials = environment_credentials,
    halted: Callable[[], str | None] | None = None,
    versions: Mapping[str, str] | None = None,
) -> Pipeline:
    """Return a pipeline on the catalogue, the results and the baselines that the environment names.

    Args:
        credentials: gives the secret headers of a service; asked only before something is sent to it.
        halted: says why no load may run, by default what `halt_file` says.

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
    )


def _versions() -> dict[str, str]:
    return {
        "bellwether": __version__,
        "locust": importlib.metadata.version("locust"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
    }
