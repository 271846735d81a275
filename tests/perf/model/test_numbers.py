"""How many digits a figure has."""

import pytest

from include.perf.model.metric import Unit
from include.perf.model.numbers import (
    decimals_of,
    format_change,
    format_value,
    rounded,
    signed_percent,
    three_digits,
    uncertainty_of,
)


@pytest.mark.parametrize(
    ("uncertainty", "decimals"),
    [
        (0.827, 1),  # Particle Data Group's own example: 0.827 ± 0.119 → two digits of 0.119, one of 0.367
        (0.119, 2),
        (0.367, 1),
        (0.3544, 2),  # 354 in three digits: two of them
        (0.3546, 1),  # 355: one
        (0.9494, 1),  # 949: one
        (0.9496, 1),  # 950: is 1.0, whose two digits end at the first decimal
        (0.0999, 2),  # 0.10
        (12.0, 0),
        (40.0, -1),
        (100.0, -1),  # 100: two digits, tens
    ],
)
def test_the_uncertainty_decides_how_many_decimals(uncertainty: float, decimals: int) -> None:
    """Two digits of the uncertainty from 100 to 354, one up to 949, two of 1000 above."""
    assert decimals_of(uncertainty) == decimals


@pytest.mark.parametrize(
    ("value", "uncertainty", "shown"),
    [
        (0.827, 0.119, "0.83"),  # both of the Particle Data Group
        (0.827, 0.367, "0.8"),
        (61.234, 1.5, "61.2"),
        (61.234, 4.2, "61"),
        (1234.0, 40.0, "1230"),
        (-61.26, 1.5, "-61.3"),
        (499.53, 0.01, "499.5"),  # at most four digits
        (0.0, 0.12, "0.00"),
    ],
)
def test_a_figure_ends_where_its_uncertainty_does(value: float, uncertainty: float, shown: str) -> None:
    """It is rounded to the same place, and has at most four digits."""
    assert rounded(value, uncertainty) == shown


@pytest.mark.parametrize("uncertainty", [0.0, -1.0, float("nan"), float("inf")])
def test_an_invalid_uncertainty_is_refused(uncertainty: float) -> None:
    """It raises an error instead of choosing some number of digits."""
    with pytest.raises(ValueError, match="positive and finite"):
        decimals_of(uncertainty)


def test_a_95_percent_interval_is_nearly_four_uncertainties_wide() -> None:
    """From 38 % to 52 %: 14 / 2 / 1.96 = 3.57 points."""
    assert uncertainty_of(0.38, 0.52) == pytest.approx(0.0357, abs=1e-4)


@pytest.mark.parametrize(
    ("value", "shown"), [(0, "0"), (0.8, "0.800"), (61.234, "61.2"), (1234.5, "1234"), (1e-5, "0.000")]
)
def test_without_an_uncertainty_three_digits_are_shown(value: float, shown: str) -> None:
    """A power of ten is never shown."""
    assert three_digits(value) == shown


@pytest.mark.parametrize(
    ("value", "unit", "uncertainty", "shown"),
    [
        (0.061234, Unit.SECONDS, 0.0042, "61 ms"),
        (0.061234, Unit.SECONDS, 0.0015, "61.2 ms"),
        (12.3456, Unit.SECONDS, 0.9, "12.3 s"),
        (499.53, Unit.REQUESTS_PER_SECOND, 0.4, "499.5/s"),
        (0.0003, Unit.RATIO, 0.0001, "0.030 %"),  # ± 0.010 points
        (1.872, Unit.CORES, 0.08, "1.87 cores"),
        (790.5 * 1024**2, Unit.BYTES, 12 * 1024**2, "790 MiB"),
        (11.25 * 1024**3, Unit.BYTES, 0.4 * 1024**3, "11.2 GiB"),
        (11.25 * 1024**3, Unit.BYTES, None, "11.2 GiB"),
        (0.061234, Unit.SECONDS, None, "61.2 ms"),
        (None, Unit.SECONDS, 0.1, "–"),
    ],
)
def test_values_are_shown_in_display_units(
    value: float | None, unit: Unit, uncertainty: float | None, shown: str
) -> None:
    """They have as many digits as the uncertainty justifies, or about three if it is unknown."""
    assert format_value(value, unit, uncertainty=uncertainty) == shown


@pytest.mark.parametrize(
    ("ratio", "uncertainty", "shown"),
    [
        (0.4537, None, "+45 %"),
        (0.021, None, "+2.1 %"),
        (0.4537, 0.034, "+45 %"),  # no tenths from 10 % on
        (-0.0324, 0.0012, "−3.2 %"),  # 0.12 points: tenths are significant, and hundredths are never shown
        (-0.0324, 0.0357, "−3 %"),  # 3.57 points: one digit, units
        (-0.0002, None, "+0.0 %"),  # zero is never shown as −0.0
        (0.4537, 0.4, "+45 %"),  # never rounded to tens
    ],
)
def test_a_change_ends_where_its_uncertainty_does(ratio: float, uncertainty: float | None, shown: str) -> None:
    """It is shown in full percent, or in tenths if it is small."""
    assert format_change(ratio, uncertainty=uncertainty) == shown
    assert f"{signed_percent(ratio, uncertainty=uncertainty)} %" == shown


@pytest.mark.parametrize("uncertainty", [0.0, 5e-324, 1e-200])
def test_a_trace_of_arithmetic_is_no_uncertainty(uncertainty: float) -> None:
    """An interval that is a few of the smallest floats wide is shown as if its width were unknown."""
    assert format_value(1024.0**3, Unit.BYTES, uncertainty=uncertainty) == "1024.0 MiB"
    assert format_change(0.455, uncertainty=uncertainty) == format_change(0.455)
