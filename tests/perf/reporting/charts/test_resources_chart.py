"""The resources chart: a panel for each metric with data, over the same time."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from include.perf.measure.server_series import ServerSeries
from include.perf.measure.timeseries import read_timeseries
from include.perf.reporting.charts.resources import resources_figure
from include.perf.runs.figures import Stall
from include.perf.runs.record import RunRecord, Verdict
from tests.records import baseline_reference, deviation, record_of, regressed_record, run_record, timeseries_rows
from tests.records import write_timeseries as write

GIB, MIB = 1024**3, 1024**2


def drawn(folder: Path, record: RunRecord | None = None, **values: float) -> Figure:
    """Draw a run of 100 s with constant metrics; a metric that is not given has no value."""
    series = read_timeseries(write(folder, timeseries_rows(warmup_s=20, duration_s=80)).read_bytes(), where="x")
    assert series is not None
    given = values or {"cpu_usage": 1.9, "memory_usage": 790.0 * MIB, "disk_usage": 0.41}
    seconds = tuple(range(5, 95, 5))
    server = ServerSeries(
        seconds=seconds,
        values={name: (given.get(name),) * len(seconds) for name in ("cpu_usage", "memory_usage", "disk_usage")},
    )
    return resources_figure(record or run_record(), series, server)


def texts(figure: Figure) -> set[str]:
    return {text.get_text() for text in figure.findobj(Text)}


def test_each_metric_has_a_panel_over_the_same_time(tmp_path: Path) -> None:
    """Throughput is on top; only the lowest panel labels the time."""
    figure = drawn(tmp_path)
    assert len(figure.axes) == 4
    assert {axes.get_xlim() for axes in figure.axes} == {(0.0, 100.0)}
    assert [axes.get_xlabel() != "" for axes in figure.axes] == [False, False, False, True]
    found = texts(figure)
    assert {"succeeded 500/s", "CPU 1.87 cores", "Memory 790.5 MiB", "Disk used 41.30 %"} <= found
    assert {"baseline 1.84 cores", "baseline 782.0 MiB", "baseline 41.20 %"} <= found


def test_a_metric_without_samples_has_no_panel(tmp_path: Path) -> None:
    """The other panels use its room."""
    assert len(drawn(tmp_path, cpu_usage=1.9).axes) == 2


def test_the_baseline_is_drawn_where_the_run_was_compared(tmp_path: Path) -> None:
    """It is a dashed line; without a baseline there is none."""
    cpu = drawn(tmp_path).axes[1]
    assert [float(np.asarray(line.get_ydata())[0]) for line in cpu.lines if line.get_linestyle() == "--"] == [1.84]
    alone = drawn(tmp_path, record_of(Verdict.NO_BASELINE))
    assert not [text for text in texts(alone) if text.startswith("baseline")]


@pytest.mark.parametrize(
    ("metric", "value", "low", "high"),
    [
        ("cpu_usage", 1.9, 0.0, 2.28),  # from zero to 1.2 times the highest value
        ("memory_usage", 790.0 * MIB, 746.7 * MIB, 825.3 * MIB),  # 10 % of the middle, 786 MiB, of value and baseline
        ("disk_usage", 0.41, 0.3905, 0.4316),
        ("cpu_usage", 0.0, 0.0, 2.208),
    ],
)
def test_a_small_change_looks_small(tmp_path: Path, metric: str, value: float, low: float, high: float) -> None:
    """A panel spans at least a tenth of its level."""
    assert drawn(tmp_path, **{metric: value}).axes[1].get_ylim() == pytest.approx((low, high), rel=1e-3)


@pytest.mark.parametrize(
    ("values", "unit"),
    [({"memory_usage": 790.0 * MIB}, "MiB"), ({"memory_usage": 40.0 * GIB}, "GiB"), ({"disk_usage": 0.41}, "%")],
)
def test_ticks_are_round_in_the_unit_that_people_use(tmp_path: Path, values: dict[str, float], unit: str) -> None:
    """There is no 762.939 MiB."""
    axes = drawn(tmp_path, **values).axes[1]
    labels = [axes.yaxis.get_major_formatter()(tick, 0) for tick in axes.get_yticks()]
    assert labels
    assert all(label.endswith(f" {unit}") and len(label) < 9 for label in labels)


def test_stalls_are_marked_in_every_panel(tmp_path: Path) -> None:
    """They show the resource usage during a stall."""
    plain = [len(axes.patches) for axes in drawn(tmp_path).axes]
    figure = drawn(tmp_path, run_record(stalls=(Stall(start_s=40.0, duration_s=2.5),)))
    assert [len(axes.patches) for axes in figure.axes] == [count + 1 for count in plain]
    assert "▮ stall of 2.5 s" in texts(figure)


@pytest.mark.parametrize(
    ("record", "title"),
    [
        (run_record(), "CPU 1.87 cores, memory 790.5 MiB, disk used 41.30 %"),
        (regressed_record(deviation("cpu_usage", 2.6)), "CPU rose to 2.60 cores, 41 % above baseline"),
        (regressed_record(deviation("disk_usage", 0.6)), "Disk used rose to 60.00 %, was 41.20 %"),
        (run_record(metrics={}, baseline=baseline_reference(metrics={})), "Resource usage of the service"),
    ],
)
def test_the_title_is_the_finding(tmp_path: Path, record: RunRecord, title: str) -> None:
    """The first of its metrics that deviates, else the values."""
    assert drawn(tmp_path, record).texts[0].get_text() == title
