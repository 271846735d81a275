"""What a worker holds, by the way in which a service is called, and what a plan that needs more is refused with."""

from typing import Any

import pytest

from include.perf.catalogue.scenario.load_profile import LoadProfile
from include.perf.catalogue.worker_rates import least_workers, problems_of_workers, workers_for
from tests.fakes.small_catalogue import small_service

HTTPS = {"base_url": "https://10.0.0.7", "allowed_hosts": ["10.0.0.7"]}


def load_of(rate_rps: float, **fields: Any) -> LoadProfile:
    return LoadProfile(rate_rps=rate_rps, duration_s=60, warmup_s=0, **fields)


@pytest.mark.parametrize(
    ("service", "rate_rps", "count", "least"),
    [
        ({}, 5600, 1, 1),  # 70 % of 8,000
        ({}, 5601, 2, 1),
        ({}, 8001, 2, 2),
        ({"keep_alive": False}, 1400, 1, 1),
        ({"keep_alive": False}, 1401, 2, 1),
        (HTTPS, 2801, 2, 1),
        (HTTPS | {"keep_alive": False}, 500, 3, 2),
        (HTTPS | {"keep_alive": False, "worker_rps": 1000}, 500, 1, 1),
        ({"worker_rps": 100}, 7100, 64, 71),  # never more than 64
    ],
)
def test_the_way_of_calling_a_service_determines_the_number_of_workers(
    service: dict[str, Any], rate_rps: float, count: int, least: int
) -> None:
    """A worker is planned for 70 % of what it holds; what was measured with a service comes before the default."""
    load = load_of(rate_rps)
    called = small_service(**service)
    assert (workers_for(load, called), least_workers(load, called)) == (count, least)


def test_the_peak_counts() -> None:
    """A rate of 3,000/s with a factor of 3 needs what 9,000/s need."""
    load = load_of(3000, profile=[{"at_s": 0, "factor": 1}, {"at_s": 30, "factor": 3}])
    assert (workers_for(load, small_service()), least_workers(load, small_service())) == (2, 2)


def test_a_scenario_may_have_its_own_number_of_workers() -> None:
    assert workers_for(load_of(100, workers=4), small_service()) == 4
    assert list(problems_of_workers(load_of(8000, workers=1), small_service())) == []


@pytest.mark.parametrize(
    ("service", "load", "problem"),
    [
        (
            {},
            load_of(8001, workers=1),
            "the peak rate of 8001/s is too much for 1 worker calling orders-service, each holds 8000/s (HTTP with "
            "keep-alive); set workers to 2, or lower rate_rps or profile",
        ),
        (
            HTTPS | {"keep_alive": False},
            load_of(900, workers=2),
            "the peak rate of 900/s is too much for 2 workers calling orders-service, each holds 320/s (HTTPS with a "
            "connection for each request); set workers to 3, or lower rate_rps or profile, or set keep_alive: true "
            "for orders-service (4000/s per worker)",
        ),
        (
            {"keep_alive": False, "worker_rps": 10},
            load_of(900),
            "the peak rate of 900/s is too much for 64 workers calling orders-service, each holds 10/s (worker_rps); "
            "lower rate_rps or profile",
        ),
    ],
)
def test_a_load_that_the_workers_cannot_hold_is_refused(
    service: dict[str, Any], load: LoadProfile, problem: str
) -> None:
    """The message says which of more workers, a lower rate and keep-alive helps."""
    assert list(problems_of_workers(load, small_service(**service))) == [problem]
