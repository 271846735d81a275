"""What each family says of a cell: the value that is known, and nothing where none is."""

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
from tests.perf.monitoring.standings import labels, samples_of, standing
from tests.records import END, HEALTHY_METRICS, record_of

CELL = labels()


def test_a_run_says_what_was_judged() -> None:
    """Each of the eight metrics under a name of its own with its unit; of re-runs the median."""
    judged = entry(judged={"latency_p95": 0.0431})
    found = samples_of(standing(measured=judged))
    assert found["bellwether_run_latency_p95_seconds"] == {CELL: 0.0431}
    assert found["bellwether_run_throughput_requests_per_second"] == {CELL: 499.5}
    values = {name: found[names.family(names.RUN, name)][CELL] for name in METRICS}
    assert values == {**HEALTHY_METRICS, "latency_p95": 0.0431}


def test_the_shift_is_signed_as_measured() -> None:
    """0.0424 against 0.0421 s is 0.7 % more, 499.5 against 499.4/s is 0.02 % more."""
    shifts = samples_of(standing())["bellwether_run_shift_ratio"]
    assert shifts[labels(metric="latency_p95")] == pytest.approx(0.0003 / 0.0421)
    assert shifts[labels(metric="throughput")] == pytest.approx(0.1 / 499.4)
    assert len(shifts) == 8


def test_one_verdict_of_seven_is_true() -> None:
    """Of the latest run, whether or not its figures can be trusted."""
    invalid = entry(record_of(Verdict.INVALID))
    found = samples_of(standing(latest=invalid))["bellwether_run_verdict"]
    assert found == {labels(verdict=verdict.value): float(verdict is Verdict.INVALID) for verdict in Verdict}


def test_when_the_latest_run_was() -> None:
    """Its end at 06:55 UTC, 16 min and 3 s after its first request at 06:38:57; and how the generator did."""
    found = samples_of(standing())
    assert found["bellwether_run_timestamp_seconds"] == {CELL: END.timestamp()}
    assert found["bellwether_run_duration_seconds"] == {CELL: 963.0}
    assert found["bellwether_generator_lag_p99_seconds"] == {CELL: 0.0008}
    assert found["bellwether_generator_saturation_ratio"] == {CELL: 0.64}


def test_a_skipped_run_is_a_run_without_a_load() -> None:
    """It has a time and a verdict; duration and generator are those of the load before it."""
    later = END + timedelta(days=1)
    skipped = entry(record_of(Verdict.SKIPPED), started_at=later)
    found = samples_of(standing(latest=skipped))
    assert found["bellwether_run_timestamp_seconds"] == {CELL: later.timestamp()}
    assert found["bellwether_run_duration_seconds"] == {CELL: 963.0}
    assert found["bellwether_run_latency_p95_seconds"] == {CELL: 0.0424}


def test_a_generator_that_could_not_keep_up_is_seen() -> None:
    """The latest load tells of it, although nothing that it measured can be trusted."""
    slow = entry(record_of(Verdict.INVALID), generator_lag_p99_s=0.2, window=entry().window)
    found = samples_of(standing(latest=slow))
    assert found["bellwether_generator_lag_p99_seconds"] == {CELL: 0.2}


def test_a_baseline_tells_its_level_and_its_age() -> None:
    """Ten runs by Ana, approved; after half a year it is stale."""
    cell = standing()
    baseline = cell.baseline
    assert baseline is not None
    found = samples_of(cell)
    assert found["bellwether_baseline_latency_p95_seconds"] == {CELL: baseline.metrics["latency_p95"]}
    assert found["bellwether_baseline_info"] == {labels(state="approved", version="10"): 1.0}
    assert found["bellwether_baseline_timestamp_seconds"] == {CELL: baseline.approval.at.timestamp()}
    assert found["bellwether_baseline_expiry_timestamp_seconds"] == {CELL: baseline.expires_at.timestamp()}
    assert found["bellwether_baseline_runs"] == {CELL: 10.0}
    late = samples_of(standing(now=baseline.expires_at))
    assert late["bellwether_baseline_info"] == {labels(state="stale", version="10"): 1.0}


def test_the_limits_in_force() -> None:
    """By severity, for the metrics that have any."""
    found = samples_of(standing())
    assert found["bellwether_alert_limit_latency_p95_seconds"] == {
        labels(severity="warning"): 0.05,
        labels(severity="critical"): 0.055,
    }
    assert found["bellwether_alert_limit_cpu_cores"] == {}


def test_a_load_that_runs() -> None:
    """From when on, and when it has to be over; once it is, when it was."""
    load = sent_load()
    running = samples_of(standing(load=load))
    assert running["bellwether_load_running"] == {CELL: 1.0}
    assert running["bellwether_load_start_timestamp_seconds"] == {CELL: load.started_at.timestamp()}
    assert running["bellwether_load_end_timestamp_seconds"] == {CELL: load.ends_by.timestamp()}
    over = samples_of(standing(load=sent_load(ended_at=START), is_loaded=False))
    assert over["bellwether_load_running"] == {CELL: 0.0}
    assert over["bellwether_load_end_timestamp_seconds"] == {CELL: START.timestamp()}


def test_open_problems_by_severity() -> None:
    """Zero is known here: nothing is open."""
    assert samples_of(standing())["bellwether_open_problems"] == {
        labels(severity=each.value): float(each is Severity.WARNING) for each in Severity
    }


def test_what_is_not_known_is_not_there() -> None:
    """A cell that never ran, without a baseline: whether a load runs and what is open is known, and no more."""
    found = samples_of(standing(latest=None, measured=None, baseline=None, load=None, is_loaded=False, limits=None))
    known = {name: samples for name, samples in found.items() if samples}
    assert known.keys() == {"bellwether_load_running", "bellwether_open_problems"}
    assert len(found) == len(GAUGES)


def test_a_run_of_another_environment_says_so() -> None:
    """The service has moved since: what runs measured was elsewhere."""
    found = samples_of(standing(environment="perf", measured=entry(environment="staging"), limits=None))
    assert found["bellwether_run_latency_p95_seconds"] == {CELL: 0.0424}
    assert found["bellwether_load_running"] == {labels(environment="perf"): 1.0}


def test_names_are_as_prometheus_wants_them() -> None:
    """Checked by promtool, which knows the conventions; the unit comes last, and every text is a sentence."""
    text = exposition_of([standing()]).content
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    for gauge in GAUGES:
        assert gauge.text.endswith("."), gauge.name
        assert re.fullmatch(r"bellwether_[a-z0-9_]+", gauge.name)
    assert len({gauge.name for gauge in GAUGES}) == len(GAUGES)


def test_who_asks_for_openmetrics_gets_it() -> None:
    """As newer Prometheus servers do; the figures are the same."""
    shown = exposition_of([standing()], accept="application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
    assert shown.content_type.startswith("application/openmetrics-text; version=1.0.0")
    families = {family.name: family.samples for family in openmetrics_families(shown.content.decode())}
    (sample,) = families["bellwether_run_latency_p95_seconds"]
    assert sample.value == 0.0424
    assert exposition_of([]).content_type == "text/plain; version=0.0.4; charset=utf-8"


@pytest.mark.parametrize("accept", ["", "*/*", "text/html", "application/openmetrics-text; version=x.y", ";;,,="])
def test_any_wish_is_answered(accept: str) -> None:
    """What nobody understands is answered with the plain text."""
    assert b"bellwether_run_verdict" in exposition_of([standing()], accept=accept).content
