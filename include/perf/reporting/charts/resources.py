"""Resource usage of the service over time: throughput, CPU, memory and disk in one panel each."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

from include.perf.catalogue.prometheus_target import SERVER_METRICS
from include.perf.measure.server_series import ServerSeries
from include.perf.measure.timeseries import Floats, Timeseries
from include.perf.model.metric import METRICS, SHORT_NAMES, Unit
from include.perf.model.numbers import LARGE_BYTES, format_value
from include.perf.reporting.charts import style
from include.perf.reporting.charts.axes import explain_stalls, finding_of, mark_stalls, scale_time
from include.perf.reporting.charts.style import EndLabel
from include.perf.runs.phrases import is_compared
from include.perf.runs.record import RunRecord

LEFT, WIDTH, TOP, BOTTOM, GAP = 0.115, 0.662, 0.80, 0.115, 0.028
"""Of the panels, as shares of the figure."""
LEAST_SPAN = 0.10
"""Smallest range of a panel relative to its level, so that a small change looks small."""
LABEL_GAP = 0.30


def resources_figure(record: RunRecord, series: Timeseries, server: ServerSeries) -> Figure:
    """Draw throughput, and below it each server-side metric that has a value."""
    figure = style.new_figure(record, _title(record))
    shown = [name for name in SERVER_METRICS if any(value is not None for value in server.values[name])]
    panels = _panels(figure, 1 + len(shown))
    _draw_throughput(panels[0], record, series)
    for axes, name in zip(panels[1:], shown, strict=True):
        _draw_metric(axes, name, record, server)
    for axes in panels:
        scale_time(axes, series)
        mark_stalls(axes, record, series)
        axes.tick_params(labelbottom=axes is panels[-1], labelsize=style.SMALL_PT)
    explain_stalls(panels[0], record)
    panels[-1].set_xlabel("time since the start of the load, min:s", fontsize=style.SMALL_PT)
    return figure


def _title(record: RunRecord) -> str:
    found = finding_of(record, SERVER_METRICS)
    if found is not None:
        return found
    values = {name: record.metrics.get(name) for name in SERVER_METRICS}
    figures = [
        f"{SHORT_NAMES[name]} {format_value(measured.value, measured.unit)}"
        for name, measured in values.items()
        if measured is not None and measured.value is not None
    ]
    return ", ".join(figures) or "Resource usage of the service"


def _panels(figure: Figure, count: int) -> list[Axes]:
    height = (TOP - BOTTOM - GAP * (count - 1)) / count
    bottoms = [TOP - (number + 1) * height - number * GAP for number in range(count)]
    return [figure.add_axes((LEFT, bottom, WIDTH, height)) for bottom in bottoms]


def _draw_throughput(axes: Axes, record: RunRecord, series: Timeseries) -> None:
    edges = np.append(series.middle_s - series.width_s / 2, series.total_s)
    finished, failed = np.nan_to_num(series.finished_rps), np.nan_to_num(series.failed_rps)
    axes.stairs(finished, edges, fill=True, color=style.SKY, alpha=0.75)
    axes.stairs(finished + failed, edges, baseline=finished, fill=True, color=style.VERMILLION)
    axes.set_ylim(0, float((finished + failed).max()) * 1.25 or 1)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=3))
    value = record.metrics.get("throughput")
    if value and value.value is not None:
        text = f"succeeded {format_value(value.value, value.unit)}"
        style.label_line_ends(axes, [EndLabel(text=text, y=value.value / 2, colour=style.BLUE, is_line=False)])


def _draw_metric(axes: Axes, name: str, record: RunRecord, server: ServerSeries) -> None:
    values = np.array([np.nan if value is None else value for value in server.values[name]])
    level = record.baseline.metrics.get(name) if record.baseline and is_compared(record) else None
    unit = METRICS[name].unit
    axes.plot(server.seconds, values, color=style.BLUE, linewidth=2.2)
    if level is not None:
        axes.axhline(level, color=style.INK, linewidth=1.3, linestyle=style.DASHED)
    low, high = _limits(values, level, from_zero=unit is Unit.CORES)
    axes.set_ylim(low, high)
    scale, suffix = _people_unit(high, unit)
    ticks = MaxNLocator(nbins=3).tick_values(low * scale, high * scale)
    axes.yaxis.set_major_locator(FixedLocator([tick / scale for tick in ticks if low <= tick / scale <= high]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda tick, _: f"{tick * scale:.6g}{suffix}"))
    style.label_line_ends(axes, _labels(name, record, values, level), gap=LABEL_GAP)


def _limits(values: Floats, level: float | None, *, from_zero: bool) -> tuple[float, float]:
    known = [*values[np.isfinite(values)].tolist(), *([] if level is None else [level])]
    low, high = min(known), max(known)
    if from_zero:
        return 0.0, high * 1.2 or 1.0
    middle = (low + high) / 2
    half = max((high - low) * 0.65, LEAST_SPAN * abs(middle) / 2) or 0.5
    return middle - half, middle + half


def _people_unit(high: float, unit: Unit) -> tuple[float, str]:
    """Return the factor and the unit for the labels of an axis."""
    match unit:
        case Unit.BYTES:
            return (1024**-3, " GiB") if high >= LARGE_BYTES else (1024**-2, " MiB")
        case Unit.RATIO:
            return 100, " %"
        case _:
            return 1, ""


def _labels(name: str, record: RunRecord, values: Floats, level: float | None) -> list[EndLabel]:
    metric, found = METRICS[name], record.metrics.get(name)
    figure = f" {format_value(found.value, metric.unit)}" if found and found.value is not None else ""
    last = float(values[np.isfinite(values)][-1])
    title = SHORT_NAMES[name][0].upper() + SHORT_NAMES[name][1:]
    labels = [EndLabel(text=f"{title}{figure}", y=last, colour=style.BLUE)]
    if level is not None:
        labels.append(EndLabel(text=f"baseline {format_value(level, metric.unit)}", y=level, colour=style.INK))
    return labels
