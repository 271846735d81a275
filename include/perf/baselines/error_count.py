"""Compare tonight's number of failures with the counts of earlier nights.

An error rate is a count over a known number of requests, so its noise follows from the count, and zeros cause no
difficulty::

    x, n      failures and requests of tonight
    xᵢ, nᵢ    failures and requests of the k nights of the history
    X, M      Σ xᵢ, Σ nᵢ
    p         X / M, the earlier rate
    φ         dispersion: how much more the nights differ than by chance

**Dispersion.** Pearson's χ² over its degrees of freedom; 1 for k < 2, X = 0 or X = M::

    φ = max(1, χ² / (k − 1))           χ² = Σ (xᵢ − nᵢ·p)² / (nᵢ·p·(1 − p))

**Probability** of x or more failures if nothing changed (I: regularized incomplete beta function, ½: Jeffreys'
prior)::

    P(≥ x) = I_q( x/φ, X/φ + ½ )       q = n / (n + M); 1 for x = 0
    P(≤ x) = 1 − P(≥ x + 1)

**Interval** of the change, 95 %::

    x/n − p ± 1.96 · √( W(x, n) + W(X, M) )

    W(x, n) = φ · p̃ · (1 − p̃) / n      p̃ = (x + ½) / (n + 1)

**Upper bound** of the earlier rate, 95 %: p + 1.96 · √W(X, M), or 3 / M without any failure (rule of three); at most 1.

Assumptions: the failures of a night are Poisson with a rate that varies between nights (gamma). This is the limit of
the beta-binomial distribution for rare failures; for frequent ones it errs on the cautious side.

Sources: J. G. Skellam, A probability distribution derived from the binomial distribution by regarding the probability
of success as variable between the sets of trials, 1948 (the beta-binomial); J. A. Hanley & A. Lippman-Hand, If nothing
goes wrong, is everything all right?, 1983, doi:10.1001/jama.1983.03330370053031 (the rule of three); P. McCullagh &
J. A. Nelder, Generalized Linear Models, 1989, section 4.5 (the dispersion).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import betainc

SUSPECT_P, CONFIRM_P = 1e-3, 1e-4
"""Below these probabilities, a count is suspicious and significant."""

NORMAL_95 = 1.96
PRIOR_FAILURES = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureCount:
    """Failures among the requests of one run: x and n."""

    failed: int
    due: int

    @property
    def rate(self) -> float:
        """The error rate, x / n."""
        return self.failed / self.due


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureComparison:
    """How tonight's failures compare with the history; rates are ratios.

    Attributes:
        earlier_rate: p.
        shift: x/n − p; ``low`` and ``high`` are its 95 % interval.
        p_more: P(≥ x), the probability of at least as many failures if nothing changed.
        p_fewer: P(≤ x).
        upper: 95 % upper bound of the earlier rate.
    """

    earlier_rate: float
    shift: float
    low: float
    high: float
    p_more: float
    p_fewer: float
    upper: float


def compare_failures(tonight: FailureCount, before: Sequence[FailureCount]) -> FailureComparison | None:
    """Compare a night's failures with those of earlier nights; ``None`` without requests on either side."""
    known = [count for count in before if count.due > 0]
    if not known or tonight.due <= 0:
        return None
    failed, due = sum(count.failed for count in known), sum(count.due for count in known)
    rate, dispersion = failed / due, _dispersion(known)
    upper = 3 / due if failed == 0 else rate + NORMAL_95 * math.sqrt(_variance(failed, due, dispersion))
    variance = _variance(tonight.failed, tonight.due, dispersion) + _variance(failed, due, dispersion)
    shift, margin = tonight.rate - rate, NORMAL_95 * math.sqrt(variance)
    return FailureComparison(
        earlier_rate=rate,
        shift=shift,
        low=shift - margin,
        high=shift + margin,
        p_more=_at_least(tonight.failed, tonight.due, failed, due, dispersion),
        p_fewer=1 - _at_least(tonight.failed + 1, tonight.due, failed, due, dispersion),
        upper=min(1.0, upper),
    )


def _at_least(failed: int, due: int, failed_before: int, due_before: int, dispersion: float) -> float:
    """Return P(≥ x)."""
    if failed <= 0:
        return 1.0
    share = due / (due + due_before)
    return float(betainc(failed / dispersion, failed_before / dispersion + PRIOR_FAILURES, share))


def _dispersion(counts: Sequence[FailureCount]) -> float:
    """Return φ."""
    failed, due = sum(count.failed for count in counts), sum(count.due for count in counts)
    if len(counts) < 2 or failed in (0, due):
        return 1.0
    rate = failed / due
    chi_square = sum((count.failed - count.due * rate) ** 2 / (count.due * rate * (1 - rate)) for count in counts)
    return max(1.0, chi_square / (len(counts) - 1))


def _variance(failed: int, due: int, dispersion: float) -> float:
    """Return W(x, n)."""
    rate = (failed + PRIOR_FAILURES) / (due + 2 * PRIOR_FAILURES)
    return dispersion * rate * (1 - rate) / due
