"""Repeat what failed because a store cannot be used now."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from include.perf.model.errors import ItemError, StoreError

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Repeats an action while a store cannot be used, and gives up after the last pause.

    An `ItemError` is an answer, so it is never repeated.

    Attributes:
        pauses_s: seconds before each repetition; empty to try only once.
        wait: sleeps for a number of seconds.
    """

    pauses_s: tuple[float, ...] = (1.0, 5.0)
    wait: Callable[[float], None] = time.sleep

    def __call__(self, action: Callable[[], T]) -> T:
        """Return what the action returns.

        Args:
            action: has the same effect if it is repeated.

        Raises:
            StoreError: the last attempt failed, too.
            ItemError: the item cannot be used.
        """
        for pause_s in self.pauses_s:
            try:
                return action()
            except ItemError:
                raise
            except StoreError as err:
                log.warning("trying again in %g s: %s", pause_s, err)
                self.wait(pause_s)
        return action()


ONCE = Patience(pauses_s=())
"""Tries once, for callers that must answer at once, such as pages."""
