"""The pool of Airflow that holds what the load generators can send together; a slot is one request per second."""

import math

LOAD_POOL = "bellwether_load"
LOAD_POOL_DESCRIPTION = "Bellwether's load generators: one slot a request per second, capacity_rps in scenarios.yaml"


def slots_of(rate_rps: float) -> int:
    """Return how many slots a rate takes."""
    return max(1, math.ceil(rate_rps))
