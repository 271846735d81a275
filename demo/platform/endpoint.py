"""What a service consists of: endpoints, each a method, a path and a handler."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from demo.platform.responses import JsonResponse

Clock = Callable[[], float]
"""Gives the present in seconds since 1970-01-01 UTC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiEndpoint:
    """One endpoint of a service's API.

    Attributes:
        method: GET or POST.
        path: absolute, without parameters.
        handler: coroutine function whose annotated parameters FastAPI fills in.
    """

    method: str
    path: str
    handler: Callable[..., Awaitable[JsonResponse]]


ServiceFactory = Callable[[Clock], Sequence[ApiEndpoint]]
"""Builds a service's endpoints around a clock, with state of their own where they keep any."""
