"""trading-gateway-service: orders, what they became, and the market they trade in."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Annotated, Any, Self

from fastapi import HTTPException, Query
from pydantic import AwareDatetime, BaseModel, Field, model_validator

from demo.platform.endpoint import ApiEndpoint, Clock
from demo.platform.gateway import ClientOrder, Execution, Gateway
from demo.platform.instruments import InstrumentName
from demo.platform.order_book import OrderSide, OrderType, TimeInForce
from demo.platform.responses import JsonResponse, bar_columns, span
from demo.platform.windows import LEAST_BARS, InstrumentField, WindowQuery

MAX_QUANTITY = 10_000_000
MAX_CLIENT_IDS = 100_000

ClientOrderId = Annotated[str, Field(min_length=1, max_length=64, description="The client's own id; no two are equal")]


class OrderRequest(BaseModel):
    """An order as it comes in."""

    instrument: InstrumentField
    order_type: OrderType
    side: OrderSide
    quantity: Annotated[float, Field(ge=0.01, le=MAX_QUANTITY, description="Units, to the hundredth")]
    price: Annotated[float | None, Field(gt=0, le=100_000, description="Limit; a market order ignores it")] = None
    time_in_force: TimeInForce = TimeInForce.GTC
    client_order_id: ClientOrderId | None = None
    fill_after_ms: Annotated[int, Field(ge=0, le=5_000, description="How long the order works before it matches")] = 0

    @model_validator(mode="after")
    def _check_price(self) -> Self:
        if self.order_type is OrderType.LIMIT and self.price is None:
            raise ValueError("a limit order must have a price")
        if self.fill_after_ms and self.client_order_id is None:
            raise ValueError("an order that works for a while must have a client_order_id, by which it is found")
        return self

    def order(self) -> ClientOrder:
        """Return the order that the gateway takes."""
        return ClientOrder(
            instrument=self.instrument,
            side=self.side,
            quantity=self.quantity,
            limit_price=self.price if self.order_type is OrderType.LIMIT else None,
            time_in_force=self.time_in_force,
        )


class OrderQuery(BaseModel):
    """Which order."""

    client_order_id: ClientOrderId


class Cancellation(BaseModel):
    """Which order to cancel."""

    client_order_id: ClientOrderId


class Nothing(BaseModel):
    """A query without fields."""


class PositionsQuery(BaseModel):
    """Which positions."""

    instrument: InstrumentField | None = None


class ExecutionsQuery(BaseModel):
    """Which executions, newest first."""

    instrument: InstrumentField | None = None
    start_time: AwareDatetime | None = None
    end_time: AwareDatetime | None = None
    limit: Annotated[int, Field(ge=1, le=200)] = 50

    @model_validator(mode="after")
    def _check_times(self) -> Self:
        if self.start_time and self.end_time and self.end_time <= self.start_time:
            raise ValueError("end_time must be after start_time")
        return self


class MarketDataQuery(WindowQuery):
    """Which bars; with more than `limit` in the window they are merged."""

    limit: Annotated[int, Field(ge=1, le=240, description="Most bars in the answer")] = 100


class _TradingGateway:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._gateway = Gateway(clock)
        self._by_client_id: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._working: dict[str, tuple[float, OrderRequest]] = {}

    async def orders(self, request: OrderRequest) -> JsonResponse:
        """Place an order; it matches at once, and what remains rests or is cancelled.

        An order with the client's id of an earlier one is refused. One with ``fill_after_ms`` is accepted (202) and
        works for so long before it matches.
        """
        client_id = request.client_order_id
        if client_id is not None and client_id in self._by_client_id:
            raise HTTPException(409, f"client_order_id {client_id!r} was used before; each order needs its own")
        if client_id is not None and request.fill_after_ms:
            self._working[client_id] = self._clock() + request.fill_after_ms / 1000, request
            working = {"instrument": request.instrument, "side": request.side, "status": "working"}
            self._remember(client_id, working)
            return JsonResponse({"client_order_id": client_id, **working}, status_code=202)
        return JsonResponse(self._placed(request))

    def _placed(self, request: OrderRequest) -> dict[str, Any]:
        """Match an order, and return what became of it."""
        client_id = request.client_order_id
        outcome = self._gateway.place(request.order())
        average = outcome.average_price
        placed = {
            "order_id": outcome.order_id,
            "instrument": request.instrument,
            "side": request.side,
            "status": outcome.status,
            "filled_quantity": outcome.filled,
            "remaining_quantity": outcome.remaining,
            "average_price": None if average is None else round(average, 6),
        }
        if client_id is not None:
            self._remember(client_id, placed)
        return {**placed, "executions": [_execution(e) for e in outcome.executions]}

    async def order(self, query: Annotated[OrderQuery, Query()]) -> JsonResponse:
        """Return what became of an order when it matched or was cancelled, by the client's id."""
        return JsonResponse({"client_order_id": query.client_order_id, **self._state_of(query.client_order_id)})

    async def cancellations(self, request: Cancellation) -> JsonResponse:
        """Cancel what is left of an order; one that has traded in full stays as it is."""
        client_id = request.client_order_id
        state = self._state_of(client_id)
        was_working = self._working.pop(client_id, None) is not None
        if was_working or self._gateway.cancel(state.get("order_id", "")):
            state = {**state, "status": "cancelled"}
            self._remember(client_id, state)
        return JsonResponse({"client_order_id": client_id, **state})

    async def open_orders(self, _: Annotated[Nothing, Query()]) -> JsonResponse:
        """Count the orders with a client's id that work or rest: those that clients left behind."""
        resting = sum(self._gateway.rests(placed.get("order_id", "")) for placed in self._by_client_id.values())
        return JsonResponse({"open_orders": len(self._working) + resting})

    def _state_of(self, client_id: str) -> dict[str, Any]:
        """Return what is known of an order; one that has worked for long enough matches now."""
        due_s, request = self._working.get(client_id, (0.0, None))
        if request is not None and self._clock() >= due_s:
            del self._working[client_id]
            self._placed(request)
        placed = self._by_client_id.get(client_id)
        if placed is None:
            raise HTTPException(404, f"there is no order with client_order_id {client_id!r}")
        return placed

    def _remember(self, client_id: str, placed: dict[str, Any]) -> None:
        self._by_client_id[client_id] = placed
        if len(self._by_client_id) > MAX_CLIENT_IDS:
            oldest, _ = self._by_client_id.popitem(last=False)
            self._working.pop(oldest, None)

    async def positions(self, query: Annotated[PositionsQuery, Query()]) -> JsonResponse:
        """List the account's positions with their profit in the quote currency."""
        names = tuple(InstrumentName) if query.instrument is None else (query.instrument,)
        rows = [
            {
                "instrument": instrument.name,
                "quantity": position.quantity,
                "average_price": round(position.average_price, 6),
                "market_price": mid,
                "realised_pnl": round(position.realised_pnl, 2),
                "unrealised_pnl": round(position.unrealised_pnl(mid), 2),
            }
            for instrument, position, mid in self._gateway.positions(names)
        ]
        return JsonResponse({"positions": rows})

    async def executions(self, query: Annotated[ExecutionsQuery, Query()]) -> JsonResponse:
        """List the newest executions, newest first."""
        found = self._gateway.executions(
            query.instrument,
            start=query.start_time,
            end=query.end_time,
            limit=query.limit,
        )
        return JsonResponse({"executions": [_execution(e) for e in found]})

    async def market_data(self, query: Annotated[MarketDataQuery, Query()]) -> JsonResponse:
        """Give the window's bars and the quote at its end."""
        least = 1 if query.start_time else min(query.limit, LEAST_BARS)
        bars = query.bars(now_s=self._clock(), least=least, most=query.limit)
        pair = query.pair()
        last = float(bars.close[-1])
        return JsonResponse(
            {
                "instrument": pair.name,
                "timeframe": query.timeframe,
                **span(bars),
                "bid": round(last - pair.half_spread, pair.decimals),
                "ask": round(last + pair.half_spread, pair.decimals),
                "columns": bar_columns(bars, pair.decimals),
            }
        )


def endpoints(clock: Clock) -> Sequence[ApiEndpoint]:
    """Build the service's endpoints around one account and its order books."""
    service = _TradingGateway(clock)
    return (
        ApiEndpoint(method="POST", path="/api/v1/orders", handler=service.orders),
        ApiEndpoint(method="GET", path="/api/v1/orders/{client_order_id}", handler=service.order),
        ApiEndpoint(method="POST", path="/api/v1/cancellations", handler=service.cancellations),
        ApiEndpoint(method="GET", path="/api/v1/open-orders", handler=service.open_orders),
        ApiEndpoint(method="GET", path="/api/v1/positions", handler=service.positions),
        ApiEndpoint(method="GET", path="/api/v1/executions", handler=service.executions),
        ApiEndpoint(method="GET", path="/api/v1/market-data", handler=service.market_data),
    )


def _execution(execution: Execution) -> dict[str, Any]:
    # plain strings: the encoder takes five times as long to look through an enum
    return {
        "execution_id": execution.execution_id,
        "order_id": execution.order_id,
        "instrument": execution.instrument.value,
        "side": execution.side.value,
        "quantity": execution.quantity,
        "price": execution.price,
        "liquidity": "maker" if execution.is_maker else "taker",
        "time": execution.time,
    }
