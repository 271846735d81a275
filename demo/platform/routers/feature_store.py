"""feature-store-service: feature values, and indicators calculated on demand."""

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import Query
from pydantic import Field

from demo.platform import indicators
from demo.platform.endpoint import ApiEndpoint, Clock
from demo.platform.features import (
    DEFAULT_LOOKBACK,
    FEATURE_NAMES,
    FEATURE_SETS,
    latest_features,
)
from demo.platform.prices import Bars
from demo.platform.regime import VOLATILITY_PERIOD
from demo.platform.responses import JsonResponse, rounded, span
from demo.platform.rolling import rolling_deviation
from demo.platform.sources import list_sources
from demo.platform.windows import RequestWindow, WindowQuery

_MOST_VALUES = 60
_SIGNIFICANT_DECIMALS = 8


class Calculation(StrEnum):
    """What can be calculated."""

    SMA = "sma"
    EMA = "ema"
    RSI = "rsi"
    ATR = "atr"
    VOLATILITY = "volatility"


class FeatureRequest(RequestWindow):
    """Which features of which window."""

    features: Annotated[
        tuple[Literal["price_momentum", "volume_trend", "volatility"], ...],
        Field(min_length=1, max_length=3, description="All three unless given"),
    ] = FEATURE_NAMES  # type: ignore[assignment]
    lookback: Annotated[int, Field(ge=2, le=29, description="Bars to look back")] = DEFAULT_LOOKBACK


class CalculationRequest(RequestWindow):
    """Which calculation over which window."""

    calculation: Calculation = Calculation.SMA
    period: Annotated[int, Field(ge=2, le=50, description="In bars")] = VOLATILITY_PERIOD


class _FeatureStore:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def features(self, request: FeatureRequest) -> JsonResponse:
        """Compute feature values at the end of the window."""
        bars = request.bars()
        values = latest_features(bars, request.lookback)
        return JsonResponse(
            {
                "instrument": request.instrument,
                "timeframe": request.timeframe,
                **span(bars),
                "lookback": request.lookback,
                "features": {name: round(values[name], _SIGNIFICANT_DECIMALS) for name in request.features},
            }
        )

    async def feature_sets(self, query: Annotated[WindowQuery, Query()]) -> JsonResponse:
        """List the feature sets, with their values at the window's end for the instrument."""
        bars = query.bars(now_s=self._clock())
        rows = [
            {
                "feature_set": feature_set.name,
                "description": feature_set.description,
                "lookback": feature_set.lookback,
                "values": {
                    name: round(value, _SIGNIFICANT_DECIMALS)
                    for name, value in latest_features(bars, feature_set.lookback).items()
                    if name in feature_set.features
                },
            }
            for feature_set in FEATURE_SETS
        ]
        return JsonResponse({"instrument": query.pair().name, **span(bars), "feature_sets": rows})

    async def data_sources(self, query: Annotated[WindowQuery, Query()]) -> JsonResponse:
        """List the sources that cover the instrument, or all, with a summary of the window."""
        return JsonResponse(list_sources(query, now_s=self._clock()))

    async def calculations(self, request: CalculationRequest) -> JsonResponse:
        """Calculate a series over the window; its summary and latest values."""
        bars = request.bars()
        series = np.array(_CALCULATIONS[request.calculation](bars, request.period))
        return JsonResponse(
            {
                "instrument": request.instrument,
                "timeframe": request.timeframe,
                **span(bars),
                "calculation": request.calculation,
                "period": request.period,
                **_summary(series),
                "latest": rounded(series[-_MOST_VALUES:], _SIGNIFICANT_DECIMALS),
            }
        )


def endpoints(clock: Clock) -> Sequence[ApiEndpoint]:
    """Build the service's endpoints; they keep nothing."""
    service = _FeatureStore(clock)
    return (
        ApiEndpoint(method="POST", path="/api/v1/features", handler=service.features),
        ApiEndpoint(method="GET", path="/api/v1/feature-sets", handler=service.feature_sets),
        ApiEndpoint(method="GET", path="/api/v1/data-sources", handler=service.data_sources),
        ApiEndpoint(method="POST", path="/api/v1/calculations", handler=service.calculations),
    )


def _volatility(bars: Bars, period: int) -> list[float]:
    return list(rolling_deviation(np.diff(np.log(bars.close)), period).tolist())


_CALCULATIONS: Mapping[Calculation, Callable[[Bars, int], list[float]]] = {
    Calculation.SMA: lambda bars, period: indicators.sma(bars.close.tolist(), period),
    Calculation.EMA: lambda bars, period: indicators.ema(bars.close.tolist(), period),
    Calculation.RSI: lambda bars, period: indicators.rsi(bars.close.tolist(), period),
    Calculation.ATR: lambda bars, period: indicators.atr(
        bars.high.tolist(), bars.low.tolist(), bars.close.tolist(), period
    ),
    Calculation.VOLATILITY: _volatility,
}


def _summary(series: np.ndarray[Any, np.dtype[np.float64]]) -> dict[str, float]:
    figures = {"last": series[-1], "least": series.min(), "most": series.max(), "mean": series.mean()}
    return {name: round(float(value), _SIGNIFICANT_DECIMALS) for name, value in figures.items()}
