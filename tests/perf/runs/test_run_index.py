"""The index entry of a record: what lists and charts show."""

from dataclasses import replace

from include.perf.model.cell import CellName
from include.perf.runs.record import Shift, Verdict
from include.perf.runs.run_index import entry_of
from tests.records import (
    BASELINE_METRICS,
    END,
    HEALTHY_METRICS,
    deviation,
    metric_values,
    record_of,
    regressed_record,
    run_record,
)

URI = "file:///results/a/b/c"


def test_an_entry_has_the_main_fields_of_the_record() -> None:
    """Its cell, time, trigger, values and baseline."""
    record = run_record(deploy_version="1.4.2", reruns=("r2", "r3"), judged={"latency_p95": 0.0431})
    entry = entry_of(record, URI)
    assert (entry.uri, entry.run_id, entry.environment) == (URI, "20260302T063900Z-7f3a", "staging")
    assert entry.cell == CellName("analysis-engine-service", "market_open")
    assert (entry.started_at, entry.verdict, entry.deploy_version) == (record.started_at, Verdict.PASS, "1.4.2")
    assert (entry.rerun_of, entry.reruns) == (None, ("r2", "r3"))
    assert entry.metrics == HEALTHY_METRICS
    assert entry.judged == {"latency_p95": 0.0431}
    assert (entry.levels, entry.baseline_version) == (BASELINE_METRICS, 3)
    assert (entry.dag_id, entry.triggered_by) == ("market_open", "schedule")
    assert entry.dag_run_id == "scheduled__2026-03-02T06:30:00+00:00"
    assert entry.headline.startswith("PASS · analysis-engine-service · market_open – Latency p95 is 42")


def test_an_entry_has_short_deviations_and_the_reported_shifts() -> None:
    """The shift of a deviation replaces that of the night; the other shifts are unchanged."""
    reported = Shift(ratio=0.45, absolute=0.019, low=0.38, high=0.52)
    tonight = {"latency_p95": Shift(ratio=0.5, absolute=0.021), "latency_p50": Shift(ratio=0.01, absolute=0.0002)}
    worse = deviation("latency_p95", 0.0612, shift=reported)
    entry = entry_of(replace(regressed_record(worse), shifts=tonight), URI)
    (found,) = entry.deviations
    assert (found.metric, found.is_worse, found.is_confirmed) == ("latency_p95", True, True)
    assert (found.severity, found.cause, found.since) == (worse.severity, worse.cause, None)
    assert (entry.shifts["latency_p95"], entry.shifts["latency_p50"]) == (reported, tonight["latency_p50"])


def test_missing_values_are_left_out() -> None:
    """No data is never zero; without a baseline there are no levels and no shifts."""
    record = replace(record_of(Verdict.NO_BASELINE), metrics=metric_values(cpu_usage="no data"))
    entry = entry_of(record, URI)
    assert entry.metrics == {name: value for name, value in HEALTHY_METRICS.items() if name != "cpu_usage"}
    assert (entry.levels, entry.shifts, entry.baseline_version) == ({}, {}, None)
    assert entry_of(record_of(Verdict.SKIPPED), URI).metrics == {}


def test_an_entry_describes_its_load() -> None:
    """Its end and the figures of the generator; a skipped run has no load, and ends when it starts."""
    record = run_record(judged={"latency_p95": 0.0431})
    entry = entry_of(record, URI)
    assert (entry.window, entry.ended_at) == (record.window, END)
    assert (entry.generator_lag_p99_s, entry.generator_saturation_ratio) == (0.0008, 0.64)
    assert (entry.value_of("latency_p95"), entry.value_of("latency_p50")) == (0.0431, 0.0185)
    skipped = entry_of(record_of(Verdict.SKIPPED), URI)
    assert (skipped.window, skipped.ended_at) == (None, skipped.started_at)
    assert (skipped.generator_lag_p99_s, skipped.generator_saturation_ratio) == (None, None)
    assert skipped.value_of("latency_p95") is None


def test_runs_with_the_same_load_share_a_digest() -> None:
    """The order of the parts does not matter; a different part means a different load."""
    record = run_record()
    reordered = replace(record, fingerprint=dict(reversed(record.fingerprint.items())))
    other = replace(record, fingerprint={**record.fingerprint, "load": "25/s"})
    assert entry_of(reordered, URI).load == entry_of(record, URI).load
    assert entry_of(other, URI).load != entry_of(record, URI).load
