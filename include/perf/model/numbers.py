"""Formats numbers for people: a figure has as many digits as its uncertainty justifies.

The three leading digits of the standard uncertainty ``u`` decide:

=========  =======================  ===========================
leading    digits of ``u`` kept     example
=========  =======================  ===========================
100–354    two                      61.234 ± 1.5   → 61.2
355–949    one                      61.234 ± 0.8   → 61.2
950–999    two, of ``u`` as 1000    61.234 ± 0.098 → 61.23
=========  =======================  ===========================

The figure is rounded to the same decimal place, and has at most four significant digits.

Source: Particle Data Group, Review of Particle Physics, Introduction, section 5.3 "Rounding"; JCGM 100:2008 (GUM),
7.2.6: an uncertainty has at most two significant digits, and the figure is rounded to agree with it.
"""

import math
from dataclasses import dataclass

from include.perf.model.metric import Unit

MAX_DIGITS = 4

HALF_WIDTH_UNCERTAINTIES = 1.96
"""Half the width of a 95 % interval, in standard uncertainties."""

_TWO_DIGITS_TO, _ONE_DIGIT_TO = 3.545, 9.495
"""Bounds for the leading digits as a number from 1 to 10: up to 354 and up to 949 after rounding to three digits."""

NO_UNCERTAINTY = 1e-100
"""An uncertainty below this is none: it is a trace of arithmetic, and its digits would not even be numbers."""

LARGE_BYTES = 10 * 1024**3
"""Memory is shown in GiB from here on, below it in MiB."""


def decimals_of(uncertainty: float) -> int:
    """Return the number of decimals for a figure with this standard uncertainty; negative for tens and above.

    Raises:
        ValueError: the uncertainty is not finite, or below `NO_UNCERTAINTY`.
    """
    if not (math.isfinite(uncertainty) and uncertainty >= NO_UNCERTAINTY):
        raise ValueError(f"an uncertainty must be positive and finite, but is {uncertainty}")
    exponent = math.floor(math.log10(uncertainty))
    leading = uncertainty / 10.0**exponent
    return -exponent if _TWO_DIGITS_TO <= leading < _ONE_DIGIT_TO else _decimals_of_two(exponent, leading)


def _decimals_of_two(exponent: int, leading: float) -> int:
    return (0 if leading >= _ONE_DIGIT_TO else 1) - exponent


def rounded(value: float, uncertainty: float) -> str:
    """Format a figure with the digits that its standard uncertainty justifies."""
    decimals = decimals_of(uncertainty)
    if value:
        decimals = min(decimals, MAX_DIGITS - 1 - math.floor(math.log10(abs(value))))
    return f"{round(value, decimals):.{max(0, decimals)}f}"


def uncertainty_of(low: float, high: float) -> float:
    """Return the standard uncertainty of a 95 % interval."""
    return (high - low) / 2 / HALF_WIDTH_UNCERTAINTIES


def three_digits(value: float) -> str:
    """Format a figure of unknown uncertainty: about three digits, at most three decimals, no exponent."""
    if value == 0:
        return "0"
    decimals = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:.{min(decimals, 3)}f}"


def format_value(value: float | None, unit: Unit, *, uncertainty: float | None = None) -> str:
    """Format a value in a display unit such as ms, % or MiB; ``–`` for no value.

    Args:
        uncertainty: the standard uncertainty in ``unit``; it decides how many digits are shown. Without it, about
            three are.
    """
    if value is None:
        return "–"
    display = _display_unit(value, unit)
    shown = value * display.factor
    if uncertainty and uncertainty * display.factor >= NO_UNCERTAINTY:
        return f"{rounded(shown, uncertainty * display.factor)}{display.suffix}"
    number = three_digits(shown) if display.decimals is None else f"{shown:.{display.decimals}f}"
    return f"{number}{display.suffix}"


@dataclass(frozen=True, slots=True)
class _DisplayUnit:
    """A unit for display: its suffix, the factor from the base unit, and the number of decimals if it is fixed."""

    suffix: str
    factor: float
    decimals: int | None = None


def _display_unit(value: float, unit: Unit) -> _DisplayUnit:
    match unit:
        case Unit.SECONDS:
            return _DisplayUnit(" s", 1, 2) if value >= 10 else _DisplayUnit(" ms", 1000)
        case Unit.REQUESTS_PER_SECOND:
            return _DisplayUnit("/s", 1)
        case Unit.RATIO:
            return _DisplayUnit(" %", 100, 2)
        case Unit.CORES:
            return _DisplayUnit(" cores", 1)
        case Unit.BYTES:
            is_large = value >= LARGE_BYTES
            return _DisplayUnit(" GiB", 1024**-3) if is_large else _DisplayUnit(" MiB", 1024**-2, 1)


def format_change(ratio: float, *, uncertainty: float | None = None) -> str:
    """Format a relative change with its sign: ``+45 %``, ``−3.2 %``.

    Args:
        uncertainty: the standard uncertainty of ``ratio``; digits that it does not justify are not shown.
    """
    return f"{signed_percent(ratio, uncertainty=uncertainty)} %"


def signed_percent(ratio: float, *, uncertainty: float | None = None) -> str:
    """Format a change in percent with its sign but no unit: one decimal below 10 %, none from there on."""
    percent = ratio * 100
    decimals = 0 if abs(percent) >= 10 else 1
    if uncertainty and uncertainty >= NO_UNCERTAINTY:
        decimals = min(max(0, decimals_of(uncertainty * 100)), decimals)
    return f"{percent:+z.{decimals}f}".replace("-", "−")


def signed_points(difference: float) -> str:
    """Format the difference of two ratios in percentage points with its sign but no unit; never −0.00."""
    return f"{difference * 100:+z.2f}".replace("-", "−")
