"""The use cases: each stage of a run, from the plan to the promotion.

Stages hand on a reference only, the URI of the run's folder; what one stage leaves for the next lies there.
``run.json`` is written last, so a folder without it is a run that is not finished. A stage that cannot go on
says so in the folder and raises; `compare` and `report` then still make a record of it.

A stage imports pandas and NumPy where it needs them: in Airflow each stage is a process of its own.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from include.perf.baselines.baselines import BaselineStore
from include.perf.baselines.entry import Approval, Baseline
from include.perf.catalogue.catalogue import Catalogue
from include.perf.guards.guard import Guard
from include.perf.load.announcing import LoadObserver
from include.perf.load.generator import LoadGenerator, Progress, ProgressListener
from include.perf.load.reservations import Reservations
from include.perf.load.wire import Resolver, Target
from include.perf.measure.metrics_source import MetricsSource
from include.perf.model.errors import BellwetherError, RunSkipped, collected
from include.perf.model.text import Clock
from include.perf.pipeline.planning.fingerprint import fingerprint
from include.perf.pipeline.planning.request import RunRequest, specs_for
from include.perf.pipeline.planning.time_plan import RERUN_OVERHEAD_S, in_turn, refusal, reruns_of, run_length
from include.perf.runs.record import RunRecord, Verdict
from include.perf.runs.results_store import FEED_FILE, ResultsStore
from include.perf.runs.spec import RunSpec
from include.perf.runs.stage_files import EarlyEnd, FingerprintParts, Reruns, StageFiles, find_run

if TYPE_CHECKING:
    from include.perf.baselines.review import Finding
    from include.perf.pipeline.finishing import ChartRenderer
    from include.perf.pipeline.previews import PlannedLoad
    from include.perf.pipeline.smoke import SmokeResult
    from include.perf.verdict.night import Judge

log = logging.getLogger(__name__)


def _say_nothing(_: Progress) -> None:
    return


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """The stages, bound to the outside world.

    Attributes:
        halted: says why no load may start now, or ``None``.
        wait: sleeps for so many seconds.
        versions: of what runs this, for the record.
        observers: are told when a load begins and when it is over.
        production_metrics: gives the Prometheus that watches production, ``None`` where it is the same.
    """

    catalogue: Catalogue
    store: ResultsStore
    baselines: BaselineStore
    metrics: MetricsSource
    generator: LoadGenerator
    target: Target
    resolve: Resolver
    reservations: Reservations
    charts: "ChartRenderer"
    clock: Clock
    wait: Callable[[float], None]
    halted: Callable[[], str | None] = field(default=lambda: None)
    versions: Mapping[str, str] = field(default_factory=dict)
    observers: Sequence[LoadObserver] = ()
    production_metrics: Callable[[], MetricsSource | None] = field(default=lambda: None)

    def plan(self, request: RunRequest) -> list[str]:
        """Check what is asked for and make the folder of each run; returns their URIs.

        Raises:
            ConfigurationError: with everything that is wrong with the request.
        """
        problems: list[str] = []
        with collected(problems):
            self.baselines.read()
        specs = specs_for(request, self.catalogue, now=self.clock(), problems=problems)
        return [self._created(spec) for spec in specs]

    def _created(self, spec: RunSpec) -> str:
        """Make the folder of a run and return its URI."""
        uri = self.store.create(service=spec.service, scenario=spec.scenario, run_id=spec.run_id)
        self._files(uri).spec.write(spec)
        log.info("%s %s %s planned: %s", spec.service, spec.scenario, spec.run_id, uri)
        return uri

    def preview(self, requests: Sequence[RunRequest]) -> "list[PlannedLoad]":
        """Return what requests, one after another, would send where, when and for how long; nothing is sent or kept.

        Raises:
            ConfigurationError: with everything that is wrong with a request.
        """
        from include.perf.pipeline.previews import preview

        begins_at = self.clock()
        loads: list[PlannedLoad] = []
        for request in requests:
            specs = specs_for(request, self.catalogue, now=begins_at)
            loads += preview(specs, self.catalogue, self._guard, begins_at=begins_at)
            begins_at = max(load.ends_at for load in loads) + timedelta(seconds=RERUN_OVERHEAD_S)
        return loads

    def smoke(self, name: str) -> "list[SmokeResult]":
        """Send a few requests to every endpoint of a service.

        Raises:
            RunSkipped: load is halted, or the service is production and the market is open.
            RunError: load may not go there.
            ConfigurationError: no scenario has data for the service, or the data cannot be used.
        """
        from include.perf.load.staging import build_feed
        from include.perf.pipeline.smoke import smoke

        service = self.catalogue.service(name)
        scenario = self.catalogue.scenario_of(service)
        self._guard.check_halt()
        self._guard.check_market(service)
        addresses = self._guard.addresses_of(service)
        feed = build_feed(self.catalogue.data_path(scenario), service.endpoints, seed=scenario.load.seed)
        return list(smoke(service, feed, self.target, addresses))

    def stage_data(self, uri: str) -> None:
        """Check the scenario's market data and turn it into the request feed.

        Raises:
            DataError: the data cannot be used.
        """
        from include.perf.load.market_data import data_fingerprint
        from include.perf.load.staging import build_feed

        with self._stage(uri, "stage_data") as spec:
            scenario = self.catalogue.scenario(spec.scenario)
            service = self.catalogue.service(spec.service)
            data = self.catalogue.data_path(scenario)
            feed = build_feed(data, service.endpoints, seed=spec.load.seed)
            parts = fingerprint(
                service,
                spec.load,
                data=data_fingerprint(data),
                extra=scenario.fingerprint,
                is_distributed=self.generator.shared() is not None,
            )
            with self.store.folder(uri, needed=()) as folder:
                feed.write(folder / FEED_FILE)
            self._files(uri).fingerprint.write(FingerprintParts(parts=parts))
            rows = ", ".join(f"{endpoint.name} {endpoint.rows}" for endpoint in feed.endpoints)
            log.info("%s %s %s staged: requests by endpoint: %s", spec.service, spec.scenario, spec.run_id, rows)

    def preflight(self, uri: str) -> None:
        """Make sure that load may start: not halted, target healthy, Prometheus watching it.

        Raises:
            RunSkipped: load is halted.
            RunError: the target or Prometheus is not ready.
        """
        with self._stage(uri, "preflight") as spec:
            service = self.catalogue.service(spec.service)
            self._guard.check_time(spec)
            self._guard.check_ready(service, self._guard.addresses_of(service))
            log.info("%s %s %s may start", spec.service, spec.scenario, spec.run_id)

    @property
    def _guard(self) -> Guard:
        return Guard(
            catalogue=self.catalogue,
            metrics=self.metrics,
            target=self.target,
            resolve=self.resolve,
            halted=self.halted,
            clock=self.clock,
        )

    def run_load(self, uri: str, *, on_progress: ProgressListener = _say_nothing) -> None:
        """Drive the load when its turn has come, and measure what the client saw.

        Raises:
            RunSkipped, RunError: as `preflight`, asked again because time has passed; or the load
                generator left no record.
        """
        from include.perf.pipeline.loading import Loading

        with self._stage(uri, "run_load") as spec:
            loading = Loading(
                catalogue=self.catalogue,
                store=self.store,
                metrics=self.metrics,
                generator=self.generator,
                target=self.target,
                reservations=self.reservations,
                guard=self._guard,
                clock=self.clock,
                wait=self.wait,
                observers=self.observers,
            )
            figures = loading.drive(self._files(uri), spec, on_progress=on_progress)
            log.info(
                "%s %s %s loaded: %d due, %d finished, %d failed, %.1f/s of %.1f/s",
                *(spec.service, spec.scenario, spec.run_id, figures.due, figures.finished, figures.failed),
                *(figures.achieved_rate_rps or 0.0, spec.load.mean_rate_rps),
            )

    def scrape(self, uri: str) -> None:
        """Read the service's own figures for exactly the measured window, and how they went over the whole run.

        Raises:
            PrometheusUnavailable: worth a retry.
        """
        from include.perf.pipeline.observing import Observing

        with self._stage(uri, "scrape") as spec:
            observing = Observing(
                catalogue=self.catalogue,
                store=self.store,
                metrics=self.metrics,
                production_metrics=self.production_metrics,
                clock=self.clock,
                wait=self.wait,
            )
            figures = observing.observe(self._files(uri), spec)
            log.info(
                "%s %s %s scraped, coverage %s",
                spec.service,
                spec.scenario,
                spec.run_id,
                figures.coverage_ratio,
            )

    def plan_reruns(self, uris: Sequence[str]) -> list[str]:
        """Plan two more runs of each that looks suspicious, the most suspicious first; returns their URIs.

        At most as many services as the scenario allows, and only those whose re-runs are over in time. Why the others
        get none is kept with them.
        """
        if not uris:
            return []
        scenario = self.catalogue.scenario(self._files(uris[0]).read_spec().scenario)
        decided = {uri: reruns for uri in uris if (reruns := self._files(uri).reruns.read()) is not None}
        planned = [reruns.uris for reruns in decided.values() if reruns.uris]
        for uri in self._judge.suspicions(uris):
            if uri in decided:
                continue
            files = self._files(uri)
            spec = files.read_spec()
            length = run_length(spec.load, self.catalogue.service(spec.service))
            refused = refusal(spec, scenario, length=length, ahead=len(planned), now=self.clock())
            reruns = self._reruns_of(spec, refused)
            files.reruns.write(reruns)
            planned += [reruns.uris] if reruns.uris else []
        return in_turn(planned, parallel=scenario.parallel)

    def _reruns_of(self, spec: RunSpec, refused: str | None) -> Reruns:
        """Make the folders of the re-runs of one run, or keep why it gets none."""
        if refused is not None:
            log.warning("%s %s %s looks suspicious: %s", spec.service, spec.scenario, spec.run_id, refused)
            return Reruns(refused=refused)
        log.info("%s %s %s looks suspicious and is run again", spec.service, spec.scenario, spec.run_id)
        return Reruns(uris=tuple(self._created(each) for each in reruns_of(spec, now=self.clock())))

    def _channel_of(self, service: str) -> str:
        """Return where a service's deviations are told; a service that left the catalogue tells for itself."""
        known = self.catalogue.services.get(service)
        return known.slack_channel if known else service

    @property
    def _judge(self) -> "Judge":
        from include.perf.verdict.night import Judge

        return Judge(
            store=self.store,
            baselines=self.baselines,
            clock=self.clock,
            hard_limits_of=self.catalogue.hard_limits_of,
        )

    def compare(self, uris: Sequence[str]) -> dict[str, Verdict]:
        """Judge the runs of a night together, however far they came, and leave the draft of each record.

        Returns:
            The verdicts by URI, those of re-runs among them.
        """
        records = self._judge.records(uris, versions=self.versions, channel_of=self._channel_of)
        for uri, record in records.items():
            self._files(uri).draft.write(record)
            reasons = "; ".join(record.reasons)
            log.info("%s %s %s: %s: %s", record.service, record.scenario, record.run_id, record.verdict, reasons)
        return {uri: record.verdict for uri, record in records.items()}

    def report(self, uri: str) -> RunRecord:
        """Write the charts, the report and, last, the record; of the re-runs too.

        What fails for one of them keeps none of the others from its record, and one that was left out of the night
        has none.
        """
        from include.perf.pipeline.finishing import Finishing

        finishing = Finishing(store=self.store, baselines=self.baselines, charts=self.charts)
        own = self._files(uri)
        reruns = [self._files(again) for again in (own.reruns.read() or Reruns()).uris]
        with ExitStack() as last_in_first_out:
            for files in (own, *(files for files in reruns if files.is_compared and not files.is_finished)):
                last_in_first_out.callback(finishing.finish, files)
        return self.record(uri)

    def record(self, uri: str) -> RunRecord:
        """Return the record of a finished run.

        Raises:
            StoreError: the run is not finished.
        """
        return self._files(uri).read_record()

    def find(self, reference: str) -> str:
        """Return the address of a finished run by its id, or by its address itself.

        Raises:
            StoreError: there is none.
        """
        return find_run(self.store, reference)

    def review(self) -> "tuple[Finding, ...]":
        """Look at every baseline and what was measured since."""
        from include.perf.baselines.promotion import review_all

        return review_all(store=self.store, baselines=self.baselines, now=self.clock())

    def promote(
        self,
        uri: str,
        *,
        force: bool = False,
        reason: str | None = None,
        by: str | None = None,
        over: int | None = None,
    ) -> Baseline:
        """Make a finished run part of its baseline, or the beginning of a new one.

        Args:
            over: the version that somebody decided to replace, 0 for none.

        Raises:
            BaselineError: the run may not become a baseline, or the baseline is another one by now.
        """
        from include.perf.baselines.promotion import promote

        record = self.record(uri)
        approval = Approval(
            by=by or record.provenance.triggered_by,
            at=self.clock(),
            reason=reason or record.provenance.reason or "",
            run_id=record.run_id,
        )
        baseline = promote(
            record, approval=approval, force=force, store=self.store, baselines=self.baselines, over=over
        )
        log.info("%s %s baseline is version %d now", record.service, record.scenario, baseline.version)
        return baseline

    def execute(self, uris: Sequence[str], *, on_progress: ProgressListener = _say_nothing) -> tuple[RunRecord, ...]:
        """Do a night: every stage of every run, one after another, as the DAG does."""
        for uri in uris:
            self._measure(uri, on_progress)
        for uri in self.plan_reruns(uris):
            self._measure(uri, on_progress)
        self.compare(uris)
        return tuple(self.report(uri) for uri in uris)

    def _measure(self, uri: str, on_progress: ProgressListener) -> None:
        try:
            self.stage_data(uri)
            self.preflight(uri)
            self.run_load(uri, on_progress=on_progress)
            self.scrape(uri)
        except BellwetherError as err:
            log.warning("%s", err)

    def _files(self, uri: str) -> StageFiles:
        return StageFiles(self.store, uri)

    @contextmanager
    def _stage(self, uri: str, name: str) -> Iterator[RunSpec]:
        """Keep the reason for which a stage could not go on, for the record."""
        files = self._files(uri)
        spec = files.read_spec()
        files.forget_end(stage=name)
        try:
            yield spec
        except RunSkipped as err:
            files.end.write(EarlyEnd(stage=name, verdict=Verdict.SKIPPED, reason=str(err)))
            raise
        except BellwetherError as err:
            files.end.write(EarlyEnd(stage=name, verdict=Verdict.INVALID, reason=str(err)))
            raise
