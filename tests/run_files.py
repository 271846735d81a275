"""Synthetic files of a run: its latency distribution, and the resource usage of its service over time."""

from pathlib import Path

import numpy as np

from include.perf.catalogue.prometheus_target import SERVER_METRICS
from include.perf.measure.distribution import Distribution, distribution_csv, read_distribution
from include.perf.model.histogram import Histogram
from include.perf.runs.results_store import DISTRIBUTION_FILE, SERVER_SERIES_FILE

MIB = 1024**2


def distribution_bytes(
    *, median_s: float = 0.0185, requests: int = 20_000, slow_share: float = 0.01, seed: int = 20260101
) -> bytes:
    """Return a log-normal distribution with a share of requests that are about three times slower."""
    random = np.random.default_rng(seed)
    latencies = random.lognormal(np.log(median_s), 0.5, requests)
    is_slow = random.random(requests) < slow_share
    latencies[is_slow] *= random.lognormal(1.2, 0.4, int(is_slow.sum()))
    counts = Histogram()
    for latency_s in latencies.tolist():
        counts.add(latency_s)
    return distribution_csv(counts.counts)


def distribution(**shape: float) -> Distribution:
    """Return such a distribution as an object."""
    found = read_distribution(distribution_bytes(**shape), where="made up")  # type: ignore[arg-type]
    assert found is not None
    return found


def baseline_runs(count: int = 5, *, median_s: float = 0.0183) -> tuple[Distribution, ...]:
    """Return the distributions of a baseline's runs; their medians vary by 2 %."""
    medians = median_s * np.random.default_rng(7).normal(1, 0.02, count)
    return tuple(distribution(median_s=float(median), seed=seed) for seed, median in enumerate(medians))


def write_distribution(folder: Path, content: bytes | None = None) -> None:
    """Write a run's ``distribution.csv``."""
    (folder / DISTRIBUTION_FILE).write_bytes(distribution_bytes() if content is None else content)


def write_server_series(folder: Path, *, total_s: int = 960, without: tuple[str, ...] = ()) -> None:
    """Write a run's ``server.csv``: CPU that rises in the warm-up, memory that grows, a disk that hardly changes."""
    random = np.random.default_rng(11)
    lines = [",".join(("second", *SERVER_METRICS))]
    for second in range(10, total_s - 10, max(5, total_s // 400)):
        values = {
            "cpu_usage": 1.87 * (1 - np.exp(-second / 20)) * random.normal(1, 0.03),
            "memory_usage": (600 + 190 * (1 - np.exp(-second / 200))) * MIB,
            "disk_usage": 0.413 + second * 1e-7,
        }
        cells = ("" if name in without else f"{values[name]:.9g}" for name in SERVER_METRICS)
        lines.append(",".join((str(second), *cells)))
    (folder / SERVER_SERIES_FILE).write_text("\n".join(lines) + "\n", encoding="ascii")
