"""The stores that the environment variables name: folders and files, or an object store.

The client of the object store is imported only if an address needs it.
"""

import hashlib
import os
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Union

from include.perf.adapters.files import alert_file, baseline_file
from include.perf.adapters.files.alert_file import AlertFile, SharedAlerts
from include.perf.adapters.files.baseline_file import BaselineFile, SharedBaselines
from include.perf.adapters.files.folder_store import DEFAULT_RESULTS, FolderStore
from include.perf.adapters.files.load_locks import LoadLocks
from include.perf.adapters.files.load_log import LoadLog
from include.perf.adapters.files.locked_file import LockedFile, SharedContent
from include.perf.adapters.files.sqlite_index import SCHEMA_VERSION, SHARED_FOR, SqliteIndex
from include.perf.adapters.s3.client import S3Access, own_login
from include.perf.adapters.s3.place import S3Place, is_s3, s3_place
from include.perf.adapters.wiring.patient_stores import PatientResults
from include.perf.adapters.wiring.store_presence import MarkedStore, StorePresence
from include.perf.load.reservations import Reservations
from include.perf.model.errors import ConfigurationError, StoreError
from include.perf.model.patience import ONCE, Patience
from include.perf.model.text import utc_now
from include.perf.model.yaml_entries import PROJECT_ROOT
from include.perf.runs.retention import Archive

if TYPE_CHECKING:
    from include.perf.adapters.s3.leases import Leases
    from include.perf.adapters.s3.shared_object import SharedObject
    from include.perf.adapters.s3.shared_state import LatestLoads

RESULTS = "BELLWETHER_RESULTS_URI"
INDEX = "BELLWETHER_INDEX"

SHARED_FOR_IN_S3 = timedelta(seconds=10)
"""Finding new runs takes one request per cell there, so pages share the result for longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """Returns the stores that the environment names.

    Attributes:
        s3: returns the login for an object store.
        patience: repeats reads of results and baselines while their store cannot be used.
    """

    s3: S3Access = own_login
    patience: Patience = field(default=Patience())

    def results(self) -> Archive:
        """Return the store that ``BELLWETHER_RESULTS_URI`` names, by default ``results/`` in the project."""
        return self._patient(self.patience)

    def _patient(self, patience: Patience) -> PatientResults:
        store = self._results()
        fresh_for_s = 0.0 if self._results_place() is None else SHARED_FOR_IN_S3.total_seconds()
        presence = StorePresence(store, _memory_of(store.root_uri), fresh_for_s)
        return PatientResults(store, patience, presence=presence)

    def _results(self) -> MarkedStore:
        place = self._results_place()
        if place is None:
            return self._results_folder()
        from include.perf.adapters.s3.objects import Objects
        from include.perf.adapters.s3.store import S3Store

        return S3Store(Objects(place, self.s3))

    def baselines(self) -> SharedBaselines:
        """Return the baselines that ``BELLWETHER_BASELINES`` names, by default the file in the project."""
        given = os.environ.get(baseline_file.SETTING)
        if given and is_s3(given):
            return SharedBaselines(self._object_at(given, setting=baseline_file.SETTING), patience=self.patience)
        path = Path(given) if given else PROJECT_ROOT / "include" / "baselines.json"
        return BaselineFile(path, patience=self.patience)

    def alerts(self) -> SharedAlerts:
        """Return the alert book that ``BELLWETHER_ALERTS`` names, by default one next to the results."""
        given, place = os.environ.get(alert_file.SETTING), self._results_place()
        if given or place is None:
            return AlertFile(Path(given) if given else self._results_folder().root / ".alerts.json")
        from include.perf.adapters.s3.shared_state import alerts_in

        return alerts_in(self._object(place, ".alerts.json"), self._leases(place, ".delivering.json"))

    def load_locks(self) -> Reservations:
        """Return the locks in the folder that ``BELLWETHER_LOAD_LOCKS`` names, by default next to the results."""
        given, place = os.environ.get("BELLWETHER_LOAD_LOCKS"), self._results_place()
        if given or place is None:
            return LoadLocks(Path(given) if given else self._results_folder().root / ".loads")
        from include.perf.adapters.s3.shared_state import LoadLeases

        return LoadLeases(self._leases(place, ".loads.json"))

    def load_log(self) -> Union[LoadLog, "LatestLoads"]:
        """Return the log of the latest load of each cell, next to the results."""
        place = self._results_place()
        if place is None:
            return LoadLog(self._results_folder().root / ".load-log", locks=self.load_locks())
        from include.perf.adapters.s3.shared_state import LatestLoads

        return LatestLoads(self._object(place, ".load-log.json"), locks=self.load_locks())

    def last_catalogue(self) -> SharedContent | None:
        """Return where the last usable catalogue is kept, next to the results; ``None`` before their folder exists."""
        place = self._results_place()
        if place is not None:
            return self._object(place, ".catalogue.json")
        root = self._results_folder().root
        return LockedFile(root / ".catalogue.json", error=StoreError, setting=RESULTS) if root.is_dir() else None

    def run_index(self) -> SqliteIndex:
        """Return the index in the file that ``BELLWETHER_INDEX`` names, by default one in the user's cache folder.

        SQLite's log does not work on a network file system, where results may be, so every machine has its own index.

        Raises:
            ConfigurationError: the user has no home folder, and nothing else is set.
        """
        given, results = os.environ.get(INDEX), self._patient(ONCE)
        return SqliteIndex(
            Path(given) if given else _cached_index(results.root_uri),
            store=results,
            clock=utc_now,
            shared_for=SHARED_FOR if self._results_place() is None else SHARED_FOR_IN_S3,
        )

    def rules_folder(self) -> Path | None:
        """Return the folder that ``BELLWETHER_RULES`` names, by default ``rules/`` next to the baselines file.

        ``None`` for baselines in an object store, because Prometheus reads rules from files.
        """
        if given := os.environ.get("BELLWETHER_RULES"):
            return Path(given)
        baselines = self.baselines()
        return baselines.path.parent / "rules" if isinstance(baselines, BaselineFile) else None

    def _results_place(self) -> S3Place | None:
        given = os.environ.get(RESULTS) or ""
        return s3_place(given, setting=RESULTS) if is_s3(given) else None

    def _results_folder(self) -> FolderStore:
        return FolderStore(os.environ.get(RESULTS) or str(PROJECT_ROOT / DEFAULT_RESULTS))

    def _object_at(self, uri: str, *, setting: str) -> "SharedObject":
        place = s3_place(uri, setting=setting)
        if not place.prefix:
            raise ConfigurationError(f"{setting} must be s3://bucket/name, but {uri!r} has no name of an object")
        prefix, _, name = place.prefix.rpartition("/")
        return self._object(S3Place(bucket=place.bucket, prefix=prefix), name)

    def _object(self, place: S3Place, path: str) -> "SharedObject":
        from include.perf.adapters.s3.objects import Objects
        from include.perf.adapters.s3.shared_object import SharedObject

        return SharedObject(Objects(place, self.s3), path)

    def _leases(self, place: S3Place, path: str) -> "Leases":
        from include.perf.adapters.s3.leases import Leases

        return Leases(self._object(place, path))


def _cached_index(results: str) -> Path:
    """Return the path of the index of a results store; versions that need different tables do not share a file."""
    digest = hashlib.sha256(results.encode()).hexdigest()[:16]
    return _caches() / "bellwether" / f"runs-{digest}-v{SCHEMA_VERSION}.sqlite"


def _memory_of(results: str) -> Path | None:
    """Return the file that remembers the id of a results store, next to the index; ``None`` without a place for it."""
    digest = hashlib.sha256(results.encode()).hexdigest()[:16]
    given = os.environ.get(INDEX)
    try:
        folder = Path(given).parent if given else _caches() / "bellwether"
    except ConfigurationError:
        return None
    return folder / f"store-{digest}.id"


def _caches() -> Path:
    """Return the folder for caches by the XDG Base Directory Specification, which ignores relative paths."""
    given = Path(os.environ.get("XDG_CACHE_HOME") or "")
    if given.is_absolute():
        return given
    try:
        return Path.home() / ".cache"
    except RuntimeError as err:
        raise ConfigurationError(
            f"the index of runs needs a folder, but this user has no home; set {INDEX} to a file on a local disk, or "
            "XDG_CACHE_HOME to a folder"
        ) from err
