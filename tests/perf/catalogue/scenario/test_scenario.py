"""The load profile: valid settings, and the resulting arrivals."""

import math
from typing import Any

import pytest
from pydantic import ValidationError

from include.perf.catalogue.scenario.load_profile import LoadProfile
from include.perf.model.validation import problem_of
from tests.fakes.small_catalogue import small_scenario

BURST = [{"at_s": 0, "factor": 3}, {"at_s": 300, "factor": 1, "by": "decay"}]
"""Market open: three times the rate, then back to it within five minutes."""


def load_of(**changes: Any) -> LoadProfile:
    return LoadProfile.model_validate({"rate_rps": 500, "duration_s": 900} | changes)


def problems_of(**changes: Any) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        load_of(**changes)
    return [problem_of(error) for error in caught.value.errors()]


COUNTS = [
    # changes → arrivals in the warm-up, in the measured part, mean rate, peak
    ({}, 30_000, 450_000, 500.0, 500.0),
    ({"rate_rps": 0.5, "warmup_s": 3, "duration_s": 11}, 1, 5, 0.5, 0.5),  # 1.5 and 5.5: a half is not due any more
    ({"rate_rps": 33.3, "warmup_s": 7, "duration_s": 10}, 233, 333, 33.3, 33.3),  # 233.1 and 333.0
    ({"ramp_s": 60}, 15_000, 450_000, 500.0, 500.0),  # a triangle
    ({"ramp_s": 20}, 25_000, 450_000, 500.0, 500.0),  # 500/s × 20 s / 2, and 40 s × 500/s
    # (1500 − 500) × 300 s / ln 3 = 273 071.8, and 600 s × 500/s; over 900 s
    ({"profile": BURST}, 30_000, 573_072, (300_000 / math.log(3) + 300_000) / 900, 1500.0),
    ({"profile": BURST, "warmup_s": 0}, 0, 573_072, (300_000 / math.log(3) + 300_000) / 900, 1500.0),
    # the first 300 of 900 s, and no more
    ({"profile": BURST, "duration_s": 300}, 30_000, 273_072, 1000 / math.log(3), 1500.0),
    # the first half of the decay, to 3^½: (3 − √3) × 500/s × 300 s / ln 3
    (
        {"profile": BURST, "duration_s": 150},
        30_000,
        173_121,
        (3 - math.sqrt(3)) * 150_000 / math.log(3) / 150,
        1500.0,
    ),
    # half the rate for 100 s, then twice: 25 000 + 800 000
    ({"profile": [{"at_s": 0, "factor": 0.5}, {"at_s": 100, "factor": 2, "by": "step"}]}, 30_000, 825_000, None, 1000),
    # from the rate to twice the rate in a line: (500 + 1000) / 2 × 900 s
    ({"profile": [{"at_s": 0, "factor": 1}, {"at_s": 900, "factor": 2}]}, 30_000, 675_000, 750.0, 1000.0),
    # a burst at the very end is not reached
    (
        {"profile": [{"at_s": 0, "factor": 1}, {"at_s": 900, "factor": 9, "by": "step"}]},
        30_000,
        450_000,
        500.0,
        500.0,
    ),
]


@pytest.mark.parametrize(("changes", "warmup", "measured", "mean", "peak"), COUNTS)
def test_arrivals_and_rates(
    changes: dict[str, Any], warmup: int, measured: int, mean: float | None, peak: float
) -> None:
    """The integral of the rate over each part, rounded."""
    load = load_of(**changes)
    assert (load.warmup_arrivals, load.measured_arrivals) == (warmup, measured)
    assert load.total_arrivals == warmup + measured
    assert load.peak_rate_rps == peak
    if mean is not None:
        assert load.mean_rate_rps == pytest.approx(mean, rel=1e-12)


def test_a_constant_load_has_exactly_the_requested_rate() -> None:
    """An integral does not lose precision."""
    load = load_of(rate_rps=33.3)
    assert (load.mean_rate_rps, load.peak_rate_rps, load.is_flat) == (33.3, 33.3, True)


def test_the_rate_over_time() -> None:
    """Ramp, warm-up, burst, decay, and then the last factor until the end."""
    curve = load_of(rate_rps=100, ramp_s=30, profile=BURST).curve
    rates = {at_s: curve.rate(at_s) for at_s in (0, 15, 30, 59.999, 60, 210, 360, 2000)}
    assert rates == pytest.approx(
        {0: 0, 15: 50, 30: 100, 59.999: 100, 60: 300, 210: 300 / math.sqrt(3), 360: 100, 2000: 100}
    )


def test_another_requested_rate_scales_the_profile() -> None:
    """Factors are multiples of it."""
    half = load_of(profile=BURST).model_dump() | {"rate_rps": 250}
    assert LoadProfile.model_validate(half).peak_rate_rps == 750
    assert LoadProfile.model_validate(half).mean_rate_rps == pytest.approx(load_of(profile=BURST).mean_rate_rps / 2)


IN_STEPS = [{"at_s": 0, "factor": 1}, {"at_s": 60, "factor": 2}, {"at_s": 60, "factor": 3}]

MISTAKES: list[tuple[dict[str, Any], list[str]]] = [
    (
        {"ramp_s": 61},
        [
            "ramp_s must be at most warmup_s (60), but is 61; the ramp is part of the warm-up, which is excluded "
            "from the figures"
        ],
    ),
    (
        {"rate_rps": 170_700, "profile": BURST},
        ["the peak rate of 512100/s is more than the 512000/s of 64 workers; lower rate_rps or profile"],
    ),
    ({"rate_rps": 512_001}, ["rate_rps: should be less than or equal to 512000, but is 512001"]),
    ({"workers": 65}, ["workers: should be less than or equal to 64, but is 65"]),
    (
        {"profile": [{"at_s": 5, "factor": 1}]},
        ["profile: the first point must be at_s 0, but is at_s 5"],
    ),
    (
        {"profile": IN_STEPS},
        ["profile: at_s of point 2 must be more than that of the point before, 60, but is 60; for a jump use by: step"],
    ),
    (
        {"profile": [{"at_s": 0, "factor": 0}, {"at_s": -1, "factor": 101, "by": "jump"}, {"at": 3, "factor": 1}]},
        [
            "profile[0].factor: should be greater than 0, but is 0",
            "profile[1].at_s: should be greater than or equal to 0, but is -1",
            "profile[1].factor: should be less than or equal to 100, but is 101",
            "profile[1].by: should be 'step', 'line' or 'decay', but is 'jump'",
            "profile[2].at_s: is missing; every entry needs it",
            "profile[2].at: is not a known setting; correct its name or remove it",
        ],
    ),
    (
        {"rate_rps": 0.1, "duration_s": 10, "profile": [{"at_s": 0, "factor": 0.5}]},
        ["no request would be due in the measured 10 s; raise rate_rps, duration_s or profile"],
    ),
]


@pytest.mark.parametrize(("changes", "expected"), MISTAKES)
def test_an_invalid_load(changes: dict[str, Any], expected: list[str]) -> None:
    """The setting, the rule, the value and the remedy."""
    assert problems_of(**changes) == expected


def test_a_profile_has_at_most_twenty_points() -> None:
    """More could not be described in a message."""
    points = [{"at_s": second, "factor": 1} for second in range(21)]
    assert load_of(profile=points[:20]).measured_arrivals == 450_000
    assert problems_of(profile=points)[0].startswith("profile: should have at most 20 items")


# What else a scenario says


@pytest.mark.parametrize(("reruns", "is_valid"), [(0, True), (4, True), (100, True), (-1, False), (101, False)])
def test_the_number_of_services_with_re_runs(reruns: int, is_valid: bool) -> None:
    """Zero is allowed, too."""
    assert small_scenario().reruns == 4
    if is_valid:
        assert small_scenario(reruns=reruns).reruns == reruns
    else:
        with pytest.raises(ValidationError):
            small_scenario(reruns=reruns)


@pytest.mark.parametrize(("parallel", "is_valid"), [(1, True), (20, True), (0, False), (21, False)])
def test_the_number_of_services_under_load_at_the_same_time(parallel: int, is_valid: bool) -> None:
    """One, unless the scenario allows more."""
    assert small_scenario().parallel == 1
    if is_valid:
        assert small_scenario(parallel=parallel).parallel == parallel
    else:
        with pytest.raises(ValidationError):
            small_scenario(parallel=parallel)


@pytest.mark.parametrize(
    ("parts", "problem"),
    [
        ({"load": "x"}, "load is a part of every fingerprint already; give it another name"),
        ({"data": "x", "headers": "y"}, "data, headers is a part of every fingerprint already"),
        ({"Database": "x"}, "must have lower-case letters, digits, spaces, - and _"),
        ({"database": ""}, "should have at least 1 character"),
    ],
)
def test_a_part_of_the_fingerprint_needs_another_name(parts: dict[str, str], problem: str) -> None:
    """It must not replace one of Bellwether's own."""
    with pytest.raises(ValidationError) as caught:
        small_scenario(fingerprint=parts)
    assert problem in str(caught.value)
    assert small_scenario(fingerprint={"data set": "2026-Q4"}).fingerprint == {"data set": "2026-Q4"}
