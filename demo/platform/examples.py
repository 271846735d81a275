"""Realistic requests to every endpoint, numbered and repeatable: request 17 is always the same.

Background traffic, benchmarks and tests send them. All windows lie in one trading week, so the responses do not depend
on the time of the request.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from demo.platform.instruments import INSTRUMENTS, Instrument
from demo.platform.models import MODELS
from demo.platform.prices import mid_price
from demo.platform.strategies import STRATEGIES
from demo.platform.transformations import PIPELINES

_WEEK_BEGINS = datetime(2026, 1, 5, tzinfo=UTC)
_WEEK_MINUTES = 5 * 24 * 60
# (timeframe, hours of data): 60 to 240 bars, typical for a client of that timeframe.
_WINDOWS = (("M1", 1), ("M5", 6), ("M15", 24), ("M1", 4), ("H1", 96), ("M5", 12))
_PAIRS = tuple(INSTRUMENTS.values())
_QUANTITIES = (1_000, 10_000, 25_000, 50_000, 100_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleRequest:
    """One request.

    Attributes:
        method: GET or POST.
        path: of the endpoint.
        query: parameters in the URL.
        body: sent as JSON, None for GET.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None


def example(service: str, number: int) -> ExampleRequest:
    """Return a request to a service; consecutive numbers cycle through its endpoints.

    Args:
        service: full name, a key of the catalogue.
        number: 0, 1, 2 …
    """
    kinds = _KINDS[service]
    method, path, fields = kinds[number % len(kinds)]
    values = fields(number // len(kinds))
    if method == "POST":
        return ExampleRequest(method=method, path=path, body=values)
    return ExampleRequest(method=method, path=path, query={k: str(v) for k, v in values.items()})


def _pair(number: int) -> Instrument:
    return _PAIRS[number % len(_PAIRS)]


def _moment(number: int) -> datetime:
    # 37 is coprime to the minutes of the week, so every minute is visited before one repeats.
    return _WEEK_BEGINS + timedelta(minutes=37 * number % _WEEK_MINUTES)


def _window(number: int) -> dict[str, Any]:
    timeframe, hours = _WINDOWS[number % len(_WINDOWS)]
    start = _moment(number)
    return {
        "instrument": _pair(number).name.value,
        "timeframe": timeframe,
        "start_time": start.isoformat().replace("+00:00", "Z"),
        "end_time": (start + timedelta(hours=hours)).isoformat().replace("+00:00", "Z"),
    }


def _order(number: int) -> dict[str, Any]:
    pair = _pair(number)
    is_limit = number % 3 == 0
    # Every second limit order is 4 pips on the passive side, and rests in the book.
    offset = (-4 if number % 2 else 4) * pair.pip
    price = mid_price(pair, int(_moment(number).timestamp())) + offset
    return {
        "instrument": pair.name.value,
        "order_type": "limit" if is_limit else "market",
        "side": "sell" if (number // 2) % 2 else "buy",
        "quantity": _QUANTITIES[number % len(_QUANTITIES)],
        "price": round(price, pair.decimals) if is_limit else None,
        "time_in_force": ("GTC", "IOC", "DAY")[number % 3] if is_limit else "IOC",
    }


def _instrument(number: int) -> dict[str, Any]:
    return {"instrument": _pair(number).name.value}


def _prediction(number: int) -> dict[str, Any]:
    return {
        "model_id": list(MODELS)[number % len(MODELS)],
        "features": {
            "price_momentum": round(((number * 7) % 41 - 20) / 10_000, 6),
            "volume_trend": round(((number * 11) % 31 - 15) / 100, 6),
            "volatility": round(0.0001 + (number * 13) % 17 / 40_000, 6),
        },
        **_instrument(number),
    }


def _with_model(number: int) -> dict[str, Any]:
    return {"model_id": list(MODELS)[number % len(MODELS)], **_window(number)}


def _with_strategy(number: int) -> dict[str, Any]:
    return {"strategy_id": list(STRATEGIES)[number % len(STRATEGIES)], **_window(number)}


def _backtest(number: int) -> dict[str, Any]:
    return {**_with_strategy(number), "initial_capital": 10_000 * (1 + number % 10)}


def _execution(number: int) -> dict[str, Any]:
    return {**_with_strategy(number), "quantity": _QUANTITIES[number % len(_QUANTITIES)]}


def _job(number: int) -> dict[str, Any]:
    return {"pipeline_id": list(PIPELINES)[number % len(PIPELINES)], "parameters": _window(number)}


_Fields = Callable[[int], dict[str, Any]]
_KINDS: Mapping[str, tuple[tuple[str, str, _Fields], ...]] = {
    "analysis-engine-service": (
        ("POST", "/api/v1/analysis/market", _window),
        ("POST", "/api/v1/analysis/patterns", _window),
        ("POST", "/api/v1/analysis/signals", _window),
        ("POST", "/api/v1/analysis/regime", _window),
    ),
    "trading-gateway-service": (
        ("POST", "/api/v1/orders", _order),
        ("GET", "/api/v1/positions", _instrument),
        ("GET", "/api/v1/executions", _instrument),
        ("GET", "/api/v1/market-data", _window),
    ),
    "feature-store-service": (
        ("POST", "/api/v1/features", _window),
        ("GET", "/api/v1/feature-sets", _window),
        ("GET", "/api/v1/data-sources", _window),
        ("POST", "/api/v1/calculations", _window),
    ),
    "ml-integration-service": (
        ("GET", "/api/v1/models", _instrument),
        ("POST", "/api/v1/predictions", _prediction),
        ("POST", "/api/v1/training", _with_model),
        ("POST", "/api/v1/evaluation", _with_model),
    ),
    "strategy-execution-engine": (
        ("GET", "/api/v1/strategies", _instrument),
        ("POST", "/api/v1/backtests", _backtest),
        ("POST", "/api/v1/executions", _execution),
        ("GET", "/api/v1/performance", _instrument),
    ),
    "data-pipeline-service": (
        ("GET", "/api/v1/pipelines", _window),
        ("GET", "/api/v1/data-sources", _window),
        ("GET", "/api/v1/transformations", _window),
        ("POST", "/api/v1/jobs", _job),
    ),
}
