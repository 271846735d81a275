"""The distribution chart: what is drawn beside what, and how far out."""

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
    # Ten must be slower than the last: of 60 that is 83 %, and p90 is the least that is shown.
    [(60, "p90"), (2_000, "p99"), (20_000, "p99.9"), (200_000, "p99.99"), (400_000, "p99.99")],
)
def test_it_goes_as_far_as_there_are_requests(requests: int, last: str) -> None:
    """A percentile that two requests make is chance."""
    axes = distribution_figure(run_record(), distribution(requests=requests), ()).axes[0]
    assert ticks(axes)[-1] == last


def test_the_percentiles_that_are_judged_have_their_exact_figures() -> None:
    """As in the record, beside what they are held to."""
    found = texts(distribution_figure(regressed_record(), distribution(), baseline_runs(3)))
    assert {"p50 18.5 ms", "was 18.3 ms", "p95 61.2 ms", "was 42.1 ms", "p99 88.2 ms", "was 87.6 ms"} <= found
    assert {"this run", "baseline", "baseline: the\nmedian and the\nrange of 3 runs"} <= found
    assert "percentile of the 20,000 requests that count" in found


def test_without_a_baseline_the_run_stands_alone() -> None:
    """No line, no level, no word of one."""
    found = texts(distribution_figure(record_of(Verdict.NO_BASELINE), distribution(), ()))
    assert not [text for text in found if "baseline" in text or text.startswith("was ")]
    assert "this run" in found


def test_a_figure_that_is_missing_is_not_marked() -> None:
    """A record may have no p95 although there is a distribution, and few requests no p99."""
    record = run_record(metrics=metric_values(latency_p95="no request was answered"))
    assert not [text for text in texts(distribution_figure(record, distribution(), ())) if text.startswith("p95 ")]
    few = texts(distribution_figure(run_record(), distribution(requests=60), ()))
    assert not [text for text in few if text.startswith("p99 ")]


@pytest.mark.parametrize(
    ("median_s", "slower", "faster"),
    [(0.0183, False, False), (0.026, True, False), (0.012, False, True)],
)
def test_only_what_no_run_of_the_baseline_had_is_tinted(median_s: float, slower: bool, faster: bool) -> None:
    """A run amid those of its baseline differs from the middle one, too."""
    axes = distribution_figure(run_record(), distribution(median_s=median_s), baseline_runs(8)).axes[0]
    _, above, below = axes.collections  # the range, slower, faster

    def area(collection: object) -> float:
        return sum(float(np.ptp(path.vertices[:, 0])) for path in collection.get_paths())  # type: ignore[attr-defined]

    assert (area(above) > 2, area(below) > 2) == (slower, faster)


def test_the_title_says_the_finding() -> None:
    """As that of the latency over time does."""
    record = regressed_record(deviation("latency_p99", 0.1752))
    figure = distribution_figure(record, distribution(), ())
    assert figure.texts[0].get_text() == "p99 rose to 175 ms, 100 % above baseline"
    plain = distribution_figure(run_record(), distribution(), ())
    assert plain.texts[0].get_text() == "Latency by percentile: p99 88.2 ms"
