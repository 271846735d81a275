"""What the charts of two runs side by side draw: latency over time, and how latencies are distributed."""

import csv
import io
from typing import Any

from include.perf.phrase import title_of

LATENCIES = ("latency_p50", "latency_p95", "latency_p99")
MEASURED = "measured"
MOST_POINTS = 600
"""As many as a screen can tell apart; of a longer run every second, third, … second is drawn."""


def compare_chart(
    series: tuple[bytes | None, bytes | None], spread: tuple[bytes | None, bytes | None]
) -> dict[str, Any]:
    """Return the data of the charts.

    Args:
        series: ``timeseries.csv`` of both runs.
        spread: ``distribution.csv`` of both runs.
    """
    over_time = [_seconds(each) for each in series]
    return {
        "latency": [
            {"name": name, "title": title_of(name), "runs": [each.get(name, [[], []]) for each in over_time]}
            for name in LATENCIES
        ],
        "distribution": [_shares(each) for each in spread],
    }


def _rows(content: bytes | None) -> list[dict[str, str]]:
    return [] if content is None else list(csv.DictReader(io.StringIO(content.decode("utf-8", errors="replace"))))


def _seconds(content: bytes | None) -> dict[str, list[list[float | None]]]:
    """Return each percentile over the seconds since the measured part began."""
    rows = [row for row in _rows(content) if row.get("phase") == MEASURED]
    rows = rows[:: max(1, -(-len(rows) // MOST_POINTS))]
    if not rows:
        return {}
    begin = _number(rows[0].get("second")) or 0.0
    at: list[float | None] = [(_number(row.get("second")) or 0.0) - begin for row in rows]
    return {name: [at, [_number(row.get(f"{name}_s")) for row in rows]] for name in LATENCIES}


def _shares(content: bytes | None) -> list[list[float]]:
    """Return for each bin of the histogram where it ends, and which share of the requests was faster."""
    bins = [(_number(row.get("upper_s")), _number(row.get("count"))) for row in _rows(content)]
    known = [(upper, count) for upper, count in bins if upper is not None and count is not None]
    total = sum(count for _, count in known)
    if not total:
        return [[], []]
    shares, below = [], 0.0
    for _, count in known:
        below += count
        shares.append(round(below / total, 6))
    return [[upper for upper, _ in known], shares]


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None
