"""The shortest history that still breaks a rule: interruptions and actors are dropped as long as it does."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

from tests.explorer.exploring import replayed
from tests.explorer.history import History, Outcome

T = TypeVar("T")

MOST_REPLAYS = 150


def shortest(outcome: Outcome, *, replay: Callable[[History], Outcome] = replayed) -> Outcome:
    """Return the outcome of the shortest history that was found to break a rule, too.

    Args:
        outcome: of a history that broke a rule.
    """
    left = MOST_REPLAYS
    best = outcome
    is_shorter = True
    while is_shorter and left > 0:
        is_shorter = False
        for candidate in _shorter(best.history):
            left -= 1
            tried = replay(candidate)
            if tried.broken:
                best, is_shorter = tried, True
                break
            if left <= 0:
                break
    return best


def _shorter(history: History) -> Iterator[History]:
    """Yield what a history may be shortened to, the shortest first."""
    for interruptions in _without_parts(history.interruptions):
        yield replace(history, interruptions=interruptions)
    for number in range(len(history.actors)):
        # Processes are numbered by their actor, so one that is dropped leaves a gap.
        if history.actors[number] is not None:
            actors = (*history.actors[:number], None, *history.actors[number + 1 :])
            yield replace(history, actors=actors)
    for number, actor in enumerate(history.actors):
        for changes in ({"is_cleared": False}, {"update_baseline": False}, {"is_slow": False}):
            if actor is not None and any(getattr(actor, name) for name in changes):
                simpler = replace(actor, **changes)
                yield replace(history, actors=(*history.actors[:number], simpler, *history.actors[number + 1 :]))


def _without_parts(items: Sequence[T]) -> Iterator[tuple[T, ...]]:
    """Yield a sequence without one half of it, without one quarter, and so on to single items."""
    size = len(items)
    while size > 0:
        for start in range(0, len(items), size):
            yield (*items[:start], *items[start + size :])
        size //= 2
