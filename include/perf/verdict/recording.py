"""Collect what the stages of a run left, and make its record."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from include.perf.baselines.entry import Baseline
from include.perf.measure.collapse import collapse_of
from include.perf.measure.validity import load_notes, load_problems, server_problems
from include.perf.model.errors import ConfigurationError
from include.perf.model.metric import METRICS, MetricValue, Source
from include.perf.model.text import utc_time
from include.perf.runs.figures import LoadFigures, ServerFigures
from include.perf.runs.record import BaselineReference, LoadSummary, Provenance, RunRecord, Verdict
from include.perf.runs.spec import RunSpec
from include.perf.runs.stage_files import (
    NOT_DEPLOYED,
    Begun,
    ConcurrentLoads,
    Deployed,
    EarlyEnd,
    FingerprintParts,
    StageFiles,
    Tries,
)
from include.perf.verdict.comparison import Comparison
from include.perf.verdict.contender import MeasuredRun


@dataclass(frozen=True, slots=True, kw_only=True)
class StageResults:
    """What the stages of a run left, complete or not.

    Attributes:
        ended: why the run ended early; ``None`` if it did not.
        fingerprint: what the run was made of, by part.
        concurrent: other loads at the start of this one.
        validity: why the figures cannot be trusted or judged; empty if they can.
        collapse: what shows that the service did not survive the load; empty if it did, or nobody knows.
        metrics: all eight; a missing one has its reason.
    """

    spec: RunSpec
    ended: EarlyEnd | None
    load: LoadFigures | None
    server: ServerFigures | None
    fingerprint: Mapping[str, str]
    deployed: Deployed
    concurrent: ConcurrentLoads
    tries: Tries
    validity: tuple[str, ...]
    collapse: tuple[str, ...]
    metrics: Mapping[str, MetricValue]

    @property
    def is_valid(self) -> bool:
        """Whether the run can be judged."""
        return not self.validity

    @property
    def started_at(self) -> datetime:
        """Start of its load; without a load, when it was planned."""
        return self.load.started_at if self.load else self.spec.created_at

    def as_rerun_of(self, first: "StageResults") -> "StageResults":
        """Return it as a re-run of another run: invalid if fingerprint or deploy version differ."""
        if not (self.is_valid and first.is_valid):
            return self
        problems = [
            f"the {part} changed since run {first.spec.run_id}, which this run repeats"
            for part in dict.fromkeys([*first.fingerprint, *self.fingerprint])
            if first.fingerprint.get(part) != self.fingerprint.get(part)
        ]
        if self.deployed.after != first.deployed.after and None not in (self.deployed.after, first.deployed.after):
            problems.append(
                f"the service was deployed since run {first.spec.run_id}, which this run repeats: "
                f"{first.deployed.after} then, {self.deployed.after} now"
            )
        return replace(self, validity=tuple(problems))

    def measured(self) -> MeasuredRun:
        """Return the figures for a comparison."""
        due, failed = (self.load.due, self.load.failed) if self.load else (None, None)
        return MeasuredRun(
            run_id=self.spec.run_id,
            metrics=self.metrics,
            due=due,
            failed=failed,
            endpoints=self.load.endpoints if self.load else (),
            collapse=self.collapse,
            requested_rps=self.load.due / self.spec.load.duration_s if self.load else None,
        )

    def without_verdict(self) -> Comparison:
        """Return the verdict of a run that cannot be judged: skipped or invalid."""
        if self.ended is not None and self.ended.verdict is Verdict.SKIPPED:
            return Comparison(verdict=Verdict.SKIPPED, reasons=(self.ended.reason,))
        return Comparison(verdict=Verdict.INVALID, reasons=self.validity)


def gather(files: StageFiles, *, problem: ConfigurationError | None = None) -> StageResults:
    """Read what the stages of a run left.

    Args:
        problem: why the baselines could not be read; then no run can be judged.
    """
    spec, load, server, ended = files.read_spec(), files.load.read(), files.server.read(), files.end.read()
    deployed = files.deployed.read_or(NOT_DEPLOYED)
    begun = files.begun.read()
    deployment = _problems_of_deployment(deployed)
    collapse = () if load is None or ended else collapse_of(load, server, was_deployed=bool(deployment))
    reasons = [*_validity(spec, ended, load, server, begun=begun, has_collapsed=bool(collapse)), *deployment]
    if problem is not None:
        reasons.append(f"the baselines could not be read: {problem}")
    return StageResults(
        spec=spec,
        ended=ended,
        load=load,
        server=server,
        fingerprint=files.fingerprint.read_or(FingerprintParts(parts={})).parts,
        deployed=deployed,
        concurrent=files.concurrent.read_or(ConcurrentLoads()),
        tries=files.tries.read_or(Tries()),
        validity=tuple(reasons),
        collapse=() if reasons else collapse,
        metrics=_metrics(load, server),
    )


def record_of(
    run: StageResults,
    comparison: Comparison,
    *,
    baseline: BaselineReference | None,
    versions: Mapping[str, str],
    reruns: tuple[str, ...] = (),
) -> RunRecord:
    """Return the record of a run, complete or not."""
    spec, load = run.spec, run.load
    return RunRecord(
        run_id=spec.run_id,
        service=spec.service,
        scenario=spec.scenario,
        environment=spec.environment,
        started_at=run.started_at,
        window=load.window if load else None,
        load=_load_summary(spec, load),
        metrics=run.metrics,
        fingerprint=run.fingerprint,
        validity=run.validity,
        verdict=comparison.verdict,
        reasons=comparison.reasons,
        deviations=comparison.deviations,
        baseline=baseline,
        endpoints=load.endpoints if load else (),
        errors=load.errors if load else (),
        generator=load.generator if load else None,
        provenance=_provenance(spec, versions),
        notes=(*load_notes(load), *_notes_of_concurrent(run.concurrent), *_notes_of_tries(run.tries)) if load else (),
        shifts=comparison.shifts,
        judged=comparison.judged,
        reruns=reruns,
        rerun_of=spec.rerun_of,
        platform=comparison.platform,
        within_run=load.within_run if load else {},
        deploy_version=run.deployed.after,
        stalls=load.stalls if load else (),
        journeys=load.journeys if load else (),
        limits=comparison.limits,
        exceeded=comparison.exceeded,
        collapse=comparison.collapse,
    )


def baseline_reference(baseline: Baseline | None, comparison: Comparison, *, now: datetime) -> BaselineReference | None:
    """Return what the record stores about the baseline: the values and nights that the run was compared with."""
    if baseline is None:
        return None
    reference = baseline.reference(now)
    if not comparison.reference:
        return reference
    return replace(
        reference,
        metrics={**reference.metrics, **comparison.reference},
        nights=comparison.nights,
        since=comparison.since,
    )


def _validity(
    spec: RunSpec,
    ended: EarlyEnd | None,
    load: LoadFigures | None,
    server: ServerFigures | None,
    *,
    begun: Begun | None,
    has_collapsed: bool,
) -> list[str]:
    """Return every reason why the figures cannot be trusted or judged."""
    reasons = [ended.reason] if ended else []
    if load is not None:
        reasons += load_problems(spec.load, load, has_collapsed=has_collapsed)
    elif not ended:
        reasons.append(f"the load left no figures: {_why_unfinished(begun, 'run_load')}")
    if server is not None:
        reasons += [] if has_collapsed else server_problems(server)
    elif load is not None and not ended:
        reasons.append(f"Prometheus was not queried: {_why_unfinished(begun, 'scrape')}")
    return reasons


def _why_unfinished(begun: Begun | None, stage: str) -> str:
    """Return what is known of a stage that left neither a result nor a reason."""
    if begun is None:
        return "no task of this run began: Airflow could not start one, or ended it before; see the events of its tasks"
    if begun.stage == stage:
        return f"the task {stage} was killed or stopped, and no later try of it began; see its log and its events"
    return (
        f"the task {stage} never began; the last one that did was {begun.stage} at {utc_time(begun.at)}: Airflow ended "
        "it or could not start the next one; see the events of both tasks"
    )


def _problems_of_deployment(deployed: Deployed) -> list[str]:
    if deployed.before == deployed.after or None in (deployed.before, deployed.after):
        return []
    return [
        f"the service was deployed during the run: version {deployed.before} before the load, {deployed.after} after "
        "it; start a new run"
    ]


def _metrics(load: LoadFigures | None, server: ServerFigures | None) -> dict[str, MetricValue]:
    """Return all eight metrics; a missing one has its reason."""
    measured: dict[str, MetricValue] = {
        **(load.metrics if load else {}),
        **(server.metrics if server else {}),
    }
    without = {Source.CLIENT: "no load was measured", Source.PROMETHEUS: "Prometheus was not queried"}
    return {
        name: measured.get(name) or MetricValue(value=None, unit=metric.unit, reason=without[metric.source])
        for name, metric in METRICS.items()
    }


def _load_summary(spec: RunSpec, load: LoadFigures | None) -> LoadSummary:
    return LoadSummary(
        requested_rate_rps=spec.load.mean_rate_rps,
        achieved_rate_rps=load.achieved_rate_rps if load else None,
        duration_s=spec.load.duration_s,
        warmup_s=spec.load.warmup_s,
        due=load.due if load else None,
        sent=load.sent if load else None,
        finished=load.finished if load else None,
        failed=load.failed if load else None,
        timed_out=load.timed_out if load else None,
        unfinished=load.unfinished if load else None,
        requested_curve=() if spec.load.is_flat else spec.load.curve_points,
    )


def _provenance(spec: RunSpec, versions: Mapping[str, str]) -> Provenance:
    return Provenance(
        dag_id=spec.dag_id,
        dag_run_id=spec.dag_run_id,
        triggered_by=spec.triggered_by,
        update_baseline=spec.update_baseline,
        reason=spec.reason,
        versions=versions,
    )


def _notes_of_tries(tries: Tries) -> list[str]:
    """Return a note for each try of the load that was killed."""
    return [
        f"try {number} of this load, started at {utc_time(began_at)}, was killed or stopped; the load was sent again, "
        "and only the last try counts"
        for number, began_at in enumerate(tries.aborted, start=1)
    ]


def _notes_of_concurrent(concurrent: ConcurrentLoads) -> list[str]:
    """Return a note for each other service that was under load when this load started."""
    return [
        f"{other.service} was also under load at the start ({other.scenario}, {other.rate_rps:g}/s, run {other.run_id})"
        for other in concurrent.loads
    ]
