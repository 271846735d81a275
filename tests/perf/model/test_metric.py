"""The eight metrics: minimum effect, direction, values and their format."""

import math

import pytest

from include.perf.model.metric import METRICS, Direction, MetricValue, Source, Unit
from include.perf.model.numbers import format_change, format_value

MIB = 1024**2


def test_the_eight_metrics_with_unit_and_source() -> None:
    """There are eight metrics in base units: five from the client, three from Prometheus."""
    assert [(metric.name, metric.unit.value, metric.source) for metric in METRICS.values()] == [
        ("latency_p50", "s", Source.CLIENT),
        ("latency_p95", "s", Source.CLIENT),
        ("latency_p99", "s", Source.CLIENT),
        ("throughput", "1/s", Source.CLIENT),
        ("error_rate", "ratio", Source.CLIENT),
        ("cpu_usage", "cores", Source.PROMETHEUS),
        ("memory_usage", "bytes", Source.PROMETHEUS),
        ("disk_usage", "ratio", Source.PROMETHEUS),
    ]


def test_only_more_throughput_is_better() -> None:
    """For all other metrics, lower is better."""
    better = [name for name, metric in METRICS.items() if metric.direction is Direction.HIGHER_IS_BETTER]
    assert better == ["throughput"]


@pytest.mark.parametrize(
    ("name", "baseline", "is_provisional", "effect"),
    [
        ("latency_p95", 0.200, False, 0.010),  # 5 % of 200 ms = 10 ms > 5 ms
        ("latency_p95", 0.100, False, 0.005),  # 5 % of 100 ms = 5 ms = 5 ms
        ("latency_p95", 0.040, False, 0.005),  # 5 % of 40 ms = 2 ms < 5 ms
        ("latency_p95", 0.040, True, 0.012),  # 30 % of 40 ms = 12 ms > 5 ms
        ("latency_p95", 0.010, True, 0.005),  # 30 % of 10 ms = 3 ms < 5 ms
        ("latency_p50", 0.000, False, 0.002),  # nothing relative to zero
        ("throughput", 500.0, False, 25.0),  # 5 % of 500/s
        ("throughput", 500.0, True, 150.0),  # 30 % of 500/s
        ("error_rate", 0.500, False, 0.005),  # half a point, whatever the baseline
        ("error_rate", 0.500, True, 0.005),  # also while provisional
        ("memory_usage", 1000.0 * MIB, False, 50.0 * MIB),  # 5 % of 1000 MiB > 16 MiB
        ("disk_usage", 0.100, False, 0.020),  # 10 % of 10 % = 1 point < 2 points
    ],
)
def test_minimum_effect(name: str, baseline: float, is_provisional: bool, effect: float) -> None:
    """The larger of the relative and the absolute minimum effect counts."""
    assert METRICS[name].minimum_effect(baseline=baseline, is_provisional=is_provisional) == pytest.approx(
        effect, rel=1e-12
    )


@pytest.mark.parametrize(
    ("name", "baseline", "value", "worsening"),
    [
        ("latency_p95", 0.040, 0.050, 0.010),  # slower is worse
        ("latency_p95", 0.050, 0.040, -0.010),
        ("throughput", 500.0, 400.0, 100.0),  # less is worse
        ("throughput", 400.0, 500.0, -100.0),
        ("error_rate", 0.0, 0.0, 0.0),
    ],
)
def test_worsening(name: str, baseline: float, value: float, worsening: float) -> None:
    """Positive is worse, whichever way the metric points."""
    assert METRICS[name].worsening(baseline=baseline, value=value) == pytest.approx(worsening)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_is_refused(value: float) -> None:
    """NaN and infinity mean "no data", which needs a reason."""
    with pytest.raises(ValueError, match=f"must be finite, but is {value}; use None and a reason"):
        MetricValue(value=value, unit=Unit.SECONDS)


@pytest.mark.parametrize(("value", "reason"), [(None, None), (1.0, "lost")])
def test_a_metric_has_a_value_or_a_reason(value: float | None, reason: str | None) -> None:
    """Exactly one of the two."""
    with pytest.raises(ValueError, match=f"either a value or a reason, not value={value}, reason={reason}"):
        MetricValue(value=value, unit=Unit.SECONDS, reason=reason)


def test_zero_is_a_value() -> None:
    """An error rate of zero is measured, not missing."""
    assert MetricValue(value=0.0, unit=Unit.RATIO).value == 0.0


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (None, Unit.SECONDS, "–"),
        (0.0, Unit.SECONDS, "0 ms"),
        (0.0421, Unit.SECONDS, "42.1 ms"),
        (0.00000421, Unit.SECONDS, "0.004 ms"),
        (1.5, Unit.SECONDS, "1500 ms"),
        (9.999, Unit.SECONDS, "9999 ms"),
        (10.0, Unit.SECONDS, "10.00 s"),
        (499.6, Unit.REQUESTS_PER_SECOND, "500/s"),
        (49.96, Unit.REQUESTS_PER_SECOND, "50.0/s"),
        (0.0005, Unit.RATIO, "0.05 %"),
        (1.0, Unit.RATIO, "100.00 %"),
        (1.234, Unit.CORES, "1.23 cores"),
        (512.0 * MIB, Unit.BYTES, "512.0 MiB"),
    ],
)
def test_format_value(value: float | None, unit: Unit, text: str) -> None:
    """Values are shown in ms, % and MiB; no value is a dash, never 0."""
    assert format_value(value, unit) == text


@pytest.mark.parametrize(
    ("ratio", "text"),
    [(0.4537, "+45 %"), (-0.032, "−3.2 %"), (0.0999, "+10.0 %"), (0.1, "+10 %"), (-0.5, "−50 %"), (0.0, "+0.0 %")],
)
def test_format_change(ratio: float, text: str) -> None:
    """A change has its sign; below 10 % one decimal."""
    assert format_change(ratio) == text
