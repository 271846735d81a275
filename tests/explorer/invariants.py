"""What must hold after every history, once all faults have stopped and a night without faults was run."""

import math
from collections.abc import Iterator, Sequence

from include.perf.model.errors import ItemError, StoreError
from include.perf.runs.dag_run import results_of
from include.perf.runs.record import RunRecord, Verdict
from include.perf.runs.run_index import entry_of
from include.perf.runs.stage_files import StageFiles
from tests.explorer.simulated_airflow import Acknowledged, DagRun
from tests.explorer.world import Session, World
from tests.fakes.sliced_generator import TrueLoad
from tests.fakes.windowed_metrics import DISK_RATIO, MEMORY_BYTES, cpu_at

TOLERANCE = 1e-5


def problems_of_runs(session: Session, dag_runs: Sequence[DagRun]) -> Iterator[str]:
    """Every planned run has a record, or a task that failed and a reason; every record is of what was measured."""
    for dag_run in dag_runs:
        results = results_of(session.results, dag_run.uris, dag_id=dag_run.scenario, dag_run_id=dag_run.dag_run_id)
        for run in results.missing:
            if not dag_run.failed:
                yield f"{run.service} · {run.scenario} of {dag_run.dag_run_id} has no record, but no task failed"
            if not run.reason:
                yield f"{run.service} · {run.scenario} of {dag_run.dag_run_id} has no record, and no reason"
        for uri in dag_run.reruns:
            record = StageFiles(session.results, uri).record.read()
            yield from () if record is None else problems_of_record(session.world, record)
        for record in results.records.values():
            yield from problems_of_record(session.world, record)
            yield from _problems_of_verdict(record, dag_run)


def problems_of_record(world: World, record: RunRecord) -> Iterator[str]:
    """A verdict is about figures that were measured, all of them in one load."""
    if not record.verdict.is_measured:
        return
    loads = [load for load in world.loads if load.run_id == record.run_id and load.is_complete]
    if not any(_is_of(record, load) for load in loads):
        yield (
            f"the record of {record.run_id} is {record.verdict} with figures that no load had: due {record.load.due}, "
            f"failed {record.load.failed}, p50 {record.metrics['latency_p50'].value}, window {record.window}, "
            f"CPU {record.metrics['cpu_usage'].value}; its complete loads: "
            f"{[(load.began_at.isoformat(), load.due, load.failed, load.latency_p50_s) for load in loads]}"
        )


def _is_of(record: RunRecord, load: TrueLoad) -> bool:
    window = record.window
    if window is None or record.started_at != load.began_at:
        return False
    figures = {
        "latency_p50": load.latency_p50_s,
        "error_rate": load.failed / load.due,
        "cpu_usage": cpu_at(window.end),
        "memory_usage": MEMORY_BYTES,
        "disk_usage": DISK_RATIO,
    }
    values = {name: record.metrics[name].value for name in figures}
    is_equal = all(
        value is not None and math.isclose(value, figures[name], rel_tol=TOLERANCE) for name, value in values.items()
    )
    return is_equal and record.load.due == load.due and record.load.failed == load.failed


def _problems_of_verdict(record: RunRecord, dag_run: DagRun) -> Iterator[str]:
    """Slow services regress, others do not."""
    worse = record.verdict.is_failure
    compared = worse or record.verdict in (Verdict.PASS, Verdict.IMPROVEMENT)
    if compared and worse != dag_run.is_slow and "rolled back" not in str(record.reasons):
        speed = "slow" if dag_run.is_slow else "as fast as ever"
        yield f"{record.run_id} is {record.verdict}, but the service was {speed}: {'; '.join(record.reasons)}"


def problems_of_store(session: Session) -> Iterator[str]:
    """Every run can be read."""
    for uri in _stored(session):
        try:
            StageFiles(session.results, uri).record.read()
        except ItemError as err:
            yield f"a record cannot be read: {err}"


def _stored(session: Session) -> Iterator[str]:
    for cell in session.results.cells():
        yield from session.results.latest(service=cell.service, scenario=cell.scenario)


def problems_of_index(session: Session) -> Iterator[str]:
    """The index has what the store has, and names what cannot be read."""
    stored, unreadable = {}, set()
    for uri in _stored(session):
        try:
            record = StageFiles(session.results, uri).record.read()
        except ItemError:
            unreadable.add(uri)
            continue
        if record is not None:
            stored[record.run_id] = entry_of(record, uri)
    index = session.index
    index.sync()
    found = {}
    for cell in session.results.cells():
        found |= {entry.run_id: entry for entry in index.history(cell)}
    for run_id in sorted(stored.keys() ^ found.keys()):
        where = "store" if run_id in stored else "index"
        yield f"{run_id} is only in the {where}"
    for run_id in sorted(stored.keys() & found.keys()):
        if stored[run_id] != found[run_id]:
            yield f"the index has other figures of {run_id} than its record"
    if unreadable - set(index.left_out()):
        yield f"unreadable runs are not named: {unreadable}"


def problems_of_baselines(session: Session, acknowledged: Sequence[Acknowledged]) -> Iterator[str]:
    """Every acknowledged change of a baseline is there, in order, under its own version."""
    try:
        baselines = session.baselines.read()
    except (StoreError, Exception) as err:  # noqa: BLE001 - whatever it is, the file must be readable
        yield f"the baselines cannot be read: {err}"
        return
    for change in acknowledged:
        current = baselines.get(change.service, change.scenario)
        versions = [] if current is None else [current, *current.previous]
        kept = {version.version: version.approval.reason for version in versions}
        if kept.get(change.version) != change.reason:
            yield (
                f"version {change.version} of {change.service} · {change.scenario} ({change.reason}) was acknowledged, "
                f"but the file has {kept}"
            )


def problems_of_loads(world: World) -> Iterator[str]:
    """No load goes on for ever."""
    for load in world.loads:
        if load.ended_s is None:
            yield f"the load of {load.run_id} never ended"
