"""The axis of a latency: linear from zero, or logarithmic, with round steps in the unit that people use."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

ENOUGH_STEPS = 5


def scale_latency(axes: Axes, *, low: float, high: float) -> None:
    """Scale the vertical axis, in seconds: linearly where it begins at zero, else logarithmically."""
    if low > 0:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(FixedLocator(_round_steps(low, high)))
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        axes.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]))
    axes.set_ylim(low, high)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _tick(value)))


def _round_steps(low: float, high: float) -> list[float]:
    """Return the coarsest of three kinds of steps that has enough of them, else the finest."""
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    shown: list[float] = []
    for factors in ((1,), (1, 3), (1, 2, 5)):
        steps = [factor * 10.0**decade for decade in decades for factor in factors]
        shown = [step for step in steps if low <= step <= high]
        if len(shown) >= ENOUGH_STEPS:
            break
    return shown


def _tick(seconds: float) -> str:
    return f"{seconds:g} s" if seconds >= 1 else f"{seconds * 1000:g} ms"
