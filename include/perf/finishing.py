"""The end of a run: its charts, its reports and, last, its record."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from include.perf.baseline_distributions import baseline_distributions
from include.perf.history import read_nights, values_of
from include.perf.load_plan import PLAN_FILE
from include.perf.ports import (
    DISTRIBUTION_FILE,
    FEED_FILE,
    GENERATOR_FILE,
    SERVER_SERIES_FILE,
    TIMESERIES_FILE,
    BaselineStore,
    ChartRenderer,
    ResultsStore,
)
from include.perf.reporting.run_files import run_files
from include.perf.run import RunRecord
from include.perf.stage_files import StageFiles

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
            files.write_record(record)
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
            most=NIGHTS_SHOWN,
        )
        history = values_of(nights, fingerprint=record.fingerprint)
        reports = run_files(record, charts=charts, history=history, read=partial(self.store.read, uri))
        for name, content in reports.items():
            self.store.write(uri, name, content)
