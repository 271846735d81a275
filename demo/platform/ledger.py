"""The executions of strategies: their number, and the net position per strategy and instrument."""

from collections import Counter
from dataclasses import dataclass
from itertools import count

from demo.platform.instruments import InstrumentName
from demo.platform.order_book import OrderSide
from demo.platform.positions import Position


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyTrade:
    """One trade of a strategy.

    Attributes:
        strategy_id: whose.
        instrument: traded.
        side: buy or sell.
        quantity: units.
        price: quote currency a unit, the spread included.
    """

    strategy_id: str
    instrument: InstrumentName
    side: OrderSide
    quantity: float
    price: float


class Ledger:
    """Keeps a position and a count per strategy and instrument, but no history."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self._positions: dict[tuple[str, InstrumentName], Position] = {}
        self._counts: Counter[tuple[str, InstrumentName]] = Counter()

    def book(self, trade: StrategyTrade) -> int:
        """Book a trade and return its number, ascending from 1."""
        key = (trade.strategy_id, trade.instrument)
        self._positions.setdefault(key, Position()).apply(trade.side.sign * trade.quantity, trade.price)
        self._counts[key] += 1
        return next(self._numbers)

    def position(self, strategy_id: str, instrument: InstrumentName) -> Position:
        """Return a strategy's position, flat if it never traded."""
        return self._positions.get((strategy_id, instrument), Position())

    def trades(self, strategy_id: str, instrument: InstrumentName) -> int:
        """Count a strategy's trades so far."""
        return self._counts[(strategy_id, instrument)]
