"""The stages that measure one run: stage_data, preflight, run_load, scrape.

A stage takes the URI of the run's folder and leaves its results there for the next stage. A stage that fails writes
the reason to the folder before it raises, so `include.perf.pipeline.night_stages` can still write a record.

Heavy imports (pandas, NumPy) stand inside the stages: Airflow runs each stage in a process of its own.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from include.perf.load.generator import Progress, ProgressListener
from include.perf.model.errors import BellwetherError, RunSkipped
from include.perf.pipeline.outside import Outside
from include.perf.pipeline.planning.fingerprint import fingerprint
from include.perf.runs.planned_run import PlannedRun, planned_run
from include.perf.runs.record import Verdict
from include.perf.runs.results_store import FEED_FILE, LOCUSTFILE_FILE
from include.perf.runs.stage_files import Begun, EarlyEnd, FingerprintParts, StageFiles

log = logging.getLogger(__name__)


def ignore_progress(_: Progress) -> None:
    """Do nothing with the progress of a load."""


@dataclass(frozen=True, slots=True)
class RunStages:
    """The stages of one run, in order."""

    outside: Outside

    def stage_data(self, uri: str) -> None:
        """Check the scenario's market data and turn it into the request feed, or keep a copy of the locustfile.

        Raises:
            DataError: the data, or the files of the locustfile, cannot be used.
        """
        from include.perf.load.data_files import data_files_fingerprint
        from include.perf.load.locustfile_bundle import bundle_of, locustfile_fingerprint
        from include.perf.load.market_data import data_fingerprint
        from include.perf.load.staging import build_feed

        with self._stage(uri, "stage_data") as run:
            feed = build_feed(run.data, run.service, run.spec.load)
            bundle = None if run.service.locustfile is None else bundle_of(run.service.locustfile)
            parts = fingerprint(
                run.service,
                run.spec.load,
                data=data_fingerprint(run.data),
                data_files=data_files_fingerprint(run.service),
                locustfile=None if bundle is None else locustfile_fingerprint(run.service, bundle),
                extra=run.scenario.fingerprint,
                is_distributed=self.outside.generator.shared() is not None,
            )
            with self.outside.stores.results.folder(uri, needed=()) as folder:
                feed.write(folder / FEED_FILE)
                if bundle is not None:
                    bundle.write(folder / LOCUSTFILE_FILE)
            self._files(uri).fingerprint.write(FingerprintParts(parts=parts))
            rows = ", ".join(f"{endpoint.name} {endpoint.rows}" for endpoint in feed.endpoints) or "of the locustfile"
            log.info("%s staged: requests by endpoint: %s", run, rows)

    def preflight(self, uri: str) -> None:
        """Check that load may start: not halted, target healthy and scraped by Prometheus.

        Raises:
            RunSkipped: load is halted, or it is too late for the load.
            RunError: the target or Prometheus is not ready.
        """
        with self._stage(uri, "preflight") as run:
            guard = self.outside.guard
            guard.check_time(run)
            guard.check_ready(guard.with_addresses(run))
            log.info("%s may start", run)

    def run_load(self, uri: str, *, on_progress: ProgressListener = ignore_progress) -> None:
        """Wait until the load can start, send it, and measure what the client saw.

        Raises:
            RunSkipped, RunError: as `preflight`, whose checks are repeated because time has passed; or the load
                generator left no record.
        """
        from include.perf.pipeline.loading import Loading

        with self._stage(uri, "run_load") as run:
            figures = Loading(self.outside, self._files(uri)).drive(run, on_progress=on_progress)
            log.info(
                "%s loaded: %d due, %d finished, %d failed, %.1f/s of %.1f/s",
                *(run, figures.due, figures.finished, figures.failed),
                *(figures.achieved_rate_rps or 0.0, run.spec.load.mean_rate_rps),
            )

    def scrape(self, uri: str) -> None:
        """Read the service's own figures for exactly the measured window, and their course over the run.

        Raises:
            PrometheusUnavailable: a retry may help.
        """
        from include.perf.pipeline.observing import Observing

        with self._stage(uri, "scrape") as run:
            figures = Observing(self.outside, self._files(uri)).observe(run)
            log.info("%s scraped, coverage %s", run, figures.coverage_ratio)

    def _files(self, uri: str) -> StageFiles:
        return StageFiles(self.outside.stores.results, uri)

    @contextmanager
    def _stage(self, uri: str, name: str) -> Iterator[PlannedRun]:
        """Look up the run, and write down that the stage began, and why it failed if it does."""
        files = self._files(uri)
        spec = files.read_spec()
        files.begun.write(Begun(stage=name, at=self.outside.stores.clock()))
        files.forget_end(stage=name)
        try:
            yield planned_run(spec, self.outside.stores.catalogue)
        except RunSkipped as err:
            files.end.write(EarlyEnd(stage=name, verdict=Verdict.SKIPPED, reason=str(err)))
            raise
        except BellwetherError as err:
            files.end.write(EarlyEnd(stage=name, verdict=Verdict.INVALID, reason=str(err)))
            raise
