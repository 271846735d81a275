"""Make the record of a synthetic run, of the size and form of a real one; see `benchmarks.synthetic_years`."""

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta

import numpy as np

from include.perf.baselines.entry import Baseline
from include.perf.catalogue.hard_limits import DEFAULT_ERROR_RATE, ERROR_RATE
from include.perf.catalogue.scenario.scenario import Scenario
from include.perf.catalogue.service import Service
from include.perf.model.metric import METRICS, Metric, MetricValue, Source, Unit
from include.perf.pipeline.planning.fingerprint import fingerprint
from include.perf.runs.figures import COMPLETED, EndpointFigures, ErrorGroup, GeneratorFigures, Window
from include.perf.runs.phrases import limit_sentence
from include.perf.runs.record import (
    Deviation,
    ExceededLimit,
    LoadSummary,
    Provenance,
    RunRecord,
    Severity,
    Shift,
    Verdict,
)
from include.perf.verdict import reasons

SUSPICIOUS = 3.0
"""Distance from the baseline in spreads; the minimum effect must be exceeded too."""

FAILING = 0.12
"""The error rate of a night on which the service fails."""

VERSIONS = {"bellwether": "1.6.0", "locust": "2.47.1", "python": "3.11.9", "airflow": "3.3.2"}
HEADER = "second,phase,due,sent,finished,failed,latency_p50_s,latency_p95_s,latency_p99_s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A cell of the catalogue.

    Attributes:
        hour: time of day at which it runs.
    """

    service: Service
    scenario: Scenario
    hour: time

    @property
    def rate_rps(self) -> float:
        """Arrivals per second."""
        return self.scenario.load.mean_rate_rps


@dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    """One night of a cell.

    Attributes:
        values: by metric; a missing metric has no value.
        version: deployed version of the service.
        reruns: ids and values of the re-runs.
    """

    at: datetime
    run_id: str
    values: Mapping[str, float]
    version: str
    is_skipped: bool = False
    is_invalid: bool = False
    is_other_load: bool = False
    is_failing: bool = False
    rerun_of: str | None = None
    reruns: tuple[tuple[str, Mapping[str, float]], ...] = ()

    def without_prometheus(self) -> "Night":
        """Return the night without the metrics from Prometheus."""
        client = {name: value for name, value in self.values.items() if METRICS[name].source is Source.CLIENT}
        return replace(self, values=client)

    @property
    def judged(self) -> Mapping[str, float]:
        """The medians over the run and its re-runs."""
        runs = [self.values, *(values for _, values in self.reruns)]
        return {name: statistics.median(run[name] for run in runs) for name in self.values}


def record_of(
    subject: Subject, night: Night, *, entry: Baseline | None, spreads: Mapping[str, float], since: datetime | None
) -> RunRecord:
    """Return the record of a run.

    Args:
        spreads: by metric, the spread between runs on the log scale.
        since: when a present change was first seen.
    """
    if night.is_failing:
        night = replace(night, values={**night.values, ERROR_RATE: FAILING})
    record = _measured(subject, night)
    if night.is_skipped:
        return _skipped(record)
    if night.is_invalid:
        why = "the load generator could not keep up: 91.3 % of the load went out, at least 98 % must"
        return replace(record, verdict=Verdict.INVALID, validity=(why,), reasons=("the run is invalid",))
    if night.is_failing:
        exceeded = ExceededLimit(
            metric=ERROR_RATE,
            unit=METRICS[ERROR_RATE].unit,
            limit=DEFAULT_ERROR_RATE,
            value=FAILING,
            severity=Severity.CRITICAL,
            evidence="one run",
        )
        why = limit_sentence(exceeded)
        return replace(record, verdict=Verdict.OVER_LIMIT, exceeded=(exceeded,), reasons=(why,))
    if entry is None:
        return replace(record, verdict=Verdict.NO_BASELINE, reasons=(reasons.NO_BASELINE,))
    record = replace(record, baseline=entry.reference(night.at))
    if night.is_other_load:
        parts = {**record.fingerprint, "load": "25/s constant for 60 s after 10 s of warm-up"}
        differences = tuple(reasons.differences(parts, entry.fingerprint))
        return replace(record, verdict=Verdict.NOT_COMPARABLE, fingerprint=parts, reasons=differences)
    return _compared(record, night, entry=entry, spreads=spreads, since=since)


def _compared(
    record: RunRecord, night: Night, *, entry: Baseline, spreads: Mapping[str, float], since: datetime | None
) -> RunRecord:
    shifts, deviations = {}, []
    for name, value in night.judged.items():
        baseline, metric = entry.metrics.get(name), METRICS[name]
        if baseline is None:
            continue
        shift = _shift(baseline, value, spread=spreads[name])
        shifts[name] = shift
        if abs(shift.absolute) > metric.minimum_effect(baseline=baseline, is_provisional=False) and _is_far(
            shift, spreads[name]
        ):
            deviations.append(_deviation(metric, baseline, value, shift=shift, night=night, since=since))
    worse = [deviation for deviation in deviations if deviation.is_worse and deviation.is_confirmed]
    better = [deviation for deviation in deviations if not deviation.is_worse]
    verdict = Verdict.REGRESSION if worse else Verdict.IMPROVEMENT if better else Verdict.PASS
    unchanged = (reasons.no_change(entry, nights=len(entry.runs)),)
    return replace(
        record,
        verdict=verdict,
        reasons=tuple(deviation.reason for deviation in deviations if deviation.is_confirmed) or unchanged,
        deviations=tuple(deviations),
        shifts=shifts,
        judged=night.judged if night.reruns else {},
        reruns=tuple(run_id for run_id, _ in night.reruns),
    )


def _shift(baseline: float, value: float, *, spread: float) -> Shift:
    """Return a change with an interval of ± 2 spreads."""
    change, width = value - baseline, 2 * max(spread, 0.002) * baseline
    return Shift(
        ratio=change / baseline,
        absolute=change,
        low=(change - width) / baseline,
        high=(change + width) / baseline,
        absolute_low=change - width,
        absolute_high=change + width,
    )


def _is_far(shift: Shift, spread: float) -> bool:
    return shift.ratio is not None and abs(math.log1p(shift.ratio)) > SUSPICIOUS * spread


def _deviation(
    metric: Metric, baseline: float, value: float, *, shift: Shift, night: Night, since: datetime | None
) -> Deviation:
    """Return a deviation; it is confirmed with re-runs, or on its second night."""
    is_worse = metric.worsening(baseline=baseline, value=value) > 0
    is_confirmed = not is_worse or bool(night.reruns) or since is not None
    is_critical = is_worse and is_confirmed and abs(shift.ratio or 0) > 0.2
    severity = Severity.CRITICAL if is_critical else Severity.WARNING if is_worse and is_confirmed else Severity.DIGEST
    change = reasons.of_shift(metric, value=value, reference=baseline, shift=shift, nights=14)
    return Deviation(
        metric=metric.name,
        unit=metric.unit,
        baseline=baseline,
        value=value,
        shift=shift,
        is_worse=is_worse,
        severity=severity,
        reason=f"{change}; first seen with version {night.version}",
        first_version=night.version,
        is_confirmed=is_confirmed,
        since=since,
    )


def _measured(subject: Subject, night: Night) -> RunRecord:
    load, values = subject.scenario.load, night.values
    start = night.at + timedelta(seconds=load.warmup_s)
    due = round(subject.rate_rps * load.duration_s)
    failed = round(values["error_rate"] * due)
    metrics = {
        name: MetricValue(value=values[name], unit=metric.unit)
        if name in values
        else MetricValue(value=None, unit=metric.unit, reason="Prometheus could not be asked: connection refused")
        for name, metric in METRICS.items()
    }
    return RunRecord(
        run_id=night.run_id,
        service=subject.service.name,
        scenario=subject.scenario.name,
        environment=subject.service.environment,
        started_at=night.at,
        window=Window(start=start, end=start + timedelta(seconds=load.duration_s)),
        load=LoadSummary(
            requested_rate_rps=subject.rate_rps,
            achieved_rate_rps=subject.rate_rps * 0.9998,
            duration_s=load.duration_s,
            warmup_s=load.warmup_s,
            due=due,
            sent=due,
            finished=due - failed,
            failed=failed,
            timed_out=failed // 2,
            unfinished=0,
        ),
        metrics=metrics,
        fingerprint=fingerprint(subject.service, load, data="sha256:5f1d0c7e9a3b" + "0" * 20),
        validity=(),
        verdict=Verdict.PASS,
        reasons=(),
        deviations=(),
        baseline=None,
        endpoints=_endpoints(subject, values, due=due, failed=failed),
        errors=_errors(subject, failed),
        generator=_generator(values),
        provenance=Provenance(
            dag_id=subject.scenario.name,
            dag_run_id=f"scheduled__{night.at:%Y-%m-%d}T{subject.hour:%H:%M:%S}+00:00",
            triggered_by="schedule",
            update_baseline=False,
            reason=None,
            versions=VERSIONS,
        ),
        within_run={name: 0.021 for name in values if METRICS[name].unit is Unit.SECONDS},
        rerun_of=night.rerun_of,
        deploy_version=night.version,
    )


def _skipped(record: RunRecord) -> RunRecord:
    reason = "no load was sent"
    return replace(
        record,
        verdict=Verdict.SKIPPED,
        reasons=("load is halted: platform maintenance",),
        metrics={name: replace(value, value=None, reason=reason) for name, value in record.metrics.items()},
        window=None,
        load=replace(record.load, achieved_rate_rps=None, due=None, sent=None, finished=None, failed=None),
        endpoints=(),
        errors=(),
        generator=None,
        within_run={},
    )


def _endpoints(subject: Subject, values: Mapping[str, float], *, due: int, failed: int) -> tuple[EndpointFigures, ...]:
    count = len(subject.service.endpoints)
    p50, p95, p99 = (values[f"latency_{name}"] for name in ("p50", "p95", "p99"))
    return tuple(
        EndpointFigures(
            name=endpoint.name,
            due=due // count,
            failed=failed // count,
            latency_p50=p50 * (0.8 + 0.4 * number / count),
            latency_p95=p95 * (0.8 + 0.4 * number / count),
            latency_p99=p99 * (0.8 + 0.4 * number / count),
            rows=2_000,
        )
        for number, endpoint in enumerate(subject.service.endpoints)
    )


def _errors(subject: Subject, failed: int) -> tuple[ErrorGroup, ...]:
    names = [endpoint.name for endpoint in subject.service.endpoints]
    groups = (
        ErrorGroup(kind="timeout", endpoint=names[0], count=failed // 2, example="no answer within 10 s"),
        ErrorGroup(kind="HTTP 503", endpoint=names[-1], count=failed - failed // 2, example='{"detail": "queue full"}'),
    )
    return tuple(group for group in groups if group.count)


def _generator(values: Mapping[str, float]) -> GeneratorFigures:
    return GeneratorFigures(
        version="locust 2.47.1, gevent 26.1.0",
        ended=COMPLETED,
        schedule_lag_p99_s=0.0008,
        start_lag_p99_s=0.0011,
        cpu_cores=0.62,
        wanted_cores=0.64,
        concurrency_peak=87,
        capped=0,
        clock_step_s=0.0002,
        wait_ratio=0.031,
        steal_ratio=0.002,
        distortion={name: 0.0002 for name in values if name.startswith("latency")},
    )


def timeseries(record: RunRecord, *, seed: int) -> str:
    """Return a ``timeseries.csv`` for a record: one row per second, slower during the warm-up."""
    rng = np.random.default_rng(seed)
    rate, warmup = round(record.load.requested_rate_rps), int(record.load.warmup_s)
    latencies = [record.metrics[f"latency_{name}"].value or 0.0 for name in ("p50", "p95", "p99")]
    lines = [HEADER]
    for second in range(warmup + int(record.load.duration_s)):
        settling = 1 + 1.5 * math.exp(-second / 15)
        p50, p95, p99 = np.sort(np.array(latencies) * settling * rng.lognormal(0, (0.04, 0.08, 0.15)))
        phase = "warmup" if second < warmup else "measured"
        lines.append(f"{second},{phase},{rate},{rate},{rate},0,{p50:.6f},{p95:.6f},{p99:.6f}")
    return "\n".join(lines) + "\n"
