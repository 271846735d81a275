"""The files that stages leave for one another, and the order of reasons in the record."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from include.perf.errors import BaselineError, StoreError
from include.perf.metric import METRICS, MetricValue
from include.perf.recording import Ended, StageFiles, assemble
from include.perf.run import LoadFigures, RunSpec, ServerFigures, Verdict, Window
from include.perf.scenario import LoadProfile
from tests.fakes import START, MemoryStore
from tests.records import generator_figures, metric_values, run_record

LOAD = LoadProfile(rate_rps=20, duration_s=10, warmup_s=5)
SPEC = RunSpec(
    run_id="r1",
    service="orders-service",
    scenario="brief",
    environment="staging",
    load=LOAD,
    created_at=START,
    update_baseline=True,
    reason="first level",
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
HALTED = Ended(stage="preflight", verdict=Verdict.SKIPPED, reason="load is halted")
DOWN = Ended(stage="preflight", verdict=Verdict.INVALID, reason="the target is down")


@pytest.fixture
def files() -> StageFiles:
    """A run with nothing but its plan."""
    store = MemoryStore()
    made = StageFiles(store, store.create(service="orders-service", scenario="brief", run_id="r1"))
    made.write_spec(SPEC)
    return made


def test_everything_comes_back_as_it_was(files: StageFiles) -> None:
    """Figures keep every digit, times their zone, and enums their kind."""
    record = run_record()
    files.write_fingerprint({"data": "sha256:1"})
    files.write_end(DOWN)
    files.write_load(FIGURES)
    files.write_server(SCRAPED)
    files.write_draft(record)
    assert files.read_spec() == SPEC
    assert files.read_fingerprint() == {"data": "sha256:1"}
    assert (files.read_end(), files.read_load(), files.read_server()) == (DOWN, FIGURES, SCRAPED)
    assert files.read_draft() == record
    files.write_record(record)
    assert files.read_record() == record


def test_what_is_not_there(files: StageFiles) -> None:
    """A stage that was not reached left nothing, which is no error by itself."""
    assert (files.read_end(), files.read_load(), files.read_server()) == (None, None, None)
    assert files.read_fingerprint() == {}


def test_only_the_same_stage_forgets_its_reason(files: StageFiles) -> None:
    """A second try of a later stage does not excuse an earlier one."""
    files.write_end(DOWN)
    files.forget_end(stage="scrape")
    assert files.read_end() == DOWN
    files.forget_end(stage="preflight")
    assert files.read_end() is None
    files.forget_end(stage="preflight")


def test_a_new_load_forgets_old_figures(files: StageFiles) -> None:
    """Both of the client and of the server."""
    files.write_load(FIGURES)
    files.write_server(SCRAPED)
    files.forget_figures()
    assert (files.read_load(), files.read_server()) == (None, None)


def test_removing_stages_leaves_the_record() -> None:
    """Only what the record says by now is removed."""
    store = MemoryStore()
    files = StageFiles(store, store.create(service="s", scenario="c", run_id="r"))
    files.write_spec(SPEC)
    files.write_load(FIGURES)
    files.write_record(run_record())
    files.remove_stages()
    assert list(store.runs_by_uri[files.uri]) == ["run.json"]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "the document: Invalid JSON: EOF"),
        (b'{"stage": "x", "verdict": "FINE", "reason": ""}', "verdict: Input should be 'PASS', 'REGRESSION'"),
        (b'{"stage": "x", "verdict": "INVALID"}', "reason: Field required"),
    ],
)
def test_a_damaged_file_is_named(content: bytes, problem: str) -> None:
    """Which file, which field, what is wrong."""
    store = MemoryStore()
    uri = store.create(service="s", scenario="c", run_id="r")
    store.write(uri, "stage-ended.json", content)
    with pytest.raises(StoreError) as caught:
        StageFiles(store, uri).read_end()
    assert str(caught.value).startswith(f"{uri}/stage-ended.json is not a valid Ended: {problem}")


def test_a_whole_run(files: StageFiles) -> None:
    """Every figure of the parts is in the record, requested beside achieved."""
    files.write_load(FIGURES)
    files.write_server(SCRAPED)
    files.write_fingerprint({"data": "sha256:1"})
    record = assemble(files, baseline=None, versions={"python": "3.11"})
    assert (record.verdict, record.validity) == (Verdict.NO_BASELINE, ())
    assert (record.started_at, record.window) == (FIGURES.started_at, FIGURES.window)
    assert (record.load.requested_rate_rps, record.load.achieved_rate_rps) == (20, 39)  # 390 sent in 10 s
    assert (record.load.duration_s, record.load.warmup_s) == (10, 5)
    assert (record.load.due, record.load.sent, record.load.finished, record.load.failed) == (400, 390, 380, 20)
    assert (record.load.timed_out, record.load.unfinished) == (4, 3)
    assert record.metrics == metric_values()
    assert list(record.metrics) == list(METRICS)
    assert record.notes == ("3 requests had no answer when the load ended; they count as failed",)
    assert (record.provenance.triggered_by, record.provenance.reason) == ("ana", "first level")
    assert record.provenance.update_baseline
    assert record.provenance.versions == {"python": "3.11"}


def test_a_rate_that_varies_is_recorded_as_its_mean_and_its_curve(files: StageFiles) -> None:
    """From 3 to 1 times 20/s in a line over 10 s, after a ramp of 2 s in 5 s of warm-up: 40/s on average."""
    profile = [{"at_s": 0, "factor": 3}, {"at_s": 10, "factor": 1}]
    load = LoadProfile.model_validate(LOAD.model_dump() | {"ramp_s": 2, "profile": profile})
    files.write_spec(replace(SPEC, load=load))
    recorded = assemble(files, baseline=None, versions={}).load
    assert recorded.requested_rate_rps == pytest.approx(40.0)
    assert recorded.peak_rate_rps == 60.0
    assert [(each.at_s, each.rate_rps, each.by.value) for each in recorded.requested_curve] == [
        (0, 0, "line"),
        (2, 20, "line"),
        (5, 60, "step"),
        (15, 20, "line"),
    ]


def test_a_metric_that_measuring_could_not_give_keeps_its_reason(files: StageFiles) -> None:
    """The reason of who measured, not a general one."""
    lost = MetricValue(value=None, unit=METRICS["latency_p99"].unit, reason="no request was answered")
    files.write_load(replace(FIGURES, metrics=CLIENT | {"latency_p99": lost}))
    assert assemble(files, baseline=None, versions={}).metrics["latency_p99"] == lost


BROKEN = BaselineError("b.json is broken")
LATE = replace(FIGURES, generator=generator_figures(schedule_lag_p99_s=0.05))
FEW = replace(SCRAPED, coverage_ratio=0.5)
LATE_WORDS = "the generator released arrivals late: p99 50.0 ms (at most 10 ms); give the generator a core of its own"
FEW_WORDS = (
    "Prometheus has 50% of the service's scrapes in the measured window (at least 95% are needed); "
    "check the target in Prometheus and scrape_interval_s"
)
BROKEN_WORDS = "the baselines could not be read: b.json is broken"
KILLED_WORDS = "the load left no record: its task was ended from outside; see the task's log"
UNASKED_WORDS = "Prometheus was never asked: the scrape was ended from outside; see the task's log"

Parts = dict[str, Any]
LADDER: list[tuple[Parts, Verdict, list[str]]] = [
    ({}, Verdict.INVALID, [KILLED_WORDS]),
    ({"ended": HALTED}, Verdict.SKIPPED, ["load is halted"]),
    ({"ended": DOWN}, Verdict.INVALID, ["the target is down"]),
    ({"ended": HALTED, "baseline": BROKEN}, Verdict.SKIPPED, ["load is halted", BROKEN_WORDS]),
    ({"load": FIGURES}, Verdict.INVALID, [UNASKED_WORDS]),
    ({"load": FIGURES, "ended": replace(DOWN, stage="scrape")}, Verdict.INVALID, ["the target is down"]),
    ({"load": FIGURES, "server": SCRAPED}, Verdict.NO_BASELINE, []),
    ({"load": LATE, "server": FEW, "baseline": BROKEN}, Verdict.INVALID, [LATE_WORDS, FEW_WORDS, BROKEN_WORDS]),
    ({"load": FIGURES, "server": SCRAPED, "baseline": BROKEN}, Verdict.INVALID, [BROKEN_WORDS]),
    (
        {"load": LATE, "ended": replace(DOWN, stage="scrape")},
        Verdict.INVALID,
        ["the target is down", LATE_WORDS],
    ),
]


@pytest.mark.parametrize(("parts", "verdict", "validity"), LADDER)
def test_the_ladder(files: StageFiles, parts: Parts, verdict: Verdict, validity: list[str]) -> None:
    """Skipped before invalid before compared; every reason is kept, in the order of the stages."""
    writers: dict[str, Callable[[Any], None]] = {
        "ended": files.write_end,
        "load": files.write_load,
        "server": files.write_server,
    }
    for name, write in writers.items():
        if name in parts:
            write(parts[name])
    record = assemble(files, baseline=parts.get("baseline"), versions={})
    assert (record.verdict, list(record.validity)) == (verdict, validity)
    if verdict is Verdict.INVALID:
        assert record.reasons == record.validity
