"""Recording rules of live figures, with the queries of the catalogue."""

from include.perf.model.metric import METRICS
from include.perf.monitoring.live_figures import LONG, SHORT, live, live_figures
from tests.fakes.small_catalogue import small_service

OVERRIDE = "avg_over_time(disk{$selector}[$window])"


def test_every_metric_is_recorded_over_both_windows() -> None:
    """With the labels of the limits, whatever labels the series have."""
    rules = list(live_figures([small_service(environment="lab")]))
    assert {rule.record for rule in rules} == {live(name, window) for name in METRICS for window in (SHORT, LONG)}
    assert all(rule.labels == {"service": "orders-service", "environment": "lab"} for rule in rules)
    assert live("latency_p95", SHORT) == "service_environment:bellwether_live_latency_p95_seconds:5m"


def queries_of(service_changes: dict[str, object]) -> dict[str, str]:
    """Return the queries of a service by record name."""
    return {rule.record: rule.expr for rule in live_figures([small_service(**service_changes)])}


def test_server_metrics_use_the_queries_of_a_run() -> None:
    """A custom query of the catalogue is used with another window."""
    selector = 'job="orders"'
    queries = queries_of({"prometheus": {"selector": selector, "queries": {"disk_usage": OVERRIDE}}})
    assert queries[live("disk_usage", SHORT)] == 'max(avg_over_time(disk{job="orders"}[5m]))'
    assert queries[live("cpu_usage", LONG)] == 'max(sum(rate(process_cpu_seconds_total{job="orders"}[30m])))'


def test_requests_use_the_queries_of_the_comparison_with_production() -> None:
    """Names and selectors are those of the service under test."""
    production = {
        "selector": 'env="prod"',
        "own_selector": 'env="test"',
        "latency_histogram": "grpc_seconds",
        "errors": "sum(rate(broken_total{$selector}[$window]))",
    }
    queries = queries_of({"production": production})
    assert queries[live("latency_p99", SHORT)] == (
        'histogram_quantile(0.99, sum by (le) (increase(grpc_seconds_bucket{env="test"}[5m])))\n'
        "and on ()\n"
        'max(sum(rate(grpc_seconds_count{env="test"}[5m]))) * 300 >= 100'
    )
    assert queries[live("error_rate", LONG)] == (
        'max((sum(rate(broken_total{env="test"}[30m]))) / (sum(rate(grpc_seconds_count{env="test"}[30m]))))\n'
        "and on ()\n"
        'max(sum(rate(broken_total{env="test"}[30m]))) * 1800 >= 5'
    )
