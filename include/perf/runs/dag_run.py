"""The results of a DAG run: the records of its runs, and the runs without a record."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from include.perf.model.cell import CellName, RunAddress
from include.perf.model.errors import StoreError
from include.perf.runs.phrases import headline
from include.perf.runs.record import RunRecord, Verdict
from include.perf.runs.results_store import ResultsStore
from include.perf.runs.stage_files import StageFiles

COMMAND_LINE = "command_line"
"""Stands for the id of the DAG if runs are requested without Airflow."""

UNJUDGED = (Verdict.INVALID, Verdict.NOT_COMPARABLE)


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingRun:
    """A run that was planned and has no record.

    Attributes:
        reason: why, as far as it is known.
    """

    address: RunAddress
    reason: str

    @property
    def service(self) -> str:
        """The service of the run."""
        return self.address.service

    @property
    def scenario(self) -> str:
        """The scenario of the run."""
        return self.address.scenario


@dataclass(frozen=True, slots=True, kw_only=True)
class DagRunResults:
    """The results of a DAG run, which may still be in progress.

    Attributes:
        records: by URI, in the order in which the runs were planned.
        missing: the runs without a record, in the same order.
    """

    dag_id: str
    dag_run_id: str
    records: Mapping[str, RunRecord]
    missing: tuple[MissingRun, ...] = ()

    @property
    def size(self) -> int:
        """The number of planned runs."""
        return len(self.records) + len(self.missing)

    @property
    def run_ids(self) -> list[str]:
        """The ids of all runs, those without a record last."""
        return [address.run_id for address in self._addresses()]

    @property
    def cells(self) -> list[CellName]:
        """The cells of all runs, those without a record last."""
        return [address.cell for address in self._addresses()]

    @property
    def missing_cells(self) -> list[CellName]:
        """The cells of the runs without a record."""
        return [run.address.cell for run in self.missing]

    @property
    def problems(self) -> tuple[str, ...]:
        """A sentence for each run that regressed, could not be judged, or has no record."""
        return (
            *(headline(run) for run in self.records.values() if run.verdict in (Verdict.REGRESSION, *UNJUDGED)),
            *(f"{run.service} · {run.scenario} has no record: {run.reason}" for run in self.missing),
        )

    def _addresses(self) -> list[RunAddress]:
        return [*map(RunAddress.from_uri, self.records), *(run.address for run in self.missing)]


def results_of(store: ResultsStore, uris: Sequence[str], *, dag_id: str, dag_run_id: str) -> DagRunResults:
    """Read the records of a DAG run's runs; a run whose record cannot be read is missing."""
    records: dict[str, RunRecord] = {}
    missing: list[MissingRun] = []
    for uri in uris:
        files = StageFiles(store, uri)
        try:
            records[uri] = files.read_record()
        except StoreError as err:
            missing.append(MissingRun(address=RunAddress.from_uri(uri), reason=_reason(files, err)))
    return DagRunResults(dag_id=dag_id, dag_run_id=dag_run_id, records=records, missing=tuple(missing))


def _reason(files: StageFiles, err: StoreError) -> str:
    try:
        ended = files.end.read()
    except StoreError:
        ended = None
    return ended.reason if ended else str(err)


@dataclass(frozen=True, slots=True, kw_only=True)
class Overdue:
    """A scenario that should have run.

    Attributes:
        due_at: when it should have run, by its schedule.
        last_run_at: when its last run was planned; ``None`` if there is none.
    """

    due_at: datetime
    last_run_at: datetime | None
