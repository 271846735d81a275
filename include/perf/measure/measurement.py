"""From the raw record of a load to its figures.

**Percentiles** are exact: they are taken over all rows of the measured window, never averaged over seconds, endpoints
or workers. Linear interpolation between order statistics; Hyndman & Fan 1996, type 7,
doi:10.1080/00031305.1996.10473566.

**Latency** counts every good answer, and every request that timed out or had no answer when the load ended, with the
time that it waited. A failure that was answered counts only in the error rate: a fast error must not make a service
look fast.

**Throughput** = good answers received within the measured window / length of the window. Answers received after the
window, while the load waits for its last requests, do not count: otherwise a service that handles half the rate would
show the full rate, only late.

**Journeys.** All of these are made of requests, also where a request is a step of a journey, so none counts twice. A
journey as a whole has figures of its own: it fails if it does not reach its end, and its latency counts under the same
rule as that of a request.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from include.perf.load.load_plan import TIMED_OUT, UNFINISHED, GeneratorLog
from include.perf.measure.collapse import unreachable_in
from include.perf.measure.distribution import distribution_csv
from include.perf.measure.refusals import kind_of, refusals_in, refusals_of
from include.perf.measure.request_rows import read_record
from include.perf.measure.stalls import stalls_of
from include.perf.model.errors import LoadError
from include.perf.model.file_reader import read_item
from include.perf.model.file_writer import write_atomically
from include.perf.model.histogram import LEAST_S, STEP_RATIO, Histogram
from include.perf.model.json_files import from_json
from include.perf.model.metric import LATENCY_SHARES, METRICS, MIN_SAMPLES, MetricValue
from include.perf.runs.figures import (
    EndpointFigures,
    ErrorGroup,
    GeneratorFigures,
    JourneyFigures,
    LoadFigures,
    Window,
)
from include.perf.runs.results_store import DISTRIBUTION_FILE, GENERATOR_FILE, REQUESTS_FILE, TIMESERIES_FILE, max_bytes

BLOCK_S, MIN_BLOCKS = 60, 5
"""The spread within a run is that of its minutes; with fewer than five of them it is unknown."""

COLUMNS = (
    "due_at",
    "phase",
    "endpoint",
    "status",
    "schedule_lag_s",
    "start_lag_s",
    "service_time_s",
    "latency_s",
    "error",
)
"""The columns of the record that the figures need."""


def measure(folder: Path) -> LoadFigures:
    """Read the record of a load, write ``timeseries.csv`` and ``distribution.csv``, and return its figures.

    Raises:
        LoadError: the record is missing or invalid.
    """
    log = _read_log(folder / GENERATOR_FILE)
    rows, journeys = read_record(folder / REQUESTS_FILE, COLUMNS)
    seconds = per_second(rows, started_at=log.started_at)
    table = seconds.to_csv(index=False, float_format="%.6f").encode()
    write_atomically(folder / TIMESERIES_FILE, table, follow_link=False)
    write_atomically(folder / DISTRIBUTION_FILE, distribution_csv(_steps(rows)), follow_link=False)
    return figures(rows, log, journeys=journeys)


def _read_log(path: Path) -> GeneratorLog:
    content = read_item(path, what=str(path), limit=max_bytes(GENERATOR_FILE))
    if content is None:
        raise LoadError(
            "the load generator ended without a summary: it was killed, or the machine ran out of memory; "
            f"the requests up to then are in {path.with_name(REQUESTS_FILE)}"
        )
    return from_json(GeneratorLog, content, where=str(path))


def per_second(rows: pd.DataFrame, *, started_at: float) -> pd.DataFrame:
    """Aggregate the requests by the second in which they were due.

    Returns:
        (seconds, 9): ``second`` since the schedule started, ``phase``, the counts ``due``, ``sent``, ``finished``,
        ``failed``, and the latency percentiles in seconds, NaN when no request counts.
    """
    second = np.floor(rows["due_at"].to_numpy() - started_at + 1e-6).astype(np.int32)
    is_good, counted = rows["error"] == "", counts_for_latency(rows)
    due = rows.groupby(second, sort=True).size().rename_axis("second")
    finished = is_good.groupby(second).sum()
    seconds = pd.DataFrame(
        {
            "phase": rows["phase"].groupby(second).first(),
            "due": due,
            "sent": _went_out(rows).groupby(second).sum(),
            "finished": finished,
            "failed": due - finished,
        },
        index=due.index,
    )
    latencies = rows.loc[counted, "latency_s"].groupby(second[counted])
    for name, share in LATENCY_SHARES.items():
        seconds[f"{name}_s"] = latencies.quantile(share)
    return seconds.reset_index()


def _steps(rows: pd.DataFrame) -> dict[int, int]:
    """Count the latencies of the measured window by step of a `Histogram`."""
    counted = rows.loc[(rows["phase"] == "measured") & counts_for_latency(rows), "latency_s"].to_numpy()
    numbers = np.floor(np.log(np.maximum(counted, LEAST_S) / LEAST_S) / np.log(STEP_RATIO)).astype(np.int32)
    steps, counts = np.unique(numbers, return_counts=True)
    return dict(zip(steps.tolist(), counts.tolist(), strict=True))


def counts_for_latency(rows: pd.DataFrame) -> "pd.Series[bool]":
    """Return which requests count towards latency; see the docstring of the module."""
    return rows["error"].isin(["", TIMED_OUT, UNFINISHED])


def _went_out(rows: pd.DataFrame) -> "pd.Series[bool]":
    """Return which requests were sent: one that never got a free connection has no service time."""
    return (rows["error"] != UNFINISHED) | (rows["service_time_s"] > 0)


def figures(rows: pd.DataFrame, log: GeneratorLog, *, journeys: pd.DataFrame | None = None) -> LoadFigures:
    """Return the figures of the measured window.

    Args:
        rows: of the requests.
        journeys: the rows of journeys as a whole.
    """
    measured = rows[rows["phase"] == "measured"]
    window = Window(start=_utc(log.measured_from), end=_utc(log.measured_to))
    failed = int((measured["error"] != "").sum())
    sent_at = measured["due_at"] + measured["start_lag_s"]
    sent_inside = _went_out(measured) & (sent_at <= log.measured_to)
    refusals = refusals_of(rows)
    return LoadFigures(
        started_at=_utc(log.started_at),
        window=window,
        due=len(measured),
        sent=int(sent_inside.sum()),
        finished=len(measured) - failed,
        failed=failed,
        timed_out=int((measured["error"] == TIMED_OUT).sum()),
        unfinished=int((measured["error"] == UNFINISHED).sum()),
        arrivals=log.arrivals,
        rows=len(rows),
        recorded=log.rows,
        measured_arrivals=log.measured_arrivals,
        notes=tuple(sentence.replace("{count}", f"{count:,}") for sentence, count in log.notes.items()),
        metrics=_client_metrics(measured, delivered=len(_delivered(rows, log)), window=window),
        endpoints=_endpoints(measured, log, delivered=_delivered(rows, log)),
        journeys=() if journeys is None else _journeys(journeys[journeys["phase"] == "measured"]),
        errors=_errors(measured, log, refusals),
        generator=_generator(measured, log),
        within_run=_within_run(measured, log),
        stalls=stalls_of(rows, started_at=log.started_at),
        refusals=refusals_in(measured, refusals, started_at=log.started_at),
        unreachable=unreachable_in(rows, started_at=log.started_at),
    )


def _within_run(measured: pd.DataFrame, log: GeneratorLog) -> dict[str, float]:
    """Return the standard deviation of the log of each latency over the minutes of the window."""
    blocks = int((log.measured_to - log.measured_from) // BLOCK_S)
    if blocks < MIN_BLOCKS:
        return {}
    block = np.floor((measured["due_at"].to_numpy() - log.measured_from) / BLOCK_S).astype(np.int32)
    inside = (block >= 0) & (block < blocks) & counts_for_latency(measured).to_numpy()
    latencies = measured.loc[inside, "latency_s"].groupby(block[inside])
    spreads = {name: np.log(latencies.quantile(share)).std(ddof=1) for name, share in LATENCY_SHARES.items()}
    return {name: float(spread) for name, spread in spreads.items() if np.isfinite(spread)}


def _utc(unix_s: float) -> datetime:
    return datetime.fromtimestamp(unix_s, tz=UTC)


def _delivered(rows: pd.DataFrame, log: GeneratorLog) -> pd.DataFrame:
    """Return the good answers received within the measured window; some were due before it, in the warm-up."""
    answered_at = rows["due_at"] + rows["latency_s"]
    return rows[(rows["error"] == "") & answered_at.between(log.measured_from, log.measured_to)]


def _client_metrics(measured: pd.DataFrame, *, delivered: int, window: Window) -> dict[str, MetricValue]:
    has_window = window.duration_s > 0 and len(measured) > 0
    values = {
        "throughput": delivered / window.duration_s if has_window else None,
        "error_rate": int((measured["error"] != "").sum()) / len(measured) if len(measured) else None,
    }
    nothing = "nothing was due in the measured window"
    return {
        **_latency_metrics(measured),
        **{
            name: MetricValue(value=value, unit=METRICS[name].unit, reason=nothing if value is None else None)
            for name, value in values.items()
        },
    }


def _latency_metrics(measured: pd.DataFrame) -> dict[str, MetricValue]:
    """Return the percentiles; one that failures left too few latencies for is absent, with the reason."""
    counted = int(counts_for_latency(measured).sum())
    failed = measured.loc[~counts_for_latency(measured), "error"]
    metrics = {}
    for name, value in _latencies(measured).items():
        reason = None
        if not len(measured):
            reason = "nothing was due in the measured window"
        elif len(failed) and counted < MIN_SAMPLES[name]:
            reason = f"{len(failed)} of {len(measured)} requests failed, mostly with {failed.mode().iloc[0]}"
            if counted:
                reason += f", and the {counted} others are too few for it (at least {MIN_SAMPLES[name]} are needed)"
        metrics[name] = MetricValue(value=None if reason else value, unit=METRICS[name].unit, reason=reason)
    return metrics


def _latencies(rows: pd.DataFrame) -> dict[str, float | None]:
    counted = rows.loc[counts_for_latency(rows), "latency_s"].to_numpy()
    if not len(counted):
        return dict.fromkeys(LATENCY_SHARES)
    return {name: float(np.quantile(counted, share)) for name, share in LATENCY_SHARES.items()}


def _distortion(measured: pd.DataFrame) -> dict[str, float]:
    """Return by how many seconds each latency would be lower if every request had been released when it was due."""
    reported = _latencies(measured)
    punctual_s = measured["latency_s"] - measured["schedule_lag_s"]
    punctual = _latencies(measured[["error"]].assign(latency_s=punctual_s))
    return {
        name: value - own
        for name, value in reported.items()
        if value is not None and (own := punctual[name]) is not None
    }


def _endpoints(measured: pd.DataFrame, log: GeneratorLog, *, delivered: pd.DataFrame) -> tuple[EndpointFigures, ...]:
    window_s = log.measured_to - log.measured_from
    answered = delivered["endpoint"].value_counts()
    return tuple(
        EndpointFigures(
            name=str(name),
            due=len(rows),
            failed=int((rows["error"] != "").sum()),
            rows=log.feed_rows.get(str(name), 0),
            throughput=int(answered.get(name, 0)) / window_s if window_s > 0 else None,
            **_latencies(rows),
        )
        for name, rows in measured[["endpoint", "latency_s", "error"]].groupby("endpoint", observed=True, sort=True)
    )


def _journeys(measured: pd.DataFrame) -> tuple[JourneyFigures, ...]:
    return tuple(
        JourneyFigures(
            name=str(name),
            due=len(rows),
            abandoned=int((rows["error"] != "").sum()),
            reasons={str(kind): int(n) for kind, n in rows["error"].value_counts().items() if kind and n},
            **_latencies(rows),
        )
        for name, rows in measured[["endpoint", "latency_s", "error"]].groupby("endpoint", observed=True, sort=True)
    )


def _errors(measured: pd.DataFrame, log: GeneratorLog, refusals: Mapping[str, float]) -> tuple[ErrorGroup, ...]:
    """Group the failed requests by endpoint and kind, most frequent first."""
    failed = measured[measured["error"] != ""]
    groups = [
        ErrorGroup(
            kind=kind_of(str(kind), str(endpoint), refusals),
            endpoint=str(endpoint),
            count=len(rows),
            example=log.error_examples.get(f"{endpoint} {kind}", ""),
        )
        for (endpoint, kind), rows in failed.groupby(["endpoint", "error"], observed=True, sort=True)
    ]
    return tuple(sorted(groups, key=lambda group: -group.count))


def _generator(measured: pd.DataFrame, log: GeneratorLog) -> GeneratorFigures:
    start_lags = measured["start_lag_s"].to_numpy()
    return GeneratorFigures(
        version=log.version,
        ended=log.ended,
        schedule_lag_p99_s=Histogram(log.schedule_lags).quantile(0.99) or 0.0,
        start_lag_p99_s=float(np.quantile(start_lags, 0.99)) if len(start_lags) else 0.0,
        cpu_cores=log.cpu_cores,
        wanted_cores=log.wanted_cores,
        concurrency_peak=log.concurrency_peak,
        capped=log.capped,
        clock_step_s=log.clock_step_s,
        wait_ratio=log.wait_ratio,
        steal_ratio=log.steal_ratio,
        distortion=_distortion(measured),
        workers=log.workers,
        lost_workers=log.lost_workers,
        hosts=log.hosts,
        clock_uncertainty_s=log.clock_uncertainty_s,
        clock_drift_s=log.clock_drift_s,
        resent=log.resent,
        requests_by_address=log.requests_by_address,
    )
