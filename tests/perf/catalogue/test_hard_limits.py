"""Hard limits: valid settings, those that every service has, and which values are beyond them."""

import re

import pytest
from pydantic import ValidationError

from include.perf.catalogue.hard_limits import DEFAULT_LIMITS, HardLimit, upper_limits
from tests.fakes.small_catalogue import small_service


def test_limits_are_in_base_units() -> None:
    """Seconds, ratios and requests per second, as in a record; a limit may have a severity of its own."""
    service = small_service(hard_limits={"latency_p95": 0.25, "throughput": {"limit": 480, "severity": "warning"}})
    assert service.limits[:2] == (
        HardLimit(metric="latency_p95", value=0.25, severity="critical"),
        HardLimit(metric="throughput", value=480, severity="warning"),
    )


def test_every_service_has_a_limit_on_its_error_rate() -> None:
    """5 % unless its entry says otherwise, for the service and for each of its endpoints."""
    (own, *of_endpoints) = small_service().limits
    assert (own,) == DEFAULT_LIMITS == (HardLimit(metric="error_rate", value=0.05),)
    assert of_endpoints
    assert all(limit.is_inherited and limit.endpoint and limit.value == 0.05 for limit in of_endpoints)
    assert {limit.value for limit in small_service(hard_limits={"error_rate": 0.2}).limits} == {0.2}


def test_an_endpoint_has_limits_of_its_own() -> None:
    """They replace the limit on the error rate that it inherits."""
    endpoint = small_service().endpoints[0].model_dump(exclude_defaults=True)
    service = small_service(endpoints=[{**endpoint, "hard_limits": {"latency_p99": 0.4, "error_rate": 0.01}}])
    assert service.limits[1:] == (
        HardLimit(metric="latency_p99", value=0.4, endpoint=endpoint["name"]),
        HardLimit(metric="error_rate", value=0.01, endpoint=endpoint["name"]),
    )


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"latency": 1}, "'latency' has no hard limit; known: latency_p50, latency_p95"),
        ({"error_rate": 2}, "error_rate must be a ratio between 0 and 1, but is 2"),
        ({"latency_p95": 0}, "latency_p95 must be above 0 (s), but is 0"),
        ({"latency_p95": {"limit": -1}}, "latency_p95 must be above 0 (s), but is -1"),
        ({"memory_usage": float("nan")}, "memory_usage must be above 0 (bytes), but is nan"),
        ({"latency_p95": {"limit": 1, "severity": "page"}}, "Input should be 'warning' or 'critical'"),
    ],
)
def test_invalid_limits_are_refused(limits: dict[str, object], said: str) -> None:
    """A limit in percent, or for something that is no metric, would have no effect or always apply."""
    with pytest.raises(ValidationError, match=re.escape(said)):
        small_service(hard_limits=limits)


def test_an_endpoint_has_no_limit_on_what_only_the_service_has() -> None:
    """CPU belongs to the process, not to an endpoint."""
    endpoint = small_service().endpoints[0].model_dump(exclude_defaults=True)
    with pytest.raises(ValidationError, match="'cpu_usage' has no hard limit; known: latency_p50"):
        small_service(endpoints=[{**endpoint, "hard_limits": {"cpu_usage": 1}}])


@pytest.mark.parametrize(
    ("metric", "value", "is_exceeded"),
    [
        ("latency_p95", 0.25, False),  # equal to the limit
        ("latency_p95", 0.2501, True),
        ("throughput", 0.25, False),
        ("throughput", 0.2499, True),  # throughput has a lower limit
    ],
)
def test_a_value_equal_to_the_limit_is_not_beyond_it(metric: str, value: float, *, is_exceeded: bool) -> None:
    """Only what is worse than the limit is."""
    assert HardLimit(metric=metric, value=0.25).is_exceeded_by(value) is is_exceeded


def test_upper_limits_of_the_service_cap_its_alert_rules() -> None:
    """Throughput has a lower limit, and an endpoint has no alert rule."""
    service = small_service(hard_limits={"latency_p95": 0.25, "throughput": 480})
    assert upper_limits(service.limits) == {"latency_p95": 0.25, "error_rate": 0.05}
