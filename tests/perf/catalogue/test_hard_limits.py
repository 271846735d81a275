"""Hard limits: valid settings, and which values exceed them."""

import re

import pytest
from pydantic import ValidationError

from include.perf.model.metric import METRICS
from include.perf.verdict.reasons import exceeded
from tests.fakes.small_catalogue import small_service
from tests.records import metric_values


def test_limits_are_in_base_units() -> None:
    """Seconds and ratios, as in a record."""
    assert small_service(hard_limits={"latency_p95": 0.25, "error_rate": 0.02}).hard_limits == {
        "latency_p95": 0.25,
        "error_rate": 0.02,
    }
    assert small_service().hard_limits == {}


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"throughput": 100}, "'throughput' has no hard limit; known: latency_p50, latency_p95"),
        ({"latency": 1}, "'latency' has no hard limit"),
        ({"error_rate": 2}, "error_rate must be a ratio between 0 and 1, but is 2"),
        ({"latency_p95": 0}, "latency_p95 must be above 0 (s), but is 0"),
        ({"memory_usage": float("nan")}, "memory_usage must be above 0 (bytes), but is nan"),
    ],
)
def test_invalid_limits_are_refused(limits: dict[str, float], said: str) -> None:
    """A limit in percent, or for a metric without hard limits, would have no effect or always apply."""
    with pytest.raises(ValidationError, match=re.escape(said)):
        small_service(hard_limits=limits)


def test_a_value_equal_to_the_limit_does_not_exceed_it() -> None:
    """A missing value does not exceed it either."""
    values = metric_values(latency_p50=0.1, latency_p95=0.25, error_rate="no load")
    limits = {"latency_p50": 0.05, "latency_p95": 0.25, "error_rate": 0.01}
    assert list(exceeded(limits, values)) == [(METRICS["latency_p50"], 0.05)]
