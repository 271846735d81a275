"""The charts of a run as PNG: latency, throughput, and the comparison with the baseline.

Matplotlib is imported only when something is drawn: it takes seconds, and most stages draw nothing.
"""

from collections.abc import Mapping
from pathlib import Path

from include.perf.ports import CHARTS_FOLDER, TIMESERIES_FILE
from include.perf.run import RunRecord


class MatplotlibCharts:
    """Draws the charts of a run with Matplotlib."""

    def render(self, record: RunRecord, folder: Path) -> Mapping[str, str]:
        """Write PNG files below ``folder`` and return their paths relative to it by chart name.

        What there is no data for is not drawn: without a time series neither of the charts over time, without
        any answer no latency, without a comparison no chart of it.

        Raises:
            StoreError: the time series is not what the load generator writes.
        """
        import matplotlib as mpl

        from include.perf.adapters import chart_style as style
        from include.perf.adapters.comparison_chart import comparison_figure
        from include.perf.adapters.timeseries import read_timeseries
        from include.perf.adapters.timeseries_charts import latency_figure, throughput_figure
        from include.perf.phrase import is_compared

        series = read_timeseries(folder / TIMESERIES_FILE)
        drawn = {}
        with mpl.rc_context(style.STYLE):
            if series and series.has_answers:
                drawn["latency"] = latency_figure(record, series)
            if series:
                drawn["throughput"] = throughput_figure(record, series)
            if is_compared(record):
                drawn["comparison"] = comparison_figure(record)
            paths = {name: f"{CHARTS_FOLDER}/{name}.png" for name in drawn}
            for name, figure in drawn.items():
                style.save(figure, folder / paths[name])
        return paths
