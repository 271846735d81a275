"""Renews the tokens of a running load, and ends the load when that fails."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from include.perf.load.generator import LoadWatch, Progress
from include.perf.load.tokens import TokenPool
from include.perf.model.errors import BellwetherError


class TokenRenewal:
    """Renews the tokens of a running load in a thread.

    Args:
        publish: receives all header values when one is new; never called after the end of the block.
    """

    def __init__(self, pool: TokenPool, publish: Callable[[Sequence[str]], None]) -> None:
        self._pool = pool
        self._publish = publish
        self._publishing = threading.Lock()
        self._over = threading.Event()
        self._problem: str | None = None
        self._thread = threading.Thread(target=self._renew_on, name="renew tokens", daemon=True)

    def problem(self) -> str | None:
        """Return why a request may have no valid token, or ``None``."""
        if self._problem is None and self._pool.has_expired:
            return expired(self._pool.problem or "its login still waits for an answer")
        return self._problem

    @contextmanager
    def running(self) -> Iterator[None]:
        """Publish the tokens, and renew them until the end of the block.

        The end does not wait for a login: the thread ends after it.

        Raises:
            TargetError, HostRefused, ConfigurationError: a token has expired and could not be renewed.
        """
        self._pool.renew()
        self._publish(self._pool.values)
        self._thread.start()
        try:
            yield
        finally:
            with self._publishing:
                self._over.set()

    def _renew_on(self) -> None:
        while not self._over.wait(self._pool.wait_s):
            try:
                is_new = self._pool.renew()
            except BellwetherError as err:
                self._problem = expired(str(err))
                return
            except Exception as err:  # noqa: BLE001 - the load must end; the text of an unknown error may hold a secret
                self._problem = f"the tokens could not be renewed because of an unexpected {type(err).__name__}"
                return
            with self._publishing:
                if is_new and not self._over.is_set():
                    self._publish(self._pool.values)


def expired(reason: str) -> str:
    """Return why a load without a valid token ends."""
    return f"a token has expired and could not be renewed: {reason}"


class TokenWatch:
    """Watches a load and its tokens.

    Args:
        problem: returns why a request may have no valid token, or ``None``.
    """

    def __init__(self, watch: LoadWatch, problem: Callable[[], str | None]) -> None:
        self.take_in: Callable[[Progress], None] = watch.take_in
        self._watch = watch
        self._problem = problem

    def reason_to_stop(self) -> str | None:
        """Return why the load must stop now, or ``None``."""
        return self._problem() or self._watch.reason_to_stop()
