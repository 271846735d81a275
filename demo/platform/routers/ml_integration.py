"""ml-integration-service: models, their predictions, training and evaluation."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Query
from pydantic import BaseModel, Field

from demo.platform.endpoint import ApiEndpoint, Clock
from demo.platform.features import FEATURE_NAMES
from demo.platform.models import MODELS, Model, ModelKind, dataset, evaluate, history, predict, train
from demo.platform.responses import JsonResponse, not_found, span
from demo.platform.windows import InstrumentField, RequestWindow, WindowQuery

_DECIMALS = 8
# Training and evaluation take two look-backs of history before the first row of data.
_LEAST_BARS = 120

ModelId = Annotated[str, Field(min_length=1, max_length=64)]
Ratio = Annotated[float, Field(ge=-100, le=100, allow_inf_nan=False)]


class FeatureValues(BaseModel):
    """What a model predicts from; ratios, as the feature store computes them."""

    price_momentum: Ratio
    volume_trend: Ratio
    volatility: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]


class PredictionRequest(BaseModel):
    """Which model, from which features."""

    model_id: ModelId
    features: FeatureValues
    instrument: InstrumentField | None = None


class TrainingRequest(RequestWindow):
    """Which model, on which window, how long."""

    model_id: ModelId
    epochs: Annotated[int, Field(ge=1, le=50, description="Gradient steps")] = 5
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.1


class EvaluationRequest(RequestWindow):
    """Which model, on which window."""

    model_id: ModelId


class _MlIntegration:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def models(self, query: Annotated[WindowQuery, Query()]) -> JsonResponse:
        """List the models with their scores on the instrument's window."""
        bars = query.bars(now_s=self._clock())
        past = history(bars)
        rows = [
            {**_describe(model), "scores": _rounded(evaluate(model, dataset(model, past)))} for model in MODELS.values()
        ]
        return JsonResponse({"instrument": query.pair().name, **span(bars), "models": rows})

    async def predictions(self, request: PredictionRequest) -> JsonResponse:
        """Predict from features, with the contribution of each feature."""
        model = _model(request.model_id)
        value, parts = predict(model, request.features.model_dump())
        answer: dict[str, Any] = {
            "model_id": model.model_id,
            "version": model.version,
            "instrument": request.instrument,
            "prediction": round(value, _DECIMALS),
            "contributions": _rounded(parts),
        }
        if model.kind is ModelKind.DIRECTION:
            answer["direction"] = "up" if value >= 0.5 else "down"
            answer["confidence"] = round(abs(2 * value - 1), _DECIMALS)
        return JsonResponse(answer)

    async def training(self, request: TrainingRequest) -> JsonResponse:
        """Train from the published coefficients on the window; nothing published changes."""
        model = _model(request.model_id)
        bars = request.bars(least=_LEAST_BARS)
        data = dataset(model, history(bars))
        outcome = train(model, data, epochs=request.epochs, learning_rate=request.learning_rate)
        return JsonResponse(
            {
                "model_id": model.model_id,
                "instrument": request.instrument,
                **span(bars),
                "rows": len(data.targets),
                "epochs": request.epochs,
                "loss_before": round(outcome.loss_before, 10),
                "loss_after": round(outcome.loss_after, 10),
                "intercept": round(outcome.intercept, _DECIMALS),
                "weights": _rounded(dict(zip(FEATURE_NAMES, outcome.weights, strict=True))),
            }
        )

    async def evaluation(self, request: EvaluationRequest) -> JsonResponse:
        """Score the published model on the window."""
        model = _model(request.model_id)
        bars = request.bars(least=_LEAST_BARS)
        data = dataset(model, history(bars))
        return JsonResponse(
            {
                "model_id": model.model_id,
                "version": model.version,
                "instrument": request.instrument,
                **span(bars),
                "rows": len(data.targets),
                "scores": _rounded(evaluate(model, data)),
            }
        )


def endpoints(clock: Clock) -> Sequence[ApiEndpoint]:
    """Build the service's endpoints; they keep nothing."""
    service = _MlIntegration(clock)
    return (
        ApiEndpoint(method="GET", path="/api/v1/models", handler=service.models),
        ApiEndpoint(method="POST", path="/api/v1/predictions", handler=service.predictions),
        ApiEndpoint(method="POST", path="/api/v1/training", handler=service.training),
        ApiEndpoint(method="POST", path="/api/v1/evaluation", handler=service.evaluation),
    )


def _model(model_id: str) -> Model:
    model = MODELS.get(model_id)
    if model is None:
        raise not_found("model_id", model_id, MODELS)
    return model


def _describe(model: Model) -> dict[str, Any]:
    return {
        "model_id": model.model_id,
        "kind": model.kind,
        "version": model.version,
        "features": FEATURE_NAMES,
    }


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: round(value, _DECIMALS) for name, value in values.items()}
