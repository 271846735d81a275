"""What histories begin with: baselines of three nights, made of one that was measured."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import lru_cache

from include.perf.adapters.files.folder_store import FolderStore
from include.perf.baselines.baselines import Baselines
from include.perf.baselines.entry import Approval, Baseline
from include.perf.baselines.file_format import format_baselines
from include.perf.runs.record import BaselineReference, RunRecord, Verdict
from include.perf.runs.stage_files import StageFiles
from tests.explorer.course import PREPARED, Course
from tests.explorer.decisions import Replayed
from tests.explorer.history import Actor, History
from tests.explorer.opening import opened
from tests.explorer.world import SCENARIOS


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What histories begin with.

    Attributes:
        baselines: ``baselines.json`` with three nights of every service under every scenario.
        records: a run by service and scenario.
    """

    baselines: bytes
    records: Mapping[tuple[str, str], RunRecord]


@lru_cache(maxsize=1)
def prepared() -> Prepared:
    """Measure one night, and make three of it; to be called before a bug is put in."""
    nights = tuple(
        Actor(does="night", at_s=600 * number, scenario=scenario, update_baseline=True)
        for number, scenario in enumerate(SCENARIOS)
    )
    calm = History(seed=0, in_object_store=False, has_baselines=False, actors=nights)
    baselines = Baselines()
    with opened(Replayed(()), calm) as world:
        course = Course(world, calm)
        course.run()
        assert not world.broken_rules, world.broken_rules
        store = FolderStore(str(world.folder / "results"))
        records = [StageFiles(store, uri).read_record() for run in course.dag_runs[:-1] for uri in run.uris]
    for number in range(PREPARED, 0, -1):
        for record in records:
            moment = record.started_at - timedelta(days=number)
            earlier = replace(record, run_id=f"{record.run_id}-{number}", started_at=moment, verdict=Verdict.PASS)
            approval = Approval(by="ana", at=moment, reason="prepared", run_id=earlier.run_id)
            since = current.runs if (current := baselines.get(record.service, record.scenario)) else ()
            baselines.promote(_compared_with(current, earlier), approval=approval, since=since)
    return Prepared(
        baselines=format_baselines(baselines),
        records={(record.service, record.scenario): record for record in records},
    )


def _compared_with(current: Baseline | None, record: RunRecord) -> RunRecord:
    """Return a record as if it had passed against a baseline."""
    if current is None:
        return replace(record, verdict=Verdict.NO_BASELINE, baseline=None)
    reference = BaselineReference(
        version=current.version,
        state=current.state,
        runs=len(current.runs),
        approved_at=current.approval.at,
        metrics=current.metrics,
    )
    return replace(record, baseline=reference)
