"""The charts of a run: comparison with the baseline, latency, latency distribution, throughput and resources.

Matplotlib is imported only when something is drawn, because the import takes seconds and most stages draw nothing.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from include.perf.measure.distribution import Distribution, read_distribution
from include.perf.measure.server_series import ServerSeries, read_server_series
from include.perf.model.file_writer import write_atomically
from include.perf.runs.record import RunRecord
from include.perf.runs.results_store import CHARTS_FOLDER, DISTRIBUTION_FILE, SERVER_SERIES_FILE, TIMESERIES_FILE

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class MatplotlibCharts:
    """Draws the charts of a run with Matplotlib."""

    def render(self, record: RunRecord, folder: Path, *, baseline: Sequence[Distribution] = ()) -> Mapping[str, str]:
        """Write the charts below ``folder`` and return the paths of the PNG files relative to it, by chart name.

        Each PNG has two SVGs in the same folder: ``<name>.svg`` for light pages and ``<name>.dark.svg`` for dark ones.
        Charts without data are skipped: charts over time without a time series, the latency without an answer, the
        comparison without a baseline.

        Args:
            baseline: the latency distributions of the baseline's runs.

        Raises:
            StoreError: a file of the run is malformed.
        """
        import matplotlib as mpl

        from include.perf.reporting.charts import style
        from include.perf.reporting.charts.svg import drawn_as_svg

        paths = {}
        with mpl.rc_context(style.STYLE):
            for name, figure in _figures(record, folder, baseline).items():
                paths[name] = f"{CHARTS_FOLDER}/{name}.png"
                style.save(figure, folder / paths[name])
                for suffix, content in drawn_as_svg(figure, name=name).items():
                    write_atomically(folder / CHARTS_FOLDER / f"{name}{suffix}", content, follow_link=False)
        return paths


def _figures(record: RunRecord, folder: Path, baseline: Sequence[Distribution]) -> "dict[str, Figure]":
    """Return all charts that have data, by name."""
    from include.perf.measure.timeseries import read_timeseries
    from include.perf.reporting.charts.comparison import comparison_figure
    from include.perf.reporting.charts.distribution import distribution_figure
    from include.perf.reporting.charts.resources import resources_figure
    from include.perf.reporting.charts.timeseries import latency_figure, throughput_figure
    from include.perf.runs.phrases import is_compared

    series = read_timeseries(folder / TIMESERIES_FILE)
    own, server = _distribution(folder / DISTRIBUTION_FILE), _server_series(folder / SERVER_SERIES_FILE)
    drawn = {}
    if is_compared(record):
        drawn["comparison"] = comparison_figure(record)
    if series and series.has_answers:
        drawn["latency"] = latency_figure(record, series)
    if own:
        drawn["distribution"] = distribution_figure(record, own, baseline)
    if series:
        drawn["throughput"] = throughput_figure(record, series)
    if series and server:
        drawn["resources"] = resources_figure(record, series, server)
    return drawn


def _distribution(path: Path) -> Distribution | None:
    return read_distribution(path.read_bytes(), where=str(path)) if path.is_file() else None


def _server_series(path: Path) -> ServerSeries | None:
    return read_server_series(path.read_bytes(), where=str(path)) if path.is_file() else None
