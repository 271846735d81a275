"""The trading gateway: an order book per instrument, and the positions and latest executions of one account.

A market maker quotes both sides of every book around the reference mid price and renews its quotes once a
second. Memory is bounded: the oldest resting orders are cancelled beyond a limit, and executions are kept
in rings.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count

from demo.platform.instruments import INSTRUMENTS, Instrument, InstrumentName
from demo.platform.order_book import BookOrder, Fill, OrderBook, OrderSide, TimeInForce
from demo.platform.positions import Position
from demo.platform.prices import mid_price

MAX_RESTING = 2_000
MAX_EXECUTIONS = 5_000
HUNDREDTHS = 100
# Units quoted at each level, from the touch outwards, 5 ticks apart.
_LADDER = (2_000_000, 5_000_000, 10_000_000, 20_000_000, 40_000_000)
_LADDER_STEP_TICKS = 5
_DAY_S = 86_400
# The forex day ends at 17:00 New York; 21:00 UTC is that in summer.
_DAY_END_S = 21 * 3_600


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientOrder:
    """A client's order.

    Attributes:
        instrument: what to trade.
        side: buy or sell.
        quantity: units of the base currency.
        limit_price: worst price accepted, None for a market order.
        time_in_force: how long it lives; what remains of a market order never rests.
    """

    instrument: InstrumentName
    side: OrderSide
    quantity: float
    limit_price: float | None
    time_in_force: TimeInForce


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """A trade of one of the account's orders.

    Attributes:
        execution_id: ascending number.
        order_id: of the order.
        instrument: of the order.
        side: of the order.
        quantity: units.
        price: quote currency a unit.
        is_maker: the order was resting.
        time: when, UTC.
    """

    execution_id: int
    order_id: str
    instrument: InstrumentName
    side: OrderSide
    quantity: float
    price: float
    is_maker: bool
    time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderOutcome:
    """The outcome of an order.

    Attributes:
        order_id: its id.
        status: filled, partially_filled, resting or cancelled.
        filled: units.
        remaining: units that rest in the book, or were cancelled.
        executions: its trades.
    """

    order_id: str
    status: str
    filled: float
    remaining: float
    executions: Sequence[Execution]

    @property
    def average_price(self) -> float | None:
        """Mean price of the trades, weighted by quantity; None without any."""
        if not self.executions:
            return None
        return sum(e.quantity * e.price for e in self.executions) / sum(e.quantity for e in self.executions)


@dataclass(slots=True, kw_only=True)
class _Market:
    """The state of one instrument."""

    instrument: Instrument
    book: OrderBook = field(default_factory=OrderBook)
    quotes: list[BookOrder] = field(default_factory=list)
    quoted_at_s: int = -1
    mid: float = 0.0
    position: Position = field(default_factory=Position)
    executions: deque[Execution] = field(default_factory=lambda: deque(maxlen=MAX_EXECUTIONS))


class Gateway:
    """Takes orders and keeps the account.

    Args:
        clock: seconds since 1970-01-01 UTC.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._markets = {name: _Market(instrument=instrument) for name, instrument in INSTRUMENTS.items()}
        self._resting: OrderedDict[str, tuple[_Market, BookOrder]] = OrderedDict()
        self._executions: deque[Execution] = deque(maxlen=MAX_EXECUTIONS)
        self._order_numbers = count(1)
        self._execution_numbers = count(1)

    @property
    def resting(self) -> int:
        """Number of client orders in the books."""
        return len(self._resting)

    def place(self, order: ClientOrder) -> OrderOutcome:
        """Match an order; what remains rests (GTC, DAY) or is cancelled."""
        now_s = self._clock()
        market = self._market(order.instrument, now_s)
        entry = self._book_order(market, order, now_s)
        wanted = entry.remaining
        if order.time_in_force is TimeInForce.FOK and market.book.available(entry, now_s=now_s) < wanted:
            return OrderOutcome(
                order_id=entry.order_id,
                status="cancelled",
                filled=0.0,
                remaining=order.quantity,
                executions=(),
            )
        executions = self._settle(market, market.book.match(entry, now_s=now_s), now_s)
        own = tuple(e for e in executions if e.order_id == entry.order_id)
        may_rest = order.limit_price is not None and order.time_in_force in (TimeInForce.GTC, TimeInForce.DAY)
        if entry.remaining and may_rest:
            self._rest(market, entry)
        return OrderOutcome(
            order_id=entry.order_id,
            status=_status(wanted, entry.remaining, may_rest=may_rest),
            filled=(wanted - entry.remaining) / HUNDREDTHS,
            remaining=entry.remaining / HUNDREDTHS,
            executions=own,
        )

    def cancel(self, order_id: str) -> bool:
        """Take what remains of an order out of its book; return whether it rested there."""
        market, entry = self._resting.pop(order_id, (None, None))
        if market is None or entry is None or not entry.remaining:
            return False
        market.book.cancel(entry)
        return True

    def rests(self, order_id: str) -> bool:
        """Whether an order rests in its book."""
        return order_id in self._resting

    def positions(self, names: Sequence[InstrumentName]) -> Iterator[tuple[Instrument, Position, float]]:
        """Yield (instrument, position, current mid price) of instruments ever traded among `names`."""
        now_s = self._clock()
        for name in names:
            if self._markets[name].executions:
                market = self._market(name, now_s)
                yield market.instrument, market.position, market.mid

    def executions(
        self, name: InstrumentName | None, *, start: datetime | None, end: datetime | None, limit: int
    ) -> list[Execution]:
        """List the newest executions in [start, end), newest first, of one instrument or of all."""
        ring = self._executions if name is None else self._markets[name].executions
        # Times ascend, so the search from the new end stops at the first that is too old.
        found: list[Execution] = []
        for execution in reversed(ring):
            if len(found) >= limit or (start is not None and execution.time < start):
                break
            if end is None or execution.time < end:
                found.append(execution)
        return found

    def quote(self, name: InstrumentName) -> tuple[float | None, float | None]:
        """Return the best (bid, ask) of the book now."""
        market = self._market(name, self._clock())
        bid, ask = market.book.best_price(OrderSide.BUY), market.book.best_price(OrderSide.SELL)
        return _price(market.instrument, bid), _price(market.instrument, ask)

    def _market(self, name: InstrumentName, now_s: float) -> _Market:
        """Return an instrument's state with the quotes of this second."""
        market = self._markets[name]
        if market.quoted_at_s != int(now_s):
            self._requote(market, now_s)
        return market

    def _requote(self, market: _Market, now_s: float) -> None:
        for quote in market.quotes:
            if quote.remaining:
                market.book.cancel(quote)
        market.quotes.clear()
        market.quoted_at_s = int(now_s)
        market.mid = mid_price(market.instrument, market.quoted_at_s)
        mid_ticks = round(market.mid / market.instrument.tick)
        half_ticks = max(1, round(market.instrument.half_spread / market.instrument.tick))
        for side in OrderSide:
            for level, units in enumerate(_LADDER):
                ticks = mid_ticks - side.sign * (half_ticks + level * _LADDER_STEP_TICKS)
                quote = BookOrder(order_id="", side=side, limit_ticks=ticks, remaining=units * HUNDREDTHS)
                self._settle(market, market.book.match(quote, now_s=now_s), now_s)
                if quote.remaining:
                    market.book.rest(quote)
                    market.quotes.append(quote)

    def _book_order(self, market: _Market, order: ClientOrder, now_s: float) -> BookOrder:
        limit = order.limit_price
        return BookOrder(
            order_id=f"ord-{next(self._order_numbers):09d}",
            side=order.side,
            limit_ticks=None if limit is None else round(limit / market.instrument.tick),
            remaining=round(order.quantity * HUNDREDTHS),
            expires_at_s=day_end_s(now_s) if order.time_in_force is TimeInForce.DAY else None,
        )

    def _rest(self, market: _Market, entry: BookOrder) -> None:
        market.book.rest(entry)
        self._resting[entry.order_id] = (market, entry)
        while len(self._resting) > MAX_RESTING:
            _, (old_market, oldest) = self._resting.popitem(last=False)
            # A lapsed order left the book when matching met it.
            if oldest.remaining:
                old_market.book.cancel(oldest)

    def _settle(self, market: _Market, fills: Sequence[Fill], now_s: float) -> list[Execution]:
        """Book the account's part of fills; the market maker's quotes have no order id."""
        booked: list[Execution] = []
        for fill in fills:
            price = round(fill.price_ticks * market.instrument.tick, market.instrument.decimals)
            for entry in (fill.taker, fill.maker):
                if entry.order_id:
                    booked.append(self._book(market, entry, fill, price=price, now_s=now_s))
            if not fill.maker.remaining:
                self._resting.pop(fill.maker.order_id, None)
        return booked

    def _book(self, market: _Market, entry: BookOrder, fill: Fill, *, price: float, now_s: float) -> Execution:
        execution = Execution(
            execution_id=next(self._execution_numbers),
            order_id=entry.order_id,
            instrument=market.instrument.name,
            side=entry.side,
            quantity=fill.quantity / HUNDREDTHS,
            price=price,
            is_maker=entry is fill.maker,
            time=datetime.fromtimestamp(now_s, UTC),
        )
        market.position.apply(entry.side.sign * execution.quantity, price)
        market.executions.append(execution)
        self._executions.append(execution)
        return execution


def day_end_s(now_s: float) -> float:
    """Return the next 21:00 UTC after a moment; both in seconds since 1970-01-01 UTC."""
    return now_s + _DAY_S - (now_s - _DAY_END_S) % _DAY_S


def _price(instrument: Instrument, ticks: int | None) -> float | None:
    return None if ticks is None else round(ticks * instrument.tick, instrument.decimals)


def _status(wanted: int, remaining: int, *, may_rest: bool) -> str:
    if not remaining:
        return "filled"
    if remaining < wanted:
        return "partially_filled"
    return "resting" if may_rest else "cancelled"
