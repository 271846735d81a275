"""Net positions and their profit, by the average-cost method.

Buying more of a long position moves its average price; selling from it realises
(price - average price) · quantity and leaves the average; selling through zero opens a short at the price.
Profit is in the quote currency.
"""

from dataclasses import dataclass


@dataclass(slots=True, kw_only=True)
class Position:
    """A net position in one instrument.

    Attributes:
        quantity: units of the base currency, negative when short.
        average_price: of the open quantity, 0 when flat.
        realised_pnl: quote currency, so far.
    """

    quantity: float = 0.0
    average_price: float = 0.0
    realised_pnl: float = 0.0

    def apply(self, signed_quantity: float, price: float) -> None:
        """Trade `signed_quantity` units (negative sells) at `price`."""
        before = self.quantity
        after = round(before + signed_quantity, 2)
        if before * signed_quantity >= 0:
            cost = abs(before) * self.average_price + abs(signed_quantity) * price
            self.average_price = cost / abs(after) if after else 0.0
        else:
            closed = min(abs(before), abs(signed_quantity))
            self.realised_pnl += closed * (price - self.average_price) * (1.0 if before > 0 else -1.0)
            if before * after < 0:
                self.average_price = price
            elif after == 0:
                self.average_price = 0.0
        self.quantity = after

    def unrealised_pnl(self, price: float) -> float:
        """Compute what closing at `price` would realise, in the quote currency."""
        return self.quantity * (price - self.average_price)
