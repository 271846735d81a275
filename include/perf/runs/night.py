"""The runs of one night, as far as they have a record.

The results of a DAG run: the records of its runs, and what became of those that left none.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from include.perf.model.cell import CellName, RunAddress
from include.perf.model.errors import StoreError
from include.perf.runs.phrases import headline
from include.perf.runs.record import RunRecord, Verdict
from include.perf.runs.results_store import ResultsStore
from include.perf.runs.stage_files import StageFiles


@dataclass(frozen=True, slots=True, kw_only=True)
class NightRuns:
    """The runs of one night of a scenario.

    Attributes:
        records: by URI.
        missing: URIs of the runs without one.
    """

    records: Mapping[str, RunRecord]
    missing: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """How many runs there were."""
        return len(self.records) + len(self.missing)

    @property
    def run_ids(self) -> list[str]:
        """The ids of all of them."""
        return [RunAddress.from_uri(uri).run_id for uri in (*self.records, *self.missing)]

    @property
    def missing_cells(self) -> list[CellName]:
        """The cells of the runs without a record."""
        return [RunAddress.from_uri(uri).cell for uri in self.missing]

    @property
    def cells(self) -> list[CellName]:
        """The cells of all of them."""
        return [RunAddress.from_uri(uri).cell for uri in (*self.records, *self.missing)]


def read_night(store: ResultsStore, uris: Sequence[str]) -> NightRuns:
    """Read the records of a night; a run that was never finished is missing, and keeps none of the others back."""
    records: dict[str, RunRecord] = {}
    missing = []
    for uri in uris:
        try:
            records[uri] = StageFiles(store, uri).read_record()
        except StoreError:
            missing.append(uri)
    return NightRuns(records=records, missing=tuple(missing))


log = logging.getLogger(__name__)

COMMAND_LINE = "command_line"
"""In place of a DAG's id, where runs were asked for without Airflow."""

UNJUDGED = (Verdict.INVALID, Verdict.NOT_COMPARABLE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """A run that was planned and has no record.

    Attributes:
        reason: why, as far as it is known.
    """

    service: str
    scenario: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DagRunResults:
    """What came of a DAG run, in the order in which it was planned."""

    dag_id: str
    dag_run_id: str
    records: tuple[RunRecord, ...]
    missing: tuple[Missing, ...] = ()

    @property
    def problems(self) -> tuple[str, ...]:
        """Why it is not all good: what regressed, could not be judged, or is missing."""
        return (
            *(headline(each) for each in self.records if each.verdict in (Verdict.REGRESSION, *UNJUDGED)),
            *(f"{each.service} · {each.scenario} has no record: {each.reason}" for each in self.missing),
        )


def results_of(store: ResultsStore, uris: Sequence[str], *, dag_id: str, dag_run_id: str) -> DagRunResults:
    """Read what came of the runs of a DAG run; it may still be going on."""
    records: list[RunRecord] = []
    missing: list[Missing] = []
    for uri in uris:
        files = StageFiles(store, uri)
        try:
            records.append(files.read_record())
        except StoreError as err:
            cell = RunAddress.from_uri(uri).cell
            missing.append(Missing(service=cell.service, scenario=cell.scenario, reason=_why(files, err)))
    return DagRunResults(dag_id=dag_id, dag_run_id=dag_run_id, records=tuple(records), missing=tuple(missing))


def _why(files: StageFiles, err: StoreError) -> str:
    try:
        ended = files.read_end()
    except StoreError:
        ended = None
    return ended.reason if ended else str(err)


@dataclass(frozen=True, slots=True, kw_only=True)
class Overdue:
    """A scenario that should have run.

    Attributes:
        due_at: when, by its schedule.
        last_run_at: when its last run was planned; ``None`` when there is none.
    """

    due_at: datetime
    last_run_at: datetime | None
