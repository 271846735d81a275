"""Bellwether's metrics: families of gauges about cells, and their exposition to Prometheus.

An unknown value has no sample, never a zero. The format is Prometheus' text format, or OpenMetrics if requested.

Source: prometheus.io, "Exposition formats".
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Protocol, TypeVar

from prometheus_client.core import CollectorRegistry, GaugeMetricFamily
from prometheus_client.core import Metric as Family
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from include.perf.baselines.entry import Baseline
from include.perf.load.announcing import SentLoad
from include.perf.model.metric import METRICS, Metric
from include.perf.monitoring import names
from include.perf.monitoring.cell_status import CellStatus
from include.perf.monitoring.rule_limits import CellLimits
from include.perf.runs.record import Severity, Verdict
from include.perf.runs.run_index import RunEntry

Labels = tuple[str, ...]

Samples = Callable[[CellStatus], Mapping[Labels, float | None]]
"""Returns the values of a cell by its additional labels; ``None`` for no sample."""

T = TypeVar("T")


class Placed(Protocol):
    """Something in an environment."""

    @property
    def environment(self) -> str:
        """Name of the environment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CellGauge:
    """A family of gauges with at most one sample per cell and set of additional labels.

    Attributes:
        labels: names of the additional labels.
        about: returns what the environment is taken from; ``None`` for the environment of the catalogue.
    """

    name: str
    text: str
    samples: Samples
    labels: Labels = ()
    about: Callable[[CellStatus], Placed | None] = lambda _: None

    def family(self, statuses: Sequence[CellStatus]) -> Family:
        """Return the family with the samples of all cells."""
        family = GaugeMetricFamily(self.name, self.text, labels=(*names.CELL_LABELS, *self.labels))
        for status in statuses:
            placed = self.about(status)
            environment = placed.environment if placed else status.environment
            for labels, value in self.samples(status).items():
                if value is not None:
                    family.add_metric((status.cell.service, status.cell.scenario, environment, *labels), value)
        return family


def families_of(statuses: Sequence[CellStatus], *, as_of: datetime) -> Iterator[Family]:
    """Yield all families, including those without samples, so that their names are visible.

    Args:
        as_of: when the oldest part of the statuses was read.
    """
    for gauge in GAUGES:
        yield gauge.family(statuses)
    yield GaugeMetricFamily(
        names.STATE_TIMESTAMP,
        "Time at which the state behind all these metrics was read; it stands still while a store does not answer.",
        value=as_of.timestamp(),
    )


def _one(value: Callable[[CellStatus], float | None]) -> Samples:
    """Return the samples of a family with one sample per cell."""
    return lambda status: {(): value(status)}


def _of(part: Callable[[CellStatus], T | None], value: Callable[[T], float | None]) -> Samples:
    """Return the samples of a family about one part of a cell's status."""
    return _one(lambda status: None if (found := part(status)) is None else value(found))


def _latest(status: CellStatus) -> RunEntry | None:
    return status.latest


def _measured(status: CellStatus) -> RunEntry | None:
    return status.measured


def _loaded(status: CellStatus) -> RunEntry | None:
    return status.loaded


def _baseline(status: CellStatus) -> Baseline | None:
    return status.baseline


def _load(status: CellStatus) -> SentLoad | None:
    return status.load


def _verdicts(status: CellStatus) -> Mapping[Labels, float | None]:
    if status.latest is None:
        return {}
    return {(verdict.value,): float(verdict is status.latest.verdict) for verdict in Verdict}


def _shifts(status: CellStatus) -> Mapping[Labels, float | None]:
    shifts = status.measured.shifts if status.measured else {}
    return {(name,): shift.ratio for name, shift in shifts.items()}


def _baseline_info(status: CellStatus) -> Mapping[Labels, float | None]:
    baseline = status.baseline
    return {} if baseline is None else {(baseline.state_at(status.now).value, str(baseline.version)): 1.0}


def _problems(status: CellStatus) -> Mapping[Labels, float | None]:
    return {(severity.value,): float(status.problems.get(severity, 0)) for severity in Severity}


def _gauges_of(metric: Metric) -> Iterator[CellGauge]:
    """Yield the families about one of the eight metrics."""
    yield CellGauge(
        name=names.family(names.RUN, metric.name),
        text=f"{metric.title} of the latest measured run; the median if it was re-run.",
        samples=_of(_measured, lambda run: run.value_of(metric.name)),
        about=_measured,
    )
    yield CellGauge(
        name=names.family(names.BASELINE, metric.name),
        text=f"{metric.title} of the baseline.",
        samples=_of(_baseline, lambda baseline: baseline.metrics.get(metric.name)),
    )
    yield CellGauge(
        name=names.family(names.ALERT_LIMIT, metric.name),
        text=f"{metric.title} beyond which the alert rules fire.",
        labels=("severity",),
        samples=lambda status: _limits(status.limits, metric.name),
        about=lambda status: status.limits,
    )


def _limits(limits: CellLimits | None, name: str) -> Mapping[Labels, float | None]:
    limit = limits.metrics.get(name) if limits else None
    return {(severity,): value for severity, value in limit.by_severity.items()} if limit else {}


GAUGES = (
    *chain.from_iterable(map(_gauges_of, METRICS.values())),
    CellGauge(
        name=names.RUN_SHIFT,
        text="Change of the latest measured run from its baseline; 0.1 is an increase of 10 percent.",
        labels=("metric",),
        samples=_shifts,
        about=_measured,
    ),
    CellGauge(
        name=names.RUN_VERDICT,
        text="1 for the verdict of the latest run, 0 for all other verdicts.",
        labels=("verdict",),
        samples=_verdicts,
        about=_latest,
    ),
    CellGauge(
        name=names.RUN_TIMESTAMP,
        text="End of the latest finished run, whatever its verdict.",
        samples=_of(_latest, lambda run: run.ended_at.timestamp()),
        about=_latest,
    ),
    CellGauge(
        name=names.RUN_DURATION,
        text="Duration of the latest run that sent a load, from the first request to the end of the measured part.",
        samples=_of(_loaded, lambda run: (run.ended_at - run.started_at).total_seconds()),
        about=_loaded,
    ),
    CellGauge(
        name=names.GENERATOR_LAG,
        text="Schedule lag of the load generator in that run, 99th percentile.",
        samples=_of(_loaded, lambda run: run.generator_lag_p99_s),
        about=_loaded,
    ),
    CellGauge(
        name=names.GENERATOR_SATURATION,
        text="Share of a core that the busiest worker of the load generator needed in that run.",
        samples=_of(_loaded, lambda run: run.generator_saturation_ratio),
        about=_loaded,
    ),
    CellGauge(
        name=names.BASELINE_INFO,
        text="State and version of the baseline in force.",
        labels=("state", "version"),
        samples=_baseline_info,
    ),
    CellGauge(
        name=names.BASELINE_TIMESTAMP,
        text="Time of the last change of the baseline by a person.",
        samples=_of(_baseline, lambda baseline: baseline.approval.at.timestamp()),
    ),
    CellGauge(
        name=names.BASELINE_EXPIRY,
        text="Time from which the baseline is stale and raises no critical alert.",
        samples=_of(_baseline, lambda baseline: baseline.expires_at.timestamp()),
    ),
    CellGauge(
        name=names.BASELINE_RUNS,
        text="Number of runs in the baseline.",
        samples=_of(_baseline, lambda baseline: len(baseline.runs)),
    ),
    CellGauge(
        name=names.LOAD_RUNNING,
        text="1 while a load is running, 0 otherwise.",
        samples=_one(lambda status: float(status.is_loaded)),
    ),
    CellGauge(
        name=names.LOAD_START,
        text="Start of the latest load, including re-runs.",
        samples=_of(_load, lambda load: load.started_at.timestamp()),
    ),
    CellGauge(
        name=names.LOAD_END,
        text="End of the latest load; the latest possible end while it is running or if its end is unknown.",
        samples=_of(_load, lambda load: (load.ended_at or load.ends_by).timestamp()),
    ),
    CellGauge(
        name=names.OPEN_PROBLEMS,
        text="Open problems of the cell; a problem of several cells counts in each.",
        labels=("severity",),
        samples=_problems,
    ),
)
"""All gauges, in the order of the exposition."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposition:
    """Metrics in a text format."""

    content: bytes
    content_type: str


class _StatusCollector(Collector):
    """Collects the families of given statuses."""

    def __init__(self, statuses: Sequence[CellStatus], as_of: datetime) -> None:
        self._statuses = statuses
        self._as_of = as_of

    def collect(self) -> Iterable[Family]:
        """Return the families."""
        return families_of(self._statuses, as_of=self._as_of)


def exposition_of(statuses: Sequence[CellStatus], *, as_of: datetime, accept: str = "") -> Exposition:
    """Return the metrics of cells.

    Args:
        as_of: when the oldest part of the statuses was read.
        accept: the ``Accept`` header of the request.
    """
    registry = CollectorRegistry()
    registry.register(_StatusCollector(statuses, as_of))
    try:
        encode, content_type = choose_encoder(accept)
    except (TypeError, ValueError):  # raised for a malformed version
        encode, content_type = choose_encoder("")
    return Exposition(content=encode(registry), content_type=content_type)
