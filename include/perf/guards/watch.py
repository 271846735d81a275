"""Watches a running load for reasons to stop it, without delaying the load."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from include.perf.guards.load_limits import LoadLimits
from include.perf.load.generator import Progress, ProgressListener

log = logging.getLogger(__name__)

Condition = Callable[[], str | None]
"""Returns why a load must not continue, or ``None``."""

ASK_EVERY_S = 1.5
PATIENCE_S = 60.0
"""A load ends if a source cannot be read for this long: an unreadable halt state does not protect."""


class Watch:
    """Collects the reasons to stop a running load.

    Args:
        listener: receives the progress.
        limits: receive the progress, too.
        conditions: further reasons; they return immediately.
    """

    def __init__(self, listener: ProgressListener, *, limits: LoadLimits, conditions: Sequence[Condition]) -> None:
        self._listener = listener
        self._limits = limits
        self._conditions = (*conditions, limits.reached)

    def take_in(self, progress: Progress) -> None:
        """Forward a progress report."""
        self._listener(progress)
        self._limits.take_in(progress)

    def reason_to_stop(self) -> str | None:
        """Return the first reason, or ``None``."""
        return next((reason for ask in self._conditions if (reason := ask()) is not None), None)


class Inquiry:
    """A condition that is polled over a network, in its own thread.

    Args:
        name: what is read, for the reason if it fails for `PATIENCE_S`.
        every_s: pause between two polls.
    """

    def __init__(
        self,
        condition: Condition,
        *,
        name: str,
        every_s: float = ASK_EVERY_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._condition = condition
        self._name = name
        self._every_s = every_s
        self._clock = clock
        self._answered = clock()
        self._reason: str | None = None
        self._problem: Exception | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask_on, name=f"watch {name}", daemon=True)

    def reason(self) -> str | None:
        """Return the last result, or a reason if there has been none for too long."""
        if self._reason is None and self._clock() - self._answered > PATIENCE_S:
            why = f" ({self._problem})" if self._problem else ""
            return f"{self._name} could not be read for {PATIENCE_S:g} s{why}"
        return self._reason

    def ask(self) -> None:
        """Poll once; an error is not a result."""
        try:
            self._reason = self._condition()
        except Exception as err:  # noqa: BLE001 - polling must continue after any error; without a result the load ends
            self._problem = err
            log.warning("%s cannot be read: %s", self._name, err)
        else:
            self._answered, self._problem = self._clock(), None

    def _ask_on(self) -> None:
        while self._reason is None and not self._over.is_set():
            self.ask()
            self._over.wait(self._every_s)

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Poll until the end of the block."""
        self._thread.start()
        try:
            yield
        finally:
            self._over.set()


@contextmanager
def watching(
    listener: ProgressListener, *, limits: LoadLimits, conditions: Sequence[Condition], inquiries: Sequence[Inquiry]
) -> Iterator[Watch]:
    """Provide a watch whose inquiries are polled until the end of the block."""
    with ExitStack() as asking:
        for inquiry in inquiries:
            asking.enter_context(inquiry.asking())
        yield Watch(listener, limits=limits, conditions=[*conditions, *(inquiry.reason for inquiry in inquiries)])
