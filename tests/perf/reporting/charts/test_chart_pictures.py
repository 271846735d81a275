"""Charts compared with approved pictures, within a tolerance."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from include.perf.measure.distribution import Distribution
from include.perf.reporting.charts.charts import MatplotlibCharts
from include.perf.runs.figures import Stall
from include.perf.runs.record import RunRecord, Severity, Verdict
from tests.golden_files import MOST_DIFFERING, assert_golden_picture, share_differing
from tests.records import (
    baseline_reference,
    deviation,
    load_summary,
    metric_values,
    record_of,
    regressed_record,
    run_record,
    timeseries_rows,
    write_timeseries,
)
from tests.run_files import baseline_runs, distribution_bytes, write_distribution, write_server_series

HOSTILE = "<script>alert(1)</script> $\\frac{1}{2}$ \x1b[31m" + "W" * 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A run, its files, and the charts that are compared."""

    record: RunRecord
    rows: list[str]
    charts: tuple[str, ...]
    distribution: bytes = b""
    baseline: tuple[Distribution, ...] = ()
    total_s: int = 0
    without: tuple[str, ...] = field(default=())

    def render(self, folder: Path) -> Mapping[str, str]:
        """Write the files, and draw all charts with data."""
        write_timeseries(folder, self.rows)
        if self.distribution:
            write_distribution(folder, self.distribution)
        if self.total_s:
            write_server_series(folder, total_s=self.total_s, without=self.without)
        return MatplotlibCharts().render(self.record, folder, baseline=self.baseline)


def _plain() -> Case:
    return Case(
        record=run_record(),
        rows=timeseries_rows(),
        charts=("comparison", "latency", "distribution", "throughput", "resources"),
        distribution=distribution_bytes(),
        baseline=baseline_runs(),
        total_s=960,
    )


def _regression() -> Case:
    return Case(
        record=regressed_record(),
        rows=timeseries_rows(p95_s=0.06, failures={200: 3, 201: 5, 640: 20}),
        charts=("comparison", "latency", "distribution"),
        distribution=distribution_bytes(median_s=0.026),
        baseline=baseline_runs(),
    )


def _stall() -> Case:
    """Two stalls: one with timed-out requests, and one without."""
    stalls = (Stall(start_s=300.2, duration_s=14.2), Stall(start_s=612, duration_s=1.3))
    bad = range(300, 315)
    return Case(
        record=run_record(stalls=stalls),
        rows=timeseries_rows(failures=dict.fromkeys(range(300, 305), 500), slow=(bad, 60.0)),
        charts=("latency", "throughput", "resources"),
        total_s=960,
    )


def _errors() -> Case:
    """Latency a hundred times as high for a while, failures, and no memory figure."""
    found = (
        deviation("latency_p95", 5.3),
        deviation("latency_p99", 9.1),
        deviation("error_rate", 0.021, baseline=0.0),
        deviation("throughput", 430.0, severity=Severity.WARNING),
        deviation("cpu_usage", 1.2, severity=Severity.DIGEST),
    )
    values = {change.metric: change.value for change in found}
    reason = "Prometheus at http://prometheus:9090 did not answer within 10 s"
    bad = range(300, 700)
    return Case(
        record=regressed_record(*found, metrics=metric_values(**values, memory_usage=reason)),
        rows=timeseries_rows(failures={second: 30 * (second % 7) for second in bad}, slow=(bad, 60.0)),
        charts=("comparison", "latency", "throughput", "resources"),
        total_s=960,
        without=("memory_usage",),
    )


def _no_prometheus() -> Case:
    """No server-side metrics, and no baseline."""
    reason = "Prometheus was not queried"
    nothing = dict.fromkeys(("cpu_usage", "memory_usage", "disk_usage"), reason)
    return Case(
        record=run_record(verdict=Verdict.NO_BASELINE, baseline=None, metrics=metric_values(**nothing)),
        rows=timeseries_rows(),
        charts=("distribution",),
        distribution=distribution_bytes(),
    )


def _hostile() -> Case:
    reference = baseline_reference(state=HOSTILE)
    return Case(
        record=run_record(service=HOSTILE, scenario=HOSTILE, environment="{}", baseline=reference),
        rows=timeseries_rows(warmup_s=1, duration_s=3),
        charts=("comparison", "latency"),
    )


def _hour() -> Case:
    load = load_summary(duration_s=3600.0, due=1_800_000)
    return Case(
        record=run_record(load=load, stalls=(Stall(start_s=1800, duration_s=1.1),)),
        rows=timeseries_rows(duration_s=3600),
        charts=("latency", "resources"),
        total_s=3660,
    )


def _short() -> Case:
    return Case(
        record=record_of(Verdict.INVALID),
        rows=timeseries_rows(warmup_s=1, duration_s=2),
        charts=("latency", "throughput", "distribution"),
        distribution=distribution_bytes(requests=60),
    )


CASES: dict[str, Callable[[], Case]] = {
    "plain": _plain,
    "regression": _regression,
    "stall": _stall,
    "errors": _errors,
    "no_prometheus": _no_prometheus,
    "hostile": _hostile,
    "hour": _hour,
    "short_invalid": _short,
}


@pytest.mark.parametrize("name", CASES)
def test_charts_look_like_the_approved_pictures(name: str, tmp_path: Path) -> None:
    """They differ at most as much as with another font rasteriser."""
    case = CASES[name]()
    paths = case.render(tmp_path)
    for chart in case.charts:
        assert_golden_picture(f"charts/{name}_{chart}.png", (tmp_path / paths[chart]).read_bytes())


def test_a_moved_label_is_detected() -> None:
    """Ten strokes of 2 × 10 pixels, moved by three; a slightly different grey does not count."""
    before = np.full((338, 600, 3), 255, dtype=np.uint8)
    after = before.copy()
    for stroke in range(10):
        before[100:110, 100 + 8 * stroke : 102 + 8 * stroke] = 0
        after[100:110, 103 + 8 * stroke : 105 + 8 * stroke] = 0
    assert share_differing(before, after) == pytest.approx(400 / (338 * 600))
    assert share_differing(before, after) > MOST_DIFFERING
    assert share_differing(before, np.maximum(before, 39)) == 0.0
    assert share_differing(before, before[:300]) == 1.0
