"""The files in which a run is told: the report as Markdown and as one HTML file, and JUnit for CI."""

from collections.abc import Callable, Mapping

from include.perf.ports import JUNIT_FILE, PRODUCTION_FILE, REPORT_FILE, REPORT_HTML_FILE
from include.perf.production_comparison.comparison import read_comparison
from include.perf.reporting import html, markdown
from include.perf.reporting.junit import junit
from include.perf.reporting.metric_table import History
from include.perf.reporting.report import run_document
from include.perf.run import RunRecord


def run_files(
    record: RunRecord,
    *,
    charts: Mapping[str, str],
    history: History,
    read: Callable[[str], bytes | None],
) -> dict[str, bytes]:
    """Return the files by name.

    Args:
        charts: paths of the charts' PNGs within the run's folder, by chart name.
        history: by metric the values of the nights before, oldest first.
        read: returns a file of the run's folder, ``None`` where there is none.
    """
    production = read_comparison(read(PRODUCTION_FILE), where=f"{record.run_id}/{PRODUCTION_FILE}")
    document = run_document(record, charts=charts, history=history, production=production)
    return {
        REPORT_FILE: markdown.render(document).encode(),
        REPORT_HTML_FILE: html.page(document, image=html.embedded(read)).encode(),
        JUNIT_FILE: junit([record]),
    }
