"""A DAG run: the result of every service, also while the DAG run is in progress."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

from include.perf.model.cell import CellName
from include.perf.model.errors import ItemError
from include.perf.pages.addresses import Addresses
from include.perf.reporting.document import Document
from include.perf.reporting.summary import dag_run_document
from include.perf.runs.dag_run import DagRunResults
from include.perf.runs.record import RunRecord
from include.perf.runs.results_store import ResultsStore, latest_or_none
from include.perf.runs.stage_files import StageFiles

CHECKED_RUNS = 4
"""How many recent runs of a cell may be unfinished: one, its two re-runs, and an abandoned one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DagRunPage:
    """The summary of a DAG run."""

    document: Document


def dag_run_page(results: DagRunResults, *, addresses: Addresses) -> DagRunPage:
    """Return the summary of a DAG run's results so far."""

    def page_of(record: RunRecord) -> str:
        return addresses.runs(CellName(record.service, record.scenario), record.run_id)

    return DagRunPage(document=dag_run_document(results, report_of=page_of))


def unfinished(store: ResultsStore, cells: Iterable[CellName], *, dag_run_id: str) -> Iterator[str]:
    """Yield the URIs of the runs that a DAG run has planned and that have no record yet."""
    for cell in cells:
        for uri in islice(latest_or_none(store, cell), CHECKED_RUNS):
            with suppress(ItemError):  # the run is finished, or its plan is missing or damaged
                spec = StageFiles(store, uri).read_spec()
                if spec.dag_run_id == dag_run_id and spec.rerun_of is None:
                    yield uri
