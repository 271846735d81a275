"""The queries for both sides of the comparison with production, and invalid references."""

from typing import Any

import pytest
from pydantic import ValidationError

from include.perf.catalogue.prometheus_target import ProductionReference, PrometheusTarget
from include.perf.catalogue.service import Service
from tests.fakes.small_catalogue import SELECTOR, small_service

PRODUCTION = 'service="orders",environment="production"'


def reference(**given: Any) -> ProductionReference:
    return ProductionReference.model_validate({"selector": PRODUCTION} | given)


def test_both_sides_have_the_same_queries() -> None:
    """Only the selector differs; windows are in milliseconds where necessary."""
    made = reference()
    assert made.requests_query("a", window="900000ms") == "sum(rate(http_request_duration_seconds_count{a}[900000ms]))"
    assert made.buckets_query("a", window="9ms") == (
        "sum by (le) (increase(http_request_duration_seconds_bucket{a}[9ms]))"
    )
    assert made.mix_query("b", window="9ms") == (
        "sum by (method, endpoint) (rate(http_request_duration_seconds_count{b}[9ms]))"
    )
    assert made.errors_query("b", window="9ms") == (
        'sum(rate(http_requests_total{b,status=~"5.."}[9ms])) or 0 * sum(rate(http_requests_total{b}[9ms]))'
    )


def test_the_busiest_five_minutes_are_within_the_window() -> None:
    """In an hour, the last 55 minutes are evaluated, each time with the five minutes before it."""
    assert reference().busiest_query("a", window_s=3600) == (
        "max_over_time(sum(rate(http_request_duration_seconds_count{a}[300s]))[3300000ms:1m])"
    )
    assert reference().busiest_query("a", window_s=300) == reference().requests_query("a", window="300000ms")


def test_excluded_requests_are_excluded_everywhere() -> None:
    """Health checks are fast, and would make production look fast."""
    made = reference(only='endpoint!="/healthz",', latency_histogram="latency_seconds", endpoint_labels=["route"])
    assert made.buckets_query("a", window="9ms") == (
        'sum by (le) (increase(latency_seconds_bucket{a,endpoint!="/healthz"}[9ms]))'
    )
    assert made.mix_query("a", window="9ms") == (
        'sum by (route) (rate(latency_seconds_count{a,endpoint!="/healthz"}[9ms]))'
    )


def test_the_cpu_query_of_production_is_that_of_the_service_under_test() -> None:
    """It has the same kind and production's labels, unless the catalogue has its own."""
    target = small_service().prometheus
    assert reference().cpu_query(target, window="9ms") == (f"sum(rate(process_cpu_seconds_total{{{PRODUCTION}}}[9ms]))")
    own = reference(cpu="sum(rate(cpu_total{$selector}[$window]))")
    assert own.cpu_query(target, window="9ms") == f"sum(rate(cpu_total{{{PRODUCTION}}}[9ms]))"


def test_coverage_is_that_of_any_instance() -> None:
    """Deployments replace instances, so none of them has to exist all the time."""
    assert reference(scrape_interval_s=5).coverage_query(window="900000ms") == (
        f"sum_over_time(max(max_over_time(up{{{PRODUCTION}}}[10000ms]))[900000ms:10000ms])"
    )


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"requests": "sum(rate(a[$window]))"}, "must select by {\\$selector}"),
        ({"errors": "sum(rate(a{$selector}[5m]))"}, "must be a rate over \\[\\$window\\]"),
        ({"cpu": "sum(rate(a[5m]))"}, "must be a rate over \\[\\$window\\]"),
        ({"selector": "{a}"}, "must be label matchers without braces"),
        ({"days": 0}, "greater than or equal to 1"),
        ({"endpoint_labels": []}, "at least 1 item"),
        ({"latency_histogram": "a b"}, "must be a metric name"),
    ],
)
def test_an_invalid_reference_is_refused(given: dict[str, Any], problem: str) -> None:
    """The message contains the rule."""
    with pytest.raises(ValidationError, match=problem):
        reference(**given)


def test_a_service_is_not_compared_with_itself() -> None:
    """Matchers in another order are the same."""
    with pytest.raises(ValidationError, match="must differ from that of the service under test"):
        small_service(production={"selector": f" {SELECTOR} ,"})
    made: Service = small_service(production={"selector": PRODUCTION})
    assert made.production == reference()


def test_a_container_needs_the_selector_of_its_requests() -> None:
    """own_selector also replaces the selector in the comparison."""
    target = PrometheusTarget(kind="container", selector='pod="orders"')
    assert reference(own_selector='service="orders-test"').problems_with(target) == []
    assert len(reference(own_selector=PRODUCTION).problems_with(target)) == 1


def test_a_cpu_query_without_selector_is_refused() -> None:
    """It would use the CPU of the service under test for production."""
    target = PrometheusTarget(selector="a", queries={"cpu_usage": 'sum(rate(cpu{pod="test"}[$window]))'})
    (problem,) = reference().problems_with(target)
    assert problem.startswith("production.cpu is needed")
    assert reference(cpu='sum(rate(cpu{pod="live"}[$window]))').problems_with(target) == []
