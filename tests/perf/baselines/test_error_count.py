"""Failures as counts: their probability, by hand where possible, else by simulation."""

import math

import numpy as np
import pytest

from include.perf.baselines.error_count import CONFIRM_P, SUSPECT_P, FailureComparison, FailureCount, compare_failures

DUE = 100_000


def against(tonight: int, *before: int, due: int = DUE) -> FailureComparison:
    found = compare_failures(
        FailureCount(failed=tonight, due=due), [FailureCount(failed=failed, due=due) for failed in before]
    )
    assert found is not None
    return found


def test_without_requests_there_is_no_comparison() -> None:
    """No night, a night without requests, or a run without requests."""
    assert compare_failures(FailureCount(failed=3, due=DUE), []) is None
    assert compare_failures(FailureCount(failed=3, due=DUE), [FailureCount(failed=0, due=0)]) is None
    assert compare_failures(FailureCount(failed=0, due=0), [FailureCount(failed=0, due=DUE)]) is None


def test_nights_without_requests_do_not_count() -> None:
    """0 of 0 is not 0 %."""
    with_empty = compare_failures(
        FailureCount(failed=3, due=DUE), [FailureCount(failed=5, due=DUE), FailureCount(failed=0, due=0)]
    )
    assert with_empty == against(3, 5)


def test_earlier_rate_and_shift() -> None:
    """100 and 300 of 100 000 are 0.2 %; 700 are 0.5 points more."""
    found = against(700, 100, 300)
    assert (found.earlier_rate, found.shift) == (pytest.approx(0.002), pytest.approx(0.005))
    assert found.low < found.shift < found.high
    assert found.shift - found.low == pytest.approx(found.high - found.shift)


def test_the_interval_of_two_counts() -> None:
    """900 failures compared with 100: √(900.5 + 100.5) = 31.6 failures, times 1.96, of 100 000."""
    found = against(900, 100)
    assert found.high - found.shift == pytest.approx(1.96 * math.sqrt(900.5 * 0.991 + 100.5 * 0.999) / DUE, rel=1e-3)


def test_the_rule_of_three() -> None:
    """No failure in 10 × 100 000 requests: with 95 % confidence, the rate is at most 3 in a million."""
    found = against(0, *[0] * 10)
    assert (found.earlier_rate, found.upper) == (0.0, pytest.approx(3e-6))


def test_the_upper_limit_of_a_known_rate() -> None:
    """100 of 100 000: 0.1 % and 1.96 × √100.5 / 100 000 more."""
    assert against(100, 100).upper == pytest.approx(0.001 + 1.96 * math.sqrt(100.5) / DUE, rel=1e-3)
    assert against(DUE, DUE).upper == 1.0


def test_the_probability_by_hand() -> None:
    """One earlier night of the same size without a failure: P(≥ x) is the tail of a negative binomial, r = ½, p = ½."""
    # P(0) = √½; P(1) = √½ · ½ · ½; P(2) = P(1) · 3/2 · ½ / 2
    none, one = math.sqrt(0.5), math.sqrt(0.5) / 4
    two = one * 1.5 * 0.5 / 2
    assert against(1, 0).p_more == pytest.approx(1 - none)
    assert against(2, 0).p_more == pytest.approx(1 - none - one)
    assert against(3, 0).p_more == pytest.approx(1 - none - one - two)
    assert against(1, 0).p_fewer == pytest.approx(none + one)


@pytest.mark.parametrize(
    ("tonight", "before"), [(0, [0]), (0, [5]), (5, [5]), (50, [5, 6]), (1, [100]), (DUE, [DUE]), (DUE, [0])]
)
def test_probabilities_are_probabilities(tonight: int, before: list[int]) -> None:
    """They lie between 0 and 1, and both tails include tonight's count."""
    found = against(tonight, *before)
    assert 0 <= found.p_more <= 1
    assert 0 <= found.p_fewer <= 1
    assert found.p_more + found.p_fewer >= 1 - 1e-12
    assert all(math.isfinite(value) for value in (found.low, found.high, found.upper))


def test_no_failure_is_no_increase() -> None:
    """P(≥ 0) is 1."""
    assert against(0, 100).p_more == 1.0


def test_more_failures_are_less_likely() -> None:
    """The probability falls with every failure."""
    probabilities = [against(failed, 100, 110).p_more for failed in range(0, 400, 20)]
    assert probabilities == sorted(probabilities, reverse=True)


def test_more_nights_are_stronger_evidence() -> None:
    """160 failures are much less likely after ten nights of 100 than after one."""
    assert against(160, *[100] * 10).p_more < against(160, 100).p_more / 10


def test_unequal_nights() -> None:
    """The earlier rate is X / M, not the mean of rates: 10 of 1 000 and 90 of 99 000 are 100 of 100 000."""
    uneven = compare_failures(
        FailureCount(failed=200, due=DUE), [FailureCount(failed=10, due=1_000), FailureCount(failed=90, due=99_000)]
    )
    assert uneven is not None
    assert uneven.earlier_rate == pytest.approx(0.001)


def test_overdispersed_nights_widen_everything() -> None:
    """Five nights of the same mean: if they differ by more than chance, 900 failures are weaker evidence."""
    calm, wild = against(900, *[400] * 5), against(900, 100, 800, 50, 700, 350)
    assert calm.earlier_rate == wild.earlier_rate
    assert wild.p_more > calm.p_more
    assert wild.high - wild.low > 3 * (calm.high - calm.low)


@pytest.mark.parametrize(
    ("spread", "at_most"),
    [
        (0.0, (0.05, 0.01, 0.001)),  # steady nights: the nominal rates
        (0.6, (0.065, 0.03, 0.015)),  # nights that differ by 60 %: the dispersion is estimated from ten nights only
    ],
)
def test_false_alarms(spread: float, at_most: tuple[float, float, float]) -> None:
    """In 3 000 seeded histories of ten nights without change, P is rarely below 5 %, 1 % and 0.1 %."""
    rng = np.random.default_rng(20260302)
    found = []
    for _ in range(3_000):
        shape = 1 / spread**2 if spread else math.inf
        rates = rng.gamma(shape, 1 / shape, 11) if spread else np.ones(11)
        *before, tonight = (int(count) for count in rng.poisson(60 * rates))
        found.append(against(tonight, *before, due=10_000).p_more)
    shares = [np.mean(np.array(found) < p) for p in (0.05, 0.01, SUSPECT_P)]
    assert all(share <= limit for share, limit in zip(shares, at_most, strict=True)), shares


def test_a_change_is_found() -> None:
    """0.7 % after five nights without failures is not found with 400 requests, but is certain with 100 000."""
    assert against(3, *[0] * 5, due=400).p_more > SUSPECT_P
    assert against(700, *[100] * 5).p_more < CONFIRM_P / 1e6
