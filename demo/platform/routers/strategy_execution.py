"""strategy-execution-engine: strategies, what they would have earned, and what they execute."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Query
from pydantic import Field

from demo.platform.backtest import BacktestResult, run_backtest
from demo.platform.endpoint import ApiEndpoint, Clock
from demo.platform.instruments import Instrument
from demo.platform.ledger import Ledger, StrategyTrade
from demo.platform.order_book import OrderSide
from demo.platform.prices import Bars
from demo.platform.responses import JsonResponse, not_found, span
from demo.platform.strategies import STRATEGIES, Strategy
from demo.platform.windows import InstrumentField, RequestWindow, WindowQuery

_REFERENCE_CAPITAL = 10_000.0
_SLICES = 4

StrategyId = Annotated[str, Field(min_length=1, max_length=64)]


class BacktestRequest(RequestWindow):
    """Which strategy, on which window, with how much."""

    strategy_id: StrategyId
    initial_capital: Annotated[float, Field(ge=1, le=1e12, allow_inf_nan=False, description="Account currency")]


class ExecutionRequest(WindowQuery):
    """Which strategy executes how much; the window is what it decides on."""

    instrument: InstrumentField
    strategy_id: StrategyId
    quantity: Annotated[float, Field(ge=0.01, le=10_000_000, description="Units")]
    side: Annotated[OrderSide | None, Field(description="The strategy's own decision unless given")] = None


class PerformanceQuery(WindowQuery):
    """Of which strategy (all unless given), on which window."""

    strategy_id: StrategyId | None = None


class _StrategyExecution:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ledger = Ledger()

    async def strategies(self, query: Annotated[WindowQuery, Query()]) -> JsonResponse:
        """List the strategies with their positions at the end of the window."""
        bars = query.bars(now_s=self._clock())
        rows = [
            {
                "strategy_id": strategy.strategy_id,
                "description": strategy.description,
                "position": _WORDS[int(strategy.positions(bars.close)[-1])],
            }
            for strategy in STRATEGIES.values()
        ]
        return JsonResponse({"instrument": query.pair().name, **span(bars), "strategies": rows})

    async def backtests(self, request: BacktestRequest) -> JsonResponse:
        """Backtest a strategy over the window, costs included."""
        strategy = _strategy(request.strategy_id)
        bars = request.bars()
        result = run_backtest(strategy, request.pair(), bars, capital=request.initial_capital)
        return JsonResponse(
            {
                "strategy_id": strategy.strategy_id,
                "instrument": request.instrument,
                "timeframe": request.timeframe,
                **span(bars),
                "initial_capital": request.initial_capital,
                **_figures(result),
            }
        )

    async def executions(self, request: ExecutionRequest) -> JsonResponse:
        """Execute a strategy's decision in equal slices over the last bars, each at its close and spread."""
        strategy = _strategy(request.strategy_id)
        pair, bars = request.pair(), request.bars(now_s=self._clock())
        side = request.side or (OrderSide.SELL if strategy.positions(bars.close)[-1] < 0 else OrderSide.BUY)
        prices = [
            round(price + side.sign * pair.half_spread, pair.decimals) for price in bars.close[-_SLICES:].tolist()
        ]
        average = sum(prices) / len(prices)
        trade = StrategyTrade(
            strategy_id=strategy.strategy_id,
            instrument=request.instrument,
            side=side,
            quantity=request.quantity,
            price=average,
        )
        return JsonResponse(
            {
                "execution_id": self._ledger.book(trade),
                "strategy_id": trade.strategy_id,
                "instrument": trade.instrument,
                "side": side,
                "quantity": trade.quantity,
                "average_price": round(average, pair.decimals + 1),
                "slices": [{"quantity": request.quantity / len(prices), "price": p} for p in prices],
            }
        )

    async def performance(self, query: Annotated[PerformanceQuery, Query()]) -> JsonResponse:
        """Report the executions of the strategies so far, and their backtests over the window."""
        wanted = tuple(STRATEGIES.values()) if query.strategy_id is None else (_strategy(query.strategy_id),)
        pair, bars = query.pair(), query.bars(now_s=self._clock())
        return JsonResponse(
            {
                "instrument": pair.name,
                "timeframe": query.timeframe,
                **span(bars),
                "performance": [self._row(strategy, pair, bars) for strategy in wanted],
            }
        )

    def _row(self, strategy: Strategy, pair: Instrument, bars: Bars) -> dict[str, Any]:
        position = self._ledger.position(strategy.strategy_id, pair.name)
        result = run_backtest(strategy, pair, bars, capital=_REFERENCE_CAPITAL)
        return {
            "strategy_id": strategy.strategy_id,
            "executions": self._ledger.trades(strategy.strategy_id, pair.name),
            "position": position.quantity,
            "realised_pnl": round(position.realised_pnl, 2),
            "unrealised_pnl": round(position.unrealised_pnl(float(bars.close[-1])), 2),
            "window": _figures(result),
        }


_WORDS = {1: "long", 0: "flat", -1: "short"}


def endpoints(clock: Clock) -> Sequence[ApiEndpoint]:
    """Build the service's endpoints around one ledger."""
    service = _StrategyExecution(clock)
    return (
        ApiEndpoint(method="GET", path="/api/v1/strategies", handler=service.strategies),
        ApiEndpoint(method="POST", path="/api/v1/backtests", handler=service.backtests),
        ApiEndpoint(method="POST", path="/api/v1/executions", handler=service.executions),
        ApiEndpoint(method="GET", path="/api/v1/performance", handler=service.performance),
    )


def _strategy(strategy_id: str) -> Strategy:
    strategy = STRATEGIES.get(strategy_id)
    if strategy is None:
        raise not_found("strategy_id", strategy_id, STRATEGIES)
    return strategy


def _figures(result: BacktestResult) -> dict[str, Any]:
    return {
        "final_capital": round(result.final_capital, 2),
        "pnl": round(result.pnl, 2),
        "max_drawdown": round(result.max_drawdown, 6),
        "sharpe": round(result.sharpe, 4),
        "trades": result.trades,
        "win_rate": round(result.win_rate, 4),
    }
