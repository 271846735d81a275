"""The results of a DAG run: the records of its runs, and what became of those that left none."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from include.perf.errors import StoreError
from include.perf.phrase import headline
from include.perf.ports import REPORT_HTML_FILE, SUMMARY_FILE, SUMMARY_HTML_FILE, ResultsStore
from include.perf.run import RunRecord, Verdict
from include.perf.stage_files import StageFiles

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
            service, scenario, _ = uri.rstrip("/").split("/")[-3:]
            missing.append(Missing(service=service, scenario=scenario, reason=_why(files, err)))
    return DagRunResults(dag_id=dag_id, dag_run_id=dag_run_id, records=tuple(records), missing=tuple(missing))


def _why(files: StageFiles, err: StoreError) -> str:
    try:
        ended = files.read_end()
    except StoreError:
        ended = None
    return ended.reason if ended else str(err)


def write_summary(store: ResultsStore, results: DagRunResults) -> str:
    """Keep the summary of a DAG run as Markdown and HTML; returns the address of its folder."""
    from include.perf.reporting import html, markdown
    from include.perf.reporting.dag_run_summary import dag_run_document

    uri = store.create_summary(dag_id=results.dag_id, dag_run_id=results.dag_run_id)
    document = dag_run_document(results, report_of=_report_beside)
    store.write(uri, SUMMARY_FILE, markdown.render(document).encode())
    store.write(uri, SUMMARY_HTML_FILE, html.page(document, image=lambda path: None).encode())
    log.info("summary of %s %s: %s", results.dag_id, results.dag_run_id, uri)
    return uri


def _report_beside(record: RunRecord) -> str:
    """Return where a run's report lies, as seen from the summary's folder."""
    path = "/".join(quote(part, safe="") for part in (record.service, record.scenario, record.run_id))
    return f"../../../{path}/{REPORT_HTML_FILE}"
