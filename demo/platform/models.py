"""The models that the platform predicts with: small, linear, with fixed coefficients.

Features are standardised, z = (x - mean) / scale. A direction model gives the probability that the next
bar closes higher, p = 1 / (1 + exp(-(intercept + w·z))); a volatility model gives the next bar's |log
return|, intercept + w·z. Training is full-batch gradient descent from the published coefficients on the
window's bars and changes nothing that is published: the same request gives the same answer.

Source: Hastie, T. et al., "The Elements of Statistical Learning", 2009, ch. 3 and 4.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from demo.platform.features import DEFAULT_LOOKBACK, FEATURE_NAMES, feature_matrix
from demo.platform.prices import Bars, FloatArray

# Beyond ±30, a probability is 0 or 1 for all purposes; the limit keeps exp from overflowing.
_LOGIT_LIMIT = 30.0
# Of the features of five-minute bars; one standardisation serves all models.
_MEANS = (0.0, 0.0, 0.00035)
_SCALES = (0.0012, 0.08, 0.00022)


class ModelKind(StrEnum):
    """What a model predicts."""

    DIRECTION = "direction"
    VOLATILITY = "volatility"


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A linear or logistic model over the three features.

    Attributes:
        model_id: its id.
        kind: direction (logistic) or volatility (linear).
        version: of its coefficients.
        intercept: logit, or ratio for a volatility model.
        weights: one for each of `FEATURE_NAMES`, per standardised unit.
    """

    model_id: str
    kind: ModelKind
    version: str
    intercept: float
    weights: tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """The training data of all models, computed once per window.

    Attributes:
        inputs: (n, 3) standardised features of each bar but the last.
        returns: (n,) log return of the bar after each.
    """

    inputs: FloatArray
    returns: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Standardised features, and the targets.

    Attributes:
        inputs: (n, 3) standardised features.
        targets: (n,) 1.0 where the next bar closed higher, else 0.0; or the next |log return|.
    """

    inputs: FloatArray
    targets: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """The outcome of training.

    Attributes:
        intercept: after the last step.
        weights: (3,) after the last step.
        loss_before: mean loss before the first step.
        loss_after: mean loss after the last.
    """

    intercept: float
    weights: tuple[float, ...]
    loss_before: float
    loss_after: float


_CATALOGUE = (
    Model(
        model_id="momentum-logit",
        kind=ModelKind.DIRECTION,
        version="1.3.0",
        intercept=0.02,
        weights=(0.41, 0.08, -0.05),
    ),
    Model(
        model_id="reversal-logit",
        kind=ModelKind.DIRECTION,
        version="0.9.2",
        intercept=-0.01,
        weights=(-0.28, 0.05, 0.11),
    ),
    Model(
        model_id="volatility-linear",
        kind=ModelKind.VOLATILITY,
        version="2.0.1",
        intercept=0.00028,
        weights=(0.0, 0.00002, 0.00017),
    ),
)

MODELS: Mapping[str, Model] = {model.model_id: model for model in _CATALOGUE}


def predict(model: Model, features: Mapping[str, float]) -> tuple[float, dict[str, float]]:
    """Predict from raw features.

    Returns:
        The prediction (a probability, or a |log return| of at least 0) and what each feature adds to the
        logit or value.
    """
    parts = {
        name: weight * (features[name] - mean) / scale
        for name, weight, mean, scale in zip(FEATURE_NAMES, model.weights, _MEANS, _SCALES, strict=True)
    }
    value = model.intercept + sum(parts.values())
    if model.kind is ModelKind.VOLATILITY:
        return max(0.0, value), parts
    return 1.0 / (1.0 + math.exp(-max(-_LOGIT_LIMIT, min(_LOGIT_LIMIT, value)))), parts


def history(bars: Bars) -> History:
    """Compute the features of each of more than 29 bars, and the return of the next bar."""
    inputs = feature_matrix(bars, DEFAULT_LOOKBACK)[:-1]
    inputs -= _MEANS
    inputs /= _SCALES
    return History(inputs=inputs, returns=np.diff(np.log(bars.close[-len(inputs) - 1 :])))


def dataset(model: Model, past: History) -> Dataset:
    """Pair the past's inputs with the model's targets."""
    if model.kind is ModelKind.DIRECTION:
        return Dataset(inputs=past.inputs, targets=(past.returns > 0).astype(np.float64))
    return Dataset(inputs=past.inputs, targets=np.abs(past.returns))


def train(model: Model, data: Dataset, *, epochs: int, learning_rate: float) -> Training:
    """Take `epochs` full-batch gradient steps from the model's coefficients."""
    weights, intercept = np.array(model.weights), model.intercept
    outputs = _outputs(model.kind, data.inputs, weights, intercept)
    loss_before = _loss(model.kind, outputs, data.targets)
    rate = learning_rate / len(data.targets)
    for _ in range(epochs):
        # The gradient of the log loss and of half the squared error is the same: Xᵀ(output - target) / n.
        residuals = outputs - data.targets
        weights = weights - rate * (residuals @ data.inputs)
        intercept -= rate * float(residuals.sum())
        outputs = _outputs(model.kind, data.inputs, weights, intercept)
    return Training(
        intercept=intercept,
        weights=tuple(weights.tolist()),
        loss_before=loss_before,
        loss_after=_loss(model.kind, outputs, data.targets),
    )


def evaluate(model: Model, data: Dataset) -> dict[str, float]:
    """Score the published coefficients.

    Returns:
        For a direction model accuracy, log_loss, brier and base_rate (share of rising bars); for a
        volatility model mae, rmse and r2 (0 where the targets do not vary).
    """
    outputs = _outputs(model.kind, data.inputs, np.array(model.weights), model.intercept)
    count, errors = len(outputs), outputs - data.targets
    square = float(errors @ errors) / count
    if model.kind is ModelKind.DIRECTION:
        # an error above 0.5 is a wrong direction
        return {
            "accuracy": int(np.count_nonzero(np.abs(errors) <= 0.5)) / count,
            "log_loss": _loss(model.kind, outputs, data.targets),
            "brier": square,
            "base_rate": int(np.count_nonzero(data.targets)) / count,
        }
    spread = data.targets - data.targets.sum() / count
    variance = float(spread @ spread) / count
    return {
        "mae": float(np.abs(errors).sum()) / count,
        "rmse": math.sqrt(square),
        "r2": 1.0 - square / variance if variance > 0 else 0.0,
    }


def _outputs(kind: ModelKind, inputs: FloatArray, weights: FloatArray, intercept: float) -> FloatArray:
    values = np.asarray(inputs @ weights + intercept, dtype=np.float64)
    if kind is ModelKind.VOLATILITY:
        return values
    bounded = np.minimum(np.maximum(values, -_LOGIT_LIMIT), _LOGIT_LIMIT)
    return np.asarray(1.0 / (1.0 + np.exp(-bounded)), dtype=np.float64)


def _loss(kind: ModelKind, outputs: FloatArray, targets: FloatArray) -> float:
    if kind is ModelKind.DIRECTION:
        # targets are 0 or 1, so the likelihood is p or 1 - p
        likelihood = 1.0 - np.abs(targets - outputs)
        return -float(np.log(likelihood).sum()) / len(likelihood)
    errors = outputs - targets
    return float(errors @ errors) / (2 * len(errors))
