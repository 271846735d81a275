"""Traders and auditors of the trading gateway, with both HTTP clients of Locust."""

import csv
import itertools
import random
from pathlib import Path

from locust import FastHttpUser, HttpUser, between, task

with Path("instruments.csv").open(encoding="utf-8") as file:
    INSTRUMENTS = [row["instrument"] for row in csv.DictReader(file)]
NUMBERS = itertools.count(1)


class Trader(FastHttpUser):
    """Looks at quotes, and places an order now and then."""

    weight = 3
    wait_time = between(1, 3)

    def on_start(self) -> None:
        """Choose an instrument, once a user."""
        self.instrument = INSTRUMENTS[next(NUMBERS) % len(INSTRUMENTS)]

    @task(3)
    def quote(self) -> None:
        """Read the last bars."""
        query = f"instrument={self.instrument}&timeframe=M1&limit=60"
        with self.client.get(f"/api/v1/market-data?{query}", name="quote", catch_response=True) as response:
            if "bars" not in response.text:
                response.failure("no bars in the answer")

    @task
    def order(self) -> None:
        """Place a market order, and look at the position."""
        order = {
            "instrument": self.instrument,
            "order_type": "market",
            "side": random.choice(["buy", "sell"]),
            "quantity": 1000,
        }
        self.client.post("/api/v1/orders", json=order, name="order")
        self.client.get(f"/api/v1/positions?instrument={self.instrument}", name="position")


class Auditor(HttpUser):
    """Reads executions."""

    wait_time = between(5, 10)

    @task
    def executions(self) -> None:
        """Read the newest ones."""
        self.client.get("/api/v1/executions", params={"limit": 50}, name="executions")
