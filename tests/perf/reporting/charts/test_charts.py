"""The charts over time and the comparison: titles, content, and malformed time series."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.text import Text

from include.perf.catalogue.scenario.arrival_rate import CurvePoint, Shape
from include.perf.measure.timeseries import MAX_BINS, Timeseries, bin_width_s, read_timeseries
from include.perf.model.errors import StoreError
from include.perf.reporting.charts import style
from include.perf.reporting.charts.axes import finding_of
from include.perf.reporting.charts.charts import MatplotlibCharts
from include.perf.reporting.charts.comparison import comparison_figure
from include.perf.reporting.charts.timeseries import latency_figure, throughput_figure
from include.perf.runs.record import RunRecord, Verdict
from tests.records import (
    BASELINE_METRICS,
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
from tests.run_files import baseline_runs, write_distribution, write_server_series


def test_rendering_is_deterministic(tmp_path: Path) -> None:
    """The same run gives the same bytes, and global settings are unchanged."""
    write_timeseries(tmp_path, timeseries_rows(warmup_s=5, duration_s=20))
    write_distribution(tmp_path)
    write_server_series(tmp_path, total_s=25)
    before = dict(mpl.rcParams)
    first, second = (_files_of(tmp_path, run_record()) for _ in range(2))
    assert first == second
    assert len(first) == 5 * 3
    assert dict(mpl.rcParams) == before
    assert _pixels(first["latency.png"]) == (1200, 675)


def test_the_font_is_the_one_that_comes_with_matplotlib() -> None:
    """Another version of DejaVu Sans on the system must not move labels."""
    found = Path(font_manager.findfont("DejaVu Sans"))
    assert found.is_relative_to(mpl.get_data_path())


@pytest.mark.parametrize(
    ("record", "rows", "expected"),
    [
        (run_record(), ["0,measured,5,5,5,0,0.01,0.02,0.03"], {"latency", "throughput", "comparison"}),
        (run_record(), ["0,warmup,5,5,0,5,,,", "1,measured,5,5,0,5,,,"], {"throughput", "comparison"}),
        (run_record(), ["0,warmup,5,5,5,0,0.01,0.02,0.03"], {"latency", "throughput", "comparison"}),
        (run_record(), [], {"comparison"}),
        (run_record(), None, {"comparison"}),
        (record_of(Verdict.NO_BASELINE), None, set()),
        (record_of(Verdict.NOT_COMPARABLE), None, set()),
        (record_of(Verdict.INVALID), ["0,measured,5,5,5,0,0,0,0"], {"latency", "throughput"}),
        (record_of(Verdict.SKIPPED), None, set()),
    ],
)
def test_only_charts_with_data_are_drawn(
    record: RunRecord, rows: list[str] | None, expected: set[str], tmp_path: Path
) -> None:
    """One second, no answer, no file or no baseline: fewer charts, no error."""
    if rows is not None:
        write_timeseries(tmp_path, rows)
    paths = MatplotlibCharts().render(record, tmp_path)
    assert set(paths) == expected
    assert all((tmp_path / path).is_file() for path in paths.values())
    assert set(paths.values()) == {f"charts/{name}.png" for name in expected}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the columns must be"),
        ("second,phase\n0,measured\n", "the columns must be"),
        ("{header}\nx,measured,5,5,5,0,,,\n", "is not a time series"),
        ("{header}\n-1,measured,5,5,5,0,,,\n", "second must be from 0 to 86,400, but is -1"),
        ("{header}\n0,measured\n1,measured,5,5,5,0,,,\n", "is not a time series"),
    ],
)
def test_a_malformed_time_series_is_refused(content: str, message: str, tmp_path: Path) -> None:
    """The message names the file and the problem."""
    path = write_timeseries(tmp_path, [])
    header = path.read_text(encoding="utf-8").strip()
    path.write_text(content.format(header=header), encoding="utf-8")
    with pytest.raises(StoreError, match=message):
        read_timeseries(path.read_bytes(), where=str(path))


def test_an_incomplete_last_line_is_ignored(tmp_path: Path) -> None:
    """A killed generator leaves half a line."""
    path = write_timeseries(tmp_path, ["0,measured,5,5,5,0,0.01,0.02,0.03", "1,meas"])
    assert _series(path).total_s == 1


@pytest.mark.parametrize(
    ("total_s", "width_s"),
    # 240 bins at most: 240 × 1 s, 240 × 5 s = 20 min, 240 × 10 s = 40 min …
    [(1, 1), (240, 1), (241, 5), (960, 5), (1200, 5), (1201, 10), (3660, 30), (14_400, 60), (90_000, 300)],
)
def test_the_width_of_bins(total_s: int, width_s: int) -> None:
    """Every scenario has at most 240 points per line, which a phone can show."""
    assert bin_width_s(total_s) == width_s
    assert total_s / width_s <= MAX_BINS or width_s == 300


def test_bins_have_the_median_and_the_worst_second(tmp_path: Path) -> None:
    """p99 of 5 s: 10, 20, 30, none and 100 ms give a median of 25 and a worst of 100; never a mean of percentiles."""
    p99 = ["0.010", "0.020", "0.030", "", "0.100"] * 49  # 245 s, so 5 s a bin
    rows = [f"{s},measured,10,10,8,{2 * (s == 3)},0.001,0.002,{value}" for s, value in enumerate(p99)]
    series = _series(write_timeseries(tmp_path, rows))
    assert series.width_s == 5
    assert series.typical_s["latency_p99"].tolist() == pytest.approx([0.025] * 49)
    assert series.worst_s["latency_p99"].tolist() == pytest.approx([0.1] * 49)
    assert series.failed_rps[:2].tolist() == pytest.approx([0.4, 0.0])  # 2 in 5 s
    assert series.had_failures.tolist() == [True] + [False] * 48


def test_a_gap_is_not_zero_and_a_short_last_bin_is_no_dip(tmp_path: Path) -> None:
    """242 s in bins of 5 s: the last has 2 seconds; seconds 10 to 14 were never written."""
    rows = [f"{s},{'warmup' if s < 5 else 'measured'},8,8,8,0,0.01,0.02,0.03" for s in range(242) if not 10 <= s < 15]
    series = _series(write_timeseries(tmp_path, rows))
    assert np.isnan(series.finished_rps[2])
    assert np.isnan(series.worst_s["latency_p99"][2])
    assert series.finished_rps[-1] == 8.0
    assert (series.middle_s[0], series.middle_s[-1]) == (2.5, 241.0)
    assert (series.warmup_s, series.total_s) == (5, 242)


@pytest.mark.parametrize(
    ("record", "title"),
    [
        (regressed_record(), "p95 rose to 61.2 ms, 45 % above baseline"),
        (record_of(Verdict.IMPROVEMENT), "p95 fell to 30.0 ms, 29 % below baseline"),
        (regressed_record(deviation("latency_p99", 0.1752)), "p99 rose to 175 ms, 100 % above baseline"),
        (regressed_record(deviation("latency_p95", 0.842)), "p95 rose to 842 ms, 20 times its baseline"),
        (run_record(), "Latency over time: p95 42.4 ms"),
        (run_record(metrics=metric_values(latency_p95="none")), "Latency over time"),
    ],
)
def test_the_latency_title_is_the_finding(record: RunRecord, title: str, tmp_path: Path) -> None:
    """Without a deviation the title is a description."""
    series = _series(write_timeseries(tmp_path, timeseries_rows(warmup_s=0, duration_s=5)))
    assert _title(latency_figure(record, series)) == title


@pytest.mark.parametrize(
    ("record", "title"),
    [
        (regressed_record(deviation("throughput", 430.0)), "Throughput fell to 430/s, 14 % below baseline"),
        (regressed_record(deviation("error_rate", 0.021)), "Error rate rose to 2.10 %, was 0.02 %"),
        (run_record(metrics=metric_values(throughput=470.0)), "470/s succeeded, 500/s requested"),
        (run_record(metrics=metric_values(throughput="none")), "Throughput over time: 500/s requested"),
    ],
)
def test_the_throughput_title_is_the_finding(record: RunRecord, title: str, tmp_path: Path) -> None:
    """Without a deviation it has the requested and the achieved rate."""
    series = _series(write_timeseries(tmp_path, timeseries_rows(warmup_s=0, duration_s=5)))
    assert _title(throughput_figure(record, series)) == title


@pytest.mark.parametrize(
    ("slow", "scale"),
    [(1.0, "linear"), (5.0, "linear"), (100.0, "log")],
)
def test_the_latency_axis_is_logarithmic_only_if_needed(slow: float, scale: str, tmp_path: Path) -> None:
    """A hundredfold excursion would hide the rest; a fivefold one would not."""
    rows = timeseries_rows(warmup_s=0, duration_s=100, slow=(range(40, 60), slow))
    figure = latency_figure(run_record(), _series(write_timeseries(tmp_path, rows)))
    assert figure.axes[0].get_yscale() == scale


def test_a_slow_warm_up_does_not_determine_the_scale(tmp_path: Path) -> None:
    """The measured part does."""
    rows = timeseries_rows(warmup_s=20, duration_s=80, slow=(range(5), 500.0))
    axes = latency_figure(run_record(), _series(write_timeseries(tmp_path, rows))).axes[0]
    assert axes.get_yscale() == "linear"
    assert axes.get_ylim()[1] < 0.3


def test_the_axis_explains_the_bins(tmp_path: Path) -> None:
    """The line is the median second and the shade the worst one."""
    rows = timeseries_rows(warmup_s=0, duration_s=300)
    texts = _texts(latency_figure(run_record(), _series(write_timeseries(tmp_path, rows))))
    assert "latency: median second of each 5 s; shade: up to the p99 of the worst second" in texts


def test_the_requested_rate_is_drawn_as_it_varies(tmp_path: Path) -> None:
    """From 500/s of warm-up up to 1500/s, down to 500/s again within 60 s; a constant load has a horizontal line."""
    series = _series(write_timeseries(tmp_path, timeseries_rows(warmup_s=20, duration_s=80)))
    curve = (
        CurvePoint(at_s=0, rate_rps=500),
        CurvePoint(at_s=20, rate_rps=1500, by=Shape.STEP),
        CurvePoint(at_s=80, rate_rps=500, by=Shape.DECAY),
    )
    record = run_record(load=load_summary(requested_rate_rps=807.7, requested_curve=curve))
    axes = throughput_figure(record, series).axes[0]
    when_s, rate_rps = (np.asarray(values) for values in axes.lines[0].get_data())
    for at_s, expected in ((10, 500), (20.1, 1500), (50, 1500 / 3**0.5), (90, 500)):
        assert np.interp(at_s, when_s, rate_rps) == pytest.approx(expected, rel=0.01)
    assert axes.get_ylim()[1] > 1500
    assert "requested 808/s" in _texts(throughput_figure(record, series))
    level = throughput_figure(run_record(), series).axes[0].lines[0]
    assert np.asarray(level.get_ydata()).tolist() == [500.0, 500.0]


def test_comparison_puts_worse_to_the_right() -> None:
    """Less throughput is worse, so −14 % is right of zero; less CPU is left of it."""
    record = regressed_record(deviation("throughput", 430.0), deviation("cpu_usage", 1.2))
    dots = _dots(comparison_figure(record))
    assert dots["Throughput"] == pytest.approx(13.9, abs=0.1)  # (499.4 − 430) / 499.4
    assert dots["CPU"] == pytest.approx(-34.8, abs=0.1)  # (1.2 − 1.84) / 1.84
    assert dots["Error rate"] == pytest.approx(0.01)  # points


def test_the_comparison_of_a_run_with_reruns_shows_the_medians() -> None:
    """The values match the changes: the first run took 2.4 s, the median of the runs is 61 ms."""
    judged = {"latency_p95": 0.0612}
    record = regressed_record(metrics=metric_values(latency_p95=2.4), judged=judged, reruns=("r2", "r3"))
    texts = _texts(comparison_figure(record))
    assert {"42.1 → 61.2 ms", "+45 %", "baseline → median of its runs"} <= set(texts)
    assert finding_of(record, ["latency_p95"]) == "p95 rose to 61.2 ms (median of its runs), 45 % above baseline"


def test_the_comparison_explains_the_band_of_a_short_history() -> None:
    """An increase by a quarter is below the threshold, but not small."""
    record = run_record(baseline=baseline_reference(runs=2))
    notes = [text for text in _texts(comparison_figure(record)) if "grey band: " in text]
    assert notes[0].endswith("grey band: below the threshold, few nights of history")


def test_comparison_title_names_as_many_metrics_as_fit() -> None:
    """Names are complete or omitted."""
    names = ("latency_p50", "latency_p95", "latency_p99", "cpu_usage", "memory_usage", "disk_usage")
    record = regressed_record(*(deviation(name, BASELINE_METRICS[name] * 1.5) for name in names))
    title = _title(comparison_figure(record))
    assert title.startswith("6 of 8 metrics worse than baseline: p")
    assert title.endswith(", CPU, …")
    assert len(title) <= style.MAX_TITLE
    assert _title(comparison_figure(run_record())) == "In line with the baseline"


def test_comparison_names_what_it_cannot_show() -> None:
    """A metric without a value or baseline, or with a baseline of zero, has a reason instead of a dot."""
    baseline = baseline_reference(metrics={"latency_p50": 0.018, "cpu_usage": 0.0, "error_rate": 0.0})
    record = run_record(metrics=metric_values(latency_p50="none answered"), baseline=baseline)
    figure = comparison_figure(record)
    texts = _texts(figure)
    assert "no value: none answered" in texts
    assert "42.4 ms, no baseline for it yet" in texts
    assert "0 → 1.87 cores, no relative change from zero" in texts
    assert set(_dots(figure)) == {"Error rate"}


def test_units_are_written_once_where_they_agree() -> None:
    """ "42.1 → 61.2 ms"."""
    texts = _texts(comparison_figure(regressed_record()))
    assert {"42.1 → 61.2 ms", "+45 %", "499 → 500/s", "0.02 → 0.03 %", "782.0 → 790.5 MiB"} <= set(texts)


def test_hostile_names_are_drawn_as_text(tmp_path: Path) -> None:
    """Dollars start no formula, and long names fit into the picture."""
    record = run_record(service="$\\frac{1}" + "x" * 300, scenario="\x1b[31m\n$$", environment="{}")
    write_timeseries(tmp_path, timeseries_rows(warmup_s=1, duration_s=3))
    assert len(MatplotlibCharts().render(record, tmp_path)) == 3
    wide = comparison_figure(run_record(service="W" * 63, scenario="m" * 63))
    assert all(text.get_window_extent().x1 <= style.WIDTH_PX for text in wide.findobj(Text))


@pytest.mark.parametrize(
    ("heights", "expected"),
    [
        ([0.1, 0.5], [0.1, 0.5]),
        ([0.5, 0.5], [0.5, 0.6]),
        ([0.95, 0.95], [0.855, 0.955]),
        ([0.5, 0.52, 0.54], [0.5, 0.6, 0.7]),
        ([], []),
    ],
)
def test_labels_are_moved_apart(heights: list[float], expected: list[float]) -> None:
    """With a gap of a tenth, labels do not overlap, and none is above the top."""
    assert style.spread(heights, gap=0.1) == pytest.approx(expected)


def _files_of(folder: Path, record: RunRecord) -> dict[str, bytes]:
    """Draw the charts and return their files by name."""
    MatplotlibCharts().render(record, folder, baseline=baseline_runs(2))
    return {path.name: path.read_bytes() for path in (folder / "charts").iterdir()}


def _series(path: Path) -> Timeseries:
    series = read_timeseries(path.read_bytes(), where=str(path))
    assert series is not None
    return series


def _title(figure: Figure) -> str:
    return figure.texts[0].get_text()


def _texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text)]


def _dots(figure: Figure) -> dict[str, float]:
    """Return where the dots stand, by metric title."""
    found = {}
    for axes in figure.axes:
        titles = [label.get_text() for label in axes.get_yticklabels()]
        for line in axes.lines:
            if line.get_marker() == "o":
                found[titles[int(np.asarray(line.get_ydata())[0])]] = float(np.asarray(line.get_xdata())[0])
    return found


def _pixels(png: bytes) -> tuple[int, int]:
    """Read width and height from the header of a PNG."""
    return int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")
