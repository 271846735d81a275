"""From the raw record of a load to its figures.

Percentiles are exact: taken over all rows of the measured window at once, never averaged over seconds,
endpoints or workers (linear interpolation between order statistics; Hyndman & Fan 1996, type 7,
doi:10.1080/00031305.1996.10473566).

Which requests count towards latency: every one that was answered as it should be, and every one that timed
out or never came back, at the time it waited. A failure that was answered fast is left to the error rate: it
must not make a service look quick.

Throughput is what the service delivered: good answers that came within the measured window, whenever they
were due, over its length. Answers that come while the last requests are waited for do not count, else a
service that can do only half the rate would show all of it, served late.
"""

import io
import zlib
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from include.perf.errors import LoadError
from include.perf.histogram import Histogram
from include.perf.load_plan import REQUEST_COLUMNS, TIMED_OUT, UNFINISHED, GeneratorLog
from include.perf.metric import METRICS, MetricValue
from include.perf.ports import GENERATOR_FILE, REQUESTS_FILE, TIMESERIES_FILE
from include.perf.run import (
    EndpointFigures,
    ErrorGroup,
    GeneratorFigures,
    LoadFigures,
    Window,
    from_json,
)
from include.perf.worker_parts import texts

BLOCK_S, MIN_BLOCKS = 60, 5
"""A run's spread within itself is that of its minutes; fewer than five of them tell none."""

LATENCY_SHARES = {"latency_p50": 0.50, "latency_p95": 0.95, "latency_p99": 0.99}

_TYPES = {
    "due_at": "float64",
    "phase": "category",
    "endpoint": "category",
    "status": "int16",
    "schedule_lag_s": "float64",
    "start_lag_s": "float64",
    "service_time_s": "float64",
    "latency_s": "float64",
    "bytes": "int64",
    "error": "category",
}


def measure(folder: Path) -> LoadFigures:
    """Read what a load left in ``folder``, write its ``timeseries.csv`` and return its figures.

    Raises:
        LoadError: the record is missing or is not one.
    """
    log = _read_log(folder / GENERATOR_FILE)
    rows = read_requests(folder / REQUESTS_FILE)
    seconds = per_second(rows, started_at=log.started_at)
    seconds.to_csv(folder / TIMESERIES_FILE, index=False, float_format="%.6f")
    return figures(rows, log)


def _read_log(path: Path) -> GeneratorLog:
    try:
        return from_json(GeneratorLog, path.read_bytes(), where=str(path))
    except FileNotFoundError:
        raise LoadError(
            "the load generator ended without its summary: it was killed, or the machine ran out of memory; "
            f"the requests up to then are in {path.with_name(REQUESTS_FILE)}"
        ) from None


def read_requests(path: Path) -> pd.DataFrame:
    """Read ``requests.csv.gz``, also one that a killed process left without an end.

    Returns:
        (rows, REQUEST_COLUMNS), in the order in which the requests ended; an empty ``error`` is an answer
        that is as it should be.

    Raises:
        LoadError: the file is missing, or damaged in the middle.
    """
    try:
        text = b"".join(texts(path))
    except FileNotFoundError:
        raise LoadError(f"there is no {path}; the load never started") from None
    except zlib.error as err:
        raise LoadError(f"{path} is damaged ({err})") from err
    whole_lines = text[: text.rfind(b"\n") + 1]
    header, _, _ = whole_lines.partition(b"\n")
    if header.decode("ascii", errors="replace") != ",".join(REQUEST_COLUMNS):
        raise LoadError(f"{path} is not a record of requests: it begins with {header[:80]!r}")
    return pd.read_csv(io.BytesIO(whole_lines), dtype=_TYPES, keep_default_na=False)


def per_second(rows: pd.DataFrame, *, started_at: float) -> pd.DataFrame:
    """Sum up the requests by the second in which they were due.

    Returns:
        (seconds, 9): ``second`` since the schedule started, ``phase``, the counts ``due``, ``sent``,
        ``finished``, ``failed``, and latency percentiles in seconds, NaN where nothing counts.
    """
    second = np.floor(rows["due_at"].to_numpy() - started_at + 1e-6).astype(int)
    table = rows.assign(
        second=second,
        ok=rows["error"] == "",
        counted=_counts_for_latency(rows),
        went_out=_went_out(rows),
    )
    groups = table.groupby("second", sort=True)
    latencies = table[table["counted"]].groupby("second")["latency_s"]
    seconds = pd.DataFrame(
        {
            "phase": groups["phase"].first(),
            "due": groups.size(),
            "sent": groups["went_out"].sum(),
            "finished": groups["ok"].sum(),
            "failed": groups.size() - groups["ok"].sum(),
        }
    )
    for name, share in LATENCY_SHARES.items():
        seconds[f"{name}_s"] = latencies.quantile(share)
    return seconds.reset_index()


def _counts_for_latency(rows: pd.DataFrame) -> "pd.Series[bool]":
    return rows["error"].isin(["", TIMED_OUT, UNFINISHED])


def _went_out(rows: pd.DataFrame) -> "pd.Series[bool]":
    """Whether a request was sent at all: one that found no free slot until the end has no service time."""
    return (rows["error"] != UNFINISHED) | (rows["service_time_s"] > 0)


def figures(rows: pd.DataFrame, log: GeneratorLog) -> LoadFigures:
    """Return the figures of the measured window."""
    measured = rows[rows["phase"] == "measured"]
    window = Window(start=_utc(log.measured_from), end=_utc(log.measured_to))
    failed = int((measured["error"] != "").sum())
    sent_at = measured["due_at"] + measured["start_lag_s"]
    sent_inside = _went_out(measured) & (sent_at <= log.measured_to)
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
        metrics=_client_metrics(measured, delivered=_delivered(rows, log), window=window),
        endpoints=_endpoints(measured, log),
        errors=_errors(measured, log),
        generator=_generator(measured, log),
        within_run=_within_run(measured, log),
    )


def _within_run(measured: pd.DataFrame, log: GeneratorLog) -> dict[str, float]:
    """Return the standard deviation of the log of each latency over the minutes of the window."""
    blocks = int((log.measured_to - log.measured_from) // BLOCK_S)
    if blocks < MIN_BLOCKS:
        return {}
    block = np.floor((measured["due_at"].to_numpy() - log.measured_from) / BLOCK_S).astype(int)
    inside = measured.assign(block=block)[(block >= 0) & (block < blocks)]
    latencies = inside[_counts_for_latency(inside)].groupby("block")["latency_s"]
    spreads = {name: np.log(latencies.quantile(share)).std(ddof=1) for name, share in LATENCY_SHARES.items()}
    return {name: float(spread) for name, spread in spreads.items() if np.isfinite(spread)}


def _utc(unix_s: float) -> datetime:
    return datetime.fromtimestamp(unix_s, tz=UTC)


def _delivered(rows: pd.DataFrame, log: GeneratorLog) -> int:
    """Count the good answers that came within the measured window; some were due before it, in the warm-up."""
    answered_at = rows["due_at"] + rows["latency_s"]
    return int(((rows["error"] == "") & answered_at.between(log.measured_from, log.measured_to)).sum())


def _client_metrics(measured: pd.DataFrame, *, delivered: int, window: Window) -> dict[str, MetricValue]:
    values: dict[str, float | None] = dict(_latencies(measured))
    has_window = window.duration_s > 0 and len(measured) > 0
    values["throughput"] = delivered / window.duration_s if has_window else None
    values["error_rate"] = int((measured["error"] != "").sum()) / len(measured) if len(measured) else None
    reasons = {
        name: "no request was answered" if name in LATENCY_SHARES else "nothing was due in the measured window"
        for name, value in values.items()
        if value is None
    }
    return {
        name: MetricValue(value=value, unit=METRICS[name].unit, reason=reasons.get(name))
        for name, value in values.items()
    }


def _latencies(rows: pd.DataFrame) -> dict[str, float | None]:
    counted = rows.loc[_counts_for_latency(rows), "latency_s"].to_numpy()
    if not len(counted):
        return dict.fromkeys(LATENCY_SHARES)
    return {name: float(np.quantile(counted, share)) for name, share in LATENCY_SHARES.items()}


def _distortion(measured: pd.DataFrame) -> dict[str, float]:
    """Return by how many seconds each latency would be lower had every request been released when it was due."""
    reported = _latencies(measured)
    punctual = _latencies(measured.assign(latency_s=measured["latency_s"] - measured["schedule_lag_s"]))
    return {
        name: value - own
        for name, value in reported.items()
        if value is not None and (own := punctual[name]) is not None
    }


def _endpoints(measured: pd.DataFrame, log: GeneratorLog) -> tuple[EndpointFigures, ...]:
    return tuple(
        EndpointFigures(
            name=str(name),
            due=len(rows),
            failed=int((rows["error"] != "").sum()),
            rows=log.feed_rows.get(str(name), 0),
            **_latencies(rows),
        )
        for name, rows in measured.groupby("endpoint", observed=True, sort=True)
    )


def _errors(measured: pd.DataFrame, log: GeneratorLog) -> tuple[ErrorGroup, ...]:
    """Group the failed requests by endpoint and kind, most frequent first."""
    failed = measured[measured["error"] != ""]
    groups = [
        ErrorGroup(
            kind=str(kind),
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
    )
