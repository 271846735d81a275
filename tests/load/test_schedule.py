"""The arrival schedule: exact counts, exact shares, and the same again for the same seed."""

import itertools
import statistics
from collections import Counter
from pathlib import Path

import pytest

from include.load.schedule import due_times, endpoint_sequence
from include.perf.load_plan import LoadPlan
from include.perf.scenario import LoadProfile


def plan_of(**load: object) -> LoadPlan:
    profile = LoadProfile.model_validate({"rate_rps": 50, "duration_s": 10, "warmup_s": 0} | load)
    return LoadPlan(
        base_url="http://gw:8000", verify_tls=True, timeout_s=10.0, headers={}, load=profile, folder=Path("/nowhere")
    )


def times(plan: LoadPlan) -> list[float]:
    return list(due_times(plan.load, arrivals=plan.arrivals))


PHASES = [
    # rate, warm-up, duration → arrivals before the window, in it
    (50, 0, 10, 0, 500),  # 50/s × 10 s
    (100, 60, 1800, 6_000, 180_000),
    (500, 60, 900, 30_000, 450_000),
    (0.5, 3, 11, 2, 6),  # 1.5 → 2, 5.5 → 6: halves go to the even number
    (33.3, 7, 10, 233, 333),  # 233.1 and 333.0
]


@pytest.mark.parametrize(("rate", "warmup_s", "duration_s", "before", "inside"), PHASES)
def test_each_phase_has_exactly_its_arrivals(
    rate: float, warmup_s: int, duration_s: int, before: int, inside: int
) -> None:
    """Rate times length, rounded, phase by phase."""
    plan = plan_of(rate_rps=rate, warmup_s=warmup_s, duration_s=duration_s)
    assert (plan.warmup_arrivals, plan.arrivals) == (before, before + inside)
    assert len(times(plan)) == before + inside


def test_constant_arrivals_are_evenly_spaced_and_do_not_drift() -> None:
    """Arrival k is due at k / rate, not at the sum of k rounded gaps."""
    plan = plan_of(rate_rps=300, warmup_s=60, duration_s=1800)
    due = times(plan)
    assert due[0] == 0.0
    assert due[60 * 300] == 60.0  # the first of the measured window
    assert due[-1] == (1860 * 300 - 1) / 300
    assert all(number / 300 == each for number, each in enumerate(due))


def test_poisson_arrivals_are_in_order_and_each_phase_keeps_its_count() -> None:
    """The rate is exact within warm-up and window, random in between."""
    plan = plan_of(rate_rps=200, warmup_s=20, duration_s=100, arrivals="poisson")
    due = times(plan)
    assert len(due) == 24_000  # 200/s × 120 s
    assert due == sorted(due)
    assert sum(each < 20 for each in due) == 4_000
    assert all(20 <= each < 120 for each in due[4_000:])


def test_poisson_gaps_are_exponential() -> None:
    """Mean 1 / rate, standard deviation the same, and 1/e of the gaps longer than the mean."""
    plan = plan_of(rate_rps=100, duration_s=400, arrivals="poisson")
    gaps = [later - earlier for earlier, later in itertools.pairwise(times(plan))]
    assert statistics.mean(gaps) == pytest.approx(0.01, rel=0.01)
    # 40 000 gaps: a standard error of √((9 − 1) / (4 · 40 000)) = 0.7 %
    assert statistics.stdev(gaps) == pytest.approx(0.01, rel=0.03)
    assert sum(gap > 0.01 for gap in gaps) / len(gaps) == pytest.approx(0.3679, abs=0.01)


def test_poisson_seconds_vary_as_much_as_a_poisson_count() -> None:
    """Variance equals mean: 100 arrivals a second, give or take 10."""
    plan = plan_of(rate_rps=100, duration_s=1000, arrivals="poisson")
    counts = Counter(int(each) for each in times(plan))
    per_second = [counts[second] for second in range(1000)]
    assert sum(per_second) == 100_000
    assert statistics.variance(per_second) == pytest.approx(100, rel=0.15)


def test_the_same_seed_gives_the_same_schedule() -> None:
    """And another seed another one."""
    first, same, other = (times(plan_of(arrivals="poisson", seed=seed)) for seed in (7, 7, 8))
    assert first == same
    assert first != other


WEIGHTS = [
    # weights, arrivals → per endpoint
    ([4, 2, 1, 3], 1_000, [400, 200, 100, 300]),
    ([1], 7, [7]),
    ([1, 1], 7, [4, 3]),  # three blocks, then 0.5 each: the first of equals gets it
    ([4, 2, 1, 3], 1_005, [402, 201, 101, 301]),  # 100 blocks, then 2.0, 1.0, 0.5, 1.5: one left, the first 0.5's
    ([5, 3, 2], 3, [1, 1, 1]),  # 1.5, 0.9, 0.6: one whole, the largest remainders are 0.9 and 0.6
    ([3, 1], 0, [0, 0]),
]


@pytest.mark.parametrize(("weights", "arrivals", "expected"), WEIGHTS)
def test_endpoints_get_exactly_their_share(weights: list[int], arrivals: int, expected: list[int]) -> None:
    """Over the run by weight; the unfinished last block by largest remainder."""
    counts = Counter(endpoint_sequence(weights, arrivals=arrivals, seed=1))
    got = [counts[index] for index in range(len(weights))]
    assert sum(got) == arrivals
    assert all(abs(count - arrivals * weight / sum(weights)) < 1 for count, weight in zip(got, weights, strict=True))
    assert got == expected


def test_every_block_holds_every_endpoint_by_its_weight() -> None:
    """No stretch of the run is without an endpoint."""
    sequence = endpoint_sequence([4, 2, 1, 3], arrivals=1_000, seed=3)
    for start in range(0, 1_000, 10):
        assert sorted(sequence[start : start + 10]) == [0, 0, 0, 0, 1, 1, 2, 3, 3, 3]


def test_the_order_is_seeded_and_not_periodic() -> None:
    """An endpoint that always came at the same place would fall into step with the clock."""
    first, same, other = (endpoint_sequence([4, 2, 1, 3], arrivals=1_000, seed=seed) for seed in (3, 3, 4))
    assert first == same
    assert first != other
    blocks = {tuple(first[start : start + 10]) for start in range(0, 1_000, 10)}
    assert len(blocks) > 90
