"""What the stages of a small run leave: 20/s for 10 s after 5 s of warm-up, a bit of it late."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from include.perf.catalogue.scenario.load_profile import LoadProfile
from include.perf.model.metric import METRICS
from include.perf.runs.figures import LoadFigures, ServerFigures, Window
from include.perf.runs.record import Verdict
from include.perf.runs.spec import ReservationRequest, RunSpec
from include.perf.runs.stage_files import EarlyEnd, StageFiles
from tests.fakes.clock import START
from tests.fakes.results_store import MemoryStore
from tests.records import generator_figures, metric_values

LOAD = LoadProfile(rate_rps=20, duration_s=10, warmup_s=5)
SPEC = RunSpec(
    run_id="r1",
    service="orders-service",
    scenario="brief",
    environment="staging",
    load=LOAD,
    created_at=START,
    update_baseline=True,
    reason="first baseline",
    triggered_by="ana",
)
CLIENT = {name: value for name, value in metric_values().items() if METRICS[name].source.value == "client"}
SERVER = {name: value for name, value in metric_values().items() if METRICS[name].source.value == "prometheus"}
FIGURES = LoadFigures(
    started_at=START + timedelta(seconds=1),
    window=Window(start=START + timedelta(seconds=6), end=START + timedelta(seconds=16)),
    due=400,
    sent=390,
    finished=380,
    failed=20,
    timed_out=4,
    unfinished=3,
    arrivals=600,
    rows=600,
    metrics=CLIENT,
    endpoints=(),
    errors=(),
    generator=generator_figures(),
)
SCRAPED = ServerFigures(coverage_ratio=1.0, metrics=SERVER)
BESIDE = ReservationRequest(
    run_id="r0",
    service="rates-service",
    scenario="overnight_processing",
    targets=("10.0.0.8:8000",),
    rate_rps=50.0,
    since=START - timedelta(minutes=3),
)
HALTED = EarlyEnd(stage="preflight", verdict=Verdict.SKIPPED, reason="load is halted")
DOWN = EarlyEnd(stage="preflight", verdict=Verdict.INVALID, reason="the target is down")


def planned(store: MemoryStore | None = None, **changes: Any) -> StageFiles:
    """Return a run with nothing but its plan."""
    spec = replace(SPEC, **changes)
    kept = store or MemoryStore()
    uri = kept.create(service=spec.service, scenario=spec.scenario, run_id=spec.run_id)
    made = StageFiles(kept, uri)
    made.spec.write(spec)
    return made
