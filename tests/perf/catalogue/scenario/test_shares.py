"""Integer shares by weight, and that the load has these shares."""

import itertools
from collections import Counter

import pytest

from include.load.schedule import DRAWN_AHEAD, endpoint_sequence, schedule
from include.perf.catalogue.scenario.arrival_rate import shared_out
from include.perf.catalogue.scenario.load_profile import LoadProfile

TABLE = [
    # weights, count → shares; what they come from
    ([1], 7, [7]),
    ([1, 1], 4, [2, 2]),
    ([4, 2, 1, 3], 10, [4, 2, 1, 3]),  # one block
    ([4, 2, 1, 3], 1_000, [400, 200, 100, 300]),
    ([4, 2, 1, 3], 0, [0, 0, 0, 0]),
    ([4, 2, 1, 3], 1, [1, 0, 0, 0]),  # 0.4, 0.2, 0.1, 0.3: the largest remainder
    ([4, 2, 1, 3], 2, [1, 0, 0, 1]),  # 0.8, 0.4, 0.2, 0.6
    ([4, 2, 1, 3], 13, [5, 3, 1, 4]),  # 5.2, 2.6, 1.3, 3.9: two are left, for 0.9 and 0.6
    ([1, 1, 1], 4, [2, 1, 1]),  # 4/3 each: of equal remainders the first
    ([1, 1, 1], 5, [2, 2, 1]),
    ([3, 1], 2, [2, 0]),  # 1.5, 0.5: equal, the first
    ([1, 3], 2, [1, 1]),  # 0.5, 1.5
    ([1000, 1], 1_000, [999, 1]),  # 999.0…, 0.999: 1000 × 1000 / 1001
    ([1000, 1], 500, [500, 0]),  # 499.50…, 0.4995
]


@pytest.mark.parametrize(("weights", "count", "shares"), TABLE)
def test_shares_are_integers(weights: list[int], count: int, shares: list[int]) -> None:
    """Integer parts first, then the largest remainders; the sum is exact."""
    assert shared_out(weights, count) == shares
    assert sum(shares) == count


def test_shares_are_exact_without_floating_point() -> None:
    """A tenth of 3 is 0.3, not 0.30000000000000004: two equal remainders stay equal."""
    weights = [1] * 10
    for count in range(50):
        whole, rest = divmod(count, 10)
        assert shared_out(weights, count) == [whole + 1] * rest + [whole] * (10 - rest)


WEIGHTS = [[1], [1, 1], [4, 2, 1, 3], [1, 1, 1], [7, 5, 3], [1000, 1], [1, 999]]


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("arrivals", [0, 1, 2, 13, 400, 1_001, 4_999])
def test_the_load_has_these_shares(weights: list[int], arrivals: int) -> None:
    """For any order that the seed produces."""
    for seed in ("a", "b", "c"):
        drawn = Counter(endpoint_sequence(weights, arrivals=arrivals, seed=seed))
        assert [drawn[index] for index in range(len(weights))] == shared_out(weights, arrivals)


LOADS = [
    # warm-up and measured part: 5 s and 10 s at 40/s; 233.1 and 333.0 at 33.3/s
    ({"rate_rps": 40, "duration_s": 10, "warmup_s": 5}, 200, 400),
    ({"rate_rps": 33.3, "duration_s": 10, "warmup_s": 7}, 233, 333),
    ({"rate_rps": 7, "duration_s": 11, "warmup_s": 0, "arrivals": "poisson"}, 0, 77),
]


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize(("load", "warmup", "measured"), LOADS)
def test_warm_up_and_measured_part_are_shared_separately(
    weights: list[int], load: dict[str, float], warmup: int, measured: int
) -> None:
    """For the schedule of a load, and for two workers together."""
    profile = LoadProfile.model_validate(load)
    sent = Counter(
        (due.is_measured, due.endpoint)
        for due in itertools.chain.from_iterable(
            schedule(profile, weights, worker=number, workers=2) for number in (0, 1)
        )
    )
    assert [sent[False, index] for index in range(len(weights))] == shared_out(weights, warmup)
    assert [sent[True, index] for index in range(len(weights))] == shared_out(weights, measured)


def test_a_load_that_is_too_long_for_one_block() -> None:
    """It repeats complete blocks, so the shares stay exact: 100/s × 10 001 s = 1 000 100 arrivals."""
    load = LoadProfile(rate_rps=100, duration_s=10_001, warmup_s=0)
    assert load.measured_arrivals > DRAWN_AHEAD
    drawn = Counter(due.endpoint for due in schedule(load, [4, 2, 1]))
    # 1 000 100 × 4/7 = 571 485.7, × 2/7 = 285 742.9, × 1/7 = 142 871.4; two are left
    assert [drawn[0], drawn[1], drawn[2]] == shared_out([4, 2, 1], 1_000_100) == [571_486, 285_743, 142_871]
