"""Records of runs for tests: a healthy market-open run, with changes.

Every builder takes what differs and fills in the rest, so a test shows only what matters to it.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from include.perf.model.metric import METRICS, MetricValue
from include.perf.runs.figures import COMPLETED, EndpointFigures, ErrorGroup, GeneratorFigures, Window
from include.perf.runs.phrases import limit_sentence
from include.perf.runs.record import (
    BaselineReference,
    Deviation,
    ExceededLimit,
    LoadSummary,
    Provenance,
    RunRecord,
    Severity,
    Shift,
    Verdict,
)
from include.perf.runs.results_store import TIMESERIES_FILE

START = datetime(2026, 3, 2, 6, 40, tzinfo=UTC)
END = datetime(2026, 3, 2, 6, 55, tzinfo=UTC)

BASELINE_METRICS = {
    "latency_p50": 0.0183,
    "latency_p95": 0.0421,
    "latency_p99": 0.0876,
    "throughput": 499.4,
    "error_rate": 0.0002,
    "cpu_usage": 1.84,
    "memory_usage": 782.0 * 1024**2,
    "disk_usage": 0.412,
}
HEALTHY_METRICS = {
    "latency_p50": 0.0185,
    "latency_p95": 0.0424,
    "latency_p99": 0.0882,
    "throughput": 499.5,
    "error_rate": 0.0003,
    "cpu_usage": 1.87,
    "memory_usage": 790.5 * 1024**2,
    "disk_usage": 0.413,
}
TIMESERIES_HEADER = "second,phase,due,sent,finished,failed,latency_p50_s,latency_p95_s,latency_p99_s"


def metric_values(**values: float | str | None) -> dict[str, MetricValue]:
    """Return the eight healthy metrics with some replaced; a string is the reason for a missing value."""
    merged: dict[str, float | str | None] = {**HEALTHY_METRICS, **values}
    return {
        name: MetricValue(value=None, unit=METRICS[name].unit, reason=given)
        if isinstance(given, str)
        else MetricValue(value=given, unit=METRICS[name].unit)
        for name, given in merged.items()
    }


def baseline_reference(**overrides: Any) -> BaselineReference:
    """Return an approved baseline of fourteen runs."""
    reference = BaselineReference(
        version=3,
        state="approved",
        runs=14,
        approved_at=datetime(2026, 2, 14, 9, 30, tzinfo=UTC),
        metrics=BASELINE_METRICS,
    )
    return replace(reference, **overrides)


def deviation(name: str, value: float, **overrides: Any) -> Deviation:
    """Return the deviation of a metric from :data:`BASELINE_METRICS`, or from ``baseline``."""
    metric = METRICS[name]
    baseline = overrides.pop("baseline", BASELINE_METRICS[name])
    change = value - baseline
    made = Deviation(
        metric=name,
        unit=metric.unit,
        baseline=baseline,
        value=value,
        shift=Shift(ratio=change / baseline if baseline else None, absolute=change),
        is_worse=metric.worsening(baseline=baseline, value=value) > 0,
        severity=Severity.CRITICAL,
        reason=f"{metric.title} is beyond both thresholds and confirmed",
    )
    return replace(made, **overrides)


def generator_figures(**overrides: Any) -> GeneratorFigures:
    """Return a generator that kept up."""
    figures = GeneratorFigures(
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
        distortion={"latency_p50": 0.0001, "latency_p95": 0.0003, "latency_p99": 0.0004},
    )
    return replace(figures, **overrides)


def endpoint_figures(**overrides: Any) -> EndpointFigures:
    """Return an endpoint with half of the load: 500 rps / 2 × 900 s = 225 000 requests due."""
    figures = EndpointFigures(
        name="market", due=225_000, failed=60, latency_p50=0.0171, latency_p95=0.0398, latency_p99=0.0811, rows=2_000
    )
    return replace(figures, **overrides)


def load_summary(**overrides: Any) -> LoadSummary:
    """Return the load of a market-open run: 500 rps × 900 s = 450 000 requests due."""
    summary = LoadSummary(
        requested_rate_rps=500.0,
        achieved_rate_rps=499.9,
        duration_s=900.0,
        warmup_s=60.0,
        due=450_000,
        sent=449_910,
        finished=449_865,
        failed=135,
        timed_out=98,
        unfinished=2,
    )
    return replace(summary, **overrides)


def run_record(**overrides: Any) -> RunRecord:
    """Return the record of a healthy market-open run; any field may be replaced."""
    record = RunRecord(
        run_id="20260302T063900Z-7f3a",
        service="analysis-engine-service",
        scenario="market_open",
        environment="staging",
        started_at=datetime(2026, 3, 2, 6, 38, 57, tzinfo=UTC),
        window=Window(start=START, end=END),
        load=load_summary(),
        metrics=metric_values(),
        fingerprint={
            "load": "9f2c61d0",
            "data": "41aa07be",
            "environment": "c3d90e55",
            "generator": "0b7712fe",
        },
        validity=(),
        verdict=Verdict.PASS,
        reasons=("no significant change against baseline version 3 (14 nights)",),
        deviations=(),
        baseline=baseline_reference(),
        endpoints=(
            endpoint_figures(),
            endpoint_figures(name="signals", failed=75, latency_p50=0.0197, latency_p95=0.0447, latency_p99=0.0934),
        ),
        errors=(
            ErrorGroup(kind="timeout", endpoint="signals", count=98, example="no answer within 10 s"),
            ErrorGroup(kind="HTTP 503", endpoint="market", count=37, example='{"detail": "queue is full"}'),
        ),
        generator=generator_figures(),
        provenance=Provenance(
            dag_id="market_open",
            dag_run_id="scheduled__2026-03-02T06:30:00+00:00",
            triggered_by="schedule",
            update_baseline=False,
            reason=None,
            versions={"bellwether": "1.0.0", "locust": "2.47.1", "python": "3.11.9"},
        ),
    )
    return replace(record, **overrides)


def regressed_record(*deviations: Deviation, **overrides: Any) -> RunRecord:
    """Return a run whose metrics deviate; by default p95 by 45 %: 61.2 ms, was 42.1 ms."""
    found = deviations or (
        deviation("latency_p95", 0.0612, shift=Shift(ratio=0.4537, absolute=0.0191, low=0.38, high=0.52)),
    )
    values: dict[str, float | str | None] = {deviation.metric: deviation.value for deviation in found}
    changes: dict[str, Any] = {
        "verdict": Verdict.REGRESSION,
        "reasons": tuple(deviation.reason + "." for deviation in found),
        "deviations": found,
        "metrics": metric_values(**values),
        "baseline": baseline_reference(
            metrics=BASELINE_METRICS | {deviation.metric: deviation.baseline for deviation in found}
        ),
        **overrides,
    }
    return run_record(**changes)


def record_of(verdict: Verdict) -> RunRecord:
    """Return a typical record of each verdict."""
    match verdict:
        case Verdict.PASS:
            return run_record()
        case Verdict.REGRESSION:
            return regressed_record()
        case Verdict.OVER_LIMIT:
            return over_limit_record()
        case Verdict.IMPROVEMENT:
            faster = deviation("latency_p95", 0.0300, severity=Severity.DIGEST)
            return regressed_record(faster, verdict=verdict)
        case Verdict.NO_BASELINE:
            reason = "there is no baseline yet; to record one, trigger a run with update_baseline"
            return run_record(verdict=verdict, baseline=None, reasons=(reason,))
        case Verdict.NOT_COMPARABLE:
            reason = "the data differs from the baseline's: run 41aa07be, baseline 9d00c3f1"
            return run_record(verdict=verdict, reasons=(reason,))
        case Verdict.INVALID:
            return _invalid_record()
        case Verdict.SKIPPED:
            return _skipped_record()


def exceeded_limit(**overrides: Any) -> ExceededLimit:
    """Return an error rate of 8 %, beyond the limit of 5 %, in three runs."""
    exceeded = ExceededLimit(
        metric="error_rate",
        unit=METRICS["error_rate"].unit,
        limit=0.05,
        value=0.08,
        severity=Severity.CRITICAL,
        evidence="confirmed by the median of 3 runs",
    )
    return replace(exceeded, **overrides)


def over_limit_record(*exceeded: ExceededLimit, **overrides: Any) -> RunRecord:
    """Return a run beyond its limits; by default 8 % of its requests failed, and nothing else changed."""
    found = exceeded or overrides.get("exceeded", (exceeded_limit(),))
    changes: dict[str, Any] = {
        "verdict": Verdict.OVER_LIMIT,
        "reasons": tuple(f"{limit_sentence(limit)} ({limit.evidence})" for limit in found),
        "metrics": metric_values(**{limit.metric: limit.value for limit in found if not limit.endpoint}),
        "exceeded": found,
        "limits": {"error_rate": 0.05},
        "shifts": {"latency_p95": Shift(ratio=0.0071, absolute=0.0003)},
        **overrides,
    }
    return run_record(**changes)


def _invalid_record() -> RunRecord:
    return run_record(
        verdict=Verdict.INVALID,
        validity=(
            "the load generator could not keep up: it sent 451.0/s of 500/s requested (at least 98 % are needed); "
            "request a lower rate, or give it a dedicated core",
            "Prometheus has 80 % of the service's scrapes in the measured window (at least 95 % are needed); check the "
            "target in Prometheus",
        ),
        reasons=("the run is invalid, so nothing was compared",),
        notes=("the clock of this machine was set by +1.20 s during the run",),
        metrics=metric_values(cpu_usage="only 80 % of the scrapes succeeded", memory_usage="no data"),
        # 450 000 due, 405 900 sent in 900 s = 451 rps
        load=load_summary(achieved_rate_rps=451.0, sent=405_900, finished=405_000, failed=45_000),
        generator=generator_figures(schedule_lag_p99_s=2.31, cpu_cores=0.99, wanted_cores=1.34, capped=1200),
    )


def _skipped_record() -> RunRecord:
    nothing = dict.fromkeys(HEALTHY_METRICS, "no load was sent")
    return run_record(
        verdict=Verdict.SKIPPED,
        window=None,
        reasons=("the market opens in 4 min, and the run needs 16; the next chance is tomorrow at 06:30 UTC",),
        metrics=metric_values(**nothing),
        load=LoadSummary(
            requested_rate_rps=500.0,
            achieved_rate_rps=None,
            duration_s=900.0,
            warmup_s=60.0,
            due=None,
            sent=None,
            finished=None,
            failed=None,
            timed_out=None,
            unfinished=None,
        ),
        endpoints=(),
        errors=(),
        generator=None,
        baseline=None,
    )


def write_timeseries(folder: Path, rows: list[str]) -> Path:
    """Write a run's ``timeseries.csv`` from lines without the header."""
    path = folder / TIMESERIES_FILE
    path.write_text("\n".join([TIMESERIES_HEADER, *rows]) + "\n", encoding="utf-8")
    return path


def timeseries_rows(
    *,
    rate_rps: int = 500,
    warmup_s: int = 60,
    duration_s: int = 900,
    p50_s: float = 0.0185,
    p95_s: float = 0.0424,
    failures: Mapping[int, int] | None = None,
    slow: tuple[range, float] = (range(0), 1.0),
    seed: int = 20260101,
) -> list[str]:
    """Return seeded seconds of a load: ``failures`` by second; the latency of ``slow`` seconds is multiplied."""
    random = np.random.default_rng(seed)
    rows = []
    for second in range(warmup_s + duration_s):
        failed = (failures or {}).get(second, 0)
        settling = 1 + 1.5 * np.exp(-second / 15)
        factor = settling * (slow[1] if second in slow[0] else 1.0)
        p50 = p50_s * factor * random.lognormal(0, 0.04)
        p95 = p95_s * factor * random.lognormal(0, 0.08)
        p99 = max(p95 * 1.05, p95_s * 2.1 * factor * random.lognormal(0, 0.18))
        phase = "warmup" if second < warmup_s else "measured"
        counts = f"{rate_rps},{rate_rps},{rate_rps - failed},{failed}"
        rows.append(f"{second},{phase},{counts},{p50:.6f},{p95:.6f},{p99:.6f}")
    return rows
