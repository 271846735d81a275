"""The log scale on which metrics are compared, and the spread of a baseline's runs on it.

With the value v of a metric in its base unit, v > 0::

    y = σ · ln(max(v, r))         σ = +1 if lower is better, −1 if higher is better
                                  r = 0.01 · absolute minimum effect of the metric

so that a larger y is worse, and a change by a fifth is the same step at every value. r replaces values near zero, which
have no logarithm. What all services of the night shared, the relative change q, is removed: y − σ · ln(1 + q).

**Spread** of an entry with N runs: its own variance s₁² with d₁ = N − 1 degrees of freedom, the variance s₀² common to
all entries of the file, and the d₀ degrees of freedom that s₀² is worth (`include.perf.baselines.reference.pool`)::

    s = max( √( (d₀·s₀² + d₁·s₁²) / (d₀ + d₁) ), s₁, 0.0001 )

Source: as `include.perf.baselines.reference`; here s₁² has no bound on single runs.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from include.perf.baselines.entry import BaselineRun, Spread
from include.perf.baselines.reference import MIN_SPREAD, Floats, pool
from include.perf.model.metric import METRICS, Direction, Metric

RESOLUTION_SHARE = 0.01
"""r as a share of the metric's absolute minimum effect."""

JUDGED_ON_LOG = tuple(name for name, metric in METRICS.items() if metric.min_effect_ratio > 0)
"""The metrics with a relative minimum effect; the error rate is a count, see `include.perf.baselines.error_count`."""


def on_log_scale(metric: Metric, value: float) -> float:
    """Return y for a value in the metric's base unit."""
    return worse_sign(metric) * math.log(max(value, resolution_of(metric)))


def from_log_scale(metric: Metric, logarithm: float) -> float:
    """Return the value in the metric's base unit for y, to twelve digits; 0 for a value of r or less."""
    value = math.exp(worse_sign(metric) * logarithm)
    return 0.0 if value <= resolution_of(metric) * (1 + 1e-9) else float(f"{value:.12g}")


def resolution_of(metric: Metric) -> float:
    """Return r, the smallest value that differs from zero, in the metric's base unit."""
    return RESOLUTION_SHARE * metric.min_effect_absolute


def worse_sign(metric: Metric) -> int:
    """Return σ: 1 if lower is better, −1 if higher is better."""
    return 1 if metric.direction is Direction.LOWER_IS_BETTER else -1


def log_of(run: BaselineRun, metric: Metric) -> float:
    """Return y of a run without the part that all services shared that night; NaN without a value."""
    value = run.metrics.get(metric.name)
    if value is None:
        return math.nan
    shared = worse_sign(metric) * math.log1p(run.platform.get(metric.name, 0.0))
    return on_log_scale(metric, value) - shared


def spread_of(runs: Sequence[BaselineRun], *, others: Sequence[Sequence[BaselineRun]]) -> Mapping[str, Spread]:
    """Return the spread of each metric of an entry.

    Args:
        runs: of this entry.
        others: the runs of every other entry; the common spread is estimated from all of them.
    """
    own = _own(runs)
    cells = [*(_own(of_cell) for of_cell in others), own]
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
    """Return s₁² and d₁ of each metric."""
    found = {}
    for name in JUDGED_ON_LOG:
        logs: Floats = np.array([log_of(run, METRICS[name]) for run in runs])
        logs = logs[~np.isnan(logs)]
        found[name] = (float(np.var(logs, ddof=1)), len(logs) - 1) if len(logs) > 1 else (0.0, 0)
    return found


def _within_run(runs: Sequence[BaselineRun], name: str) -> float | None:
    """Return the root mean square of the spreads within runs; ``None`` if no run has one."""
    known = [run.within_run[name] for run in runs if name in run.within_run]
    return _rounded(math.sqrt(sum(spread**2 for spread in known) / len(known))) if known else None


def _rounded(value: float) -> float:
    """Round to a millionth: further digits are noise and would show in every diff."""
    return round(float(value), 6)


def spread_between(spread: Spread, *, runs: int) -> float:
    """Return s, the standard deviation between runs that is expected for an entry.

    Args:
        runs: N, the number of runs behind the entry.
    """
    own, dof = (spread.own or 0.0), max(runs - 1, 0) if spread.own is not None else 0
    total = spread.pooled_dof + dof
    shrunk = math.sqrt((spread.pooled_dof * spread.pooled**2 + dof * own**2) / total) if total > 0 else 0.0
    return max(shrunk, own, MIN_SPREAD)
