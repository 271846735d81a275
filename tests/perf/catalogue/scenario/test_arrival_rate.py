"""The rate curve: its integral matches the rate, and its inverse matches the integral, for all shapes."""

import itertools
import math

import pytest

from include.perf.catalogue.scenario.arrival_rate import CurvePoint, RateCurve, Shape, count_of


def point(at_s: float, rate_rps: float, by: Shape = Shape.LINE) -> CurvePoint:
    return CurvePoint(at_s=at_s, rate_rps=rate_rps, by=by)


def curve_of(*points: CurvePoint) -> RateCurve:
    return RateCurve.through(points)


FLAT = curve_of(point(0, 100))
RISE = curve_of(point(0, 0), point(10, 100))
FALL = curve_of(point(0, 100), point(10, 0))
JUMP = curve_of(point(0, 100), point(10, 300, Shape.STEP))
BURST = curve_of(point(0, 1500), point(300, 500, Shape.DECAY))
GROWTH = curve_of(point(0, 1), point(60, 1000, Shape.DECAY))
PAUSE = curve_of(point(0, 0), point(5, 10, Shape.STEP), point(10, 0, Shape.STEP), point(20, 10, Shape.STEP))
ALMOST_FLAT = curve_of(point(0, 100), point(100, 100 * (1 + 1e-12)), point(200, 100, Shape.DECAY))
DAY = curve_of(
    point(0, 0),
    point(30, 500),
    point(60, 1500, Shape.STEP),
    point(360, 500, Shape.DECAY),
    point(600, 500),
    point(600, 250),
    point(900, 1000),
)
CURVES = {
    "flat": FLAT,
    "rise": RISE,
    "fall": FALL,
    "jump": JUMP,
    "burst": BURST,
    "growth": GROWTH,
    "pause": PAUSE,
    "almost flat": ALMOST_FLAT,
    "day": DAY,
}


ARRIVALS = [
    # curve, until → arrivals
    (FLAT, 0, 0.0),
    (FLAT, 2.5, 250.0),  # 100/s × 2.5 s
    (RISE, 5, 125.0),  # 50/s at 5 s: half of 50/s × 5 s
    (RISE, 10, 500.0),
    (RISE, 12, 700.0),  # the last rate holds: 500 and 100/s × 2 s
    (FALL, 5, 375.0),  # (100 + 50) / 2 × 5 s
    (FALL, 10, 500.0),
    (FALL, 1e6, 500.0),  # none after
    (JUMP, 10, 1000.0),
    (JUMP, 11, 1300.0),
    (BURST, 150, 0.5 * 1500 / math.log(3) * 300 * (2 - 2 / math.sqrt(3))),  # ∫ 1500·3^(−x/300) to where it is 3^(−½)
    (BURST, 300, 1000 / math.log(3) * 300),  # (1500 − 500) × 300 s / ln 3 = 273 072
    (GROWTH, 60, 999 / math.log(1000) * 60),
    (PAUSE, 5, 0.0),
    (PAUSE, 15, 50.0),
    (PAUSE, 21, 60.0),
    (ALMOST_FLAT, 200, 20_000.0),
    (DAY, 60, 7_500.0 + 15_000.0),  # the ramp is half of 500/s × 30 s
    (DAY, 900, 22_500 + 1000 / math.log(3) * 300 + 120_000 + 187_500),  # 240 s × 500/s; (250 + 1000) / 2 × 300 s
]


@pytest.mark.parametrize(("curve", "until_s", "arrivals"), ARRIVALS)
def test_arrivals_are_the_integral(curve: RateCurve, until_s: float, arrivals: float) -> None:
    """In closed form, calculated by hand."""
    assert curve.arrivals(until_s) == pytest.approx(arrivals, rel=1e-11)


@pytest.mark.parametrize("name", CURVES)
def test_the_integral_matches_the_rate(name: str) -> None:
    """Simpson's rule over short steps without jumps gives the same result."""
    curve, step_s = CURVES[name], 0.5
    for start_s in itertools.islice(itertools.count(0.0, step_s), 2000):
        rates = [curve.rate(start_s + share * step_s) for share in (1e-9, 0.5, 1 - 1e-9)]
        simpson = (rates[0] + 4 * rates[1] + rates[2]) / 6 * step_s
        gained = curve.arrivals(start_s + step_s) - curve.arrivals(start_s)
        assert gained == pytest.approx(simpson, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("name", CURVES)
def test_the_inverse_matches_the_integral(name: str) -> None:
    """From arrivals to time and back: within a billionth of an arrival in a million."""
    curve = CURVES[name]
    total = min(curve.arrivals(1000.0), 1e6)
    for share in (1e-9, 1e-6, 0.001, 0.1, 1 / 3, 0.5, 0.9, 0.999, 1 - 1e-9, 1):
        arrivals = total * share
        assert curve.arrivals(curve.time_of(arrivals)) == pytest.approx(arrivals, rel=1e-9, abs=1e-9)


TIMES = [
    # curve, arrivals → when
    (FLAT, 0, 0.0),
    (FLAT, 250, 2.5),
    (RISE, 125, 5.0),
    (FALL, 375, 5.0),
    (FALL, 500, 10.0),  # the very end, where the rate is 0
    (JUMP, 1000, 10.0),
    (JUMP, 1300, 11.0),
    (BURST, 1000 / math.log(3) * 300, 300.0),
    (PAUSE, 1, 5.1),
    (PAUSE, 50, 10.0),  # the first moment by which there are 50, not the last
    (PAUSE, 51, 20.1),
    (ALMOST_FLAT, 15_000, 150.0),
]


@pytest.mark.parametrize(("curve", "arrivals", "when_s"), TIMES)
def test_time_of(curve: RateCurve, arrivals: float, when_s: float) -> None:
    """The first time at which the integral reaches a number."""
    assert curve.time_of(arrivals) == pytest.approx(when_s, rel=1e-9)


@pytest.mark.parametrize("name", CURVES)
def test_many_times_equal_single_ones(name: str) -> None:
    """In order, they need no search and are equal to the last digit."""
    curve = CURVES[name]
    numbers = [number + 0.5 for number in range(min(5000, int(curve.arrivals(1000.0))))]
    assert list(curve.times(numbers)) == [curve.time_of(number) for number in numbers]


def test_nearly_flat_slopes_are_precise() -> None:
    """For a difference of 1e-15 to 1e-6 of the rate there is neither a division by zero nor a loss of precision."""
    for exponent in range(6, 17):
        for shape in (Shape.LINE, Shape.DECAY):
            curve = curve_of(point(0, 500), point(900, 500 * (1 + 10.0**-exponent), shape))
            total = 450_000 * (1 + 10.0**-exponent / 2)  # the mean of both rates; a decay gives up to 1e-13 less
            assert curve.arrivals(900) == pytest.approx(total, rel=1e-12)
            assert curve.time_of(225_000) == pytest.approx(450, rel=1e-6)
            assert curve.time_of(curve.arrivals(900)) == pytest.approx(900, rel=1e-12)


@pytest.mark.parametrize(
    ("curve", "at_s", "rate_rps"),
    [
        (RISE, 2.5, 25.0),
        (JUMP, 9.999, 100.0),
        (JUMP, 10, 300.0),  # at a jump the rate after it
        (BURST, 0, 1500.0),
        (BURST, 150, 1500 / math.sqrt(3)),  # the same share each second: the geometric mean half-way
        (BURST, 300, 500.0),
        (BURST, 10_000, 500.0),
        (DAY, 600, 250.0),  # of two points at one time the last
    ],
)
def test_rate(curve: RateCurve, at_s: float, rate_rps: float) -> None:
    """The rate at a time."""
    assert curve.rate(at_s) == pytest.approx(rate_rps, rel=1e-12)


@pytest.mark.parametrize(
    ("curve", "until_s", "peak"),
    [
        (FLAT, 10, 100.0),
        (RISE, 5, 50.0),  # what is not reached does not count
        (RISE, 1000, 100.0),
        (JUMP, 10, 100.0),
        (JUMP, 10.001, 300.0),
        (BURST, 900, 1500.0),
        (GROWTH, 60, 1000.0),  # not 1000.0000000000001
        (DAY, 900, 1500.0),
    ],
)
def test_peak(curve: RateCurve, until_s: float, peak: float) -> None:
    """The highest rate until a time, exactly as given."""
    assert curve.peak(until_s) == peak


def test_mean() -> None:
    """Arrivals divided by length."""
    assert JUMP.mean(5, 15) == pytest.approx(200.0)  # 5 s of 100/s, 5 s of 300/s
    assert FLAT.mean(60, 960) == 100.0


@pytest.mark.parametrize(
    ("arrivals", "count"),
    [
        (0.0, 0),
        (0.5, 0),  # k = 0 is due at ½, and that is the edge
        (0.51, 1),
        (1.0, 1),
        (1.5, 1),
        (1.6, 2),
        (300.0, 300),
        (33.3 * 10, 333),
        (0.1 * 3 * 10_000, 3000),  # 3000.0000000000005
        (273_071.77, 273_072),
    ],
)
def test_count_of(arrivals: float, count: int) -> None:
    """Rounded, halves down, with a tolerance for rounding errors."""
    assert count_of(arrivals) == count


@pytest.mark.parametrize(
    ("points", "problem"),
    [
        ([], "must begin at 0 s"),
        ([point(1, 100)], "must begin at 0 s"),
        ([point(0, 100), point(5, 1), point(4, 1)], "cannot go from 5 s back to 4 s"),
        ([point(0, 100), point(math.nan, 1)], "cannot go from 0 s back to nan s"),
        ([point(0, -1)], "a rate must be 0 or more, but is -1"),
        ([point(0, math.inf)], "a rate must be 0 or more, but is inf"),
        ([point(0, 100), point(10, 0, Shape.DECAY)], "a decay needs two rates above 0, but is from 100 to 0"),
        ([point(0, 0), point(10, 100, Shape.DECAY)], "a decay needs two rates above 0, but is from 0 to 100"),
    ],
)
def test_invalid_points(points: list[CurvePoint], problem: str) -> None:
    """They are reported when the curve is built, not during a load."""
    with pytest.raises(ValueError, match=problem):
        RateCurve.through(points)


def test_undefined_values() -> None:
    """Arrivals that never happen, and a time before the start."""
    with pytest.raises(ValueError, match="there are never 501 arrivals: the last rate of the curve is 0"):
        FALL.time_of(501)
    with pytest.raises(ValueError, match="is defined from 0 s on, but the time is -1 s"):
        FLAT.rate(-1)
