"""The charts of a run: comparison with the baseline, latency, latency distribution, throughput and resources.

Matplotlib is imported only when something is drawn, because the import takes seconds and most stages draw nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from include.perf.measure.distribution import Distribution, read_distribution
from include.perf.measure.server_series import read_server_series
from include.perf.model.errors import StoreError
from include.perf.model.file_reader import read_item
from include.perf.model.file_writer import write_atomically
from include.perf.runs.record import RunRecord
from include.perf.runs.results_store import (
    CHARTS_FOLDER,
    DISTRIBUTION_FILE,
    SERVER_SERIES_FILE,
    TIMESERIES_FILE,
    LeftOut,
    log_left_out,
    max_bytes,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

T = TypeVar("T")


class MatplotlibCharts:
    """Draws the charts of a run with Matplotlib."""

    def render(
        self,
        record: RunRecord,
        folder: Path,
        *,
        baseline: Sequence[Distribution] = (),
        left_out: LeftOut = log_left_out,
    ) -> Mapping[str, str]:
        """Write the charts below ``folder`` and return the paths of the PNG files relative to it, by chart name.

        Each PNG has two SVGs in the same folder: ``<name>.svg`` for light pages and ``<name>.dark.svg`` for dark ones.
        Charts without data are skipped: charts over time without a time series, the latency without an answer, the
        comparison without a baseline. So are charts of a file that cannot be read.

        Args:
            baseline: the latency distributions of the baseline's runs.
            left_out: receives the files of the run that cannot be drawn.
        """
        import matplotlib as mpl

        from include.perf.reporting.charts import style
        from include.perf.reporting.charts.svg import drawn_as_svg

        paths = {}
        with mpl.rc_context(style.STYLE):
            for name, figure in _figures(record, _Files(record, folder, left_out), baseline).items():
                paths[name] = f"{CHARTS_FOLDER}/{name}.png"
                style.save(figure, folder / paths[name])
                for suffix, content in drawn_as_svg(figure, name=name).items():
                    write_atomically(folder / CHARTS_FOLDER / f"{name}{suffix}", content, follow_link=False)
        return paths


@dataclass(frozen=True, slots=True)
class _Files:
    """The files of a run that charts are drawn from."""

    record: RunRecord
    folder: Path
    left_out: LeftOut

    def read(self, name: str, parse: Callable[..., T | None]) -> T | None:
        """Return what a file holds; ``None`` if it does not exist, has no rows, or is left out."""
        where = f"{name} of {self.record.run_id}"
        try:
            content = read_item(self.folder / name, what=where, limit=max_bytes(name))
            return None if content is None else parse(content, where=where)
        except StoreError as err:
            self.left_out(str(self.folder / name), str(err))
            return None


def _figures(record: RunRecord, files: _Files, baseline: Sequence[Distribution]) -> "dict[str, Figure]":
    """Return all charts that have data, by name."""
    from include.perf.measure.timeseries import read_timeseries
    from include.perf.reporting.charts.comparison import comparison_figure
    from include.perf.reporting.charts.distribution import distribution_figure
    from include.perf.reporting.charts.resources import resources_figure
    from include.perf.reporting.charts.timeseries import latency_figure, throughput_figure
    from include.perf.runs.phrases import is_compared

    series = files.read(TIMESERIES_FILE, read_timeseries)
    own = files.read(DISTRIBUTION_FILE, read_distribution)
    server = files.read(SERVER_SERIES_FILE, read_server_series)
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
