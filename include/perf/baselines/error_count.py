"""Whether failures became more: tonight's count against the counts of the nights before.

An error rate is a count over a known number of requests, so its noise is known from the count itself, and no zero
and no history of zeros is a difficulty. Method: failures of a night are Poisson with a rate that varies between
nights (gamma), the limit of the beta-binomial for rare failures; for frequent ones it is on the safe side. What the
nights before leave open of the rate is part of the prediction (Jeffreys' prior), and that nights differ by more than
chance is allowed for by counting their requests as fewer (Pearson's χ² over its degrees of freedom).

Sources: J. G. Skellam 1948 (the beta-binomial); J. A. Hanley & A. Lippman-Hand, If nothing goes wrong, is everything
all right?, 1983, doi:10.1001/jama.1983.03330370053031 (the rule of three); McCullagh & Nelder, Generalized Linear
Models, 1989, section 4.5 (the dispersion).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import betainc

SUSPECT_P, CONFIRM_P = 1e-3, 1e-4
NORMAL_95 = 1.96
PRIOR_FAILURES = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureCount:
    """Failures among the requests of one run."""

    failed: int
    due: int

    @property
    def rate(self) -> float:
        """Failures over requests."""
        return self.failed / self.due


@dataclass(frozen=True, slots=True, kw_only=True)
class Excess:
    """How tonight's failures compare.

    Attributes:
        level: rate of the nights before.
        shift: tonight's rate minus ``level``; ``low`` and ``high`` are its 95 % interval.
        p_more, p_fewer: chance of as many failures or more, or as few or fewer, had nothing changed.
        upper: what the rate before was at most, with 95 % confidence.
    """

    level: float
    shift: float
    low: float
    high: float
    p_more: float
    p_fewer: float
    upper: float


def excess(tonight: FailureCount, before: Sequence[FailureCount]) -> Excess | None:
    """Compare a night's failures with those before; ``None`` without any night before."""
    known = [count for count in before if count.due > 0]
    if not known or tonight.due <= 0:
        return None
    failed, due = sum(count.failed for count in known), sum(count.due for count in known)
    level, dispersion = failed / due, _dispersion(known)
    upper = 3 / due if failed == 0 else level + NORMAL_95 * math.sqrt(_variance(failed, due, dispersion))
    variance = _variance(tonight.failed, tonight.due, dispersion) + _variance(failed, due, dispersion)
    shift, margin = tonight.rate - level, NORMAL_95 * math.sqrt(variance)
    return Excess(
        level=level,
        shift=shift,
        low=shift - margin,
        high=shift + margin,
        p_more=_at_least(tonight.failed, tonight.due, failed, due, dispersion),
        p_fewer=1 - _at_least(tonight.failed + 1, tonight.due, failed, due, dispersion),
        upper=min(1.0, upper),
    )


def _at_least(failed: int, due: int, failed_before: int, due_before: int, dispersion: float) -> float:
    """Return the chance of so many failures or more, each count divided by the dispersion."""
    if failed <= 0:
        return 1.0
    share = due / (due + due_before)
    return float(betainc(failed / dispersion, failed_before / dispersion + PRIOR_FAILURES, share))


def _dispersion(counts: Sequence[FailureCount]) -> float:
    """Return by how much more than by chance the nights differ; 1 where they do not."""
    failed, due = sum(count.failed for count in counts), sum(count.due for count in counts)
    if len(counts) < 2 or failed in (0, due):
        return 1.0
    rate = failed / due
    chi_square = sum((count.failed - count.due * rate) ** 2 / (count.due * rate * (1 - rate)) for count in counts)
    return max(1.0, chi_square / (len(counts) - 1))


def _variance(failed: int, due: int, dispersion: float) -> float:
    rate = (failed + PRIOR_FAILURES) / (due + 2 * PRIOR_FAILURES)
    return dispersion * rate * (1 - rate) / due
