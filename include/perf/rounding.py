"""How many digits a figure carries: as many as its uncertainty leaves sure, and no more.

With the standard uncertainty ``u``, of which the three leading digits are looked at:

=========  =======================  ===========================
leading    digits of ``u`` kept     example
=========  =======================  ===========================
100–354    two                      61.234 ± 1.5   → 61.2
355–949    one                      61.234 ± 0.8   → 61.2
950–999    two, of ``u`` as 1000    61.234 ± 0.098 → 61.23
=========  =======================  ===========================

and the figure is written down to the same place, with four significant digits at most.

Source: Particle Data Group, Review of Particle Physics, Introduction, section 5.3 "Rounding"; JCGM 100:2008 (GUM),
7.2.6: an uncertainty has two significant digits at most, and the figure is rounded to agree with it.
"""

import math

MAX_DIGITS = 4
HALF_WIDTH_UNCERTAINTIES = 1.96
"""Standard uncertainties in half of a 95 % interval."""

_TWO_DIGITS_TO, _ONE_DIGIT_TO = 3.545, 9.495
"""Of the leading digits as a number from 1 to 10, where rounding to three digits ends at 354, and at 949."""


def decimals_of(uncertainty: float) -> int:
    """Return how many decimals a figure of that standard uncertainty carries; negative for tens and more.

    Raises:
        ValueError: the uncertainty is not positive and finite.
    """
    if not (math.isfinite(uncertainty) and uncertainty > 0):
        raise ValueError(f"an uncertainty must be positive and finite, but is {uncertainty}")
    exponent = math.floor(math.log10(uncertainty))
    leading = uncertainty / 10.0**exponent
    return -exponent if _TWO_DIGITS_TO <= leading < _ONE_DIGIT_TO else _decimals_of_two(exponent, leading)


def _decimals_of_two(exponent: int, leading: float) -> int:
    return (0 if leading >= _ONE_DIGIT_TO else 1) - exponent


def rounded(value: float, uncertainty: float) -> str:
    """Write a figure down to the last place that its standard uncertainty leaves sure."""
    decimals = decimals_of(uncertainty)
    if value:
        decimals = min(decimals, MAX_DIGITS - 1 - math.floor(math.log10(abs(value))))
    return f"{round(value, decimals):.{max(0, decimals)}f}"


def uncertainty_of(low: float, high: float) -> float:
    """Return the standard uncertainty behind a 95 % interval."""
    return (high - low) / 2 / HALF_WIDTH_UNCERTAINTIES


def three_digits(value: float) -> str:
    """Write a figure of unknown uncertainty: about three digits, three decimals at most, never scientific."""
    if value == 0:
        return "0"
    decimals = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:.{min(decimals, 3)}f}"
