"""The distribution chart: axes, labels, and tinted areas."""

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from include.perf.reporting.charts.distribution import distribution_figure
from include.perf.runs.record import Verdict
from tests.records import deviation, metric_values, record_of, regressed_record, run_record
from tests.run_files import baseline_runs, distribution


def texts(figure: Figure) -> set[str]:
    return {text.get_text() for text in figure.findobj(Text)}


def ticks(axes: Axes) -> list[str]:
    return [label.get_text() for label in axes.get_xticklabels()]


def test_percentiles_are_evenly_spaced_in_nines() -> None:
    """p90 at 1, p99 at 2, p99.9 at 3; the line of the run goes through its own percentiles."""
    own = distribution(requests=200_000)
    axes = distribution_figure(run_record(), own, ()).axes[0]
    line = axes.lines[0]
    for nines, share in ((1, 0.9), (2, 0.99), (3, 0.999)):
        drawn = np.interp(nines, np.asarray(line.get_xdata()), np.asarray(line.get_ydata()))
        assert drawn == pytest.approx(own.quantiles([share])[0], rel=0.02)
    assert axes.get_yscale() == "log"


@pytest.mark.parametrize(
    ("requests", "last"),
    # ten requests must be slower than the last percentile: of 60 that is 83 %, and at least p90 is shown
    [(60, "p90"), (2_000, "p99"), (20_000, "p99.9"), (200_000, "p99.99"), (400_000, "p99.99")],
)
def test_the_last_percentile_depends_on_the_number_of_requests(requests: int, last: str) -> None:
    """A percentile of two requests is chance."""
    axes = distribution_figure(run_record(), distribution(requests=requests), ()).axes[0]
    assert ticks(axes)[-1] == last


def test_judged_percentiles_have_exact_values() -> None:
    """Those of the record, with their baseline."""
    found = texts(distribution_figure(regressed_record(), distribution(), baseline_runs(3)))
    assert {"p50 18.5 ms", "was 18.3 ms", "p95 61.2 ms", "was 42.1 ms", "p99 88.2 ms", "was 87.6 ms"} <= found
    assert {"this run", "baseline", "baseline: the\nmedian and the\nrange of 3 runs"} <= found
    assert "percentile of 20,000 measured requests" in found


def test_without_a_baseline_there_is_only_the_run() -> None:
    """No line and no label of a baseline."""
    found = texts(distribution_figure(record_of(Verdict.NO_BASELINE), distribution(), ()))
    assert not [text for text in found if "baseline" in text or text.startswith("was ")]
    assert "this run" in found


def test_a_missing_percentile_is_not_marked() -> None:
    """The record may lack a p95, and few requests have no p99."""
    record = run_record(metrics=metric_values(latency_p95="no request was answered"))
    assert not [text for text in texts(distribution_figure(record, distribution(), ())) if text.startswith("p95 ")]
    few = texts(distribution_figure(run_record(), distribution(requests=60), ()))
    assert not [text for text in few if text.startswith("p99 ")]


@pytest.mark.parametrize(
    ("median_s", "slower", "faster"),
    [(0.0183, False, False), (0.026, True, False), (0.012, False, True)],
)
def test_only_values_outside_the_baselines_range_are_tinted(median_s: float, slower: bool, faster: bool) -> None:
    """A run within the range may differ from the median."""
    axes = distribution_figure(run_record(), distribution(median_s=median_s), baseline_runs(8)).axes[0]
    _, above, below = axes.collections  # the range, slower, faster

    def area(collection: object) -> float:
        return sum(float(np.ptp(path.vertices[:, 0])) for path in collection.get_paths())  # type: ignore[attr-defined]

    assert (area(above) > 2, area(below) > 2) == (slower, faster)


def test_the_title_is_the_finding() -> None:
    """Like the title of the latency chart."""
    record = regressed_record(deviation("latency_p99", 0.1752))
    figure = distribution_figure(record, distribution(), ())
    assert figure.texts[0].get_text() == "p99 rose to 175 ms, 100 % above baseline"
    plain = distribution_figure(run_record(), distribution(), ())
    assert plain.texts[0].get_text() == "Latency by percentile: p99 88.2 ms"
