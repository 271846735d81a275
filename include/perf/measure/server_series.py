"""The server-side metrics of a run over time: ``server.csv``.

Every value is an average over `SCRAPES` scrape intervals around its second, within the run: a rate needs at least two
samples, and with four a missing one leaves no gap. The series is only displayed; the verdict uses the figures of
`include.perf.measure.scraping`.
"""

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from include.perf.catalogue.prometheus_target import SERVER_METRICS
from include.perf.catalogue.service import Service
from include.perf.measure.metrics_source import MetricsSource
from include.perf.measure.number_table import TableProblem, integer, number, read_rows
from include.perf.model.errors import ItemError, PrometheusError
from include.perf.model.metric import METRICS

log = logging.getLogger(__name__)

SCRAPES = 4
MAX_POINTS = 720
"""More than a chart can show; Prometheus refuses 11,000 and more."""

COLUMNS = ("second", *SERVER_METRICS)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSeries:
    """Server-side metrics over time, ascending.

    Attributes:
        seconds: since the schedule started, warm-up included.
        values: by metric, one entry per second; ``None`` without a sample.
    """

    seconds: tuple[int, ...]
    values: Mapping[str, tuple[float | None, ...]]

    def to_csv(self) -> bytes:
        """Return the file."""
        columns = [self.values[name] for name in SERVER_METRICS]
        lines = [",".join(COLUMNS)]
        for second, *row in zip(self.seconds, *columns, strict=True):
            lines.append(",".join([str(second), *("" if value is None else f"{value:.9g}" for value in row)]))
        return ("\n".join(lines) + "\n").encode()


def scrape_series(
    service: Service, *, started_at: datetime, ended_at: datetime, source: MetricsSource
) -> ServerSeries | None:
    """Return the server-side metrics over a run from Prometheus; ``None`` when it has none of them.

    A metric that cannot be read is only logged: the figures of the run do not depend on it.
    """
    found: dict[str, dict[int, float]] = {}
    for name in SERVER_METRICS:
        try:
            found[name] = _samples(service, name, started_at, ended_at, source)
        except PrometheusError as err:
            log.info("cannot read %s of %s over time: %s", METRICS[name].title, service.name, err)
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
    """Return the values of a metric by second; none for a run that is shorter than the averaging window."""
    interval_s = service.prometheus.scrape_interval_s
    half_s = max(1, math.ceil(SCRAPES * interval_s / 2))
    total_s = (ended_at - started_at).total_seconds()
    step_s = max(1, math.ceil(interval_s), math.ceil(total_s / MAX_POINTS))
    first = started_at + timedelta(seconds=2 * half_s)  # a query at the end of a window gives the average of its middle
    if first > ended_at:
        return {}
    query = service.prometheus.query(metric, window=f"{2000 * half_s}ms")
    samples = source.series(query, start=first, end=ended_at, step_s=step_s)
    return {round((sample.at - started_at).total_seconds()) - half_s: sample.value for sample in samples}


def read_server_series(content: bytes, *, where: str) -> ServerSeries | None:
    """Read the file; ``None`` when it has no rows.

    Args:
        where: what messages call the file.

    Raises:
        ItemError: the content is not such a series.
    """
    try:
        rows = read_rows(content, COLUMNS)
        if not rows:
            return None
        seconds, *columns = zip(*rows, strict=True)
        return ServerSeries(
            seconds=tuple(map(integer, seconds)),
            values={name: tuple(map(_value, column)) for name, column in zip(SERVER_METRICS, columns, strict=True)},
        )
    except TableProblem as err:
        raise ItemError(f"{where} is not a series of server-side metrics: {err}") from err


def _value(field: str) -> float | None:
    value = number(field) if field else None
    if value is not None and not math.isfinite(value):
        raise TableProblem(f"a value must be finite, but is {field}")
    return value
