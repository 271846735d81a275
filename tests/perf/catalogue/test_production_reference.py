"""What both sides are asked, and what is wrong with how production is named."""

from typing import Any

import pytest
from pydantic import ValidationError

from include.perf.catalogue.prometheus_target import ProductionReference, PrometheusTarget
from include.perf.catalogue.service import Service
from tests.fakes.small_catalogue import SELECTOR, small_service

PRODUCTION = 'service="orders",environment="production"'


def reference(**given: Any) -> ProductionReference:
    return ProductionReference.model_validate({"selector": PRODUCTION} | given)


def test_both_sides_are_asked_the_same() -> None:
    """Only the selector differs; the window is in milliseconds where it says so."""
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


def test_the_busiest_five_minutes_begin_and_end_within_the_window() -> None:
    """Of an hour the last 55 minutes are looked at, each moment with the five minutes before it."""
    assert reference().busiest_query("a", window_s=3600) == (
        "max_over_time(sum(rate(http_request_duration_seconds_count{a}[300s]))[3300000ms:1m])"
    )
    assert reference().busiest_query("a", window_s=300) == reference().requests_query("a", window="300000ms")


def test_requests_that_do_not_count_are_left_out_everywhere() -> None:
    """Health checks are quick, and would make production look so."""
    made = reference(only='endpoint!="/healthz",', latency_histogram="latency_seconds", endpoint_labels=["route"])
    assert made.buckets_query("a", window="9ms") == (
        'sum by (le) (increase(latency_seconds_bucket{a,endpoint!="/healthz"}[9ms]))'
    )
    assert made.mix_query("a", window="9ms") == (
        'sum by (route) (rate(latency_seconds_count{a,endpoint!="/healthz"}[9ms]))'
    )


def test_production_s_cpu_is_asked_for_as_that_of_the_service_under_test() -> None:
    """Of the same kind, with production's labels; or as the catalogue says."""
    target = small_service().prometheus
    assert reference().cpu_query(target, window="9ms") == (f"sum(rate(process_cpu_seconds_total{{{PRODUCTION}}}[9ms]))")
    own = reference(cpu="sum(rate(cpu_total{$selector}[$window]))")
    assert own.cpu_query(target, window="9ms") == f"sum(rate(cpu_total{{{PRODUCTION}}}[9ms]))"


def test_coverage_is_that_of_any_instance() -> None:
    """A deployment replaces the instances, so none of them need be there all the time."""
    assert reference(scrape_interval_s=5).coverage_query(window="900000ms") == (
        f"sum_over_time(max(max_over_time(up{{{PRODUCTION}}}[10000ms]))[900000ms:10000ms])"
    )


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"requests": "sum(rate(a[$window]))"}, "must select by {\\$selector}"),
        ({"errors": "sum(rate(a{$selector}[5m]))"}, "must be a rate over \\[\\$window\\]"),
        ({"cpu": "sum(rate(a[5m]))"}, "must be a rate over \\[\\$window\\]"),
        ({"selector": "{a}"}, "should match pattern"),
        ({"days": 0}, "greater than or equal to 1"),
        ({"endpoint_labels": []}, "at least 1 item"),
        ({"latency_histogram": "a b"}, "should match pattern"),
    ],
)
def test_a_reference_that_cannot_be_is_refused(given: dict[str, Any], problem: str) -> None:
    """With the rule."""
    with pytest.raises(ValidationError, match=problem):
        reference(**given)


def test_a_service_is_not_compared_with_itself() -> None:
    """The same matchers in another order are the same."""
    with pytest.raises(ValidationError, match="must differ from that of the service under test"):
        small_service(production={"selector": f" {SELECTOR} ,"})
    made: Service = small_service(production={"selector": PRODUCTION})
    assert made.production == reference()


def test_a_container_s_service_names_where_its_requests_are_told() -> None:
    """own_selector takes the place of the selector in the comparison, too."""
    target = PrometheusTarget(kind="container", selector='pod="orders"')
    assert reference(own_selector='service="orders-test"').problems_with(target) == []
    assert len(reference(own_selector=PRODUCTION).problems_with(target)) == 1


def test_a_cpu_query_about_the_service_under_test_alone_is_said() -> None:
    """It would give production the CPU of the service under test."""
    target = PrometheusTarget(selector="a", queries={"cpu_usage": 'sum(rate(cpu{pod="test"}[$window]))'})
    (problem,) = reference().problems_with(target)
    assert problem.startswith("production.cpu is needed")
    assert reference(cpu='sum(rate(cpu{pod="live"}[$window]))').problems_with(target) == []
