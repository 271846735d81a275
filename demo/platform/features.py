"""The feature values that models predict from.

With closes c, volumes v, log returns r and a look-back of n bars, at bar t:

- price_momentum = c[t] / c[t-n] - 1 (ratio)
- volume_trend   = mean(v, last n) / mean(v, last 2n) - 1 (ratio)
- volatility     = sample standard deviation of the last n log returns (ratio per bar)
"""

import math
from dataclasses import dataclass

import numpy as np

from demo.platform.prices import Bars, FloatArray
from demo.platform.rolling import rolling_deviation, rolling_sum

FEATURE_NAMES = ("price_momentum", "volume_trend", "volatility")
DEFAULT_LOOKBACK = 14


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureSet:
    """A named choice of features.

    Attributes:
        name: its id.
        description: what it is for.
        features: which of `FEATURE_NAMES`.
        lookback: bars each feature looks back.
    """

    name: str
    description: str
    features: tuple[str, ...]
    lookback: int


FEATURE_SETS = (
    FeatureSet(name="core", description="What the models are trained on", features=FEATURE_NAMES, lookback=14),
    FeatureSet(
        name="momentum",
        description="Direction, short-term",
        features=("price_momentum", "volume_trend"),
        lookback=5,
    ),
    FeatureSet(name="risk", description="Volatility, for sizing", features=("volatility",), lookback=28),
)


def feature_matrix(bars: Bars, lookback: int) -> FloatArray:
    """Compute the features of every bar that has enough history.

    Args:
        bars: more than 2 · lookback of them.
        lookback: bars to look back, at least 2.

    Returns:
        (n - 2 · lookback + 1, 3) floats, columns as `FEATURE_NAMES`, the last row for the last bar.
    """
    close, rows = bars.close, len(bars) - 2 * lookback + 1
    recent = rolling_sum(bars.volume, lookback)[lookback:]
    matrix = np.empty((rows, len(FEATURE_NAMES)))
    matrix[:, 0] = close[-rows:] / close[-rows - lookback : -lookback] - 1.0
    matrix[:, 1] = 2.0 * recent / rolling_sum(bars.volume, 2 * lookback) - 1.0
    matrix[:, 2] = rolling_deviation(np.diff(np.log(close)), lookback)[-rows:]
    return matrix


def latest_features(bars: Bars, lookback: int) -> dict[str, float]:
    """Compute the features at the last of more than 2 · lookback bars, by name."""
    close, volume = bars.close[-lookback - 1 :], bars.volume[-2 * lookback :]
    returns = np.diff(np.log(close))
    returns -= returns.sum() / lookback
    return {
        "price_momentum": float(close[-1] / close[0]) - 1.0,
        "volume_trend": 2.0 * float(volume[lookback:].sum() / volume.sum()) - 1.0,
        "volatility": math.sqrt(float(returns @ returns) / (lookback - 1)),
    }
