"""A run of a DAG: every service's result, also while it goes on."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

from include.perf.model.cell import CellName
from include.perf.model.errors import StoreError
from include.perf.pages.addresses import Addresses
from include.perf.reporting.document import Document
from include.perf.reporting.summary import dag_run_document
from include.perf.runs.dag_run import DagRunResults
from include.perf.runs.record import RunRecord
from include.perf.runs.results_store import ResultsStore
from include.perf.runs.stage_files import StageFiles

LOOKED_AT = 4
"""So many latest runs of a cell may still be going on: one, its two re-runs, and one that was given up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DagRunPage:
    """The summary of a run of a DAG."""

    document: Document


def dag_run_page(results: DagRunResults, *, addresses: Addresses) -> DagRunPage:
    """Return the summary of what came of a run of a DAG so far."""

    def page_of(record: RunRecord) -> str:
        return addresses.runs(CellName(record.service, record.scenario), record.run_id)

    return DagRunPage(document=dag_run_document(results, report_of=page_of))


def unfinished(store: ResultsStore, cells: Iterable[CellName], *, dag_run_id: str) -> Iterator[str]:
    """Yield the addresses of the runs that a run of a DAG has planned and that have no record yet."""
    for cell in cells:
        for uri in islice(store.latest(service=cell.service, scenario=cell.scenario), LOOKED_AT):
            with suppress(StoreError):  # it is finished, or nobody knows what it was
                spec = StageFiles(store, uri).read_spec()
                if spec.dag_run_id == dag_run_id and spec.rerun_of is None:
                    yield uri
