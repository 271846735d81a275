"""A client of its own: whatever it does, it reports each request with `events.request`."""

import http.client
import json
import time
from typing import Any
from urllib.parse import urlsplit

from locust import User, task


class OrderClient:
    """Places orders over a kept connection, and reports how that went.

    Args:
        host: the base URL of the gateway.
        report: `environment.events.request.fire`.
    """

    def __init__(self, host: str, report: Any) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(host).netloc, timeout=5)
        self._report = report

    def place(self, **order: Any) -> dict[str, Any]:
        """Place an order and return what became of it."""
        started_at, began = time.time(), time.perf_counter()
        answer, error, outcome = b"", None, {}
        try:
            self._connection.request("POST", "/api/v1/orders", json.dumps(order), {"Content-Type": "application/json"})
            response = self._connection.getresponse()
            answer = response.read()
            outcome = json.loads(answer)
            if response.status != 200:
                error = RuntimeError(f"status {response.status}")
        except (OSError, ValueError, http.client.HTTPException) as err:
            self._connection.close()
            error = err
        self._report(
            request_type="order",
            name=order["order_type"],
            start_time=started_at,
            response_time=(time.perf_counter() - began) * 1000,
            response_length=len(answer),
            exception=error,
            context={},
        )
        return outcome


class OrderUser(User):
    """Trades through the client."""

    def on_start(self) -> None:
        """Open the connection of this user."""
        self.orders = OrderClient(self.host, self.environment.events.request.fire)

    @task
    def trade(self) -> None:
        """Buy, and sell what was bought."""
        bought = self.orders.place(instrument="EUR_USD", order_type="market", side="buy", quantity=1000)
        if bought.get("filled_quantity"):
            self.orders.place(
                instrument="EUR_USD", order_type="market", side="sell", quantity=bought["filled_quantity"]
            )
