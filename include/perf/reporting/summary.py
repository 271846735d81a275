"""The summary of a DAG run: the verdicts and metrics of its services, and its missing runs."""

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from urllib.parse import quote

from include.perf.model.metric import METRICS, Metric
from include.perf.model.text import counted
from include.perf.reporting.document import (
    Bullets,
    Code,
    Column,
    Document,
    DocumentLink,
    Inline,
    Mark,
    Paragraph,
    Section,
    Table,
    Tone,
    Words,
)
from include.perf.reporting.metric_table import NOTHING, judgement, shown_change, shown_value
from include.perf.reporting.report import verdict_mark
from include.perf.runs.dag_run import DagRunResults, MissingRun
from include.perf.runs.phrases import finding
from include.perf.runs.record import RunRecord, Verdict
from include.perf.runs.results_store import REPORT_HTML_FILE, SUMMARY_FILE, SUMMARY_HTML_FILE, ResultsStore

log = logging.getLogger(__name__)

MOST_SEVERE_FIRST = (
    Verdict.OVER_LIMIT,
    Verdict.REGRESSION,
    Verdict.INVALID,
    Verdict.NOT_COMPARABLE,
    Verdict.SKIPPED,
    Verdict.NO_BASELINE,
    Verdict.IMPROVEMENT,
    Verdict.PASS,
)

NO_RECORD = Mark("NO RECORD", Tone.DOUBT)

ReportAddress = Callable[[RunRecord], str | None]


def _nowhere(_: RunRecord) -> None:
    return None


def dag_run_document(results: DagRunResults, *, report_of: ReportAddress = _nowhere) -> Document:
    """Return the summary of a DAG run, complete or not.

    Args:
        report_of: returns the address of a run's report; ``None`` for no link.
    """
    sections = [
        _verdicts(results),
        *_matrices(results, report_of),
        _found(results, report_of),
        _reruns(results),
        _missing(results),
    ]
    return Document(
        mark=_overall(results),
        subject=f"{results.dag_id} · {results.dag_run_id}",
        finding=_counts(results),
        lead=(),
        sections=tuple(section for section in sections if section is not None),
    )


def _overall(results: DagRunResults) -> Mark:
    """Return the most severe verdict; only a problem of a service is more severe than a missing run."""
    verdicts = {record.verdict for record in results.records.values()}
    most_severe = next((verdict for verdict in MOST_SEVERE_FIRST if verdict in verdicts), None)
    if most_severe is None or ((results.missing or results.not_run) and not most_severe.is_failure):
        return NO_RECORD
    return verdict_mark(most_severe)


def _counts(results: DagRunResults) -> str:
    verdicts = Counter(record.verdict for record in results.records.values())
    counts = [f"{verdicts[verdict]} {verdict}" for verdict in MOST_SEVERE_FIRST if verdicts[verdict]]
    counts += [f"{len(results.missing)} without a record"] if results.missing else []
    counts += [f"{counted(len(results.not_run), 'scenario')} not run"] if results.not_run else []
    return f"{counted(results.size, 'run')}: {', '.join(counts)}" if results.size else "nothing was planned"


def _verdicts(results: DagRunResults) -> Section | None:
    """Return the verdicts by service and scenario, where there are several scenarios."""
    planned: tuple[RunRecord | MissingRun, ...] = (*results.records.values(), *results.missing)
    scenarios = tuple(dict.fromkeys(run.scenario for run in planned))
    if len(scenarios) < 2:
        return None
    verdicts: dict[tuple[str, str], Inline] = {
        **{(run.service, run.scenario): NO_RECORD for run in results.missing},
        **{(run.service, run.scenario): verdict_mark(run.verdict) for run in results.records.values()},
    }
    services = dict.fromkeys(run.service for run in planned)
    rows = tuple((name, *(verdicts.get((name, scenario), NOTHING) for scenario in scenarios)) for name in services)
    columns = (Column("Service"), *map(Column, scenarios))
    return Section("All verdicts", (Table(caption="Verdicts by service and scenario", columns=columns, rows=rows),))


def _matrices(results: DagRunResults, report_of: ReportAddress) -> Iterator[Section]:
    """Yield a table of services and metrics for each scenario."""
    planned: tuple[RunRecord | MissingRun, ...] = (*results.records.values(), *results.missing)
    scenarios = dict.fromkeys(run.scenario for run in planned)
    columns = (
        Column("Service"),
        Column("Verdict"),
        *(Column(metric.title, is_figure=True) for metric in METRICS.values()),
    )
    for scenario in scenarios:
        rows = [_row(record, report_of) for record in results.records.values() if record.scenario == scenario]
        rows += [
            (run.service, NO_RECORD, *(NOTHING for _ in METRICS)) for run in results.missing if run.scenario == scenario
        ]
        caption = f"Metrics by service under {scenario}"
        yield Section(scenario, (Table(caption=caption, columns=columns, rows=tuple(rows)),))


def _row(record: RunRecord, report_of: ReportAddress) -> tuple[Words, ...]:
    metrics = (_cell(record, metric) for metric in METRICS.values())
    return _linked(record.service, report_of(record)), verdict_mark(record.verdict), *metrics


def _linked(text: str, address: str | None) -> Inline:
    return text if address is None else DocumentLink(text, address)


def _cell(record: RunRecord, metric: Metric) -> Words:
    """Return the value and its change; the change is marked by its judgement."""
    value, change = shown_value(record, metric), shown_change(record, metric)
    if record.value_of(metric.name) is None or change == NOTHING:
        return value
    judged = judgement(record, metric)
    marked = Mark(change, judged.tone) if isinstance(judged, Mark) else f"({change})"
    return f"{value} ", marked


def _found(results: DagRunResults, report_of: ReportAddress) -> Section | None:
    """Return a sentence for each run, the most severe verdict first."""
    records = sorted(results.records.values(), key=lambda record: MOST_SEVERE_FIRST.index(record.verdict))
    items: list[Words] = [
        (
            verdict_mark(record.verdict),
            " ",
            _linked(f"{record.service} · {record.scenario}", report_of(record)),
            f" – {finding(record)}",
        )
        for record in records
    ]
    return Section("Findings", (Bullets(tuple(items)),)) if items else None


def _reruns(results: DagRunResults) -> Section | None:
    items = tuple(_rerun(record) for record in results.records.values() if record.reruns)
    if not items:
        return None
    why = "These runs looked suspicious and were re-run; the medians of all valid runs were judged."
    return Section("Re-runs", (Paragraph(why), Bullets(items)))


def _rerun(record: RunRecord) -> Words:
    words: list[Inline] = [f"{record.service} · {record.scenario}: "]
    for index, run_id in enumerate(record.reruns):
        words += [", ", Code(run_id)] if index else [Code(run_id)]
    if not record.judged:
        words.append("; no re-run is valid, so the first run was judged alone")
    return tuple(words)


def _missing(results: DagRunResults) -> Section | None:
    if not results.missing and not results.not_run:
        return None
    items = (*(f"{run.service} · {run.scenario}: {run.reason}" for run in results.missing), *results.not_run)
    return Section("Missing runs", (Bullets(items),))


def write_summary(store: ResultsStore, results: DagRunResults) -> str:
    """Store the summary of a DAG run as Markdown and HTML; return the URI of its folder."""
    from include.perf.reporting import html_page, markdown_text

    uri = store.create_summary(dag_id=results.dag_id, dag_run_id=results.dag_run_id)
    document = dag_run_document(results, report_of=_report_address)
    store.write(uri, SUMMARY_FILE, markdown_text.render(document).encode())
    store.write(uri, SUMMARY_HTML_FILE, html_page.page(document, image=lambda path: None).encode())
    log.info("summary of %s %s: %s", results.dag_id, results.dag_run_id, uri)
    return uri


def _report_address(record: RunRecord) -> str:
    """Return the path of a run's report relative to the summary's folder."""
    path = "/".join(quote(part, safe="") for part in (record.service, record.scenario, record.run_id))
    return f"../../../{path}/{REPORT_HTML_FILE}"
