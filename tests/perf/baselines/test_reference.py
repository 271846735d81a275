"""Centre and spread of the history: the variance that many cells have in common."""

import numpy as np
import pytest

from include.perf.baselines.reference import TYPICAL_DOF, TYPICAL_SPREAD, pool

SPREAD = 0.04


def test_pool_of_equal_cells() -> None:
    """If variances differ only by chance, s₀² is found, and d₀ is close to its maximum."""
    drawn = np.random.default_rng(1).chisquare(9, (2000, 1)) / 9 * SPREAD**2
    variance, dof = pool(drawn, np.full((2000, 1), 9.0))
    assert variance[0] == pytest.approx(SPREAD**2, rel=0.05)
    assert dof[0] > 40


def test_pool_of_different_cells() -> None:
    """For variances drawn as scaled inverse χ² with 6 degrees of freedom, both parameters are found."""
    rng = np.random.default_rng(2)
    true = SPREAD**2 * 6 / rng.chisquare(6, (20_000, 1))
    variance, dof = pool(true * rng.chisquare(9, true.shape) / 9, np.full(true.shape, 9.0))
    assert variance[0] == pytest.approx(SPREAD**2, rel=0.05)
    assert dof[0] == pytest.approx(6, rel=0.1)


def test_pool_of_too_few_cells() -> None:
    """With three known cells, the typical spread is assumed."""
    dof = np.array([[9.0], [9.0], [9.0], [0.0]])
    variance, worth = pool(np.full((4, 1), 1.0), dof)
    assert variance.tolist() == [TYPICAL_SPREAD**2]
    assert worth.tolist() == [TYPICAL_DOF]
