"""Families of metrics: known values have samples, unknown ones do not."""

import re
import subprocess
from datetime import timedelta

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families

from include.perf.model.metric import METRICS
from include.perf.monitoring import names
from include.perf.monitoring.families import GAUGES, exposition_of
from include.perf.runs.record import Severity, Verdict
from tests.entries import entry
from tests.fakes.clock import START
from tests.loads import sent_load
from tests.perf.monitoring.cell_statuses import labels, samples_in, samples_of, status
from tests.records import END, HEALTHY_METRICS, record_of

CELL = labels()


def test_a_run_has_its_judged_values() -> None:
    """Each of the eight metrics has its own name with its unit; with re-runs it is the median."""
    judged = entry(judged={"latency_p95": 0.0431})
    found = samples_of(status(measured=judged))
    assert found["bellwether_run_latency_p95_seconds"] == {CELL: 0.0431}
    assert found["bellwether_run_throughput_requests_per_second"] == {CELL: 499.5}
    values = {name: found[names.family(names.RUN, name)][CELL] for name in METRICS}
    assert values == {**HEALTHY_METRICS, "latency_p95": 0.0431}


def test_the_shift_is_signed_as_measured() -> None:
    """0.0424 against 0.0421 s is 0.7 % more, 499.5 against 499.4/s is 0.02 % more."""
    shifts = samples_of(status())["bellwether_run_shift_ratio"]
    assert shifts[labels(metric="latency_p95")] == pytest.approx(0.0003 / 0.0421)
    assert shifts[labels(metric="throughput")] == pytest.approx(0.1 / 499.4)
    assert len(shifts) == 8


def test_one_of_seven_verdicts_is_set() -> None:
    """That of the latest run, valid or not."""
    invalid = entry(record_of(Verdict.INVALID))
    found = samples_of(status(latest=invalid))["bellwether_run_verdict"]
    assert found == {labels(verdict=verdict.value): float(verdict is Verdict.INVALID) for verdict in Verdict}


def test_time_and_generator_of_the_latest_run() -> None:
    """It ended at 06:55 UTC, 16 min and 3 s after its first request at 06:38:57."""
    found = samples_of(status())
    assert found["bellwether_run_timestamp_seconds"] == {CELL: END.timestamp()}
    assert found["bellwether_run_duration_seconds"] == {CELL: 963.0}
    assert found["bellwether_generator_lag_p99_seconds"] == {CELL: 0.0008}
    assert found["bellwether_generator_saturation_ratio"] == {CELL: 0.64}


def test_a_skipped_run_has_no_load() -> None:
    """It has a time and a verdict; duration and generator are those of the previous load."""
    later = END + timedelta(days=1)
    skipped = entry(record_of(Verdict.SKIPPED), started_at=later)
    found = samples_of(status(latest=skipped))
    assert found["bellwether_run_timestamp_seconds"] == {CELL: later.timestamp()}
    assert found["bellwether_run_duration_seconds"] == {CELL: 963.0}
    assert found["bellwether_run_latency_p95_seconds"] == {CELL: 0.0424}


def test_a_generator_that_could_not_keep_up_is_visible() -> None:
    """Its figures are shown even for an invalid run."""
    slow = entry(record_of(Verdict.INVALID), generator_lag_p99_s=0.2, window=entry().window)
    found = samples_of(status(latest=slow))
    assert found["bellwether_generator_lag_p99_seconds"] == {CELL: 0.2}


def test_a_baseline_has_values_and_an_age() -> None:
    """Ten runs, approved; after half a year it is stale."""
    cell = status()
    baseline = cell.baseline
    assert baseline is not None
    found = samples_of(cell)
    assert found["bellwether_baseline_latency_p95_seconds"] == {CELL: baseline.metrics["latency_p95"]}
    assert found["bellwether_baseline_info"] == {labels(state="approved", version="10"): 1.0}
    assert found["bellwether_baseline_timestamp_seconds"] == {CELL: baseline.approval.at.timestamp()}
    assert found["bellwether_baseline_expiry_timestamp_seconds"] == {CELL: baseline.expires_at.timestamp()}
    assert found["bellwether_baseline_runs"] == {CELL: 10.0}
    late = samples_of(status(now=baseline.expires_at))
    assert late["bellwether_baseline_info"] == {labels(state="stale", version="10"): 1.0}


def test_the_limits_in_force() -> None:
    """By severity, for metrics with limits."""
    found = samples_of(status())
    assert found["bellwether_alert_limit_latency_p95_seconds"] == {
        labels(severity="warning"): 0.05,
        labels(severity="critical"): 0.055,
    }
    assert found["bellwether_alert_limit_cpu_cores"] == {}


def test_a_running_load() -> None:
    """Its start and latest possible end; afterwards its actual end."""
    load = sent_load()
    running = samples_of(status(load=load))
    assert running["bellwether_load_running"] == {CELL: 1.0}
    assert running["bellwether_load_start_timestamp_seconds"] == {CELL: load.started_at.timestamp()}
    assert running["bellwether_load_end_timestamp_seconds"] == {CELL: load.ends_by.timestamp()}
    over = samples_of(status(load=sent_load(ended_at=START), is_loaded=False))
    assert over["bellwether_load_running"] == {CELL: 0.0}
    assert over["bellwether_load_end_timestamp_seconds"] == {CELL: START.timestamp()}


def test_open_problems_by_severity() -> None:
    """A severity without open problems is zero."""
    assert samples_of(status())["bellwether_open_problems"] == {
        labels(severity=severity.value): float(severity is Severity.WARNING) for severity in Severity
    }


def test_unknown_values_have_no_sample() -> None:
    """For a cell without runs and baseline, only running loads and open problems are known."""
    found = samples_of(status(latest=None, measured=None, baseline=None, load=None, is_loaded=False, limits=None))
    known = {name: samples for name, samples in found.items() if samples}
    assert known.keys() == {"bellwether_load_running", "bellwether_open_problems", names.STATE_TIMESTAMP}
    assert len(found) == len(GAUGES) + 1


def test_the_state_behind_the_metrics_has_a_time() -> None:
    """It is about all of them, so it has no labels."""
    assert samples_in(exposition_of([], as_of=END).content.decode())[names.STATE_TIMESTAMP] == {
        frozenset(): END.timestamp()
    }


def test_a_run_keeps_its_environment() -> None:
    """The service has changed its environment since the run."""
    found = samples_of(status(environment="perf", measured=entry(environment="staging"), limits=None))
    assert found["bellwether_run_latency_p95_seconds"] == {CELL: 0.0424}
    assert found["bellwether_load_running"] == {labels(environment="perf"): 1.0}


def test_names_follow_prometheus_conventions() -> None:
    """Checked by promtool; each help text is a sentence."""
    text = exposition_of([status()], as_of=END).content
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    for gauge in GAUGES:
        assert gauge.text.endswith("."), gauge.name
        assert re.fullmatch(r"bellwether_[a-z0-9_]+", gauge.name)
    assert len({gauge.name for gauge in GAUGES}) == len(GAUGES)


def test_openmetrics_is_served_on_request() -> None:
    """Newer Prometheus servers request it; the values are the same."""
    shown = exposition_of([status()], as_of=END, accept="application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
    assert shown.content_type.startswith("application/openmetrics-text; version=1.0.0")
    families = {family.name: family.samples for family in openmetrics_families(shown.content.decode())}
    (sample,) = families["bellwether_run_latency_p95_seconds"]
    assert sample.value == 0.0424
    assert exposition_of([], as_of=END).content_type == "text/plain; version=0.0.4; charset=utf-8"


@pytest.mark.parametrize("accept", ["", "*/*", "text/html", "application/openmetrics-text; version=x.y", ";;,,="])
def test_unknown_formats_get_plain_text(accept: str) -> None:
    """A malformed header, too."""
    assert b"bellwether_run_verdict" in exposition_of([status()], as_of=END, accept=accept).content
