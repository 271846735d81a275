"""The end of a run: its charts, its reports (Markdown, HTML, JUnit) and, last, its record."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

from include.perf.baselines.baselines import Baselines, BaselineStore
from include.perf.baselines.entry import BaselineRun
from include.perf.baselines.history import read_nights, values_of
from include.perf.load.load_plan import PLAN_FILE
from include.perf.measure.distribution import Distribution, read_distribution
from include.perf.measure.production.comparison import read_comparison
from include.perf.model.errors import BellwetherError, StoreError
from include.perf.pipeline.outside import Stores
from include.perf.reporting import html_page, markdown_text
from include.perf.reporting.junit import junit
from include.perf.reporting.metric_table import History
from include.perf.reporting.report import run_document
from include.perf.runs.phrases import is_compared
from include.perf.runs.record import RunRecord
from include.perf.runs.results_store import (
    DISTRIBUTION_FILE,
    FEED_FILE,
    GENERATOR_FILE,
    JUNIT_FILE,
    PRODUCTION_FILE,
    REPORT_FILE,
    REPORT_HTML_FILE,
    SERVER_SERIES_FILE,
    TIMESERIES_FILE,
    LeftOut,
    ResultsStore,
    log_left_out,
    usable,
)
from include.perf.runs.stage_files import StageFiles

log = logging.getLogger(__name__)

DRAWN = (TIMESERIES_FILE, DISTRIBUTION_FILE, SERVER_SERIES_FILE)
"""The files that charts are drawn from."""

NIGHTS_SHOWN = 14
"""The number of earlier nights in a report."""


@dataclass(frozen=True, slots=True)
class Finishing:
    """Turns the stage files of a run into the files that stay."""

    stores: Stores

    def finish(self, files: StageFiles) -> RunRecord:
        """Write charts, reports and the record of a compared run, and return it; written even if the others fail."""
        record = files.read_draft()
        left_out: dict[str, str] = {}
        try:
            charts = self._drawn(files.uri, record, left_out=left_out.__setitem__)
            self._write_reports(files.uri, record, charts, left_out=left_out)
        finally:
            files.record.write(record)
        for name in (FEED_FILE, PLAN_FILE, GENERATOR_FILE):
            self.stores.results.remove(files.uri, name)
        files.remove_stages()
        return record

    def _drawn(self, uri: str, record: RunRecord, *, left_out: LeftOut) -> Mapping[str, str]:
        """Draw the charts and return their paths."""
        results = self.stores.results
        baseline = baseline_distributions(record, store=results, baselines=self.stores.baselines)
        with results.folder(uri, needed=DRAWN, left_out=left_out) as folder:
            return self.stores.charts.render(record, folder, baseline=baseline, left_out=left_out)

    def _write_reports(
        self, uri: str, record: RunRecord, charts: Mapping[str, str], *, left_out: dict[str, str]
    ) -> None:
        results = self.stores.results
        nights = read_nights(
            results,
            service=record.service,
            scenario=record.scenario,
            before=record.started_at,
            limit=NIGHTS_SHOWN,
        )
        history = values_of(nights, fingerprint=record.fingerprint)
        reports = run_files(record, charts=charts, history=history, read=partial(results.read, uri), left_out=left_out)
        for name, content in reports.items():
            results.write(uri, name, content)


def run_files(
    record: RunRecord,
    *,
    charts: Mapping[str, str],
    history: History,
    read: Callable[[str], bytes | None],
    left_out: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, bytes]:
    """Return the reports of a run by file name.

    Args:
        charts: paths of the PNG charts within the run's folder, by chart name.
        history: by metric the values of the nights before, oldest first.
        read: returns a file of the run's folder; ``None`` if there is none.
        left_out: why a file of the run cannot be used, by its place; the reports name it.
    """
    problems = dict(left_out)
    where = f"{PRODUCTION_FILE} of {record.run_id}"
    production = usable(
        lambda: read_comparison(read(PRODUCTION_FILE), where=where), where=where, left_out=problems.__setitem__
    )
    for problem in problems.values():
        log_left_out(record.run_id, problem)
    document = run_document(
        record, charts=charts, history=history, production=production, left_out=tuple(problems.values())
    )
    images = html_page.embedded(lambda path: usable(lambda: read(path), where=path))
    return {
        REPORT_FILE: markdown_text.render(document).encode(),
        REPORT_HTML_FILE: html_page.page(document, image=images).encode(),
        JUNIT_FILE: junit([record]),
    }


def baseline_distributions(
    record: RunRecord, *, store: ResultsStore, baselines: BaselineStore
) -> tuple[Distribution, ...]:
    """Return the latency distributions of the runs behind a record's baseline, oldest run first.

    They only serve a chart: a distribution that cannot be read is logged and left out. Empty for a run that was not
    compared.
    """
    if not is_compared(record):
        return ()
    try:
        runs = _runs_behind(record, baselines.read())
    except BellwetherError as err:
        log.warning("cannot read the baseline of %s in %s: %s", record.service, record.scenario, err)
        return ()
    found = (_distribution(record, run, store) for run in runs if run.run_id != record.run_id)
    return tuple(distribution for distribution in found if distribution is not None)


def _runs_behind(record: RunRecord, baselines: Baselines) -> tuple[BaselineRun, ...]:
    """Return the runs of the baseline version that the record was compared with."""
    current = baselines.get(record.service, record.scenario)
    if current is None or record.baseline is None:
        return ()
    versions = (current, *current.previous)
    return next((entry.runs for entry in versions if entry.version == record.baseline.version), ())


def _distribution(record: RunRecord, run: BaselineRun, store: ResultsStore) -> Distribution | None:
    try:
        uri = store.uri_of(service=record.service, scenario=record.scenario, run_id=run.run_id)
        content = store.read(uri, DISTRIBUTION_FILE)
        return None if content is None else read_distribution(content, where=f"{uri}/{DISTRIBUTION_FILE}")
    except StoreError as err:
        log.warning("run %s of the baseline is not drawn: %s", run.run_id, err)
        return None
