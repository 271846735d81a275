"""Read ``timeseries.csv``, one row per second, and bin it so that the lines of a long run stay readable.

Percentiles are never averaged: a bin of several seconds shows its typical (median) second and its worst. Counts are
summed and divided by the number of seconds that the bin has.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from include.perf.measure.number_table import TableProblem, integer, number, read_rows
from include.perf.model.errors import ItemError

Floats = NDArray[np.float64]

COLUMNS = (
    "second",
    "phase",
    "due",
    "sent",
    "finished",
    "failed",
    "latency_p50_s",
    "latency_p95_s",
    "latency_p99_s",
)
PERCENTILES = ("latency_p50", "latency_p95", "latency_p99")
MEASURED = "measured"

MAX_SECONDS = 24 * 3600
"""No load takes as long."""

MAX_BINS = 240
"""As many points as a phone can distinguish on one line."""

BIN_WIDTHS_S = (1, 5, 10, 15, 30, 60, 120, 300)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeseries:
    """A run in bins of equal width, ordered by time; all arrays have one entry per bin.

    Attributes:
        width_s: seconds per bin; the last one may have fewer.
        warmup_s: seconds before the measured part.
        total_s: seconds in total.
        middle_s: the middle of each bin, from the first due arrival.
        typical_s: median over the bin's seconds, by percentile; NaN without answers.
        worst_s: maximum over the bin's seconds, by percentile; NaN without answers.
        finished_rps, failed_rps: good answers and failures per second; NaN without a row.
        had_failures: whether any request failed in the bin.
    """

    width_s: int
    warmup_s: int
    total_s: int
    middle_s: Floats
    typical_s: dict[str, Floats]
    worst_s: dict[str, Floats]
    finished_rps: Floats
    failed_rps: Floats
    had_failures: NDArray[np.bool_]

    @property
    def has_answers(self) -> bool:
        """Whether any request was answered."""
        return bool(np.isfinite(self.worst_s["latency_p99"]).any())


def read_timeseries(content: bytes, *, where: str) -> Timeseries | None:
    """Read and bin the seconds of a run; ``None`` when the file has no rows.

    A truncated last line, left by a killed writer, is dropped.

    Args:
        where: what messages call the file.

    Raises:
        ItemError: the content is not a time series.
    """
    try:
        rows = read_rows(content, COLUMNS, may_be_truncated=True)
        return _binned(_parsed(rows)) if rows else None
    except TableProblem as err:
        raise ItemError(f"{where} is not a time series: {err}") from err


def _parsed(rows: Sequence[Sequence[str]]) -> dict[str, Floats]:
    """Return the columns by name, ``phase`` as 1.0 where measured; shapes: (total seconds,), NaN in gaps."""
    seconds = np.array([integer(row[0]) for row in rows])
    if seconds.min() < 0 or seconds.max() > MAX_SECONDS:
        odd = seconds.min() if seconds.min() < 0 else seconds.max()
        raise TableProblem(f"second must be from 0 to {MAX_SECONDS:,}, but is {odd}")
    columns = {name: np.full(seconds.max() + 1, np.nan) for name in COLUMNS[1:]}
    for index, name in enumerate(COLUMNS[1:], start=1):
        columns[name][seconds] = [_value(row[index], name) for row in rows]
    return columns


def _value(field: str, column: str) -> float:
    if column == "phase":
        return float(field == MEASURED)
    return number(field) if field else np.nan


def _binned(seconds: dict[str, Floats]) -> Timeseries:
    total = len(seconds["phase"])
    measured = np.flatnonzero(seconds["phase"] == 1.0)
    width = bin_width_s(total)
    finished, failed = (_rates(seconds[name], width) for name in ("finished", "failed"))
    typical, worst = {}, {}
    for name in PERCENTILES:
        typical[name], worst[name] = _middle_and_worst(_bins(seconds[f"{name}_s"], width))
    starts = np.arange(0, total, width, dtype=float)
    return Timeseries(
        width_s=width,
        warmup_s=int(measured[0]) if measured.size else total,
        total_s=total,
        middle_s=(starts + np.minimum(starts + width, total)) / 2,
        typical_s=typical,
        worst_s=worst,
        finished_rps=finished,
        failed_rps=failed,
        had_failures=np.nan_to_num(failed) > 0,
    )


def bin_width_s(total_s: int) -> int:
    """Return the narrowest width that fits ``total_s`` into `MAX_BINS` bins."""
    return next((width for width in BIN_WIDTHS_S if total_s <= width * MAX_BINS), BIN_WIDTHS_S[-1])


def _bins(seconds: Floats, width: int) -> Floats:
    """Return the seconds in bins; shape: (bins, width), the last one padded with NaN."""
    short = -len(seconds) % width
    return np.concatenate([seconds, np.full(short, np.nan)]).reshape(-1, width)


def _rates(counts: Floats, width: int) -> Floats:
    bins = _bins(counts, width)
    present = np.isfinite(bins).sum(axis=1)
    return np.where(present > 0, np.nansum(bins, axis=1) / np.maximum(present, 1), np.nan)


def _middle_and_worst(bins: Floats) -> tuple[Floats, Floats]:
    middle, worst = np.full(len(bins), np.nan), np.full(len(bins), np.nan)
    answered = np.isfinite(bins).any(axis=1)  # NumPy warns about the median of no values
    if answered.any():
        middle[answered] = np.nanmedian(bins[answered], axis=1)
        worst[answered] = np.nanmax(bins[answered], axis=1)
    return middle, worst
