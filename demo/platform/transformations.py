"""What the data pipelines do to bars: named transformations, and pipelines as chains of them.

Each takes a series (n,) of prices or values and gives one of the same length, so that they chain.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from demo.platform.prices import FloatArray

DEFAULT_WINDOW = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Transformation:
    """A named step.

    Attributes:
        name: its id.
        description: its rule in words.
        apply: (values, window in values) → values of the same length.
    """

    name: str
    description: str
    apply: Callable[[FloatArray, int], FloatArray]


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformationChain:
    """A chain of transformations.

    Attributes:
        pipeline_id: its id.
        description: what it makes.
        steps: names of transformations, in order.
    """

    pipeline_id: str
    description: str
    steps: tuple[str, ...]


def clip_outliers(values: FloatArray, window: int) -> FloatArray:
    """Pull values to within 3 scaled median absolute deviations of the median; `window` is not used.

    Source: Leys, C. et al., J. Exp. Soc. Psychology 49 (2013), doi:10.1016/j.jesp.2013.03.013.
    """
    median = _median(values)
    reach = 3 * 1.4826 * _median(np.abs(values - median))
    clipped = np.minimum(np.maximum(values, median - reach), median + reach)
    return np.asarray(clipped, dtype=np.float64)


def log_return(values: FloatArray, window: int) -> FloatArray:
    """Take log(value / previous value), 0 for the first; positive values; `window` is not used."""
    returns = np.zeros(len(values))
    returns[1:] = np.diff(np.log(values))
    return returns


def smooth(values: FloatArray, window: int) -> FloatArray:
    """Take the mean of the last `window` values, of fewer at the beginning."""
    sums = np.cumsum(values)
    counts = np.minimum(np.arange(1, len(values) + 1), window)
    sums[window:] -= sums[:-window].copy()
    return np.asarray(sums / counts, dtype=np.float64)


def standardise(values: FloatArray, window: int) -> FloatArray:
    """Subtract the mean and divide by the standard deviation; zeros for a constant series."""
    centred = values - values.sum() / len(values)
    deviation = math.sqrt(float(centred @ centred) / len(values))
    return centred / deviation if deviation > 0 else np.zeros(len(values))


def difference(values: FloatArray, window: int) -> FloatArray:
    """Take value - previous value, 0 for the first; `window` is not used."""
    changes = np.zeros(len(values))
    np.subtract(values[1:], values[:-1], out=changes[1:])
    return changes


def _median(values: FloatArray) -> float:
    # a third of the time of numpy's, which also looks for NaN and axes
    ordered = np.sort(values)
    half = len(ordered) // 2
    return float(ordered[half] + ordered[~half]) / 2


_TRANSFORMATIONS = (
    Transformation(name="clip_outliers", description="Within 3 scaled MAD of the median", apply=clip_outliers),
    Transformation(name="log_return", description="log(value / previous value)", apply=log_return),
    Transformation(name="smooth", description="Mean of the last `window` values", apply=smooth),
    Transformation(name="standardise", description="Zero mean, unit deviation", apply=standardise),
    Transformation(name="difference", description="value - previous value", apply=difference),
)
_PIPELINES = (
    TransformationChain(
        pipeline_id="clean-prices",
        description="Closing prices without outliers, smoothed",
        steps=("clip_outliers", "smooth"),
    ),
    TransformationChain(
        pipeline_id="returns",
        description="Standardised log returns for the models",
        steps=("clip_outliers", "log_return", "standardise"),
    ),
    TransformationChain(
        pipeline_id="momentum-input",
        description="Smoothed price changes",
        steps=("difference", "smooth", "standardise"),
    ),
)

TRANSFORMATIONS: Mapping[str, Transformation] = {t.name: t for t in _TRANSFORMATIONS}
PIPELINES: Mapping[str, TransformationChain] = {p.pipeline_id: p for p in _PIPELINES}


def run_pipeline(pipeline: TransformationChain, values: FloatArray, *, window: int) -> FloatArray:
    """Apply the pipeline's steps in order; (n,) → (n,)."""
    for step in pipeline.steps:
        values = TRANSFORMATIONS[step].apply(values, window)
    return values
