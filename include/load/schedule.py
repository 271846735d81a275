"""The arrival schedule: when each request is due, and which endpoint it goes to.

Pure and seeded: two processes with the same plan know the same schedule.
"""

import random
from array import array
from collections.abc import Iterator, Sequence
from fractions import Fraction

from include.perf.scenario import LoadProfile


def due_times(load: LoadProfile, *, arrivals: int) -> Iterator[float]:
    """Return when each arrival is due, in seconds after the first one could be.

    ``constant``: arrival k at k / rate. ``poisson``: exponential gaps with mean 1 / rate, conditioned on the
    number of arrivals: uniform order statistics, so that the rate is exact within each phase and random in
    between (a Poisson process given its count; Ross, Stochastic Processes, 2nd ed., theorem 2.3.1).
    """
    if load.arrivals == "constant":
        rate = load.rate_rps
        return (number / rate for number in range(arrivals))
    warmup = round(load.rate_rps * load.warmup_s)
    return _poisson(load, parts=[(0.0, load.warmup_s, warmup), (load.warmup_s, load.duration_s, arrivals - warmup)])


def _poisson(load: LoadProfile, *, parts: Sequence[tuple[float, float, int]]) -> Iterator[float]:
    """Draw sorted uniform times part by part, without holding them: Bentley & Saxe, doi:10.1145/355921.355927."""
    source = random.Random(load.seed)
    for start, length, count in parts:
        highest = 0.0
        for left in range(count, 0, -1):
            highest = 1 - (1 - highest) * source.random() ** (1 / left)
            yield start + highest * length


def endpoint_sequence(weights: Sequence[int], *, arrivals: int, seed: int) -> "array[int]":
    """Return the endpoint index of each arrival.

    Every block of ``sum(weights)`` arrivals holds each endpoint exactly ``weight`` times, in a seeded random
    order; the unfinished last block takes each endpoint by largest remainder. So the shares are exact over
    the run, not just in expectation, and no endpoint falls into step with the clock.
    """
    source = random.Random(seed)
    block = [index for index, weight in enumerate(weights) for _ in range(weight)]
    sequence = array("H")
    for _ in range(arrivals // len(block)):
        source.shuffle(block)
        sequence.extend(block)
    last = _largest_remainder(weights, arrivals % len(block))
    source.shuffle(last)
    sequence.extend(last)
    return sequence


def _largest_remainder(weights: Sequence[int], count: int) -> list[int]:
    """Share ``count`` arrivals by weight; whole parts first, then the largest remainders."""
    total = sum(weights)
    shares = [Fraction(weight * count, total) for weight in weights]
    counts = [int(share) for share in shares]
    by_remainder = sorted(range(len(weights)), key=lambda index: shares[index] - counts[index], reverse=True)
    for index in by_remainder[: count - sum(counts)]:
        counts[index] += 1
    return [index for index, times in enumerate(counts) for _ in range(times)]
