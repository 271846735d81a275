"""The section `arrivals` of `benchmarks.load`: how exactly Poisson arrivals reach the target.

The error of an arrival is the k-th arrival at the target minus the k-th due time, by the kernel's time stamps. The gaps
between arrivals at the target should be exponential; the Kolmogorov-Smirnov distance says how far they are from it.
Arrivals that are released together show in both.
"""

import numpy as np

from benchmarks.bench import Bench
from benchmarks.tables import Table
from benchmarks.target import Behaviour, Floats

RATES_RPS = (100, 500, 1000, 2500, 3000, 6000)
EXACT_S = 0.0001


def arrivals(bench: Bench) -> Table:
    """Measure the error of the arrivals, and the distribution of the gaps between them."""
    rows = []
    for rate_rps in RATES_RPS[:1] if bench.is_quick else RATES_RPS:
        outcome = bench.drive(
            Behaviour(seed=bench.seed),
            note="(Poisson)",
            rate_rps=rate_rps,
            duration_s=bench.run_s,
            arrivals="poisson",
            workers=1,
        )
        if outcome is None:
            continue
        arrived = outcome.truth.arrived
        begin = outcome.figures.window.start.timestamp()
        rows.append(
            {
                "requested /s": outcome.load.rate_rps,
                "error p50 ms": outcome.start_lag_ms(0.50),
                "error p90 ms": outcome.start_lag_ms(0.90),
                "error p99 ms": outcome.start_lag_ms(0.99),
                "within 0.1 ms": f"{outcome.share_within(EXACT_S):.0%}",
                "distance of the gaps": exponential_distance(np.diff(arrived)),
                "of the due times": exponential_distance(np.diff(outcome.due[outcome.due >= begin])),
                "CPU s per 1,000": outcome.cpu_per_1000_s,
                "other cores": outcome.foreign_cores,
            }
        )
    return Table(title="arrivals: how exact are Poisson arrivals?", rows=rows, notes=bench.failure_notes())


def exponential_distance(gaps: Floats) -> float:
    """Return the Kolmogorov-Smirnov distance between gaps and the exponential distribution of the same mean."""
    if not len(gaps):
        return np.nan
    expected = 1 - np.exp(-np.sort(gaps) / np.mean(gaps))
    below = np.arange(len(gaps)) / len(gaps)
    return float(max(np.max(expected - below), np.max(below + 1 / len(gaps) - expected)))
