"""The arrival schedule: exact counts and shares, divided exactly among workers, and reproducible by its seed."""

import itertools
import math
import statistics
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from include.load import schedule as module
from include.load.schedule import Due, endpoint_sequence, schedule
from include.perf.catalogue.scenario.load_profile import LoadProfile

WEIGHTS = [4, 2, 1, 3]
BURST = [{"at_s": 0, "factor": 3}, {"at_s": 300, "factor": 1, "by": "decay"}]
STEPS = [{"at_s": 0, "factor": 0.5}, {"at_s": 20, "factor": 2, "by": "step"}, {"at_s": 40, "factor": 1}]


def load_of(**changes: Any) -> LoadProfile:
    return LoadProfile.model_validate({"rate_rps": 50, "duration_s": 10, "warmup_s": 0} | changes)


def arrivals_of(weights: Sequence[int] = WEIGHTS, **changes: Any) -> list[Due]:
    return list(schedule(load_of(**changes), weights))


def per_second(arrivals: Sequence[Due]) -> Counter[int]:
    return Counter(math.floor(arrival.due_s) for arrival in arrivals)


PARTS = [
    # load → arrivals before the measured part, in it
    ({"rate_rps": 50}, 0, 500),  # 50/s × 10 s
    ({"rate_rps": 100, "warmup_s": 60, "duration_s": 1800}, 6_000, 180_000),
    (
        {"rate_rps": 0.5, "warmup_s": 3, "duration_s": 11},
        1,
        5,
    ),  # at 1 s; 5.5: at 4, 6, 8, 10, 12 s, the next at the edge
    ({"rate_rps": 33.3, "warmup_s": 7}, 233, 333),  # 233.1 and 333.0
    ({"rate_rps": 100, "warmup_s": 60, "ramp_s": 30}, 4_500, 1_000),  # 100/s × 30 s / 2, and 30 s × 100/s
    ({"rate_rps": 100, "warmup_s": 5, "duration_s": 900, "profile": BURST}, 500, 114_614),  # 54 614.4 and 60 000
    # 20 s × 25/s, (100 + 50) / 2 × 20 s, 20 s × 50/s
    ({"warmup_s": 5, "duration_s": 60, "profile": STEPS}, 250, 500 + 1_500 + 1_000),
]


@pytest.mark.parametrize("arrivals", ["constant", "poisson"])
@pytest.mark.parametrize(("changes", "before", "inside"), PARTS)
def test_each_part_has_exactly_its_arrivals(arrivals: str, changes: dict[str, Any], before: int, inside: int) -> None:
    """As many as the integral of the rate, separately for warm-up and measured part, and in order."""
    load = load_of(arrivals=arrivals, **changes)
    due = list(schedule(load, WEIGHTS))
    assert Counter(arrival.is_measured for arrival in due) == Counter({False: before, True: inside})
    assert (load.warmup_arrivals, load.measured_arrivals) == (before, inside)
    times = [arrival.due_s for arrival in due]
    assert times == sorted(times)
    assert all(0 < due_s < load.warmup_s for due_s in times[:before])
    assert all(load.warmup_s < due_s < load.total_s for due_s in times[before:])


def test_constant_arrivals_begin_after_half_a_gap_and_do_not_drift() -> None:
    """Arrival k is due at (k + ½) / rate, not at the sum of k rounded gaps."""
    due = arrivals_of(rate_rps=300, warmup_s=60, duration_s=1800)
    assert all(abs(arrival.due_s - (k + 0.5) / 300) < 1e-9 for k, arrival in enumerate(due))
    assert due[60 * 300].due_s == pytest.approx(60 + 1 / 600)  # the first of the measured part
    assert due[-1].due_s == pytest.approx(1860 - 1 / 600)


@pytest.mark.parametrize("rate_rps", [50, 64, 100, 143, 300, 333, 500, 777, 999, 1000, 1024, 1999, 2000])
@pytest.mark.parametrize("warmup_s", [0, 7])
def test_every_second_holds_exactly_the_rate(rate_rps: int, warmup_s: int) -> None:
    """No arrival is so close to the end of a second that rounding could move it into the next."""
    due = arrivals_of([1], rate_rps=rate_rps, warmup_s=warmup_s, duration_s=60)
    assert per_second(due) == Counter(dict.fromkeys(range(warmup_s + 60), rate_rps))
    nearest_s = min(abs(arrival.due_s - round(arrival.due_s)) for arrival in due)
    assert nearest_s == pytest.approx(0.5 / rate_rps, rel=1e-6)  # half a gap


def test_a_ramp_is_linear() -> None:
    """100/s reached in 10 s: 10 t² / 2 arrivals by t, so second s has 10 s + 5."""
    seconds = per_second(arrivals_of(rate_rps=100, warmup_s=20, ramp_s=10))
    assert [seconds[second] for second in range(20)] == [10 * s + 5 for s in range(10)] + [100] * 10


def test_a_burst_decays() -> None:
    """Three times the rate at the beginning, √3 times after half of the decay, the plain rate after its end."""
    seconds = per_second(arrivals_of(rate_rps=500, warmup_s=5, duration_s=900, profile=BURST))
    assert all(seconds[second] == 500 for second in range(5))
    for second in range(300):
        # ∫ 1500·3^(−t/300) over a second
        expected = 1500 * 300 / math.log(3) * (3 ** (-second / 300) - 3 ** (-(second + 1) / 300))
        assert abs(seconds[5 + second] - expected) < 1
    assert (seconds[5], seconds[5 + 150]) == (1497, 864)  # 1497.3 and 864.4
    assert all(abs(seconds[second] - 500) <= 1 for second in range(305, 905))
    assert sum(seconds[second] for second in range(305, 905)) in (300_000, 300_001)


def test_poisson_gaps_are_exponential() -> None:
    """Mean 1 / rate, standard deviation the same, and 1/e of the gaps longer than the mean."""
    due = arrivals_of(rate_rps=100, duration_s=400, arrivals="poisson")
    gaps = [later.due_s - earlier.due_s for earlier, later in itertools.pairwise(due)]
    assert statistics.mean(gaps) == pytest.approx(0.01, rel=0.01)
    # 40 000 gaps: a standard error of √((9 − 1) / (4 · 40 000)) = 0.7 %
    assert statistics.stdev(gaps) == pytest.approx(0.01, rel=0.03)
    assert sum(gap > 0.01 for gap in gaps) / len(gaps) == pytest.approx(0.3679, abs=0.01)


def test_poisson_seconds_vary_as_much_as_a_poisson_count() -> None:
    """Variance equals mean: 100 arrivals a second, give or take 10."""
    seconds = per_second(arrivals_of(rate_rps=100, duration_s=1000, arrivals="poisson"))
    counts = [seconds[second] for second in range(1000)]
    assert sum(counts) == 100_000
    assert statistics.variance(counts) == pytest.approx(100, rel=0.15)


def test_poisson_arrivals_follow_the_curve() -> None:
    """The standardised counts of 30 × 10 s of a burst have variance 1, like Poisson counts; constant ones would not."""
    load = load_of(rate_rps=100, duration_s=300, profile=BURST, arrivals="poisson")
    seconds = per_second(list(schedule(load, [1])))
    scores = []
    for start in range(0, 300, 10):
        expected = load.curve.arrivals(start + 10) - load.curve.arrivals(start)
        scores.append((sum(seconds[start + second] for second in range(10)) - expected) / math.sqrt(expected))
    assert sum(seconds.values()) == 54_614  # (300 − 100) × 300 s / ln 3
    # χ² of 29 degrees of freedom: 13.1 to 52.3 in 99.5 of 100 seeds
    assert 13.1 < sum(score**2 for score in scores) < 52.3


@pytest.mark.parametrize("arrivals", ["constant", "poisson"])
def test_the_same_seed_gives_the_same_schedule(arrivals: str) -> None:
    """Another seed gives another one; the warm-up does not repeat the beginning of the measured part."""
    first, same, other = (arrivals_of(arrivals=arrivals, warmup_s=10, seed=seed) for seed in (7, 7, 8))
    assert first == same
    assert first != other
    order = [arrival.endpoint for arrival in first]
    assert order[:500] != order[500:]


SHARED = [
    {"rate_rps": 50, "warmup_s": 3},
    {"rate_rps": 33.3, "warmup_s": 7, "ramp_s": 5},
    {"rate_rps": 50, "warmup_s": 3, "arrivals": "poisson"},
    {"rate_rps": 20, "warmup_s": 1, "duration_s": 60, "profile": STEPS},
    {"rate_rps": 20, "duration_s": 60, "profile": STEPS, "arrivals": "poisson", "ramp_s": 0},
    {"rate_rps": 0.5},  # five arrivals: some workers have none
]


@pytest.mark.parametrize("workers", [1, 2, 3, 8])
@pytest.mark.parametrize("changes", SHARED)
def test_workers_together_send_what_one_would(changes: dict[str, Any], workers: int) -> None:
    """The same times, endpoints and ordinals; of W workers, each has every W-th arrival."""
    alone = arrivals_of(**changes)
    for worker in range(workers):
        share = list(schedule(load_of(**changes), WEIGHTS, worker=worker, workers=workers))
        assert share == alone[worker::workers]


@pytest.mark.parametrize(("worker", "workers"), [(2, 2), (-1, 2), (0, 0)])
def test_an_invalid_worker_number_is_refused(worker: int, workers: int) -> None:
    """It is refused before the load."""
    with pytest.raises(ValueError, match=f"worker must be from 0 to {workers - 1}, but is {worker}"):
        schedule(load_of(), WEIGHTS, worker=worker, workers=workers)


def test_nothing_is_drawn_during_the_load(monkeypatch: pytest.MonkeyPatch) -> None:
    """The endpoints of both parts are drawn before the first arrival."""
    due = schedule(load_of(warmup_s=10), WEIGHTS)
    monkeypatch.delattr(module, "endpoint_sequence")
    assert sum(1 for _ in due) == 1_000


@pytest.mark.parametrize("arrivals", ["constant", "poisson"])
@pytest.mark.parametrize(
    ("changes", "measured"),
    [
        ({"warmup_s": 3}, [200, 100, 50, 150]),  # 150 and 500 arrivals
        ({"rate_rps": 33.3, "warmup_s": 7}, [133, 67, 33, 100]),  # 333: 33 blocks, then 1.2, 0.6, 0.3, 0.9
        ({"warmup_s": 1, "duration_s": 60, "profile": STEPS}, [1200, 600, 300, 900]),  # 3 000
    ],
)
def test_endpoints_get_exactly_their_share_of_the_measured_part(
    arrivals: str, changes: dict[str, Any], measured: list[int]
) -> None:
    """Independent of the warm-up, which has its shares within one arrival."""
    due = arrivals_of(arrivals=arrivals, **changes)
    counts = Counter(arrival.endpoint for arrival in due if arrival.is_measured)
    assert [counts[endpoint] for endpoint in range(4)] == measured
    before = Counter(arrival.endpoint for arrival in due if not arrival.is_measured)
    assert all(abs(before[endpoint] - before.total() * weight / 10) < 1 for endpoint, weight in enumerate(WEIGHTS))


def test_ordinals_count_the_arrivals_of_each_endpoint() -> None:
    """Over warm-up and measured part, so that every row of the feed is used."""
    seen: Counter[int] = Counter()
    for arrival in arrivals_of(warmup_s=3):
        assert arrival.ordinal == seen[arrival.endpoint]
        seen[arrival.endpoint] += 1


def test_a_long_part_repeats_its_order_and_keeps_its_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 96 drawn ahead 90 are complete blocks of 10: 500 arrivals are five times these and 50 more."""
    monkeypatch.setattr(module, "DRAWN_AHEAD", 96)
    order = [arrival.endpoint for arrival in arrivals_of()]
    assert Counter(order) == {0: 200, 1: 100, 2: 50, 3: 150}
    assert order[:90] == order[90:180] == order[360:450]
    assert order[450:] != order[:50]


SHARES = [
    # weights, arrivals → per endpoint
    ([4, 2, 1, 3], 1_000, [400, 200, 100, 300]),
    ([1], 7, [7]),
    ([1, 1], 7, [4, 3]),  # three blocks, then 0.5 each: the first of equals gets it
    ([4, 2, 1, 3], 1_005, [402, 201, 101, 301]),  # 100 blocks, then 2.0, 1.0, 0.5, 1.5: one left, the first 0.5's
    ([5, 3, 2], 3, [1, 1, 1]),  # 1.5, 0.9, 0.6: one complete, the largest remainders are 0.9 and 0.6
    ([3, 1], 0, [0, 0]),
]


@pytest.mark.parametrize(("weights", "arrivals", "expected"), SHARES)
def test_shares_are_exact(weights: list[int], arrivals: int, expected: list[int]) -> None:
    """By weight; an incomplete last block by largest remainder."""
    counts = Counter(endpoint_sequence(weights, arrivals=arrivals, seed="1"))
    got = [counts[index] for index in range(len(weights))]
    assert sum(got) == arrivals
    assert all(abs(count - arrivals * weight / sum(weights)) < 1 for count, weight in zip(got, weights, strict=True))
    assert got == expected


def test_every_block_holds_every_endpoint_by_its_weight() -> None:
    """No part of the run lacks an endpoint."""
    sequence = endpoint_sequence(WEIGHTS, arrivals=1_000, seed="3")
    for start in range(0, 1_000, 10):
        assert sorted(sequence[start : start + 10]) == [0, 0, 0, 0, 1, 1, 2, 3, 3, 3]


def test_the_order_is_seeded_and_not_periodic() -> None:
    """An endpoint that always has the same position would fall into step with the clock."""
    first, same, other = (endpoint_sequence(WEIGHTS, arrivals=1_000, seed=seed) for seed in ("3", "3", "4"))
    assert first == same
    assert first != other
    blocks = {tuple(first[start : start + 10]) for start in range(0, 1_000, 10)}
    assert len(blocks) > 90
