"""The use cases: each stage of a run, from the plan to the promotion.

Stages hand on a reference only, the URI of the run's folder; what one stage leaves for the next lies there.
``run.json`` is written last, so a folder without it is a run that is not finished. A stage that cannot go on
says so in the folder and raises; `compare` and `report` then still make a record of it.

A stage imports pandas where it needs it: in Airflow each stage is a process of its own.
"""

import logging
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from pydantic import ValidationError

from include.perf.baseline import Approval, Baseline
from include.perf.catalogue import ALL_SERVICES, Catalogue, problem_of
from include.perf.errors import (
    BellwetherError,
    ConfigurationError,
    PrometheusError,
    RunError,
    RunSkipped,
    StoreError,
    collected,
)
from include.perf.fingerprint import fingerprint
from include.perf.load_plan import PLAN_FILE
from include.perf.ports import (
    FEED_FILE,
    GENERATOR_FILE,
    REPORT_FILE,
    BaselineStore,
    ChartRenderer,
    Clock,
    LoadGenerator,
    MetricsSource,
    Progress,
    ProgressListener,
    ResultsStore,
    Target,
)
from include.perf.recording import Ended, StageFiles, assemble
from include.perf.report import render_report
from include.perf.run import RunRecord, RunSpec, Verdict
from include.perf.scenario import LoadProfile, Scenario
from include.perf.scraping import is_scraped, scrape_figures
from include.perf.service import Service

log = logging.getLogger(__name__)

SCRAPES_TO_AWAIT = 2
"""The window's last samples are in Prometheus only so many scrape intervals after its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """What a person or a schedule asks for; one run a service comes of it.

    Attributes:
        duration_s, rate_rps: instead of the scenario's own; its rate profile keeps its times and is cut off at
            the end, and multiplies the rate asked for.
        update_baseline: promote each run that is valid; needs a ``reason``.
    """

    scenario: str
    service: str = ALL_SERVICES
    duration_s: int | None = None
    rate_rps: float | None = None
    update_baseline: bool = False
    reason: str | None = None
    triggered_by: str = "unknown"
    dag_id: str | None = None
    dag_run_id: str | None = None


def _say_nothing(_: Progress) -> None:
    return


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """The stages, bound to the outside world.

    Attributes:
        halted: says why no load may start now, or ``None``.
        wait: sleeps for so many seconds.
        versions: of what runs this, for the record.
    """

    catalogue: Catalogue
    store: ResultsStore
    baselines: BaselineStore
    metrics: MetricsSource
    generator: LoadGenerator
    target: Target
    charts: ChartRenderer
    clock: Clock
    wait: Callable[[float], None]
    halted: Callable[[], str | None] = field(default=lambda: None)
    versions: Mapping[str, str] = field(default_factory=dict)

    def plan(self, request: RunRequest) -> list[str]:
        """Check what is asked for and make the folder of each run; returns their URIs.

        Raises:
            ConfigurationError: with everything that is wrong with the request.
        """
        problems = _problems(request)
        load: LoadProfile | None = None
        services: Sequence[Service] = ()
        with collected(problems):
            scenario = self.catalogue.scenario(request.scenario)
            with collected(problems):
                load = _load_of(scenario, request)
            with collected(problems):
                services = self.catalogue.services_of(scenario, request.service)
        with collected(problems):
            self.baselines.read()
        if problems or load is None:
            raise ConfigurationError(problems)
        return [self._create(request, service, load) for service in services]

    def _create(self, request: RunRequest, service: Service, load: LoadProfile) -> str:
        now = self.clock()
        run_id = f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
        spec = RunSpec(
            run_id=run_id,
            service=service.name,
            scenario=request.scenario,
            environment=service.environment,
            load=load,
            created_at=now,
            update_baseline=request.update_baseline,
            reason=request.reason or None,
            triggered_by=request.triggered_by,
            dag_id=request.dag_id,
            dag_run_id=request.dag_run_id,
        )
        uri = self.store.create(service=service.name, scenario=request.scenario, run_id=run_id)
        self._files(uri).write_spec(spec)
        log.info("%s %s %s planned: %s", spec.service, spec.scenario, run_id, uri)
        return uri

    def stage_data(self, uri: str) -> None:
        """Check the scenario's market data and turn it into the request feed.

        Raises:
            DataError: the data cannot be used.
        """
        from include.perf.market_data import data_fingerprint
        from include.perf.staging import build_feed

        with self._stage(uri, "stage_data") as spec:
            scenario = self.catalogue.scenario(spec.scenario)
            service = self.catalogue.service(spec.service)
            data = self.catalogue.data_path(scenario)
            feed = build_feed(data, service.endpoints, seed=spec.load.seed)
            parts = fingerprint(service, spec.load, data=data_fingerprint(data))
            with self.store.folder(uri) as folder:
                feed.write(folder / FEED_FILE)
            self._files(uri).write_fingerprint(parts)
            rows = ", ".join(f"{endpoint.name} {endpoint.rows}" for endpoint in feed.endpoints)
            log.info("%s %s %s staged: requests by endpoint: %s", spec.service, spec.scenario, spec.run_id, rows)

    def preflight(self, uri: str) -> None:
        """Make sure that load may start: not halted, target healthy, Prometheus watching it.

        Raises:
            RunSkipped: load is halted.
            RunError: the target or Prometheus is not ready.
        """
        with self._stage(uri, "preflight") as spec:
            self._guard(self.catalogue.service(spec.service))
            log.info("%s %s %s may start", spec.service, spec.scenario, spec.run_id)

    def _guard(self, service: Service) -> None:
        reason = self.halted()
        if reason is not None:
            raise RunSkipped(f"load is halted: {reason}")
        self.target.check(service)
        try:
            scraped = is_scraped(service, self.metrics, at=self.clock())
        except PrometheusError as err:
            raise RunError(f"Prometheus cannot say whether it watches {service.name}: {err}") from err
        if not scraped:
            raise RunError(
                f"Prometheus does not scrape {service.name}: no target with {{{service.prometheus.selector}}} is up; "
                "add it to Prometheus, or correct prometheus.selector in services.yaml"
            )

    def run_load(self, uri: str, *, on_progress: ProgressListener = _say_nothing) -> None:
        """Drive the load and measure what the client saw.

        Raises:
            RunSkipped, RunError: as `preflight`, asked again because time has passed; or the load
                generator left no record.
        """
        from include.perf.measurement import measure

        with self._stage(uri, "run_load") as spec:
            service = self.catalogue.service(spec.service)
            self._guard(service)
            self._files(uri).forget_figures()
            with self.store.folder(uri) as folder:
                self.generator.run(service=service, load=spec.load, folder=folder, on_progress=on_progress)
                figures = measure(folder)
            self._files(uri).write_load(figures)
            log.info(
                "%s %s %s loaded: %d due, %d finished, %d failed, %.1f/s of %.1f/s",
                *(spec.service, spec.scenario, spec.run_id, figures.due, figures.finished, figures.failed),
                *(figures.achieved_rate_rps or 0.0, spec.load.mean_rate_rps),
            )

    def scrape(self, uri: str) -> None:
        """Read the service's own figures for exactly the measured window.

        Raises:
            PrometheusUnavailable: worth a retry.
        """
        with self._stage(uri, "scrape") as spec:
            service = self.catalogue.service(spec.service)
            load = self._files(uri).read_load()
            if load is None:
                raise StoreError(f"{uri} has no figures of a load yet; run_load comes first")
            settled = load.window.end + timedelta(seconds=SCRAPES_TO_AWAIT * service.prometheus.scrape_interval_s)
            self.wait(max(0.0, (settled - self.clock()).total_seconds()))
            figures = scrape_figures(service, load.window, self.metrics)
            self._files(uri).write_server(figures)
            log.info(
                "%s %s %s scraped, coverage %s",
                spec.service,
                spec.scenario,
                spec.run_id,
                figures.coverage_ratio,
            )

    def compare(self, uri: str) -> Verdict:
        """Judge the run, however far it came, and leave the draft of its record."""
        files = self._files(uri)
        record = assemble(files, baseline=self._baseline_or_error(files.read_spec()), versions=self.versions)
        files.write_draft(record)
        reasons = "; ".join(record.reasons)
        log.info("%s %s %s: %s: %s", record.service, record.scenario, record.run_id, record.verdict, reasons)
        return record.verdict

    def _baseline_or_error(self, spec: RunSpec) -> Baseline | ConfigurationError | None:
        try:
            baseline: Baseline | None = self.baselines.read().get(spec.service, spec.scenario)
        except ConfigurationError as err:
            return err
        return baseline

    def report(self, uri: str) -> RunRecord:
        """Write the charts, the report and, last, the record."""
        files = self._files(uri)
        record = files.read_draft()
        try:
            with self.store.folder(uri) as folder:
                charts = self.charts.render(record, folder)
            self.store.write(uri, REPORT_FILE, render_report(record, charts).encode())
        finally:
            files.write_record(record)
        for name in (FEED_FILE, PLAN_FILE, GENERATOR_FILE):
            self.store.remove(uri, name)
        files.remove_stages()
        return record

    def record(self, uri: str) -> RunRecord:
        """Return the record of a finished run.

        Raises:
            StoreError: the run is not finished.
        """
        return self._files(uri).read_record()

    def promote(self, uri: str, *, force: bool = False, reason: str | None = None, by: str | None = None) -> Baseline:
        """Make a finished run part of its baseline, or the beginning of a new one.

        Raises:
            BaselineError: the run may not become a baseline.
        """
        record = self.record(uri)
        approval = Approval(
            by=by or record.provenance.triggered_by,
            at=self.clock(),
            reason=reason or record.provenance.reason or "",
            run_id=record.run_id,
        )
        with self.baselines.change() as baselines:
            baseline: Baseline = baselines.promote(record, approval=approval, force=force)
        log.info("%s %s baseline is version %d now", record.service, record.scenario, baseline.version)
        return baseline

    def execute(self, uri: str, *, on_progress: ProgressListener = _say_nothing) -> RunRecord:
        """Do every stage of a run up to its record, one after another, as the DAG does."""
        try:
            self.stage_data(uri)
            self.preflight(uri)
            self.run_load(uri, on_progress=on_progress)
            self.scrape(uri)
        except BellwetherError as err:
            log.warning("%s", err)
        self.compare(uri)
        return self.report(uri)

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
            files.write_end(Ended(stage=name, verdict=Verdict.SKIPPED, reason=str(err)))
            raise
        except BellwetherError as err:
            files.write_end(Ended(stage=name, verdict=Verdict.INVALID, reason=str(err)))
            raise


def _problems(request: RunRequest) -> list[str]:
    if request.update_baseline and not (request.reason or "").strip():
        return ["update_baseline needs a reason: it is kept with the baseline, say why the level is right"]
    return []


def _load_of(scenario: Scenario, request: RunRequest) -> LoadProfile:
    """Return the scenario's load with what was asked for instead; a short run gets a short warm-up and ramp."""
    load = scenario.load
    changes: dict[str, float] = {}
    if request.rate_rps is not None:
        changes["rate_rps"] = request.rate_rps
    if request.duration_s is not None:
        warmup_s = min(load.warmup_s, max(0, request.duration_s))
        changes |= {"duration_s": request.duration_s, "warmup_s": warmup_s, "ramp_s": min(load.ramp_s, warmup_s)}
    try:
        return LoadProfile.model_validate(load.model_dump() | changes)
    except ValidationError as err:
        raise ConfigurationError([problem_of(error) for error in err.errors()]) from err
