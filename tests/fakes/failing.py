"""Functions that fail on purpose."""

from collections.abc import Callable
from typing import Any


def raising(error: BaseException) -> Callable[..., Any]:
    """Return a function that raises, whatever it is called with."""

    def fail(*_: Any, **__: Any) -> Any:
        raise error

    return fail
