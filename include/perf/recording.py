"""What stages leave for one another, and the record that comes of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from include.perf.baseline import Baseline
from include.perf.comparison import Comparison, compare
from include.perf.errors import ConfigurationError, StoreError
from include.perf.metric import METRICS, MetricValue, Source
from include.perf.ports import RECORD_FILE, ResultsStore
from include.perf.run import (
    LoadFigures,
    LoadSummary,
    Provenance,
    RunRecord,
    RunSpec,
    ServerFigures,
    Verdict,
    from_json,
    to_json,
)
from include.perf.validity import load_notes, load_problems, server_problems

SPEC_FILE = "stage-spec.json"
FINGERPRINT_FILE = "stage-fingerprint.json"
END_FILE = "stage-ended.json"
LOAD_FILE = "stage-load.json"
SERVER_FILE = "stage-server.json"
DRAFT_FILE = "stage-draft.json"

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """Why a run ended before its last stage."""

    stage: str
    verdict: Verdict
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The fingerprint, part by part."""

    parts: Mapping[str, str]


class StageFiles:
    """The files of one run that stages leave for one another."""

    def __init__(self, store: ResultsStore, uri: str) -> None:
        self._store = store
        self.uri = uri

    def _read(self, kind: type[T], name: str) -> T | None:
        content = self._store.read(self.uri, name)
        return None if content is None else from_json(kind, content, where=f"{self.uri}/{name}")

    def _write(self, name: str, value: object) -> None:
        self._store.write(self.uri, name, to_json(value))

    def write_spec(self, spec: RunSpec) -> None:
        """Keep what the run was asked to be."""
        self._write(SPEC_FILE, spec)

    def read_spec(self) -> RunSpec:
        """Return what the run was asked to be.

        Raises:
            StoreError: there is no such run, or it is finished.
        """
        self._check_unfinished()
        spec = self._read(RunSpec, SPEC_FILE)
        if spec is None:
            raise StoreError(f"there is no run {self.uri}; its plan is missing")
        return spec

    def _check_unfinished(self) -> None:
        if self._store.read(self.uri, RECORD_FILE) is not None:
            raise StoreError(f"run {self.uri} is finished; its record never changes, so trigger a new run")

    def write_fingerprint(self, parts: Mapping[str, str]) -> None:
        """Keep what the run is made of."""
        self._write(FINGERPRINT_FILE, Parts(parts=parts))

    def read_fingerprint(self) -> Mapping[str, str]:
        """Return what the run is made of; empty when it never came that far."""
        parts = self._read(Parts, FINGERPRINT_FILE)
        return {} if parts is None else parts.parts

    def write_end(self, ended: Ended) -> None:
        """Keep why the run could not go on."""
        self._write(END_FILE, ended)

    def read_end(self) -> Ended | None:
        """Return why the run could not go on, or ``None``."""
        return self._read(Ended, END_FILE)

    def forget_end(self, *, stage: str) -> None:
        """Forget what an earlier try of the same stage ran into."""
        ended = self.read_end()
        if ended is not None and ended.stage == stage:
            self._store.remove(self.uri, END_FILE)

    def forget_figures(self) -> None:
        """Forget what an earlier try of the load measured, so that no old figure stands for a new load."""
        for name in (LOAD_FILE, SERVER_FILE):
            self._store.remove(self.uri, name)

    def write_load(self, figures: LoadFigures) -> None:
        """Keep what the client saw."""
        self._write(LOAD_FILE, figures)

    def read_load(self) -> LoadFigures | None:
        """Return what the client saw, or ``None``."""
        return self._read(LoadFigures, LOAD_FILE)

    def write_server(self, figures: ServerFigures) -> None:
        """Keep what Prometheus said."""
        self._write(SERVER_FILE, figures)

    def read_server(self) -> ServerFigures | None:
        """Return what Prometheus said, or ``None``."""
        return self._read(ServerFigures, SERVER_FILE)

    def write_draft(self, record: RunRecord) -> None:
        """Keep the record until its report is written."""
        self._write(DRAFT_FILE, record)

    def read_draft(self) -> RunRecord:
        """Return the record that is not final yet."""
        record = self._read(RunRecord, DRAFT_FILE)
        if record is None:
            self._check_unfinished()
            raise StoreError(f"run {self.uri} was not compared yet; compare comes before report")
        return record

    def write_record(self, record: RunRecord) -> None:
        """Finish the run."""
        self._write(RECORD_FILE, record)

    def read_record(self) -> RunRecord:
        """Return the record of a finished run."""
        record = self._read(RunRecord, RECORD_FILE)
        if record is None:
            raise StoreError(f"run {self.uri} is not finished: it has no {RECORD_FILE}")
        return record

    def remove_stages(self) -> None:
        """Remove everything that the record now says."""
        for name in (SPEC_FILE, FINGERPRINT_FILE, END_FILE, LOAD_FILE, SERVER_FILE, DRAFT_FILE):
            self._store.remove(self.uri, name)


def assemble(
    files: StageFiles, *, baseline: Baseline | ConfigurationError | None, versions: Mapping[str, str]
) -> RunRecord:
    """Make the record of a run, however far it came."""
    spec, load, server = files.read_spec(), files.read_load(), files.read_server()
    validity = _validity(spec, files.read_end(), load, server, baseline)
    metrics = _metrics(load, server)
    parts = files.read_fingerprint()
    comparison = _comparison(files.read_end(), validity, metrics, parts, baseline)
    return RunRecord(
        run_id=spec.run_id,
        service=spec.service,
        scenario=spec.scenario,
        environment=spec.environment,
        started_at=load.started_at if load else spec.created_at,
        window=load.window if load else None,
        load=_load_summary(spec, load),
        metrics=metrics,
        fingerprint=parts,
        validity=tuple(validity),
        verdict=comparison.verdict,
        reasons=comparison.reasons,
        deviations=comparison.deviations,
        baseline=baseline.reference() if isinstance(baseline, Baseline) else None,
        endpoints=load.endpoints if load else (),
        errors=load.errors if load else (),
        generator=load.generator if load else None,
        provenance=_provenance(spec, versions),
        notes=tuple(load_notes(load)) if load else (),
    )


def _validity(
    spec: RunSpec,
    ended: Ended | None,
    load: LoadFigures | None,
    server: ServerFigures | None,
    baseline: Baseline | ConfigurationError | None,
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
    if isinstance(baseline, ConfigurationError):
        reasons.append(f"the baselines could not be read: {baseline}")
    return reasons


def _comparison(
    ended: Ended | None,
    validity: list[str],
    metrics: Mapping[str, MetricValue],
    parts: Mapping[str, str],
    baseline: Baseline | ConfigurationError | None,
) -> Comparison:
    """Climb the ladder: skipped, invalid, then what the comparison says."""
    if ended is not None and ended.verdict is Verdict.SKIPPED:
        return Comparison(verdict=Verdict.SKIPPED, reasons=(ended.reason,))
    if validity or isinstance(baseline, ConfigurationError):
        return Comparison(verdict=Verdict.INVALID, reasons=tuple(validity))
    return compare(metrics, fingerprint=parts, baseline=baseline)


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
