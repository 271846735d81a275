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
from dataclasses import dataclass

from include.perf.model.metric import Unit

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


LARGE_BYTES = 10 * 1024**3
"""From here on memory is told in GiB."""


def format_value(value: float | None, unit: Unit, *, uncertainty: float | None = None) -> str:
    """Write a value in the unit that people use: ms, %, MiB; ``–`` for no value.

    Args:
        uncertainty: the standard uncertainty in ``unit``; it decides how many digits are shown. Without one they are
            about three.
    """
    if value is None:
        return "–"
    people = _people_unit(value, unit)
    shown = value * people.factor
    if uncertainty:
        return f"{rounded(shown, uncertainty * people.factor)}{people.suffix}"
    number = three_digits(shown) if people.decimals is None else f"{shown:.{people.decimals}f}"
    return f"{number}{people.suffix}"


@dataclass(frozen=True, slots=True)
class _PeopleUnit:
    """A unit that people use, by how much a base unit is multiplied for it, and its decimals where they are fixed."""

    suffix: str
    factor: float
    decimals: int | None = None


def _people_unit(value: float, unit: Unit) -> _PeopleUnit:
    match unit:
        case Unit.SECONDS:
            return _PeopleUnit(" s", 1, 2) if value >= 10 else _PeopleUnit(" ms", 1000)
        case Unit.REQUESTS_PER_SECOND:
            return _PeopleUnit("/s", 1)
        case Unit.RATIO:
            return _PeopleUnit(" %", 100, 2)
        case Unit.CORES:
            return _PeopleUnit(" cores", 1)
        case Unit.BYTES:
            is_large = value >= LARGE_BYTES
            return _PeopleUnit(" GiB", 1024**-3) if is_large else _PeopleUnit(" MiB", 1024**-2, 1)


def format_change(ratio: float, *, uncertainty: float | None = None) -> str:
    """Write a relative change with its sign: ``+45 %``, ``−3.2 %``.

    Args:
        uncertainty: the standard uncertainty of ``ratio``; what it leaves open is not shown.
    """
    return f"{signed_percent(ratio, uncertainty=uncertainty)} %"


def signed_percent(ratio: float, *, uncertainty: float | None = None) -> str:
    """Write a change in hundredths with its sign and without its unit; from 10 % on without decimals, else with one."""
    percent = ratio * 100
    decimals = 0 if abs(percent) >= 10 else 1
    if uncertainty:
        decimals = min(max(0, decimals_of(uncertainty * 100)), decimals)
    return f"{percent:+z.{decimals}f}".replace("-", "−")


def signed_points(difference: float) -> str:
    """Write the difference of two ratios in percentage points with its sign and without its unit; never as −0.00."""
    return f"{difference * 100:+z.2f}".replace("-", "−")
