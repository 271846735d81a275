"""The results of a DAG run: the records of its runs, and the runs without a record."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Self
from urllib.parse import quote

from include.perf.model.cell import CellName, RunAddress
from include.perf.model.errors import ItemError, NoRecord, NotFinished, StoreError
from include.perf.runs.phrases import headline
from include.perf.runs.record import RunRecord, Verdict
from include.perf.runs.results_store import ResultsStore
from include.perf.runs.stage_files import StageFiles

COMMAND_LINE = "command_line"
"""Stands for the id of the DAG if runs are requested without Airflow."""

UNJUDGED = (Verdict.INVALID, Verdict.NOT_COMPARABLE)


class Absence(StrEnum):
    """Why there is no record of a planned run. That a store cannot be read now is none of these, but an error."""

    NOT_FINISHED = "not finished"
    UNREADABLE = "unreadable"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingRun:
    """A run that was planned and has no record.

    Attributes:
        reason: why, as far as it is known.
        absence: whether the run has no record, or one that cannot be read.
    """

    address: RunAddress
    reason: str
    absence: Absence = Absence.NOT_FINISHED

    @property
    def service(self) -> str:
        """The service of the run."""
        return self.address.service

    @property
    def scenario(self) -> str:
        """The scenario of the run."""
        return self.address.scenario


@dataclass(frozen=True, slots=True, kw_only=True)
class DagRunName:
    """The name of a DAG run; the id of a DAG run is unique only within its DAG."""

    dag_id: str
    dag_run_id: str

    @property
    def id(self) -> str:
        """One text for both."""
        return f"{self.dag_id}/{self.dag_run_id}"

    @classmethod
    def from_id(cls, text: str) -> Self:
        """Return the name with this `id`."""
        dag_id, _, dag_run_id = text.partition("/")  # Airflow allows no slash in the id of a DAG
        return cls(dag_id=dag_id, dag_run_id=dag_run_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class DagRunResults:
    """The results of a DAG run, which may still be in progress.

    Attributes:
        records: by URI, in the order in which the runs were planned.
        missing: the runs without a record, in the same order.
        not_run: a sentence for each scenario that was to run and planned nothing.
    """

    dag_id: str
    dag_run_id: str
    records: Mapping[str, RunRecord]
    missing: tuple[MissingRun, ...] = ()
    not_run: tuple[str, ...] = ()

    @property
    def name(self) -> DagRunName:
        """The name of the DAG run."""
        return DagRunName(dag_id=self.dag_id, dag_run_id=self.dag_run_id)

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
        """A sentence for each bad or missing run, and for each scenario that did not run."""
        return (
            *(headline(run) for run in self.records.values() if run.verdict.is_failure or run.verdict in UNJUDGED),
            *map(_sentence, self.missing),
            *self.not_run,
        )

    def _addresses(self) -> list[RunAddress]:
        return [*map(RunAddress.from_uri, self.records), *(run.address for run in self.missing)]


def results_of(store: ResultsStore, uris: Sequence[str], *, dag_id: str, dag_run_id: str) -> DagRunResults:
    """Read the records of a DAG run's planned runs.

    Raises:
        StoreError: the store cannot be read, or has none of the runs; nothing is known of them.
    """
    records: dict[str, RunRecord] = {}
    missing: list[MissingRun] = []
    for uri in uris:
        try:
            records[uri] = StageFiles(store, uri).read_record()
        except ItemError as err:
            missing.append(_missing_run(StageFiles(store, uri), err))
    if uris and all(run.absence is Absence.REMOVED for run in missing) and not records:
        raise StoreError(
            f"none of the planned runs is in the results store {store.root_uri}; is its file system mounted, and is "
            "BELLWETHER_RESULTS_URI the same on all machines?"
        )
    return DagRunResults(dag_id=dag_id, dag_run_id=dag_run_id, records=records, missing=tuple(missing))


def results_at(store: ResultsStore, paths: Iterable[str]) -> list[DagRunResults]:
    """Return the records that can be read now at some paths in the results store, by DAG run.

    Raises:
        StoreError: the store cannot be read.
    """
    records: dict[DagRunName, dict[str, RunRecord]] = {}
    for path in paths:
        uri = RunAddress.from_uri(quote(path)).uri_below(store.root_uri)
        with suppress(ItemError):
            record = StageFiles(store, uri).read_record()
            of = record.provenance
            name = DagRunName(dag_id=of.dag_id or COMMAND_LINE, dag_run_id=of.dag_run_id or record.run_id)
            records.setdefault(name, {})[uri] = record
    return [
        DagRunResults(dag_id=name.dag_id, dag_run_id=name.dag_run_id, records=found) for name, found in records.items()
    ]


def _missing_run(files: StageFiles, err: ItemError) -> MissingRun:
    address = RunAddress.from_uri(files.uri)
    if isinstance(err, NotFinished):
        return MissingRun(address=address, reason=_reason(files, err), absence=Absence.NOT_FINISHED)
    absence = Absence.REMOVED if isinstance(err, NoRecord) else Absence.UNREADABLE
    return MissingRun(address=address, reason=str(err), absence=absence)


def _reason(files: StageFiles, err: NotFinished) -> str:
    """Return why the run ended before it had a record; that it is not finished if it left no reason."""
    try:
        ended = files.end.read()
    except ItemError:
        ended = None
    return ended.reason if ended else str(err)


def _sentence(run: MissingRun) -> str:
    has = "has a record that cannot be read" if run.absence is Absence.UNREADABLE else "has no record"
    return f"{run.service} · {run.scenario} {has}: {run.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Overdue:
    """A scenario that should have run.

    Attributes:
        due_at: when it should have run, by its schedule.
        last_run_at: when its last run was planned; ``None`` if there is none.
    """

    due_at: datetime
    last_run_at: datetime | None
