"""What stages leave for one another in the folder of a run."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from pydantic import AwareDatetime

from include.perf.model.errors import StoreError
from include.perf.model.json_files import from_json, to_json
from include.perf.runs.figures import LoadFigures, ServerFigures
from include.perf.runs.record import RunRecord, Verdict
from include.perf.runs.results_store import PRODUCTION_FILE, RECORD_FILE, SERVER_SERIES_FILE, ResultsStore
from include.perf.runs.spec import ReservationRequest, RunSpec

SPEC_FILE = "stage-spec.json"
FINGERPRINT_FILE = "stage-fingerprint.json"
END_FILE = "stage-ended.json"
LOAD_FILE = "stage-load.json"
SERVER_FILE = "stage-server.json"
DRAFT_FILE = "stage-draft.json"
RERUNS_FILE = "stage-reruns.json"
VERSION_FILE = "stage-version.json"
BESIDE_FILE = "stage-beside.json"
TRIES_FILE = "stage-tries.json"

STAGE_FILES = (
    SPEC_FILE,
    FINGERPRINT_FILE,
    END_FILE,
    LOAD_FILE,
    SERVER_FILE,
    DRAFT_FILE,
    RERUNS_FILE,
    VERSION_FILE,
    BESIDE_FILE,
    TRIES_FILE,
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlyEnd:
    """Why a run ended before its last stage."""

    stage: str
    verdict: Verdict
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The fingerprint, part by part."""

    parts: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reruns:
    """The runs that are judged together with this one.

    Attributes:
        refused: why there are none although one was wanted.
    """

    uris: tuple[str, ...] = ()
    refused: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """The deploy version of the service before and after its load; ``None`` where it does not say."""

    before: str | None
    after: str | None


def find_run(store: ResultsStore, reference: str) -> str:
    """Return the address of a finished run by its id, or by its address itself.

    Raises:
        StoreError: there is none of that id.
    """
    if "/" in reference:
        return reference.removesuffix(f"/{RECORD_FILE}")
    for cell in store.cells():
        uri = store.uri_of(service=cell.service, scenario=cell.scenario, run_id=reference)
        if store.read(uri, RECORD_FILE) is not None:
            return uri
    raise StoreError(f"there is no finished run {reference!r} in the results store; check BELLWETHER_RESULTS_URI")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConcurrentLoads:
    """The loads that ran elsewhere when this one began."""

    loads: tuple[ReservationRequest, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tries:
    """The tries of a run's load; see `include.perf.pipeline.load_tries`.

    Attributes:
        open_since: when the try began that has not come to its end.
        aborted: when those began that never came to theirs.
    """

    open_since: AwareDatetime | None = None
    aborted: tuple[AwareDatetime, ...] = ()


class StageFiles:
    """The files of one run that stages leave for one another."""

    def __init__(self, store: ResultsStore, uri: str) -> None:
        self._store = store
        self.uri = uri

    def _read(self, kind: type[T], name: str) -> T | None:
        content = self._store.read(self.uri, name)
        return None if content is None else from_json(kind, content, where=f"{self.uri}/{name}")

    def _write(self, name: str, value: object) -> None:
        self._store.write(self.uri, name, to_json(value))

    def write_spec(self, spec: RunSpec) -> None:
        """Keep what the run was asked to be."""
        self._write(SPEC_FILE, spec)

    def read_spec(self) -> RunSpec:
        """Return what the run was asked to be.

        Raises:
            StoreError: there is no such run, or it is finished.
        """
        self._check_unfinished()
        spec = self._read(RunSpec, SPEC_FILE)
        if spec is None:
            raise StoreError(f"there is no run {self.uri}; its plan is missing")
        return spec

    @property
    def is_finished(self) -> bool:
        """Whether the run has its record, which never changes."""
        return self._store.read(self.uri, RECORD_FILE) is not None

    def _check_unfinished(self) -> None:
        if self.is_finished:
            raise StoreError(f"run {self.uri} is finished; its record never changes, so trigger a new run")

    def write_fingerprint(self, parts: Mapping[str, str]) -> None:
        """Keep what the run is made of."""
        self._write(FINGERPRINT_FILE, Parts(parts=parts))

    def read_fingerprint(self) -> Mapping[str, str]:
        """Return what the run is made of; empty when it never came that far."""
        parts = self._read(Parts, FINGERPRINT_FILE)
        return {} if parts is None else parts.parts

    def write_end(self, ended: EarlyEnd) -> None:
        """Keep why the run could not go on."""
        self._write(END_FILE, ended)

    def read_end(self) -> EarlyEnd | None:
        """Return why the run could not go on, or ``None``."""
        return self._read(EarlyEnd, END_FILE)

    def forget_end(self, *, stage: str) -> None:
        """Forget what an earlier try of the same stage ran into."""
        ended = self.read_end()
        if ended is not None and ended.stage == stage:
            self._store.remove(self.uri, END_FILE)

    def forget_figures(self) -> None:
        """Forget what an earlier try of the load measured, so that no old figure stands for a new load."""
        for name in (LOAD_FILE, SERVER_FILE, SERVER_SERIES_FILE, PRODUCTION_FILE, VERSION_FILE, BESIDE_FILE):
            self._store.remove(self.uri, name)

    def write_load(self, figures: LoadFigures) -> None:
        """Keep what the client saw."""
        self._write(LOAD_FILE, figures)

    def read_load(self) -> LoadFigures | None:
        """Return what the client saw, or ``None``."""
        return self._read(LoadFigures, LOAD_FILE)

    def write_server(self, figures: ServerFigures) -> None:
        """Keep what Prometheus said."""
        self._write(SERVER_FILE, figures)

    def read_server(self) -> ServerFigures | None:
        """Return what Prometheus said, or ``None``."""
        return self._read(ServerFigures, SERVER_FILE)

    def write_reruns(self, reruns: Reruns) -> None:
        """Keep which runs are judged together with this one."""
        self._write(RERUNS_FILE, reruns)

    def read_reruns(self) -> Reruns | None:
        """Return which runs are judged together with this one; ``None`` when nobody decided."""
        return self._read(Reruns, RERUNS_FILE)

    def write_deployed(self, deployed: Deployed) -> None:
        """Keep what the service said of its version."""
        self._write(VERSION_FILE, deployed)

    def read_deployed(self) -> Deployed:
        """Return what the service said of its version."""
        return self._read(Deployed, VERSION_FILE) or Deployed(before=None, after=None)

    def write_beside(self, beside: ConcurrentLoads) -> None:
        """Keep which other loads ran."""
        self._write(BESIDE_FILE, beside)

    def read_beside(self) -> ConcurrentLoads:
        """Return which other loads ran when this one began."""
        return self._read(ConcurrentLoads, BESIDE_FILE) or ConcurrentLoads()

    def write_tries(self, tries: Tries) -> None:
        """Keep how often the load was tried."""
        self._write(TRIES_FILE, tries)

    def read_tries(self) -> Tries:
        """Return how often the load was tried."""
        return self._read(Tries, TRIES_FILE) or Tries()

    def write_draft(self, record: RunRecord) -> None:
        """Keep the record until its report is written."""
        self._write(DRAFT_FILE, record)

    def read_draft(self) -> RunRecord:
        """Return the record that is not final yet."""
        record = self._read(RunRecord, DRAFT_FILE)
        if record is None:
            self._check_unfinished()
            raise StoreError(f"run {self.uri} was not compared yet; compare comes before report")
        return record

    @property
    def is_compared(self) -> bool:
        """Whether a draft of the record is there."""
        return self._store.read(self.uri, DRAFT_FILE) is not None

    def write_record(self, record: RunRecord) -> None:
        """Finish the run."""
        self._write(RECORD_FILE, record)

    def read_record(self) -> RunRecord:
        """Return the record of a finished run."""
        record = self._read(RunRecord, RECORD_FILE)
        if record is None:
            raise StoreError(f"run {self.uri} is not finished: it has no {RECORD_FILE}")
        return record

    def remove_stages(self) -> None:
        """Remove everything that the record now says."""
        for name in STAGE_FILES:
            self._store.remove(self.uri, name)
