"""From how cells stand to families of metrics; what is not known has no sample, and never a zero.

The metrics as Prometheus reads them: its own text format, or OpenMetrics for those who ask for it.

Source: prometheus.io, "Exposition formats".
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
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
from include.perf.monitoring.rule_limits import CellLimits
from include.perf.monitoring.standings import Standing
from include.perf.runs.record import Severity, Verdict
from include.perf.runs.run_index import RunEntry

Labels = tuple[str, ...]

Samples = Callable[[Standing], Mapping[Labels, float | None]]
"""Returns the values of a cell by its further labels; ``None`` is for no sample."""

T = TypeVar("T")


class Placed(Protocol):
    """What belongs to an environment."""

    @property
    def environment(self) -> str:
        """Its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CellGauge:
    """A family with at most one sample a cell and set of further labels.

    Attributes:
        labels: beyond those of every cell.
        about: whose environment is meant, where it is not the catalogue's.
    """

    name: str
    text: str
    samples: Samples
    labels: Labels = ()
    about: Callable[[Standing], Placed | None] = lambda _: None

    def family(self, standings: Sequence[Standing]) -> Family:
        """Return the family of all cells."""
        family = GaugeMetricFamily(self.name, self.text, labels=(*names.CELL_LABELS, *self.labels))
        for standing in standings:
            placed = self.about(standing)
            environment = placed.environment if placed else standing.environment
            for labels, value in self.samples(standing).items():
                if value is not None:
                    family.add_metric((standing.cell.service, standing.cell.scenario, environment, *labels), value)
        return family


def families_of(standings: Sequence[Standing]) -> Iterator[Family]:
    """Yield every family there is, those without a sample too: their names say what may come."""
    for gauge in GAUGES:
        yield gauge.family(standings)


def _one(value: Callable[[Standing], float | None]) -> Samples:
    """Return the samples of a family that has one a cell."""
    return lambda standing: {(): value(standing)}


def _of(part: Callable[[Standing], T | None], value: Callable[[T], float | None]) -> Samples:
    """Return the samples of a family that tells of one part of how a cell stands."""
    return _one(lambda standing: None if (found := part(standing)) is None else value(found))


def _latest(standing: Standing) -> RunEntry | None:
    return standing.latest


def _measured(standing: Standing) -> RunEntry | None:
    return standing.measured


def _loaded(standing: Standing) -> RunEntry | None:
    return standing.loaded


def _baseline(standing: Standing) -> Baseline | None:
    return standing.baseline


def _load(standing: Standing) -> SentLoad | None:
    return standing.load


def _verdicts(standing: Standing) -> Mapping[Labels, float | None]:
    if standing.latest is None:
        return {}
    return {(verdict.value,): float(verdict is standing.latest.verdict) for verdict in Verdict}


def _shifts(standing: Standing) -> Mapping[Labels, float | None]:
    shifts = standing.measured.shifts if standing.measured else {}
    return {(name,): shift.ratio for name, shift in shifts.items()}


def _baseline_info(standing: Standing) -> Mapping[Labels, float | None]:
    baseline = standing.baseline
    return {} if baseline is None else {(baseline.state_at(standing.now).value, str(baseline.version)): 1.0}


def _problems(standing: Standing) -> Mapping[Labels, float | None]:
    return {(severity.value,): float(standing.problems.get(severity, 0)) for severity in Severity}


def _gauges_of(metric: Metric) -> Iterator[CellGauge]:
    """Yield the families that there are of each of the eight metrics."""
    yield CellGauge(
        name=names.family(names.RUN, metric.name),
        text=f"{metric.title} of the latest measured run, with re-runs the median.",
        samples=_of(_measured, lambda run: run.value_of(metric.name)),
        about=_measured,
    )
    yield CellGauge(
        name=names.family(names.BASELINE, metric.name),
        text=f"{metric.title} that runs are held to.",
        samples=_of(_baseline, lambda baseline: baseline.metrics.get(metric.name)),
    )
    yield CellGauge(
        name=names.family(names.ALERT_LIMIT, metric.name),
        text=f"{metric.title} beyond which the alert rules fire.",
        labels=("severity",),
        samples=lambda standing: _limits(standing.limits, metric.name),
        about=lambda standing: standing.limits,
    )


def _limits(limits: CellLimits | None, name: str) -> Mapping[Labels, float | None]:
    limit = limits.metrics.get(name) if limits else None
    return {(severity,): value for severity, value in limit.by_severity.items()} if limit else {}


GAUGES = (
    *chain.from_iterable(map(_gauges_of, METRICS.values())),
    CellGauge(
        name=names.RUN_SHIFT,
        text="Change of the latest measured run against its baseline, 0.1 being 10 percent more.",
        labels=("metric",),
        samples=_shifts,
        about=_measured,
    ),
    CellGauge(
        name=names.RUN_VERDICT,
        text="1 for the verdict of the latest run, 0 for every other one.",
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
        text="From the first request to the end of the measured part, of the latest run that sent a load.",
        samples=_of(_loaded, lambda run: (run.ended_at - run.started_at).total_seconds()),
        about=_loaded,
    ),
    CellGauge(
        name=names.GENERATOR_LAG,
        text="How late the generator released arrivals of that run, 99th percentile; its own fault.",
        samples=_of(_loaded, lambda run: run.generator_lag_p99_s),
        about=_loaded,
    ),
    CellGauge(
        name=names.GENERATOR_SATURATION,
        text="Share of a core that the busiest worker of the generator wanted in that run.",
        samples=_of(_loaded, lambda run: run.generator_saturation_ratio),
        about=_loaded,
    ),
    CellGauge(
        name=names.BASELINE_INFO,
        text="The baseline in force: how far it can be trusted, and its version.",
        labels=("state", "version"),
        samples=_baseline_info,
    ),
    CellGauge(
        name=names.BASELINE_TIMESTAMP,
        text="When the baseline was last changed by somebody.",
        samples=_of(_baseline, lambda baseline: baseline.approval.at.timestamp()),
    ),
    CellGauge(
        name=names.BASELINE_EXPIRY,
        text="From when on the baseline is stale and alarms nobody.",
        samples=_of(_baseline, lambda baseline: baseline.expires_at.timestamp()),
    ),
    CellGauge(
        name=names.BASELINE_RUNS,
        text="Runs behind the baseline.",
        samples=_of(_baseline, lambda baseline: len(baseline.runs)),
    ),
    CellGauge(
        name=names.LOAD_RUNNING,
        text="1 while a load goes out, 0 otherwise.",
        samples=_one(lambda standing: float(standing.is_loaded)),
    ),
    CellGauge(
        name=names.LOAD_START,
        text="Start of the latest load, re-runs among them.",
        samples=_of(_load, lambda load: load.started_at.timestamp()),
    ),
    CellGauge(
        name=names.LOAD_END,
        text="End of the latest load; while it goes out, and where nobody said, when it has to be over.",
        samples=_of(_load, lambda load: (load.ended_at or load.ends_by).timestamp()),
    ),
    CellGauge(
        name=names.OPEN_PROBLEMS,
        text="Open problems that have to do with the cell; one of several cells counts in each.",
        labels=("severity",),
        samples=_problems,
    ),
)
"""All there are, in the order in which they are written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposition:
    """Metrics, ready to be sent."""

    content: bytes
    content_type: str


class _Standings(Collector):
    """Collects what was found out already."""

    def __init__(self, standings: Sequence[Standing]) -> None:
        self._standings = standings

    def collect(self) -> Iterable[Family]:
        """Return the families."""
        return families_of(self._standings)


def exposition_of(standings: Sequence[Standing], *, accept: str = "") -> Exposition:
    """Return the metrics of cells.

    Args:
        accept: which formats the reader takes, as the header of that name says.
    """
    registry = CollectorRegistry()
    registry.register(_Standings(standings))
    try:
        encode, content_type = choose_encoder(accept)
    except (TypeError, ValueError):  # on a version that is none
        encode, content_type = choose_encoder("")
    return Exposition(content=encode(registry), content_type=content_type)
