"""Names of Bellwether's metrics by Prometheus' conventions: namespace, quantity, base unit.

Source: Prometheus documentation, "Metric and label naming".
"""

from types import MappingProxyType

NAMESPACE = "bellwether"

CELL_LABELS = ("service", "scenario", "environment")
"""Labels of every family about a cell; some have one or two more."""

SUFFIXES = MappingProxyType(
    {
        "latency_p50": "latency_p50_seconds",
        "latency_p95": "latency_p95_seconds",
        "latency_p99": "latency_p99_seconds",
        "throughput": "throughput_requests_per_second",
        "error_rate": "error_ratio",
        "cpu_usage": "cpu_cores",
        "memory_usage": "memory_bytes",
        "disk_usage": "disk_used_ratio",
    }
)
"""Last part of a family name by metric; a family has one unit, so each metric has its own."""


def family(subject: str, metric: str) -> str:
    """Return the name of the family about a metric: ``bellwether_baseline_latency_p95_seconds``."""
    return f"{NAMESPACE}_{subject}_{SUFFIXES[metric]}"


RUN, BASELINE, ALERT_LIMIT = "run", "baseline", "alert_limit"
"""Subjects that have a family for each of the eight metrics."""

RUN_SHIFT = f"{NAMESPACE}_run_shift_ratio"
RUN_VERDICT = f"{NAMESPACE}_run_verdict"
RUN_TIMESTAMP = f"{NAMESPACE}_run_timestamp_seconds"
RUN_DURATION = f"{NAMESPACE}_run_duration_seconds"
GENERATOR_LAG = f"{NAMESPACE}_generator_lag_p99_seconds"
GENERATOR_SATURATION = f"{NAMESPACE}_generator_saturation_ratio"
BASELINE_INFO = f"{NAMESPACE}_baseline_info"
BASELINE_TIMESTAMP = f"{NAMESPACE}_baseline_timestamp_seconds"
BASELINE_EXPIRY = f"{NAMESPACE}_baseline_expiry_timestamp_seconds"
BASELINE_RUNS = f"{NAMESPACE}_baseline_runs"
LOAD_RUNNING = f"{NAMESPACE}_load_running"
LOAD_START = f"{NAMESPACE}_load_start_timestamp_seconds"
LOAD_END = f"{NAMESPACE}_load_end_timestamp_seconds"
STATE_TIMESTAMP = f"{NAMESPACE}_state_timestamp_seconds"
OPEN_PROBLEMS = f"{NAMESPACE}_open_problems"
