"""What a chart's title says: the finding, where there is one about what it shows."""

from collections.abc import Sequence

from include.perf.metric import format_change, format_value
from include.perf.phrase import MANY_TIMES_RATIO, SHORT_NAMES, is_compared, is_in_points
from include.perf.run import Deviation, RunRecord

LATENCIES = ("latency_p95", "latency_p99", "latency_p50")
"""In the order in which they are told."""


def finding_of(record: RunRecord, metrics: Sequence[str]) -> str | None:
    """Return what was found of the first of some metrics that deviates, or ``None``."""
    if not is_compared(record):
        return None
    found = {deviation.metric: deviation for deviation in record.deviations}
    whose = " (median of its runs)" if record.judged else ""
    return next((_told(found[name], whose=whose) for name in metrics if name in found), None)


def _told(deviation: Deviation, *, whose: str) -> str:
    name = SHORT_NAMES[deviation.metric]
    name = name if deviation.metric in LATENCIES else name[0].upper() + name[1:]
    verb = "rose" if deviation.shift.absolute >= 0 else "fell"
    value = format_value(deviation.value, deviation.unit) + whose
    ratio = deviation.shift.ratio
    if is_in_points(deviation.metric) or ratio is None:
        return f"{name} {verb} to {value}, was {format_value(deviation.baseline, deviation.unit)}"
    if ratio >= MANY_TIMES_RATIO:
        return f"{name} {verb} to {value}, {ratio + 1:.0f} times its baseline"
    side = "above" if ratio >= 0 else "below"
    return f"{name} {verb} to {value}, {format_change(abs(ratio)).lstrip('+')} {side} baseline"
