"""Reading from Prometheus what a run did to its service, and how the run compares with production."""

from dataclasses import dataclass
from datetime import timedelta

from include.perf.measure.scraping import scrape_figures
from include.perf.measure.server_series import scrape_series
from include.perf.model.errors import LoadError, StoreError
from include.perf.model.json_files import to_json
from include.perf.pipeline.outside import Outside
from include.perf.runs.figures import LoadFigures, ServerFigures
from include.perf.runs.planned_run import PlannedRun
from include.perf.runs.results_store import PRODUCTION_FILE, REQUESTS_FILE, SERVER_SERIES_FILE, log_left_out
from include.perf.runs.stage_files import StageFiles

SCRAPES_TO_AWAIT = 2
"""Prometheus has the last samples of a window only this many scrape intervals after its end."""


@dataclass(frozen=True, slots=True)
class Observing:
    """Queries Prometheus for the measured window of a run, and writes the answers to the run's folder."""

    outside: Outside
    files: StageFiles

    def observe(self, run: PlannedRun) -> ServerFigures:
        """Read the service's own figures as soon as Prometheus has all of them.

        Raises:
            StoreError: the run has no load yet.
            PrometheusUnavailable: a retry may help.
        """
        outside, service = self.outside, run.service
        load = self.files.load.read()
        if load is None:
            raise StoreError(f"{self.files.uri} has no figures of a load yet; run_load comes first")
        settled = load.window.end + timedelta(seconds=SCRAPES_TO_AWAIT * service.prometheus.scrape_interval_s)
        outside.wait(max(0.0, (settled - outside.stores.clock()).total_seconds()))
        figures = scrape_figures(service, load.window, outside.metrics)
        self.files.server.write(figures)
        series = scrape_series(service, started_at=load.started_at, ended_at=load.window.end, source=outside.metrics)
        if series is not None:
            outside.stores.results.write(self.files.uri, SERVER_SERIES_FILE, series.to_csv())
        self._compare_with_production(run, load, figures)
        return figures

    def _compare_with_production(self, run: PlannedRun, load: LoadFigures, server: ServerFigures) -> None:
        """Write how the run compares with production; missing figures do not fail the run."""
        from include.perf.measure.production.comparing import ProductionComparing, RunMeasurement

        if run.service.production is None:
            return
        stores = self.outside.stores
        comparing = ProductionComparing(
            own=self.outside.metrics,
            production=self.outside.production_metrics,
            market=stores.catalogue.market_hours,
            clock=stores.clock,
        )
        with stores.results.folder(self.files.uri, needed=(REQUESTS_FILE,)) as folder:
            measured = RunMeasurement(
                service=run.service, scenario=run.scenario, load=load, server=server, folder=folder
            )
            try:
                found = comparing.compare(measured)
            except LoadError as err:
                log_left_out(self.files.uri, f"{run} is not compared with production: {err}")
                return
        if found is not None:
            stores.results.write(self.files.uri, PRODUCTION_FILE, to_json(found))
