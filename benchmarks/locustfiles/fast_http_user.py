"""One GET request an iteration, by Locust's fast client."""

from locust import FastHttpUser, task


class FastReader(FastHttpUser):
    """Reads one resource."""

    @task
    def read(self) -> None:
        """Read it."""
        self.client.get("/api/v1/positions")
