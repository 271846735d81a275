"""An order book with price-time priority.

Prices are integer ticks and quantities integer hundredths of a unit, so matching is exact. An incoming
order trades with the best price of the other side first, at the resting order's price, and within a price
with the oldest order first.

Source: price-time priority, Harris, L., "Trading and Exchanges", 2003, ch. 6.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class OrderSide(StrEnum):
    """Whether an order buys or sells the base currency."""

    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        """1 for buy, -1 for sell."""
        return 1 if self is OrderSide.BUY else -1

    @property
    def opposite(self) -> "OrderSide":
        """The other side."""
        return OrderSide.SELL if self is OrderSide.BUY else OrderSide.BUY


class OrderType(StrEnum):
    """At any price, or at a limit or better."""

    MARKET = "market"
    LIMIT = "limit"


class TimeInForce(StrEnum):
    """How long an order lives.

    GTC until cancelled; DAY until the trading day ends; IOC takes what is there and cancels the rest;
    FOK takes all or nothing.
    """

    GTC = "GTC"
    DAY = "DAY"
    IOC = "IOC"
    FOK = "FOK"


@dataclass(slots=True, kw_only=True)
class BookOrder:
    """An order in the book; `remaining` decreases as it trades.

    Attributes:
        order_id: unique; that of a market maker's quote is empty.
        side: of the order.
        limit_ticks: worst price accepted, None for any.
        remaining: hundredths of a unit.
        expires_at_s: when it lapses, seconds since 1970-01-01 UTC; None for never.
    """

    order_id: str
    side: OrderSide
    limit_ticks: int | None
    remaining: int
    expires_at_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """A trade between an incoming order and a resting one.

    Attributes:
        taker: the incoming order.
        maker: the resting order.
        price_ticks: the resting order's price.
        quantity: hundredths of a unit.
    """

    taker: BookOrder
    maker: BookOrder
    price_ticks: int
    quantity: int


class _BookSide:
    """The resting orders of one side; keys are ticks for asks and -ticks for bids, so the best is least."""

    def __init__(self, side: OrderSide) -> None:
        self._sign = -side.sign
        self._keys: list[int] = []
        self._levels: dict[int, deque[BookOrder]] = {}

    def add(self, order: BookOrder, price_ticks: int) -> None:
        key = self._sign * price_ticks
        level = self._levels.get(key)
        if level is None:
            self._levels[key] = deque((order,))
            self._keys.insert(bisect_left(self._keys, key), key)
        else:
            level.append(order)

    def remove(self, order: BookOrder, price_ticks: int) -> None:
        key = self._sign * price_ticks
        level = self._levels[key]
        level.remove(order)
        if not level:
            self._drop(key)

    def best(self) -> tuple[int, deque[BookOrder]] | None:
        """Return the best price in ticks and its orders, or None."""
        if not self._keys:
            return None
        return self._sign * self._keys[0], self._levels[self._keys[0]]

    def levels(self) -> Iterator[tuple[int, deque[BookOrder]]]:
        """Yield (price in ticks, orders), best first."""
        return ((self._sign * key, self._levels[key]) for key in self._keys)

    def drop_best(self) -> None:
        self._drop(self._keys[0])

    def accepts(self, price_ticks: int, limit_ticks: int | None) -> bool:
        """Return whether this side's price is within an incoming order's limit."""
        return limit_ticks is None or self._sign * price_ticks <= self._sign * limit_ticks

    def _drop(self, key: int) -> None:
        del self._levels[key]
        del self._keys[bisect_left(self._keys, key)]


class OrderBook:
    """The resting orders of one instrument."""

    def __init__(self) -> None:
        self._sides = {side: _BookSide(side) for side in OrderSide}

    def match(self, order: BookOrder, *, now_s: float) -> list[Fill]:
        """Trade an incoming order against the other side, best price and oldest order first.

        Lapsed orders on the way are removed. What remains of `order` is left to the caller.
        """
        other = self._sides[order.side.opposite]
        fills: list[Fill] = []
        while order.remaining and (best := other.best()) is not None:
            price_ticks, queue = best
            if not other.accepts(price_ticks, order.limit_ticks):
                break
            _take(order, queue, price_ticks, now_s=now_s, fills=fills)
            if not queue:
                other.drop_best()
        return fills

    def available(self, order: BookOrder, *, now_s: float) -> int:
        """Sum what the other side offers within the order's limit, in hundredths of a unit."""
        other = self._sides[order.side.opposite]
        total = 0
        for price_ticks, queue in other.levels():
            if total >= order.remaining or not other.accepts(price_ticks, order.limit_ticks):
                break
            total += sum(resting.remaining for resting in queue if not _is_lapsed(resting, now_s))
        return total

    def rest(self, order: BookOrder) -> None:
        """Add an order with a limit to its side, behind those at its price."""
        self._sides[order.side].add(order, _limit(order))

    def cancel(self, order: BookOrder) -> None:
        """Remove a resting order; an order that has traded in full no longer rests."""
        self._sides[order.side].remove(order, _limit(order))

    def best_price(self, side: OrderSide) -> int | None:
        """Return the best bid (buy) or ask (sell) in ticks, or None when that side is empty."""
        best = self._sides[side].best()
        return None if best is None else best[0]


def _take(order: BookOrder, queue: deque[BookOrder], price_ticks: int, *, now_s: float, fills: list[Fill]) -> None:
    while order.remaining and queue:
        maker = queue[0]
        if _is_lapsed(maker, now_s):
            maker.remaining = 0
            queue.popleft()
            continue
        quantity = min(order.remaining, maker.remaining)
        order.remaining -= quantity
        maker.remaining -= quantity
        fills.append(Fill(taker=order, maker=maker, price_ticks=price_ticks, quantity=quantity))
        if not maker.remaining:
            queue.popleft()


def _is_lapsed(order: BookOrder, now_s: float) -> bool:
    return order.expires_at_s is not None and order.expires_at_s <= now_s


def _limit(order: BookOrder) -> int:
    if order.limit_ticks is None:
        raise ValueError(f"order {order.order_id!r} has no limit, so it cannot rest in the book")
    return order.limit_ticks
