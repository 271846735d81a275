"""A plain locustfile for comparison: closed-loop users of FastHttpUser.

`benchmarks.peers` starts it. ``RATE_PER_USER`` paces each user with ``constant_throughput``; without it, users send as
fast as the target answers. Locust's own figures go to the file ``RESULT`` as JSON.
"""

import json
import os
from pathlib import Path
from typing import Any

from locust import FastHttpUser, constant, constant_throughput, events, task

RATE_PER_USER = float(os.environ.get("RATE_PER_USER", "0"))


class StockUser(FastHttpUser):
    """One user of the target."""

    wait_time = constant_throughput(RATE_PER_USER) if RATE_PER_USER else constant(0)

    @task(3)
    def prices(self) -> None:
        """Read prices."""
        self.client.get("/v1/prices/eurusd")

    @task(1)
    def order(self) -> None:
        """Place an order."""
        self.client.post("/v1/orders", json={"symbol": "EURUSD", "units": 1000})


@events.quitting.add_listener  # type: ignore[untyped-decorator] # Locust does not annotate it
def write_percentiles(environment: Any, **_: Any) -> None:
    """Write Locust's own percentiles, in milliseconds."""
    total = environment.stats.total
    shares = {"p50": 0.50, "p95": 0.95, "p99": 0.99}
    reported = {name: total.get_response_time_percentile(share) for name, share in shares.items()}
    Path(os.environ["RESULT"]).write_text(json.dumps(reported), encoding="utf-8")
