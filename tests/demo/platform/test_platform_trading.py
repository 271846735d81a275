"""The order book's matching, the account's positions, and the gateway that joins them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from demo.platform import gateway as gateway_module
from demo.platform.gateway import ClientOrder, Gateway, day_end_s
from demo.platform.instruments import INSTRUMENTS, InstrumentName
from demo.platform.order_book import BookOrder, OrderBook, OrderSide, TimeInForce
from demo.platform.positions import Position

EUR_USD = InstrumentName.EUR_USD


def book_order(
    order_id: str, side: OrderSide, ticks: int | None, quantity: int, *, expires_at_s: float | None = None
) -> BookOrder:
    return BookOrder(order_id=order_id, side=side, limit_ticks=ticks, remaining=quantity, expires_at_s=expires_at_s)


def book_with(*orders: BookOrder) -> OrderBook:
    book = OrderBook()
    for order in orders:
        book.rest(order)
    return book


def test_the_best_price_trades_first_and_the_oldest_order_within_it() -> None:
    book = book_with(
        book_order("worse", OrderSide.SELL, 102, 50),
        book_order("first", OrderSide.SELL, 101, 30),
        book_order("second", OrderSide.SELL, 101, 30),
    )
    fills = book.match(book_order("taker", OrderSide.BUY, None, 80), now_s=0)
    # 30 + 30 at 101, then 20 at 102
    assert [(f.maker.order_id, f.price_ticks, f.quantity) for f in fills] == [
        ("first", 101, 30),
        ("second", 101, 30),
        ("worse", 102, 20),
    ]
    assert book.best_price(OrderSide.SELL) == 102


def test_a_limit_stops_at_its_price() -> None:
    book = book_with(book_order("a", OrderSide.BUY, 100, 10), book_order("b", OrderSide.BUY, 98, 10))
    taker = book_order("taker", OrderSide.SELL, 99, 25)
    assert [(f.price_ticks, f.quantity) for f in book.match(taker, now_s=0)] == [(100, 10)]
    assert taker.remaining == 15
    assert book.best_price(OrderSide.BUY) == 98


def test_a_lapsed_order_does_not_trade() -> None:
    book = book_with(
        book_order("lapsed", OrderSide.SELL, 100, 10, expires_at_s=5.0), book_order("live", OrderSide.SELL, 100, 10)
    )
    taker = book_order("taker", OrderSide.BUY, 100, 10)
    assert book.available(taker, now_s=5.0) == 10
    assert [f.maker.order_id for f in book.match(taker, now_s=5.0)] == ["live"]
    assert book.best_price(OrderSide.SELL) is None


def test_a_cancelled_order_leaves_the_book() -> None:
    order = book_order("a", OrderSide.BUY, 100, 10)
    book = book_with(order)
    book.cancel(order)
    assert book.best_price(OrderSide.BUY) is None
    with pytest.raises(ValueError, match="'m' has no limit"):
        book.rest(book_order("m", OrderSide.BUY, None, 1))


@pytest.mark.parametrize(
    ("trades", "quantity", "average", "realised"),
    [
        ([(100, 1.10), (300, 1.20)], 400, 1.175, 0.0),  # (100·1.10 + 300·1.20) / 400
        ([(100, 1.10), (-40, 1.20)], 60, 1.10, 4.0),  # 40·0.10
        ([(100, 1.10), (-100, 1.00)], 0, 0.0, -10.0),
        ([(100, 1.10), (-150, 1.20)], -50, 1.20, 10.0),  # closes 100, opens 50 short
        ([(-100, 1.10), (50, 1.00)], -50, 1.10, 5.0),  # a short gains as the price falls
        ([(0.01, 1.0), (0.02, 1.0), (-0.03, 2.0)], 0, 0.0, 0.03),  # hundredths add up exactly
    ],
)
def test_positions_follow_the_average_cost_method(
    trades: list[tuple[float, float]], quantity: float, average: float, realised: float
) -> None:
    position = Position()
    for signed, price in trades:
        position.apply(signed, price)
    assert (position.quantity, position.average_price) == pytest.approx((quantity, average))
    assert position.realised_pnl == pytest.approx(realised)


def test_an_open_position_is_valued_at_the_market() -> None:
    assert Position(quantity=-50, average_price=1.2).unrealised_pnl(1.1) == pytest.approx(5.0)


def order(
    side: OrderSide, quantity: float, price: float | None = None, time_in_force: TimeInForce = TimeInForce.GTC
) -> ClientOrder:
    return ClientOrder(instrument=EUR_USD, side=side, quantity=quantity, limit_price=price, time_in_force=time_in_force)


@pytest.fixture
def gateway(clock: Any) -> Gateway:
    return Gateway(clock)


def position_of(gateway: Gateway) -> float:
    return sum(position.quantity for _, position, _ in gateway.positions([EUR_USD]))


def test_a_market_order_fills_at_the_quote_and_moves_the_position(gateway: Gateway) -> None:
    bid, ask = gateway.quote(EUR_USD)
    assert bid is not None
    assert ask is not None
    assert ask - bid == pytest.approx(2 * INSTRUMENTS[EUR_USD].half_spread)
    bought = gateway.place(order(OrderSide.BUY, 1_000))
    sold = gateway.place(order(OrderSide.SELL, 400))
    assert (bought.status, bought.filled, bought.average_price) == ("filled", 1_000, ask)
    assert (sold.status, sold.average_price) == ("filled", bid)
    assert position_of(gateway) == 600


def test_a_passive_limit_rests_until_another_order_meets_it(gateway: Gateway) -> None:
    bid, ask = gateway.quote(EUR_USD)
    assert bid is not None
    assert ask is not None
    inside = round((bid + ask) / 2, 5)
    resting = gateway.place(order(OrderSide.BUY, 500, inside))
    assert (resting.status, resting.remaining, gateway.resting) == ("resting", 500, 1)
    taken = gateway.place(order(OrderSide.SELL, 200))
    # better than the market maker's bid, so it trades first
    assert taken.average_price == inside
    newest = gateway.executions(EUR_USD, start=None, end=None, limit=10)
    assert [(e.order_id, e.side.value, e.is_maker, e.quantity) for e in newest] == [
        (resting.order_id, "buy", True, 200),
        (taken.order_id, "sell", False, 200),
    ]
    gateway.place(order(OrderSide.SELL, 300, inside))
    assert gateway.resting == 0
    assert position_of(gateway) == 0


@pytest.mark.parametrize(
    ("time_in_force", "status", "filled"), [("IOC", "partially_filled", 2_000_000), ("FOK", "cancelled", 0)]
)
def test_an_order_beyond_the_first_level(gateway: Gateway, time_in_force: str, status: str, filled: float) -> None:
    _, ask = gateway.quote(EUR_USD)
    # the touch offers 2,000,000
    outcome = gateway.place(order(OrderSide.BUY, 3_000_000, ask, TimeInForce(time_in_force)))
    assert (outcome.status, outcome.filled, gateway.resting) == (status, filled, 0)


def test_quotes_follow_the_market_and_meet_resting_orders(gateway: Gateway, clock: Any) -> None:
    bid, _ = gateway.quote(EUR_USD)
    assert bid is not None
    gateway.place(order(OrderSide.BUY, 100, round(bid - 0.0002, 5)))
    for _ in range(7_200):
        clock.now_s += 60
        if gateway.quote(EUR_USD)[0] is not None and gateway.resting == 0:
            break
    assert gateway.resting == 0
    execution = gateway.executions(EUR_USD, start=None, end=None, limit=1)[0]
    assert (execution.price, execution.is_maker) == (round(bid - 0.0002, 5), True)


def test_a_day_order_lapses_at_21_utc(gateway: Gateway, clock: Any) -> None:
    bid, ask = gateway.quote(EUR_USD)
    assert bid is not None
    assert ask is not None
    gateway.place(order(OrderSide.BUY, 100, round((bid + ask) / 2, 5), TimeInForce.DAY))
    clock.now_s = day_end_s(clock.now_s)
    assert datetime.fromtimestamp(clock.now_s, UTC).hour == 21
    assert all(not e.is_maker for e in gateway.place(order(OrderSide.SELL, 100)).executions)
    assert position_of(gateway) == -100


def test_memory_is_bounded(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest resting order goes when there are too many."""
    monkeypatch.setattr(gateway_module, "MAX_RESTING", 3)
    for _ in range(5):
        gateway.place(order(OrderSide.BUY, 10, 0.5))
    assert gateway.resting == 3
    swept = gateway.place(order(OrderSide.SELL, 10_000_000, 0.5, TimeInForce.IOC))
    assert swept.status == "filled"
    assert gateway.resting == 3


def test_executions_are_found_by_time(gateway: Gateway, clock: Any) -> None:
    began = datetime.fromtimestamp(clock.now_s, UTC)
    for _ in range(5):
        gateway.place(order(OrderSide.BUY, 1))
        clock.now_s += 10
    found = gateway.executions(None, start=began + timedelta(seconds=10), end=began + timedelta(seconds=40), limit=2)
    assert [(e.time - began).total_seconds() for e in found] == [30, 20]
