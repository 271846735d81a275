"""What Prometheus saw of a run: the service's own figures, how they went, and how production compares."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from include.perf.catalogue.catalogue import Catalogue
from include.perf.measure.metrics_source import MetricsSource
from include.perf.measure.scraping import scrape_figures
from include.perf.measure.server_series import scrape_series
from include.perf.model.errors import StoreError
from include.perf.model.json_files import to_json
from include.perf.model.text import Clock
from include.perf.runs.figures import LoadFigures, ServerFigures
from include.perf.runs.results_store import PRODUCTION_FILE, REQUESTS_FILE, SERVER_SERIES_FILE, ResultsStore
from include.perf.runs.spec import RunSpec
from include.perf.runs.stage_files import StageFiles

SCRAPES_TO_AWAIT = 2
"""The window's last samples are in Prometheus only so many scrape intervals after its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observing:
    """Asks Prometheus about the measured window of a run, and leaves the answers with it.

    Attributes:
        production_metrics: gives the Prometheus that watches production, ``None`` where it is the same.
        wait: sleeps for so many seconds.
    """

    catalogue: Catalogue
    store: ResultsStore
    metrics: MetricsSource
    production_metrics: Callable[[], MetricsSource | None]
    clock: Clock
    wait: Callable[[float], None]

    def observe(self, files: StageFiles, spec: RunSpec) -> ServerFigures:
        """Read the service's own figures once they are all there.

        Raises:
            StoreError: there was no load yet.
            PrometheusUnavailable: worth a retry.
        """
        service = self.catalogue.service(spec.service)
        load = files.load.read()
        if load is None:
            raise StoreError(f"{files.uri} has no figures of a load yet; run_load comes first")
        settled = load.window.end + timedelta(seconds=SCRAPES_TO_AWAIT * service.prometheus.scrape_interval_s)
        self.wait(max(0.0, (settled - self.clock()).total_seconds()))
        figures = scrape_figures(service, load.window, self.metrics)
        files.server.write(figures)
        series = scrape_series(service, started_at=load.started_at, ended_at=load.window.end, source=self.metrics)
        if series is not None:
            self.store.write(files.uri, SERVER_SERIES_FILE, series.to_csv())
        self._compare_with_production(files.uri, spec, load, figures)
        return figures

    def _compare_with_production(self, uri: str, spec: RunSpec, load: LoadFigures, server: ServerFigures) -> None:
        """Leave how the run compares with production; what cannot be had keeps no run from its verdict."""
        from include.perf.measure.production.comparing import ProductionComparing, RunMeasurement

        service, scenario = self.catalogue.service(spec.service), self.catalogue.scenario(spec.scenario)
        if service.production is None:
            return
        comparing = ProductionComparing(
            own=self.metrics,
            production=self.production_metrics,
            market=self.catalogue.market_hours,
            clock=self.clock,
        )
        with self.store.folder(uri, needed=(REQUESTS_FILE,)) as folder:
            run = RunMeasurement(service=service, scenario=scenario, load=load, server=server, folder=folder)
            found = comparing.compare(run)
        if found is not None:
            self.store.write(uri, PRODUCTION_FILE, to_json(found))
