"""What a run measured, however far it came, and the record that its judgement makes of it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from include.perf.baselines.baselines import Baseline
from include.perf.measure.validity import load_notes, load_problems, server_problems
from include.perf.model.errors import ConfigurationError
from include.perf.model.metric import METRICS, MetricValue, Source
from include.perf.model.text import utc_time
from include.perf.runs.figures import LoadFigures, ServerFigures
from include.perf.runs.record import BaselineReference, LoadSummary, Provenance, RunRecord, Verdict
from include.perf.runs.spec import RunSpec
from include.perf.runs.stage_files import (
    NOT_DEPLOYED,
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
    """What the stages of a run left.

    Attributes:
        validity: why the figures cannot be trusted or judged; empty when they can.
        metrics: all eight; one that could not be had has its reason.
    """

    spec: RunSpec
    ended: EarlyEnd | None
    load: LoadFigures | None
    server: ServerFigures | None
    parts: Mapping[str, str]
    deployed: Deployed
    beside: ConcurrentLoads
    tries: Tries
    validity: tuple[str, ...]
    metrics: Mapping[str, MetricValue]

    @property
    def is_valid(self) -> bool:
        """Whether the run can be judged."""
        return not self.validity

    @property
    def started_at(self) -> datetime:
        """When its load started, or when it was planned."""
        return self.load.started_at if self.load else self.spec.created_at

    def done_for(self, first: "StageResults") -> "StageResults":
        """Return it as a re-run of another run: invalid where it was not of the same."""
        if not (self.is_valid and first.is_valid):
            return self
        problems = [
            f"the {part} changed since run {first.spec.run_id}, which it was done for"
            for part in dict.fromkeys([*first.parts, *self.parts])
            if first.parts.get(part) != self.parts.get(part)
        ]
        if self.deployed.after != first.deployed.after and None not in (self.deployed.after, first.deployed.after):
            problems.append(
                f"the service was deployed since run {first.spec.run_id}, which it was done for: "
                f"{first.deployed.after} then, {self.deployed.after} now"
            )
        return replace(self, validity=tuple(problems))

    def measured(self) -> MeasuredRun:
        """Return what a comparison needs of it."""
        due, failed = (self.load.due, self.load.failed) if self.load else (None, None)
        return MeasuredRun(run_id=self.spec.run_id, metrics=self.metrics, due=due, failed=failed)

    def without_verdict(self) -> Comparison:
        """Return what to say of a run that cannot be judged: skipped, or invalid."""
        if self.ended is not None and self.ended.verdict is Verdict.SKIPPED:
            return Comparison(verdict=Verdict.SKIPPED, reasons=(self.ended.reason,))
        return Comparison(verdict=Verdict.INVALID, reasons=self.validity)


def gather(files: StageFiles, *, problem: ConfigurationError | None = None) -> StageResults:
    """Read what the stages of a run left.

    Args:
        problem: why the baselines cannot be read; no run can then be judged.
    """
    spec, load, server, ended = files.read_spec(), files.load.read(), files.server.read(), files.end.read()
    deployed = files.deployed.read_or(NOT_DEPLOYED)
    reasons = [*_validity(spec, ended, load, server), *_problems_of_deployment(deployed)]
    if problem is not None:
        reasons.append(f"the baselines could not be read: {problem}")
    return StageResults(
        spec=spec,
        ended=ended,
        load=load,
        server=server,
        parts=files.fingerprint.read_or(FingerprintParts(parts={})).parts,
        deployed=deployed,
        beside=files.concurrent.read_or(ConcurrentLoads()),
        tries=files.tries.read_or(Tries()),
        validity=tuple(reasons),
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
    """Make the record of a run, however far it came."""
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
        fingerprint=run.parts,
        validity=run.validity,
        verdict=comparison.verdict,
        reasons=comparison.reasons,
        deviations=comparison.deviations,
        baseline=baseline,
        endpoints=load.endpoints if load else (),
        errors=load.errors if load else (),
        generator=load.generator if load else None,
        provenance=_provenance(spec, versions),
        notes=(*load_notes(load), *_notes_of_others(run.beside), *_notes_of_tries(run.tries)) if load else (),
        shifts=comparison.shifts,
        judged=comparison.judged,
        reruns=reruns,
        rerun_of=spec.rerun_of,
        platform=comparison.platform,
        within_run=load.within_run if load else {},
        deploy_version=run.deployed.after,
        stalls=load.stalls if load else (),
    )


def reference_of(baseline: Baseline | None, comparison: Comparison, *, now: datetime) -> BaselineReference | None:
    """Return what the record keeps of the baseline: the levels and nights that the run was really held to."""
    if baseline is None:
        return None
    reference = baseline.reference(now)
    if not comparison.levels:
        return reference
    return replace(
        reference,
        metrics={**reference.metrics, **comparison.levels},
        nights=comparison.nights,
        since=comparison.since,
    )


def _validity(
    spec: RunSpec,
    ended: EarlyEnd | None,
    load: LoadFigures | None,
    server: ServerFigures | None,
) -> list[str]:
    """Return every reason for which the figures cannot be trusted or judged."""
    reasons = [ended.reason] if ended else []
    if load is not None:
        reasons += load_problems(spec.load, load)
    elif not ended:
        reasons.append("the load left no record: its task was ended from outside; see the task's log")
    if server is not None:
        reasons += server_problems(server)
    elif load is not None and not ended:
        reasons.append("Prometheus was never asked: the scrape was ended from outside; see the task's log")
    return reasons


def _problems_of_deployment(deployed: Deployed) -> list[str]:
    if deployed.before == deployed.after or None in (deployed.before, deployed.after):
        return []
    return [
        f"the service was deployed while it was measured: {deployed.before} before the load, {deployed.after} after "
        "it; start a new run"
    ]


def _metrics(load: LoadFigures | None, server: ServerFigures | None) -> dict[str, MetricValue]:
    """Return all eight metrics; one that could not be had has its reason."""
    measured: dict[str, MetricValue] = {
        **(load.metrics if load else {}),
        **(server.metrics if server else {}),
    }
    without = {Source.CLIENT: "no load was measured", Source.PROMETHEUS: "Prometheus was not asked"}
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
    """Say which tries of the load were killed."""
    return [
        f"try {number} of this load, begun at {utc_time(began_at)}, was killed or stopped; none of its requests is in "
        "the figures, and the load was sent anew"
        for number, began_at in enumerate(tries.aborted, start=1)
    ]


def _notes_of_others(beside: ConcurrentLoads) -> list[str]:
    """Say which other services were under load when this load began."""
    return [
        f"{other.service} was under load too when this one began ({other.scenario}, {other.rate_rps:g}/s, run "
        f"{other.run_id})"
        for other in beside.loads
    ]
