"""The endpoints of a service: method, path and handler."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from demo.platform.responses import JsonResponse

Clock = Callable[[], float]
"""Returns the present in seconds since 1970-01-01 UTC."""


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
"""Builds the endpoints of a service, and their state, around a clock."""
