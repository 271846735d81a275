"""The arrival schedule: when each request is due, and which endpoint it goes to.

Pure and seeded: every worker with the same plan computes the same schedule, so the workers share it without exchanging
messages: worker i of W sends the arrivals i, i + W, i + 2·W, …
"""

import random
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice, repeat
from typing import NamedTuple

from include.perf.catalogue.scenario.arrival_rate import HALF_GAP, shared_out
from include.perf.catalogue.scenario.load_profile import LoadProfile

DRAWN_AHEAD = 1_000_000
"""Arrivals whose endpoints are drawn before the load starts (0.5 s, 2 MB); a longer part repeats their order."""


class Due(NamedTuple):
    """One arrival of the schedule.

    Attributes:
        due_s: due time in seconds after the start of the schedule.
        endpoint: index of its endpoint.
        ordinal: its number, from 0, among the arrivals of its endpoint over all workers.
        is_measured: whether it belongs to the measured part.
        number: its number, from 0, among all arrivals over all workers.
    """

    due_s: float
    endpoint: int
    ordinal: int
    is_measured: bool
    number: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """Warm-up or measured part: either has its own count, and its own share of every endpoint.

    Attributes:
        before: ∫ rate until its beginning.
        expected: ∫ rate within it; ``arrivals`` is this number rounded.
    """

    name: str
    before: float
    expected: float
    arrivals: int


def schedule(load: LoadProfile, weights: Sequence[int], *, worker: int = 0, workers: int = 1) -> Iterator[Due]:
    """Return a worker's arrivals, in the order in which they are due.

    The slow part of the work is done before this returns; after that an arrival costs about 1 µs.

    Args:
        weights: share of the arrivals by endpoint; exact in the warm-up and in the measured part.
        worker, workers: number of the worker, and how many there are; together they send what one alone would.
    """
    if not 0 <= worker < workers:
        raise ValueError(f"worker must be from 0 to {workers - 1}, but is {worker}")
    parts = _parts(load)
    positions = chain.from_iterable(_positions(load, part) for part in parts)
    endpoints = [
        _endpoints(weights, arrivals=part.arrivals, seed=f"{load.seed} endpoints of {part.name}") for part in parts
    ]
    numbered = _numbered(chain.from_iterable(endpoints), count=len(weights))
    return _due(
        range(worker, load.total_arrivals, workers),
        load.curve.times(islice(positions, worker, None, workers)),
        islice(numbered, worker, None, workers),
        warmup=load.warmup_arrivals,
    )


def _due(
    numbers: Iterable[int], times: Iterable[float], endpoints: Iterable[tuple[int, int]], *, warmup: int
) -> Iterator[Due]:
    for number, due_s, (endpoint, ordinal) in zip(numbers, times, endpoints, strict=True):
        yield Due(due_s, endpoint, ordinal, number >= warmup, number)


def _parts(load: LoadProfile) -> tuple[_Part, _Part]:
    curve = load.curve
    warmup, total = curve.arrivals(load.warmup_s), curve.arrivals(load.total_s)
    return (
        _Part(name="warm-up", before=0.0, expected=warmup, arrivals=load.warmup_arrivals),
        _Part(name="measured", before=warmup, expected=total - warmup, arrivals=load.measured_arrivals),
    )


def _positions(load: LoadProfile, part: _Part) -> Iterator[float]:
    """Return the ∫ rate at which each arrival of a part is due; the curve converts it into a time.

    ``constant``: k + ½. ``poisson``: a process of rate 1 on the scale of ∫ rate, which the inverse of the curve turns
    into one whose rate follows the curve (Çinlar, Introduction to Stochastic Processes, 1975, section 4.7). Conditioned
    on the number of arrivals these are uniform order statistics, so the count of each part is exact and the times are
    random (Ross, Stochastic Processes, 2nd ed., theorem 2.3.1).
    """
    if load.arrivals == "constant":
        first = part.before + HALF_GAP
        return (first + number for number in range(part.arrivals))
    source = random.Random(f"{load.seed} gaps of {part.name}")
    return (part.before + share * part.expected for share in _sorted_uniform(part.arrivals, source))


def _sorted_uniform(count: int, source: random.Random) -> Iterator[float]:
    """Draw sorted uniform numbers one at a time: Bentley & Saxe, doi:10.1145/355921.355927."""
    highest = 0.0
    for left in range(count, 0, -1):
        highest = 1 - (1 - highest) * source.random() ** (1 / left)
        yield highest


def _numbered(endpoints: Iterable[int], *, count: int) -> Iterator[tuple[int, int]]:
    """Number the arrivals of each endpoint from 0."""
    ordinals = [0] * count
    for endpoint in endpoints:
        ordinal = ordinals[endpoint]
        ordinals[endpoint] = ordinal + 1
        yield endpoint, ordinal


def _endpoints(weights: Sequence[int], *, arrivals: int, seed: str) -> Iterator[int]:
    """Return the endpoint of each arrival; after `DRAWN_AHEAD` of them the order repeats."""
    block = sum(weights)
    period = max(1, DRAWN_AHEAD // block) * block
    if arrivals <= period:
        return iter(endpoint_sequence(weights, arrivals=arrivals, seed=seed))
    drawn = endpoint_sequence(weights, arrivals=period, seed=seed)
    rest = endpoint_sequence(weights, arrivals=arrivals % period, seed=f"{seed}, the rest")
    return chain(chain.from_iterable(repeat(drawn, arrivals // period)), rest)


def endpoint_sequence(weights: Sequence[int], *, arrivals: int, seed: str) -> "array[int]":
    """Return the endpoint index of each arrival.

    Every block of ``sum(weights)`` arrivals holds each endpoint exactly ``weight`` times, in a seeded random order; an
    incomplete last block takes its endpoints by largest remainder. So the shares are exact, not just in expectation,
    and no endpoint falls into step with the clock.
    """
    source = random.Random(seed)
    block = [index for index, weight in enumerate(weights) for _ in range(weight)]
    sequence = array("H")
    for _ in range(arrivals // len(block)):
        source.shuffle(block)
        sequence.extend(block)
    rest = shared_out(weights, arrivals % len(block))
    last = [index for index, times in enumerate(rest) for _ in range(times)]
    source.shuffle(last)
    sequence.extend(last)
    return sequence
