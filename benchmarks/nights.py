"""Simulate the nights of a platform: seeded, with realistic noise and known effects.

A *platform* is 6 services × 4 scenarios (24 cells) × 7 metrics. All values are on the log scale; larger is worse. The
error rate is a count and is not simulated. The main noise (see `NOISES`):

- Every cell and metric has its own spread between runs, drawn log-uniformly from 2 to 8 %; for p99 it is 1.5 times
  that.
- The values of a run are Student t with 5 degrees of freedom, scaled to that spread. The scale factor is common to the
  run, so a run that is unusual in one metric is unusual in all. The latencies of a run correlate by 0.25, the other
  metrics with them by 0.15. With these values, Apache Otava at its default finds as much as on nights of other origin.
- One run in a hundred is bad: all its latencies are 15 to 60 % slower (log scale), its CPU half of that. A re-run is an
  independent draw of the same night.
- All cells of a night, re-runs included, share a part that is normal with a standard deviation of 1 %.

Effects start with the first night after the prior nights. They act on the three latencies and the CPU, like work that a
release adds: of cell 0, of the four cells of service 0, or of all cells.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.float64]]

SERVICES, SCENARIOS = 6, 4
CELLS = SERVICES * SCENARIOS
SERVICE_OF = np.repeat(np.arange(SERVICES), SCENARIOS)
METRICS = ("p50", "p95", "p99", "throughput", "CPU", "memory", "disk")
LATENCIES, P99, CPU = slice(0, 3), 2, 4
AFFECTED = (0, 1, 2, CPU)
MINIMUM_EFFECTS = np.log1p([0.05, 0.05, 0.10, 0.05, 0.10, 0.05, 0.10])
JUDGED = 14
RERUNS = 2
COMMON = np.sqrt([0.25, 0.25, 0.25, 0.09, 0.09, 0.09, 0.09])
"""Loadings on the common part of a run; the correlation of two metrics is the product of their loadings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """How runs of the same code differ.

    Attributes:
        width: factor on the spreads.
        tail_dof: degrees of freedom of the tails; None is normal.
        bad_share: share of bad runs.
    """

    width: float = 1.0
    tail_dof: float | None = 5.0
    bad_share: float = 0.01
    platform: float = 0.01


NOISES = {
    "main": Noise(),
    "clean": Noise(tail_dof=None, bad_share=0.0),
    "hard": Noise(width=1.5, bad_share=0.03),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """A change of the first ``cells`` cells by ``size``: at once, or as a drift over ``nights`` nights."""

    size: float = 0.0
    cells: int = 0
    nights: int = 1

    def shifts(self) -> Floats:
        """Return the shift of every judged night, log scale."""
        share = np.minimum(np.arange(1, JUDGED + 1) / self.nights, 1.0)
        shifts: Floats = np.log1p(self.size * share)
        return shifts


NULL = "none"
EFFECTS = {
    NULL: Effect(),
    "+5 %": Effect(size=0.05, cells=1),
    "+10 %": Effect(size=0.10, cells=1),
    "+20 %": Effect(size=0.20, cells=1),
    "drift to +10 %": Effect(size=0.10, cells=1, nights=14),
    "service +5 %": Effect(size=0.05, cells=SCENARIOS),
    "platform +15 %": Effect(size=0.15, cells=CELLS),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Nights:
    """Simulated platforms.

    Attributes:
        values: (platforms, cells, metrics, prior + judged nights).
        again: (re-runs, platforms, cells, metrics, judged nights) the values of possible re-runs.
        prior: number of nights before the first judged night, all without effect.
        affected: number of cells, from the first, that the effect acts on.
    """

    values: Floats
    again: Floats
    prior: int
    affected: int


def simulate(noise: str, effect: str, *, prior: int, platforms: int, seed: int) -> Nights:
    """Simulate platforms; the same arguments give the same nights."""
    about, what = NOISES[noise], EFFECTS[effect]
    key = (list(NOISES).index(noise), list(EFFECTS).index(effect), prior)
    rng = np.random.default_rng([seed, *key])
    shape = (platforms, CELLS, len(METRICS))
    spread = about.width * np.exp(rng.uniform(np.log(0.02), np.log(0.08), shape))
    spread[..., P99] *= 1.5
    shared = rng.normal(0, about.platform, (platforms, 1, len(METRICS), prior + JUDGED))
    values = _runs(rng, about, spread, prior + JUDGED) + shared
    again = np.stack([_runs(rng, about, spread, JUDGED) + shared[..., prior:] for _ in range(RERUNS)])
    for metric in AFFECTED:
        values[:, : what.cells, metric, prior:] += what.shifts()
        again[:, :, : what.cells, metric] += what.shifts()
    return Nights(values=values, again=again, prior=prior, affected=what.cells)


def _runs(rng: np.random.Generator, noise: Noise, spread: Floats, nights: int) -> Floats:
    """Draw one run of every cell and night."""
    platforms, cells, metrics = spread.shape
    own = rng.standard_normal((platforms, cells, metrics, nights))
    common = rng.standard_normal((platforms, cells, 1, nights))
    loading = COMMON[:, np.newaxis]
    drawn = loading * common + np.sqrt(1 - loading**2) * own
    if noise.tail_dof:
        dof = noise.tail_dof
        drawn *= np.sqrt((dof - 2) / rng.chisquare(dof, (platforms, cells, 1, nights)))
    values: Floats = drawn * spread[..., np.newaxis]
    is_bad = rng.random((platforms, cells, nights)) < noise.bad_share
    slower = np.where(is_bad, rng.uniform(0.15, 0.60, is_bad.shape), 0.0)
    values[:, :, LATENCIES] += slower[:, :, np.newaxis]
    values[:, :, CPU] += slower / 2
    return values
