"""How far runs differ from one another: the log scale on which they are judged, and a baseline's spread on it."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from include.perf.baselines.entry import BaselineRun, Spread
from include.perf.baselines.level import MIN_SPREAD, Floats, pool
from include.perf.model.metric import METRICS, Direction, Metric

RESOLUTION_SHARE = 0.01
"""Values below this share of a metric's absolute floor count as that share: a zero has no logarithm."""

JUDGED_ON_LOG = tuple(name for name, metric in METRICS.items() if metric.min_effect_ratio > 0)
"""The metrics with a relative floor. The error rate is a count, see `include.perf.baselines.error_count`."""


def on_log_scale(metric: Metric, value: float) -> float:
    """Return the logarithm of a value, signed so that more is worse."""
    return worse_sign(metric) * math.log(max(value, resolution_of(metric)))


def from_log_scale(metric: Metric, logarithm: float) -> float:
    """Return the value of a logarithm, to twelve digits; what lies at the resolution is zero."""
    value = math.exp(worse_sign(metric) * logarithm)
    return 0.0 if value <= resolution_of(metric) * (1 + 1e-9) else float(f"{value:.12g}")


def resolution_of(metric: Metric) -> float:
    """Return the smallest value that is told from zero."""
    return RESOLUTION_SHARE * metric.min_effect_absolute


def worse_sign(metric: Metric) -> int:
    """Return 1 where more is worse, −1 where less is."""
    return 1 if metric.direction is Direction.LOWER_IS_BETTER else -1


def log_of(run: BaselineRun, metric: Metric) -> float:
    """Return a run's value on the log scale, what all services shared that night taken out; NaN without a value."""
    value = run.metrics.get(metric.name)
    if value is None:
        return math.nan
    shared = worse_sign(metric) * math.log1p(run.platform.get(metric.name, 0.0))
    return on_log_scale(metric, value) - shared


def spread_of(runs: Sequence[BaselineRun], *, others: Sequence[Sequence[BaselineRun]]) -> Mapping[str, Spread]:
    """Return the spread of each metric.

    Args:
        runs: of the entry in question.
        others: the runs of every entry of the file, from which the common spread is taken.
    """
    own = _own(runs)
    cells = [*(_own(each) for each in others), own]
    variance = np.array([[cell[name][0] for name in JUDGED_ON_LOG] for cell in cells])
    dof = np.array([[cell[name][1] for name in JUDGED_ON_LOG] for cell in cells])
    common, worth = pool(np.maximum(variance, 1e-8), dof)
    spreads = {}
    for index, name in enumerate(JUDGED_ON_LOG):
        variance_of, dof_of = own[name]
        spreads[name] = Spread(
            own=_rounded(math.sqrt(variance_of)) if dof_of >= 1 else None,
            pooled=_rounded(math.sqrt(common[index])),
            pooled_dof=_rounded(worth[index]),
            within_run=_within_run(runs, name),
        )
    return spreads


def _own(runs: Sequence[BaselineRun]) -> dict[str, tuple[float, int]]:
    """Return the variance and the degrees of freedom of each metric."""
    found = {}
    for name in JUDGED_ON_LOG:
        logs: Floats = np.array([log_of(run, METRICS[name]) for run in runs])
        logs = logs[~np.isnan(logs)]
        found[name] = (float(np.var(logs, ddof=1)), len(logs) - 1) if len(logs) > 1 else (0.0, 0)
    return found


def _within_run(runs: Sequence[BaselineRun], name: str) -> float | None:
    """Return the root of the mean variance within the runs that tell it."""
    known = [run.within_run[name] for run in runs if name in run.within_run]
    return _rounded(math.sqrt(sum(each**2 for each in known) / len(known))) if known else None


def _rounded(value: float) -> float:
    """Return a spread to a millionth: what is beyond is noise, and would be a line of every diff."""
    return round(float(value), 6)


def spread_between(spread: Spread, *, runs: int) -> float:
    """Return the standard deviation between runs to be expected: the entry's own, shrunk towards the common one.

    As in `include.perf.baselines.level` it is never less than the entry's own.

    Args:
        runs: behind the entry.
    """
    own, dof = (spread.own or 0.0), max(runs - 1, 0) if spread.own is not None else 0
    total = spread.pooled_dof + dof
    shrunk = math.sqrt((spread.pooled_dof * spread.pooled**2 + dof * own**2) / total) if total > 0 else 0.0
    return max(shrunk, own, MIN_SPREAD)
