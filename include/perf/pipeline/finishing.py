"""The end of a run: its charts, its reports and, last, its record.

The latency distributions of the runs that a record's baseline is made of, as far as they are kept.

The files in which a run is told: the report as Markdown and as one HTML file, and JUnit for CI.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from include.perf.baselines.baselines import Baselines, BaselineStore
from include.perf.baselines.entry import BaselineRun
from include.perf.baselines.history import read_nights, values_of
from include.perf.load.load_plan import PLAN_FILE
from include.perf.measure.distribution import Distribution, read_distribution
from include.perf.measure.production.comparison import read_comparison
from include.perf.model.errors import BellwetherError, StoreError
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
    ResultsStore,
)
from include.perf.runs.stage_files import StageFiles

log = logging.getLogger(__name__)


def baseline_distributions(
    record: RunRecord, *, store: ResultsStore, baselines: BaselineStore
) -> tuple[Distribution, ...]:
    """Return them, oldest run first; none where nothing was compared.

    They are only drawn: what of them cannot be read is told in the log.
    """
    if not is_compared(record):
        return ()
    try:
        runs = _runs_behind(record, baselines.read())
    except BellwetherError as err:
        log.warning("the baseline of %s in %s could not be read: %s", record.service, record.scenario, err)
        return ()
    found = (_distribution(record, run, store) for run in runs if run.run_id != record.run_id)
    return tuple(each for each in found if each is not None)


def _runs_behind(record: RunRecord, baselines: Baselines) -> tuple[BaselineRun, ...]:
    """Return the runs of the very version that the record was held to."""
    current = baselines.get(record.service, record.scenario)
    if current is None or record.baseline is None:
        return ()
    versions = (current, *current.previous)
    return next((each.runs for each in versions if each.version == record.baseline.version), ())


def _distribution(record: RunRecord, run: BaselineRun, store: ResultsStore) -> Distribution | None:
    try:
        uri = store.uri_of(service=record.service, scenario=record.scenario, run_id=run.run_id)
        content = store.read(uri, DISTRIBUTION_FILE)
        return None if content is None else read_distribution(content, where=f"{uri}/{DISTRIBUTION_FILE}")
    except StoreError as err:
        log.warning("run %s of the baseline is not drawn: %s", run.run_id, err)
        return None


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
        REPORT_FILE: markdown_text.render(document).encode(),
        REPORT_HTML_FILE: html_page.page(document, image=html_page.embedded(read)).encode(),
        JUNIT_FILE: junit([record]),
    }


class ChartRenderer(Protocol):
    """Draws the charts of a run."""

    def render(self, record: RunRecord, folder: Path, *, baseline: Sequence[Distribution] = ()) -> Mapping[str, str]:
        """Write the charts below ``folder`` and return the paths of the PNG files relative to it, by chart name.

        Beside each PNG is an SVG of the same name, on a light page, and one ending in ``.dark.svg``, on a dark one.

        Args:
            baseline: the latency distributions of the runs that the record's baseline is made of.
        """


DRAWN = (TIMESERIES_FILE, DISTRIBUTION_FILE, SERVER_SERIES_FILE)
"""Files that charts are drawn from."""

NIGHTS_SHOWN = 14
"""Before the run, in its report."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finishing:
    """Turns what the stages left into what stays."""

    store: ResultsStore
    baselines: BaselineStore
    charts: ChartRenderer

    def finish(self, files: StageFiles) -> None:
        """Write charts, reports and the record of a run that was compared; the record also when the others fail."""
        record = files.read_draft()
        try:
            self._write_reports(files.uri, record, self._drawn(files.uri, record))
        finally:
            files.record.write(record)
        for name in (FEED_FILE, PLAN_FILE, GENERATOR_FILE):
            self.store.remove(files.uri, name)
        files.remove_stages()

    def _drawn(self, uri: str, record: RunRecord) -> Mapping[str, str]:
        """Draw the charts and return their paths."""
        baseline = baseline_distributions(record, store=self.store, baselines=self.baselines)
        with self.store.folder(uri, needed=DRAWN) as folder:
            return self.charts.render(record, folder, baseline=baseline)

    def _write_reports(self, uri: str, record: RunRecord, charts: Mapping[str, str]) -> None:
        nights = read_nights(
            self.store,
            service=record.service,
            scenario=record.scenario,
            before=record.started_at,
            limit=NIGHTS_SHOWN,
        )
        history = values_of(nights, fingerprint=record.fingerprint)
        reports = run_files(record, charts=charts, history=history, read=partial(self.store.read, uri))
        for name, content in reports.items():
            self.store.write(uri, name, content)
