"""The input of a night's comparison: medians of re-runs, and nights as arrays."""

import math
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from include.perf.baselines.entry import Anchor
from include.perf.baselines.panel import Panel
from include.perf.baselines.reference import MAX_REFERENCE
from include.perf.baselines.spread import JUDGED_ON_LOG
from include.perf.model.metric import METRICS, MetricValue, Unit
from include.perf.runs.record import Verdict
from include.perf.verdict.contender import COLUMNS, panel_of, value_of
from tests.nights import BASELINE_VALUES, SWAY, baseline_of, cell, contender, day, measured, night_on, run_on

P95, THROUGHPUT = JUDGED_ON_LOG.index("latency_p95"), JUDGED_ON_LOG.index("throughput")
HOUR = timedelta(hours=1)


# The judged values of a run and its re-runs


@pytest.mark.parametrize(
    ("name", "values", "judged"),
    [
        ("latency_p95", [0.5], 0.5),
        ("latency_p95", [0.5, 0.3], 0.3),  # the better of two
        ("throughput", [400.0, 450.0], 450.0),
        ("latency_p95", [0.5, 0.3, 0.4], 0.4),
        ("throughput", [450.0, 400.0, 500.0], 450.0),
        ("latency_p95", [0.5, "lost", 0.3], 0.3),  # two are left
        ("latency_p95", ["lost", 0.5, "lost"], 0.5),
        ("error_rate", [0.0, 0.1, 0.0], 0.0),
    ],
)
def test_the_median_of_the_runs_is_judged(name: str, values: list[float | str], judged: float) -> None:
    """A run without a value does not count."""
    runs = [measured(failed=None, **({"error_rate": 0.0} | {name: value})) for value in values]
    assert value_of(contender(*runs).judged(), name) == judged


def test_no_value_in_any_run_keeps_the_first_reason() -> None:
    """The reason is that of the first run."""
    runs = [measured(cpu_usage=reason) for reason in ("no data", "timed out")]
    assert contender(*runs).judged()["cpu_usage"] == MetricValue(value=None, unit=Unit.CORES, reason="no data")


def test_runs_with_a_value() -> None:
    """Two of three have a CPU value; an unknown metric has none."""
    one = contender(measured(), measured(cpu_usage="no data"), measured())
    assert (one.runs_with("cpu_usage"), one.runs_with("latency_p95"), one.runs_with("unknown")) == (2, 3, 0)


@pytest.mark.parametrize(
    ("runs", "no_rerun", "is_backed"),
    [(1, None, False), (1, "no time", True), (2, None, True), (3, None, True)],
)
def test_a_value_is_backed_by_a_re_run_or_if_none_is_possible(runs: int, no_rerun: str | None, is_backed: bool) -> None:
    """A single run is not backed as long as a re-run is possible."""
    assert contender(*[measured()] * runs, no_rerun=no_rerun).is_backed("latency_p95") is is_backed


# The arrays


def panel(*cells: object) -> Panel:
    contenders = [cell for cell in cells if hasattr(cell, "runs")]
    others = [cell for cell in cells if not hasattr(cell, "runs")]
    return panel_of(contenders, others, now=contenders[0].at + HOUR)


def test_tonight_is_the_last_column() -> None:
    """After ten nights, right-aligned; larger is worse, so throughput has the opposite sign."""
    made = panel(contender(measured({"latency_p95": 1.5})))
    assert made.values.shape == (1, len(JUDGED_ON_LOG), COLUMNS)
    assert made.values[0, P95, -1] == pytest.approx(math.log(0.6))
    assert made.values[0, P95, -11:-1] == pytest.approx([math.log(0.4) + sway for sway in SWAY * 2])
    assert made.values[0, THROUGHPUT, -2] == pytest.approx(-math.log(500) - SWAY[9 % 5])
    assert np.isnan(made.values[0, :, :-11]).all()
    assert made.is_reference[0].tolist() == [False] * (COLUMNS - 11) + [True] * 10 + [False]


def test_nights_with_a_change_are_included_but_not_as_reference() -> None:
    """The windows use them, the centre does not."""
    made = panel(contender(nights=[night_on(10, verdict=Verdict.REGRESSION), night_on(11)]))
    assert made.is_reference[0, -4:].tolist() == [True, False, True, False]
    assert not np.isnan(made.values[0, P95, -4:]).any()


def test_the_oldest_nights_are_dropped() -> None:
    """The longest window and the history before it are kept."""
    made = panel(contender(nights=[night_on(number) for number in range(10, 100)]))
    assert not np.isnan(made.values[0, P95]).any()
    assert made.values[0, P95, 0] == pytest.approx(math.log(0.4) + SWAY[(100 - COLUMNS + 1) % 5])
    assert made.is_reference[0].sum() == COLUMNS - 1 > MAX_REFERENCE


def test_nights_with_a_change_do_not_replace_reference_nights() -> None:
    """Beyond the longest window of 14 nights they are dropped: after 50 regressions the ten are still there."""
    flagged = [night_on(number, verdict=Verdict.REGRESSION) for number in range(10, 60)]
    made = panel(contender(nights=flagged))
    assert made.is_reference[0].tolist() == [False] * (COLUMNS - 25) + [True] * 10 + [False] * 15


def test_a_run_without_a_value_is_unknown() -> None:
    """NaN, never zero, in earlier nights and tonight."""
    lost = {name: value for name, value in run_on(9).metrics.items() if name != "latency_p95"}
    baseline = baseline_of([*(run_on(number) for number in range(9)), replace(run_on(9), metrics=lost)])
    made = panel(contender(measured(latency_p95="no request was answered"), baseline=baseline))
    assert np.isnan(made.values[0, P95, -2:]).all()
    assert not np.isnan(made.values[0, P95, -3])


def test_the_platform_part_of_a_night_is_removed() -> None:
    """20 % more than usual, of which all services had 20 %."""
    shared = night_on(10, {"latency_p95": 1.2}, platform={"latency_p95": 0.2})
    made = panel(contender(nights=[shared]))
    assert made.values[0, P95, -2] == pytest.approx(math.log(0.4))


def test_minimum_effects_on_the_log_scale() -> None:
    """5 % of 400 ms; 5 % less throughput, a larger step on the log scale; 5 ms of 20 ms."""
    made = panel(contender())
    assert made.minimum_effects[0, P95] == pytest.approx(math.log(1.05))
    assert made.minimum_effects[0, THROUGHPUT] == pytest.approx(-math.log(0.95))
    small = baseline_of([run_on(number, {"latency_p95": 0.05}) for number in range(5)])
    assert panel(contender(baseline=small)).minimum_effects[0, P95] == pytest.approx(math.log(25 / 20), rel=1e-3)


def test_a_throughput_below_its_minimum_effect() -> None:
    """0.4/s cannot fall by 0.5/s."""
    slow = baseline_of([run_on(number, {"throughput": 0.4 / 500}) for number in range(5)])
    assert panel(contender(baseline=slow)).minimum_effects[0, THROUGHPUT] == math.inf


def test_a_metric_without_a_baseline_value_is_never_reported() -> None:
    """Its minimum effect is infinite, and it has no anchor."""
    values = {name: value for name, value in BASELINE_VALUES.items() if name != "latency_p95"}
    baseline = baseline_of([replace(run_on(number), metrics=values) for number in range(5)])
    made = panel(contender(baseline=baseline))
    assert made.minimum_effects[0, P95] == math.inf
    assert math.isnan(made.anchors[0, P95])


def test_the_anchor_is_that_of_the_baseline() -> None:
    """With its values and the runs behind it, not those of the nights."""
    baseline = baseline_of(anchor=Anchor(metrics={"latency_p95": 0.3}, runs=12, version=2))
    made = panel(contender(baseline=baseline))
    assert (made.anchors[0, P95], made.anchor_runs[0]) == (pytest.approx(math.log(0.3)), 12)
    assert math.isnan(made.anchors[0, THROUGHPUT])


def test_cells_of_one_service_have_one_index() -> None:
    """In the order of the cells; contenders come first."""
    made = panel(
        contender(), cell("calm"), contender(service="b"), cell("calm", service="b"), cell("calm", service="c")
    )
    assert made.services.tolist() == [0, 1, 0, 1, 2]
    assert made.is_tonight.tolist() == [True, True, False, False, False]


def test_another_cell_contributes_its_latest_night_for_eight_days() -> None:
    """After that it only contributes its spread."""
    other = cell("calm", night_on(10, {"latency_p95": 1.5}))
    fresh, old = (panel_of([contender()], [other], now=day(10) + age) for age in (timedelta(days=8), timedelta(days=9)))
    assert fresh.values[1, P95, -1] == pytest.approx(math.log(0.6))
    assert np.isnan(old.values[1, :, -1]).all()
    assert old.values[1, P95, -2] == pytest.approx(math.log(0.6))
    assert (fresh.is_reference[1].sum(), old.is_reference[1].sum()) == (11, 11)


def test_a_cell_without_a_baseline_or_without_nights() -> None:
    """It contributes nothing and causes no error."""
    nothing = replace(cell("calm"), baseline=None)
    undated = cell("storm", baseline=baseline_of([run_on(0, at=None)]))
    made = panel(contender(), nothing, undated)
    assert np.isnan(made.values[1]).all()
    assert np.isnan(made.values[2, :, -1]).all()
    assert (made.minimum_effects[1] == math.inf).all()
    assert made.anchor_runs.tolist() == [10, 0, 1]


def test_every_metric_with_a_relative_minimum_effect_is_included() -> None:
    """All except the error rate."""
    assert set(METRICS) - set(JUDGED_ON_LOG) == {"error_rate"}
