"""The JSON files that the stages of a run leave in its folder for later stages."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic import AwareDatetime

from include.perf.model.cell import RunAddress
from include.perf.model.errors import ItemError, NoRecord, NotFinished
from include.perf.model.json_files import from_json, to_json
from include.perf.runs.figures import LoadFigures, ServerFigures
from include.perf.runs.kept_catalogue import KeptCatalogue
from include.perf.runs.record import RunRecord, Verdict
from include.perf.runs.results_store import PRODUCTION_FILE, RECORD_FILE, SERVER_SERIES_FILE, ResultsStore
from include.perf.runs.spec import ReservationRequest, RunSpec

T = TypeVar("T")

SPEC_FILE = "stage-spec.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlyEnd:
    """Why a run ended before its last stage."""

    stage: str
    verdict: Verdict
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """The last stage that began, whether or not it ended."""

    stage: str
    at: AwareDatetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FingerprintParts:
    """The fingerprint of a run, part by part."""

    parts: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reruns:
    """The re-runs that are judged together with a run.

    Attributes:
        refused: why there are none although the run looked suspicious.
    """

    uris: tuple[str, ...] = ()
    refused: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """The deploy version of the service before and after its load; ``None`` if unknown."""

    before: str | None
    after: str | None


NOT_DEPLOYED = Deployed(before=None, after=None)
"""Neither version is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConcurrentLoads:
    """Other loads that were running when this one began."""

    loads: tuple[ReservationRequest, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tries:
    """The attempts at the load of a run; see `include.perf.pipeline.load_tries`.

    Attributes:
        open_since: when the attempt began that has not ended yet.
        aborted: when the attempts began that never ended.
    """

    open_since: AwareDatetime | None = None
    aborted: tuple[AwareDatetime, ...] = ()


class StageFile(Generic[T]):
    """A JSON file in the folder of a run, which holds a dataclass.

    Args:
        uri: the URI of the run.
        kind: the dataclass.
        check: raises `ItemError` for content that does not belong there.
    """

    def __init__(
        self, store: ResultsStore, uri: str, name: str, kind: type[T], *, check: Callable[[T], None] = lambda _: None
    ) -> None:
        self._check = check
        self._store = store
        self._uri = uri
        self._kind = kind
        self.name = name

    @property
    def exists(self) -> bool:
        """Whether the file was written."""
        return self._store.read(self._uri, self.name) is not None

    def read(self) -> T | None:
        """Return the content, or ``None`` if the file was not written.

        Raises:
            ItemError: the file cannot be read, or its content is damaged or has values outside their domain.
            StoreError: the store cannot be read.
        """
        content = self._store.read(self._uri, self.name)
        if content is None:
            return None
        value = from_json(self._kind, content, where=f"{self._uri}/{self.name}")
        self._check(value)
        return value

    def read_or(self, default: T) -> T:
        """Return the content, or ``default`` if the file was not written."""
        content = self.read()
        return default if content is None else content

    def write(self, value: T) -> None:
        """Write the content, or replace it."""
        self._store.write(self._uri, self.name, to_json(value))

    def remove(self) -> None:
        """Remove the file, if it was written."""
        self._store.remove(self._uri, self.name)


class StageFiles:
    """The JSON files of one run.

    Attributes:
        spec: the request for the run.
        catalogue: what the run was planned with; missing in runs of earlier versions.
        begun: the last stage that began; missing in runs of earlier versions.
        fingerprint: what the run was made of.
        end: why the run could not continue.
        load: what the load generator measured.
        server: what Prometheus measured.
        draft: the record before the report is written.
        reruns: the runs that are judged together with this one; missing until that is decided.
        deployed: the deploy version before and after the load.
        concurrent: other loads that were running.
        tries: the attempts at the load.
        record: the record, which never changes.
    """

    def __init__(self, store: ResultsStore, uri: str) -> None:
        self._store = store
        self.uri = uri
        self.spec = StageFile(store, uri, SPEC_FILE, RunSpec)
        self.catalogue = StageFile(store, uri, "stage-catalogue.json", KeptCatalogue)
        self.begun = StageFile(store, uri, "stage-begun.json", Begun)
        self.fingerprint = StageFile(store, uri, "stage-fingerprint.json", FingerprintParts)
        self.end = StageFile(store, uri, "stage-ended.json", EarlyEnd)
        self.load = StageFile(store, uri, "stage-load.json", LoadFigures)
        self.server = StageFile(store, uri, "stage-server.json", ServerFigures)
        self.draft = StageFile(store, uri, "stage-draft.json", RunRecord)
        self.reruns = StageFile(store, uri, "stage-reruns.json", Reruns)
        self.deployed = StageFile(store, uri, "stage-version.json", Deployed)
        self.concurrent = StageFile(store, uri, "stage-beside.json", ConcurrentLoads)
        self.tries = StageFile(store, uri, "stage-tries.json", Tries)
        self.record = StageFile(store, uri, RECORD_FILE, RunRecord, check=self._check_address)

    @property
    def is_finished(self) -> bool:
        """Whether the run has its record, which never changes."""
        return self.record.exists

    @property
    def is_compared(self) -> bool:
        """Whether there is a draft of the record."""
        return self.draft.exists

    def read_spec(self) -> RunSpec:
        """Return the request for an unfinished run.

        Raises:
            NoRecord: there is no such run.
            ItemError: the run is finished, or its plan cannot be read.
        """
        self._check_unfinished()
        spec = self.spec.read()
        if spec is None:
            raise NoRecord(f"there is no run {self.uri}; its plan is missing")
        return spec

    def read_draft(self) -> RunRecord:
        """Return the record before the report is written.

        Raises:
            ItemError: the run was not compared yet, or it is finished.
        """
        record = self.draft.read()
        if record is None:
            self._check_unfinished()
            raise ItemError(f"run {self.uri} was not compared yet; compare comes before report")
        return record

    def read_record(self) -> RunRecord:
        """Return the record of a finished run.

        Raises:
            NotFinished: the run has no record yet.
            NoRecord: there is no such run.
            ItemError: the record cannot be read, or has values outside their domain.
            StoreError: the store cannot be read, so nothing is known of the run.
        """
        record = self.record.read()
        if record is not None:
            return record
        if self.spec.exists:
            raise NotFinished(f"run {self.uri} is not finished: it has no {RECORD_FILE}")
        record = self.record.read()  # a run that ends in this moment gets its record before its plan is removed
        if record is None:
            raise NoRecord(f"there is no run {self.uri}: it has neither a {RECORD_FILE} nor a plan")
        return record

    def forget_end(self, *, stage: str) -> None:
        """Remove the reason that an earlier attempt at the same stage left."""
        ended = self.end.read()
        if ended is not None and ended.stage == stage:
            self.end.remove()

    def forget_figures(self) -> None:
        """Remove what an earlier attempt at the load measured, so that no old figure is taken for a new one."""
        for file in (self.load, self.server, self.deployed, self.concurrent):
            file.remove()
        for name in (SERVER_SERIES_FILE, PRODUCTION_FILE):
            self._store.remove(self.uri, name)

    def remove_stages(self) -> None:
        """Remove every file but the record, which has their content; the draft last, so that a retry can go on."""
        for file in vars(self).values():
            if isinstance(file, StageFile) and file not in (self.record, self.draft):
                file.remove()
        self.draft.remove()

    def _check_address(self, record: RunRecord) -> None:
        """Refuse the record of another run, such as a copied folder: its figures would count twice."""
        if RunAddress.from_uri(self.uri) != RunAddress(
            service=record.service, scenario=record.scenario, run_id=record.run_id
        ):
            raise ItemError(
                f"{self.uri}/{RECORD_FILE} is the record of {record.run_id} of {record.service} under {record.scenario}"
            )

    def _check_unfinished(self) -> None:
        if self.is_finished:
            raise ItemError(f"run {self.uri} is finished; its record never changes, so trigger a new run")


def find_run(store: ResultsStore, reference: str) -> str:
    """Return the URI of a finished run.

    Args:
        reference: the id of the run, or its URI.

    Raises:
        NoRecord: no finished run has this id.
        StoreError: the store cannot be read.
    """
    if "/" in reference:
        return reference.removesuffix(f"/{RECORD_FILE}")
    for cell in store.cells():
        uri = store.uri_of(service=cell.service, scenario=cell.scenario, run_id=reference)
        if store.read(uri, RECORD_FILE) is not None:
            return uri
    raise NoRecord(f"there is no finished run {reference!r} in the results store; check BELLWETHER_RESULTS_URI")
