"""Sources of the pages that may hang: reads share one call, wait for a bounded time, and have a last known result."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar, cast

from bellwether.web.lanes import Busy, Lane
from include.perf.model.errors import BaselineError, BellwetherError, ItemError, StoreError
from include.perf.model.text import Clock
from include.perf.pages.freshness import StaleSource

PATIENCE_S = 5.0
"""How long a response waits for its sources, all together."""

SHORT_PATIENCE_S = 0.5
"""How long it waits for each of them in any case, and at most for one that has not answered others in time."""

CURRENT_FOR = timedelta(seconds=10)
"""A result that was requested longer ago is shown with its age."""

T = TypeVar("T")


class NotAnswering(StoreError):
    """A source does not answer, and there is no earlier result.

    Attributes:
        why: a sentence that names the source.
    """

    def __init__(self, why: str) -> None:
        super().__init__(f"{why}; there is no earlier state to show, so try again in a while")
        self.why = why


@dataclass(slots=True)
class Freshness:
    """What one response waits for and is made of.

    Attributes:
        patience_s: how long it may still wait.
        stale: the sources whose last known state it shows.
        given_up: the names of the sources that it does not wait for any more.
    """

    patience_s: float = field(default_factory=lambda: PATIENCE_S)
    stale: list[StaleSource] = field(default_factory=list)
    given_up: set[str] = field(default_factory=set)

    def as_of(self, now: datetime) -> datetime:
        """Return the time of the oldest state that the response shows; ``now`` if all is current."""
        return min((source.at for source in self.stale), default=now)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known(Generic[T]):
    """A result of a read.

    Attributes:
        at: when the read began.
        weight: its share of what is kept.
    """

    value: T
    at: datetime
    weight: int


class GuardedSource:
    """Something that pages read and that may hang.

    A read runs in one of the source's own threads. Concurrent reads of the same thing share one call. A response that
    waited in vain shows the last result; the call continues, and its result is the last one later.

    Args:
        name: what does not answer, for people: ``the results store``.
        threads: how many calls may run at once.
        keeps: the maximum weight of all kept results.
        weigh: returns the weight of a result.
    """

    def __init__(
        self,
        name: str,
        *,
        clock: Clock,
        threads: int = 1,
        keeps: int = 100,
        weigh: Callable[[Any], int] = lambda _: 1,
    ) -> None:
        self.name = name
        self._clock = clock
        self._lane = Lane(name, threads=threads, queued=2 * threads)
        self._keeps = keeps
        self._weigh = weigh
        self._lock = threading.Lock()
        self._calls: dict[Hashable, Future[Any]] = {}
        self._overdue: set[Hashable] = set()
        self._kept: OrderedDict[Hashable, _Known[Any]] = OrderedDict()

    def read(self, key: Hashable, work: Callable[[], T], freshness: Freshness, *, keep: bool = True) -> T:
        """Return the result of a read, or the last known one if the source does not answer.

        Args:
            key: equal for reads of the same thing.
            keep: whether an earlier result may stand in for the current one.

        Raises:
            NotAnswering: the source does not answer, and there is no earlier result.
            BellwetherError: as the function. If the source as a whole cannot be read, only without an earlier result.
        """
        try:
            known: _Known[T] = self._current(key, work, freshness, keep=keep)
        except (TimeoutError, Busy):
            error: BellwetherError = NotAnswering(f"{self.name} does not answer")
        except ItemError:
            raise
        except (StoreError, BaselineError) as err:
            error = err
        else:
            if self._clock() - known.at > CURRENT_FOR:
                freshness.stale.append(StaleSource(at=known.at, why=f"{self.name} is slow"))
            return known.value
        last = self._last(key)
        if last is None:
            raise error
        freshness.stale.append(StaleSource(at=last.at, why=reason_of(error)))
        return cast("T", last.value)

    def _current(self, key: Hashable, work: Callable[[], T], freshness: Freshness, *, keep: bool) -> _Known[T]:
        with self._lock:
            call = self._calls.get(key)
            if call is None:
                call = self._calls[key] = self._lane.submit(lambda: self._call(key, work, keep=keep))
            is_slow = bool(self._overdue)
        waits_s = SHORT_PATIENCE_S if is_slow else max(freshness.patience_s, SHORT_PATIENCE_S)
        began = time.monotonic()
        try:
            return cast("_Known[T]", call.result(timeout=0 if self.name in freshness.given_up else waits_s))
        except TimeoutError:
            with self._lock:
                if self._calls.get(key) is call:
                    self._overdue.add(key)
            freshness.given_up.add(self.name)
            raise
        finally:
            freshness.patience_s -= time.monotonic() - began

    def _call(self, key: Hashable, work: Callable[[], T], *, keep: bool) -> _Known[T]:
        """Read in a thread of the source."""
        at = self._clock()
        try:
            value = work()
            known = _Known(value=value, at=at, weight=self._weigh(value))
            if keep:
                self._keep(key, known)
            return known
        finally:
            with self._lock:
                del self._calls[key]
                self._overdue.discard(key)

    def _keep(self, key: Hashable, known: _Known[Any]) -> None:
        """Keep a result, and drop those that were not used for the longest time."""
        with self._lock:
            self._kept.pop(key, None)
            if known.weight > self._keeps:
                return
            self._kept[key] = known
            while sum(other.weight for other in self._kept.values()) > self._keeps:
                self._kept.popitem(last=False)

    def _last(self, key: Hashable) -> _Known[Any] | None:
        with self._lock:
            known = self._kept.get(key)
            if known is not None:
                self._kept.move_to_end(key)
            return known


def reason_of(error: BellwetherError) -> str:
    """Return why a source cannot be read, as a sentence that names it."""
    return error.why if isinstance(error, NotAnswering) else str(error)
