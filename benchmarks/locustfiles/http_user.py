"""One GET request an iteration, by Locust's client on top of requests."""

from locust import HttpUser, task


class Reader(HttpUser):
    """Reads one resource."""

    @task
    def read(self) -> None:
        """Read it."""
        self.client.get("/api/v1/positions")
