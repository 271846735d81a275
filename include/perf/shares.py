"""Sharing whole things out by weight."""

from collections.abc import Sequence
from fractions import Fraction


def shared_out(weights: Sequence[int], count: int) -> list[int]:
    """Return how many of ``count`` fall to each weight: whole parts first, then the largest remainders.

    Each block of ``sum(weights)`` holds each exactly ``weight`` times; of equal remainders the first counts.
    """
    total = sum(weights)
    shares = [Fraction(weight * count, total) for weight in weights]
    counts = [int(share) for share in shares]
    by_remainder = sorted(range(len(weights)), key=lambda index: shares[index] - counts[index], reverse=True)
    for index in by_remainder[: count - sum(counts)]:
        counts[index] += 1
    return counts
