"""A wrapper that lets calls of an object hang until they are released."""

import threading
from collections.abc import Callable
from typing import Any

RELEASED_AFTER_S = 120.0
"""A call never hangs for longer, so that a failing test ends."""


class Hanging:
    """Passes every call on; those of methods that hang wait first.

    Args:
        inner: the real object.
        named: the name under which its methods are counted.

    Attributes:
        began: is set when a call hangs.
        hung: how many calls hang now.
    """

    def __init__(self, inner: Any, *, named: str) -> None:
        self._inner = inner
        self._named = named
        self._hanging: set[str] = set()
        self._released = threading.Event()
        self._lock = threading.Lock()
        self.began = threading.Event()
        self.hung = 0
        self.calls: list[str] = []

    def hang(self, *methods: str) -> None:
        """Let further calls of these methods hang."""
        self._released.clear()
        self.began.clear()
        self._hanging = set(methods)

    def release(self) -> None:
        """Let all calls continue, and further calls as well."""
        self._hanging = set()
        self._released.set()

    def __call__(self, *values: Any, **named: Any) -> Any:
        return self._passed_on("__call__", self._inner)(*values, **named)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        return self._passed_on(name, found) if callable(found) else found

    def _passed_on(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*values: Any, **named: Any) -> Any:
            self.calls.append(name)
            if name in self._hanging:
                self._wait()
            return method(*values, **named)

        return call

    def _wait(self) -> None:
        with self._lock:
            self.hung += 1
        self.began.set()
        self._released.wait(RELEASED_AFTER_S)
        with self._lock:
            self.hung -= 1
