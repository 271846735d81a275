"""The errors of the benchmark of scraping are ratios to the truth, so a truth of zero has none."""

import pytest

from benchmarks.scraping import relative_errors


@pytest.mark.parametrize(
    ("value", "truth", "errors"),
    [
        (1.5, 1.0, [0.5]),
        (None, 1.0, []),
        (0.0, 0.0, []),
        (0.1, 0.0, []),
    ],
)
def test_a_window_without_a_figure_or_with_a_truth_of_zero_has_no_error(
    value: float | None, truth: float, errors: list[float]
) -> None:
    assert relative_errors([value], [truth]) == errors
