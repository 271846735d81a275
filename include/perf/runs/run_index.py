"""The index of runs: holds what lists and charts of many runs show, without reading thousands of records.

It is a cache: ``run.json`` is authoritative, only the index itself writes to it, and it can be rebuilt at any time.
Verdicts never depend on it.
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from urllib.parse import unquote

from include.perf.model.bounds import Amount, Change, Count, Moment, Name
from include.perf.model.cell import CellName
from include.perf.runs.figures import Window
from include.perf.runs.phrases import exceeded_of, headline, shift_of
from include.perf.runs.record import Cause, Deviation, ExceededLimit, RunRecord, Severity, Shift, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryDeviation:
    """A deviation in short; the record has its figures and reason."""

    metric: Name
    is_worse: bool
    is_confirmed: bool
    severity: Severity
    cause: Cause
    since: Moment | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEntry:
    """A finished run as the index knows it.

    Attributes:
        uri: the folder of the run.
        load: a short digest of the fingerprint, equal for runs with the same load.
        metrics: those with a value, in base units.
        judged: the values that were compared, if they are not the run's own: medians with the re-runs.
        levels: the baseline of each metric; empty without a baseline.
        shifts: the change of every metric that was compared.
        limits: by metric, the hard limits of the service as a whole.
        exceeded: the hard limits that the run is beyond.
        has_collapsed: whether the service did not survive the load.
        baseline_version: version of the baseline that the run was compared with.
        window: the measured window; ``None`` if no load was measured.
        generator_lag_p99_s: schedule lag of the generator; ``None`` without a load.
        generator_saturation_ratio: share of a core that the busiest worker of the generator needed; ``None`` if
            unknown.
    """

    uri: str
    service: str
    scenario: str
    run_id: str
    environment: str
    started_at: Moment
    verdict: Verdict
    headline: str
    rerun_of: str | None
    reruns: tuple[str, ...]
    deploy_version: str | None
    dag_id: str | None
    dag_run_id: str | None
    triggered_by: str
    load: str
    metrics: Mapping[str, Amount]
    judged: Mapping[str, Amount]
    levels: Mapping[str, Amount]
    shifts: Mapping[str, Shift]
    baseline_version: Count | None
    deviations: tuple[EntryDeviation, ...]
    window: Window | None
    generator_lag_p99_s: Change | None
    generator_saturation_ratio: Change | None
    limits: Mapping[str, Amount] = field(default_factory=dict)
    exceeded: tuple[ExceededLimit, ...] = ()
    has_collapsed: bool = False

    @property
    def ended_at(self) -> datetime:
        """When the load ended; for a run without a load, when the run ended."""
        return self.window.end if self.window else self.started_at

    def value_of(self, metric: str) -> float | None:
        """Return the value of a metric that was compared; ``None`` if there is none."""
        return self.judged.get(metric, self.metrics.get(metric))

    @property
    def cell(self) -> CellName:
        """The service and the scenario of the run."""
        return CellName(self.service, self.scenario)


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexContents:
    """The contents of an index after a rebuild.

    Attributes:
        runs: number of runs.
        left_out: by URI, why a record could not be read.
    """

    runs: int
    left_out: Mapping[str, str]


class RunIndex(Protocol):
    """Finds finished runs without reading their records."""

    def sync(self) -> None:
        """Add the runs that were finished since the last call; it is cheap, so it precedes every read.

        Raises:
            StoreError: the results store cannot be read.
        """

    def synced_at(self) -> datetime | None:
        """Return when `sync` last succeeded, in any process; ``None`` if the index was never complete."""

    def rebuild(self) -> IndexContents:
        """Read every record again.

        Raises:
            StoreError: the results store cannot be read.
        """

    def cells(self) -> tuple[CellName, ...]:
        """Return the cells that have runs in the index, in alphabetical order."""

    def left_out(self, cells: Collection[CellName] | None = None) -> Mapping[str, str]:
        """Return by URI why an item of the results store is not in the index, as a sentence that names it.

        Args:
            cells: only items of these cells, and items whose names belong to no cell; by default all items.
        """

    def latest(self, *, runs: int, measured_only: bool = False) -> Mapping[CellName, tuple[RunEntry, ...]]:
        """Return the latest runs of each cell, oldest first, without re-runs.

        Args:
            runs: maximum number of runs of a cell.
            measured_only: also leave out runs whose figures cannot be trusted.
        """

    def history(self, cell: CellName, *, since: datetime | None = None) -> tuple[RunEntry, ...]:
        """Return the runs of a cell, or those since a time, oldest first, including re-runs."""

    def find(self, run_id: str) -> RunEntry | None:
        """Return the run with this id."""

    def of_dag_run(self, dag_id: str, dag_run_id: str) -> tuple[RunEntry, ...]:
        """Return the runs of a DAG run by cell, then oldest first, including re-runs."""


def is_of_cells(uri: str, *, root: str, cells: Collection[CellName]) -> bool:
    """Return whether an item of the store belongs to one of the cells, to a service of theirs, or to no possible cell.

    Args:
        uri: of a run, or of the folder of a cell or service, with a final slash.
        root: the URI of the store.
    """
    path = uri.removeprefix(f"{root.rstrip('/')}/").removesuffix("/")
    service, scenario, *_ = *map(unquote, path.split("/")), None
    if not service or not service.isprintable():
        return True
    if not scenario or not scenario.isprintable():
        return service in {cell.service for cell in cells}
    return CellName(service, scenario) in cells


def entry_of(record: RunRecord, uri: str) -> RunEntry:
    """Return the index entry of a record."""
    return RunEntry(
        uri=uri,
        service=record.service,
        scenario=record.scenario,
        run_id=record.run_id,
        environment=record.environment,
        started_at=record.started_at,
        verdict=record.verdict,
        headline=headline(record),
        rerun_of=record.rerun_of,
        reruns=record.reruns,
        deploy_version=record.deploy_version,
        dag_id=record.provenance.dag_id,
        dag_run_id=record.provenance.dag_run_id,
        triggered_by=record.provenance.triggered_by,
        load=_load_of(record.fingerprint),
        metrics={name: value.value for name, value in record.metrics.items() if value.value is not None},
        judged=record.judged,
        levels=record.baseline.metrics if record.baseline else {},
        shifts={name: shift for name in record.metrics if (shift := shift_of(record, name)) is not None},
        baseline_version=record.baseline.version if record.baseline else None,
        deviations=tuple(map(_in_short, record.deviations)),
        window=record.window,
        generator_lag_p99_s=record.generator.schedule_lag_p99_s if record.generator else None,
        generator_saturation_ratio=record.generator.wanted_cores if record.generator else None,
        limits=record.limits,
        exceeded=exceeded_of(record),
        has_collapsed=record.collapse is not None,
    )


def _in_short(deviation: Deviation) -> EntryDeviation:
    return EntryDeviation(
        metric=deviation.metric,
        is_worse=deviation.is_worse,
        is_confirmed=deviation.is_confirmed,
        severity=deviation.severity,
        cause=deviation.cause,
        since=deviation.since,
    )


def _load_of(fingerprint: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(fingerprint, sort_keys=True).encode()).hexdigest()[:12]
