"""The service's own figures over time: ``server.csv``.

Every value is an average over `SCRAPES` scrape intervals around its second, within the run: a rate needs two samples at
least, and four keep one that is missing from leaving a gap. It is for looking at; figures that are judged come from
`include.perf.measure.scraping`.
"""

import csv
import io
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from include.perf.catalogue.prometheus_target import SERVER_METRICS
from include.perf.catalogue.service import Service
from include.perf.measure.metrics_source import MetricsSource
from include.perf.model.errors import PrometheusError, StoreError
from include.perf.model.metric import METRICS

log = logging.getLogger(__name__)

SCRAPES = 4
MAX_POINTS = 720
"""More than a chart can show; Prometheus itself refuses 11,000 and more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSeries:
    """Server-side metrics over time, ascending.

    Attributes:
        seconds: since the schedule started, warm-up included.
        values: by metric, an entry a second; ``None`` where there is no sample.
    """

    seconds: tuple[int, ...]
    values: Mapping[str, tuple[float | None, ...]]

    def to_csv(self) -> bytes:
        """Write it as the file."""
        columns = [self.values[name] for name in SERVER_METRICS]
        lines = [",".join(("second", *SERVER_METRICS))]
        for second, *row in zip(self.seconds, *columns, strict=True):
            lines.append(",".join([str(second), *("" if value is None else f"{value:.9g}" for value in row)]))
        return ("\n".join(lines) + "\n").encode()


def scrape_series(
    service: Service, *, started_at: datetime, ended_at: datetime, source: MetricsSource
) -> ServerSeries | None:
    """Ask Prometheus how each server-side metric went over a run; ``None`` where it knows of none.

    What cannot be had is told in the log only: the figures of the run do not depend on it.
    """
    found: dict[str, dict[int, float]] = {}
    for name in SERVER_METRICS:
        try:
            found[name] = _samples(service, name, started_at, ended_at, source)
        except PrometheusError as err:
            log.info("%s of %s over time could not be had: %s", METRICS[name].title, service.name, err)
            found[name] = {}
    seconds = tuple(sorted({second for samples in found.values() for second in samples}))
    if not seconds:
        return None
    return ServerSeries(
        seconds=seconds,
        values={name: tuple(samples.get(second) for second in seconds) for name, samples in found.items()},
    )


def _samples(
    service: Service, metric: str, started_at: datetime, ended_at: datetime, source: MetricsSource
) -> dict[int, float]:
    """Return the values of a metric by second; none of a run that is shorter than what is averaged over."""
    interval_s = service.prometheus.scrape_interval_s
    half_s = max(1, math.ceil(SCRAPES * interval_s / 2))
    total_s = (ended_at - started_at).total_seconds()
    step_s = max(1, math.ceil(interval_s), math.ceil(total_s / MAX_POINTS))
    first = started_at + timedelta(seconds=2 * half_s)  # asked at its end, an average is about its middle
    if first > ended_at:
        return {}
    query = service.prometheus.query(metric, window=f"{2000 * half_s}ms")
    samples = source.series(query, start=first, end=ended_at, step_s=step_s)
    return {round((sample.at - started_at).total_seconds()) - half_s: sample.value for sample in samples}


def read_server_series(content: bytes, *, where: str) -> ServerSeries | None:
    """Read the file; ``None`` when no second is in it.

    Raises:
        StoreError: the content is no such series; ``where`` says which file.
    """
    try:
        header, *rows = list(csv.reader(io.StringIO(content.decode("ascii")))) or [[]]
        if tuple(header) != ("second", *SERVER_METRICS):
            raise ValueError(f"the columns must be second,{','.join(SERVER_METRICS)}, but are {','.join(header)}")
        if not rows:
            return None
        seconds, *columns = zip(*rows, strict=True)
        return ServerSeries(
            seconds=tuple(int(second) for second in seconds),
            values={name: tuple(map(_number, column)) for name, column in zip(SERVER_METRICS, columns, strict=True)},
        )
    except ValueError as err:
        raise StoreError(f"{where} is not a server's figures over time: {err}") from err


def _number(cell: str) -> float | None:
    value = float(cell) if cell else None
    if value is not None and not math.isfinite(value):
        raise ValueError(f"a value must be finite, but is {cell}")
    return value
