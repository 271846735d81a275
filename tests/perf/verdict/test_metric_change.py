"""Shifts as ratios and in units: signs, intervals, and references of zero."""

import math

import numpy as np
import pytest

from include.perf.baselines.panel import Shifts
from include.perf.model.metric import METRICS
from include.perf.runs.record import Shift
from include.perf.verdict.metric_change import absolute_shift, shift_between, shift_of_log

STUDENT_4 = 2.7764451  # 97.5 % quantile with four degrees of freedom


def on_log(shift: float, error: float, dof: float = 4.0) -> Shifts:
    """Return one cell and one metric."""
    values = {"shift": shift, "plain_shift": shift, "centre": 0.0, "error": error, "dof": dof}
    arrays = {name: np.array([[value]]) for name, value in values.items()}
    return Shifts(nights=1, of_anchor=False, z=np.array([[shift / error]]), family_z=np.array([[np.nan]]), **arrays)


def read(name: str, shift: float, error: float, reference: float) -> Shift:
    return shift_of_log(METRICS[name], on_log(shift, error), row=0, index=0, reference=reference)


def test_the_plain_change() -> None:
    """From 40 to 50 ms: a quarter, 10 ms, and no interval."""
    shift = shift_between(0.040, 0.050)
    assert (shift.ratio, shift.absolute) == (pytest.approx(0.25), pytest.approx(0.010))
    assert (shift.low, shift.high, shift.absolute_low, shift.absolute_high) == (None, None, None, None)


def test_the_plain_change_from_zero() -> None:
    """There is no ratio to zero."""
    assert shift_between(0.0, 0.01) == Shift(ratio=None, absolute=0.01)


def test_an_interval_in_the_unit() -> None:
    """From 2 %: half a point more is a quarter, 0.2 to 0.8 points are 10 to 40 %."""
    shift = absolute_shift(0.02, 0.005, 0.002, 0.008)
    assert (shift.ratio, shift.low, shift.high) == tuple(pytest.approx(ratio) for ratio in (0.25, 0.10, 0.40))
    assert (shift.absolute, shift.absolute_low, shift.absolute_high) == (0.005, 0.002, 0.008)
    assert absolute_shift(0.0, 0.005, 0.002, 0.008) == Shift(
        ratio=None, absolute=0.005, absolute_low=0.002, absolute_high=0.008
    )


def test_a_higher_latency_is_positive() -> None:
    """+0.1 on the log scale is +10.5 %; Student's interval is not symmetric as a ratio."""
    shift = read("latency_p95", 0.1, 0.02, 0.4)
    assert shift.ratio == pytest.approx(math.expm1(0.1))
    assert shift.low == pytest.approx(math.expm1(0.1 - STUDENT_4 * 0.02))
    assert shift.high == pytest.approx(math.expm1(0.1 + STUDENT_4 * 0.02))
    assert shift.high - shift.ratio > shift.ratio - shift.low
    assert shift.absolute == pytest.approx(0.4 * math.expm1(0.1))
    assert shift.absolute_low == pytest.approx(0.4 * shift.low)
    assert shift.absolute_high == pytest.approx(0.4 * shift.high)


def test_worse_throughput_is_negative() -> None:
    """0.1 worse is −9.5 %; low is below high."""
    shift = read("throughput", 0.1, 0.02, 500.0)
    assert shift.ratio == pytest.approx(math.expm1(-0.1))
    assert shift.low == pytest.approx(math.expm1(-0.1 - STUDENT_4 * 0.02))
    assert shift.high == pytest.approx(math.expm1(-0.1 + STUDENT_4 * 0.02))
    assert shift.low < shift.ratio < shift.high < 0


def test_from_zero_there_is_only_the_unit() -> None:
    """Zero counts as r, 1 % of the CPU's minimum effect of 0.05 cores: 0.0005 · e^6.9 = 0.5 cores."""
    shift = read("cpu_usage", math.log(1000), 0.05, 0.0)
    assert (shift.ratio, shift.low, shift.high) == (None, None, None)
    assert shift.absolute == pytest.approx(0.0005 * 999)
    assert shift.absolute_low < shift.absolute < shift.absolute_high


@pytest.mark.parametrize("reference", [0.0, 2.0])
def test_no_change_is_exactly_zero(reference: float) -> None:
    """Neither −0 nor 1e-17, which would show a sign."""
    for noise in (0.0, -0.0, 1e-16, -1e-16):
        shift = read("cpu_usage", noise, 0.05, reference)
        assert (str(shift.absolute), str(shift.ratio)) == ("0.0", "0.0" if reference else "None")
