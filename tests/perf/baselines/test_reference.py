"""What a night is held to: what is common to the variances of many cells."""

import numpy as np
import pytest

from include.perf.baselines.reference import TYPICAL_DOF, TYPICAL_SPREAD, pool

SPREAD = 0.04


def test_pool_of_cells_that_are_alike() -> None:
    """Variances that differ only by chance are worth the most that is granted, and their common one is found."""
    drawn = np.random.default_rng(1).chisquare(9, (2000, 1)) / 9 * SPREAD**2
    variance, dof = pool(drawn, np.full((2000, 1), 9.0))
    assert variance[0] == pytest.approx(SPREAD**2, rel=0.05)
    assert dof[0] > 40


def test_pool_finds_the_parameters_of_unlike_cells() -> None:
    """Of variances drawn as scaled inverse χ² with 6 degrees of freedom both parameters come back."""
    rng = np.random.default_rng(2)
    true = SPREAD**2 * 6 / rng.chisquare(6, (20_000, 1))
    variance, dof = pool(true * rng.chisquare(9, true.shape) / 9, np.full(true.shape, 9.0))
    assert variance[0] == pytest.approx(SPREAD**2, rel=0.05)
    assert dof[0] == pytest.approx(6, rel=0.1)


def test_pool_of_too_few_cells() -> None:
    """Three cells that are known do not tell what is common: the typical spread is assumed."""
    dof = np.array([[9.0], [9.0], [9.0], [0.0]])
    variance, worth = pool(np.full((4, 1), 1.0), dof)
    assert variance.tolist() == [TYPICAL_SPREAD**2]
    assert worth.tolist() == [TYPICAL_DOF]
