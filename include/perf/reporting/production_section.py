"""The section that compares a run with production at the corresponding hours."""

import math
from collections.abc import Iterator

from include.perf.measure.production.buckets import Bucket
from include.perf.measure.production.comparison import (
    ComparedFigure,
    ComparedRate,
    ComparedShare,
    DailyFigure,
    ProductionComparison,
    RequestSource,
)
from include.perf.model.metric import Unit, title_of
from include.perf.model.numbers import HALF_WIDTH_UNCERTAINTIES, format_change, format_value, signed_points
from include.perf.model.text import counted, one_line
from include.perf.reporting.document import Block, Bullets, Code, Column, Paragraph, Section, Strong, Table, Words
from include.perf.runs.phrases import change_of, utc_window
from include.perf.runs.record import Shift

TITLE = "Compared with production"
NOTHING = "–"

MAX_KINDS = 8
"""Kinds of request shown: those whose shares differ most."""

WIDE_RATIO = 1.3
"""A histogram bucket is wide, and shown as a range, if its upper bound is more than this many times its lower one."""

_UNITS = {"error_rate": Unit.RATIO}
_TITLES = {"cpu_per_request": "CPU per request"}
_FIGURE_COLUMNS = (
    Column("Figure"),
    Column("This run", is_figure=True),
    Column("Production, median", is_figure=True),
    Column("Range of days", is_figure=True),
    Column("Run vs production", is_figure=True),
)
_MIX_COLUMNS = (
    Column("Requests"),
    Column("This run", is_figure=True),
    Column("Production", is_figure=True),
    Column("Difference", is_figure=True),
)


def production_section(found: ProductionComparison | None) -> Section | None:
    """Return the comparison; ``None`` where none was requested."""
    if found is None:
        return None
    return Section(TITLE, tuple(_blocks(found)))


def _blocks(found: ProductionComparison) -> Iterator[Block]:
    if found.problem is not None:
        yield Paragraph(f"The run could not be compared with production ({found.hours}): {one_line(found.problem)}.")
    else:
        yield Paragraph(_what_is_compared(found))
        rows = tuple(_figure_row(figure) for figure in found.figures)
        yield Table(caption="The run and production", columns=_FIGURE_COLUMNS, rows=rows)
        if widest := max(filter(None, map(_width, found.figures)), default=None):
            yield Paragraph(
                "A percentile of a histogram lies somewhere in its bucket. The upper bound of the widest bucket here "
                f"is {widest:.3g} times its lower bound; above {WIDE_RATIO:g} times, the bucket is shown as a range."
            )
        if found.mix:
            rows = tuple(_share_row(share) for share in found.mix[:MAX_KINDS])
            yield Table(caption="The mix of requests", columns=_MIX_COLUMNS, rows=rows)
    if found.rate is not None:
        yield Paragraph(tuple(_rate(found.rate, days=len(found.days))))
    notes = (*found.remarks, *(f"{utc_window(day.window)} is excluded: {day.reason}" for day in found.left_out))
    if notes:
        yield Bullets(tuple(map(one_line, notes)))


def _what_is_compared(found: ProductionComparison) -> str:
    dates = ", ".join(f"{window.start:%Y-%m-%d}" for window in found.days)
    words = f"Production in {found.hours}, on {counted(len(found.days), 'day')} ({dates})."
    if found.measured_by is RequestSource.SERVICE:
        words += " Both sides were counted by the services themselves"
        if found.bounds:
            words += f", in the same {counted(len(found.bounds) + 1, 'bucket')}"
    else:
        words += (
            " The service exports no latencies to Prometheus, so the run's figures were measured by the client, "
            "including the network; its latencies are counted in production's buckets"
        )
    return f"{words}. This comparison changes no verdict."


def _figure_row(figure: ComparedFigure) -> tuple[Words, ...]:
    unit, level = _UNITS.get(figure.name, Unit.SECONDS), figure.production
    return (
        _TITLES.get(figure.name) or title_of(figure.name),
        _shown(figure.run, unit, figure.run_bucket),
        _shown(level.median if level else None, unit, figure.production_bucket),
        _range(level, unit),
        _change(figure),
    )


def _range(level: DailyFigure | None, unit: Unit) -> str:
    if level is None:
        return NOTHING
    low, high = (format_value(value, unit) for value in (level.low, level.high))
    return low if low == high else f"{low} to {high}"


def _width(figure: ComparedFigure) -> float | None:
    """Return the ratio of upper to lower bound of the wider of a figure's buckets; ``None`` where it is unknown."""
    buckets = (figure.run_bucket, figure.production_bucket)
    return max((bucket.high / bucket.low for bucket in buckets if bucket and bucket.low and bucket.high), default=None)


def _shown(value: float | None, unit: Unit, bucket: Bucket | None) -> str:
    """Write a value; a wide bucket as a range."""
    if value is None or bucket is None:
        return format_value(value, unit)
    if bucket.high is None:
        return f"above {format_value(bucket.low, unit)}"
    if not _is_wide(bucket):
        return format_value(value, unit)
    return f"{format_value(bucket.low, unit)} to {format_value(bucket.high, unit)}, about {format_value(value, unit)}"


def _change(figure: ComparedFigure) -> str:
    """Write the change from production to the run, with the digits that the buckets justify."""
    if figure.run is None or figure.production is None:
        return NOTHING
    absolute = figure.run - figure.production.median
    if figure.name == "error_rate":
        return f"{signed_points(absolute)} points"
    if figure.ratio is None:
        return NOTHING
    if figure.run_bucket is not None and figure.run_bucket == figure.production_bucket:
        return "same bucket"
    change, half = figure.ratio - 1, _uncertainty(figure) * HALF_WIDTH_UNCERTAINTIES
    low, high = (change - half, change + half) if half else (None, None)
    return change_of(figure.name, Shift(ratio=change, absolute=absolute, low=low, high=high)) + _leeway(figure)


def _leeway(figure: ComparedFigure) -> str:
    """Write the bounds of the true change, where buckets are wide."""
    own, theirs = figure.run_bucket, figure.production_bucket
    if (
        own is None
        or theirs is None
        or own.high is None
        or theirs.high is None
        or not (_is_wide(own) or _is_wide(theirs))
    ):
        return ""
    least = format_change(own.low / theirs.high - 1)
    return f", at least {least}" if not theirs.low else f", {least} to {format_change(own.high / theirs.low - 1)}"


def _is_wide(bucket: Bucket) -> bool:
    return bucket.high is None or bucket.high > WIDE_RATIO * bucket.low


def _uncertainty(figure: ComparedFigure) -> float:
    """Return the standard uncertainty of a ratio of two values that each lie anywhere in their bucket."""
    sides = (
        (figure.run, figure.run_bucket),
        (figure.production and figure.production.median, figure.production_bucket),
    )
    squares = [
        ((bucket.high - bucket.low) / value) ** 2 / 12  # variance of a uniform distribution
        for value, bucket in sides
        if value and bucket and bucket.high
    ]
    return (figure.ratio or 0.0) * math.sqrt(sum(squares))


def _share_row(share: ComparedShare) -> tuple[Words, ...]:
    return (
        Code(share.kind) if share.kind else "without a label",
        format_value(share.run, Unit.RATIO),
        format_value(share.production, Unit.RATIO),
        f"{signed_points(share.run - share.production)} points",
    )


def _rate(rate: ComparedRate, *, days: int) -> Iterator[str | Strong | Code]:
    """Compare the scenario's rate with production's, and propose a rate."""
    peak = rate.scenario_peak_rps
    varies = peak > rate.scenario_rps
    yield f"The scenario sends {_rps(rate.scenario_rps)}" + (
        f" on average and {_rps(peak)} at its peak" if varies else ""
    )
    yield f"; production receives {_rps(rate.production.median)} in these hours"
    if rate.busiest is None or rate.busiest.median <= 0:
        yield "."
        return
    yield f" and {_rps(rate.busiest.median)} in their busiest five minutes, the scenario "
    yield Strong(_times(peak / rate.busiest.median))
    yield " that. Proposed: "
    yield Code(f"rate_rps: {rate.proposed_rps:g}")
    found = (
        "the median of the busiest five minutes of each day" if days > 1 else "the busiest five minutes of the one day"
    )
    yield f", {found}, rounded to two digits{', at the peak of its profile' if varies else ''}."


def _rps(value: float) -> str:
    return format_value(value, Unit.REQUESTS_PER_SECOND)


def _times(ratio: float) -> str:
    """Write a ratio: ``16 times``, ``1.4 times``, ``6 % of``."""
    if ratio < 0.095:
        return f"{ratio * 100:.2g} % of"
    return f"{ratio:.0f} times" if ratio >= 9.95 else f"{ratio:.1f} times"
