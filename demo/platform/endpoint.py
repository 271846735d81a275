"""The endpoints of a service: method, path and handler."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from demo.platform.responses import JsonResponse

Clock = Callable[[], float]
"""Returns the present in seconds since 1970-01-01 UTC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiEndpoint:
    """One endpoint of a service's API.

    Attributes:
        method: GET or POST.
        path: absolute; its last segment may be a parameter, such as ``/api/v1/orders/{client_order_id}``.
        handler: coroutine function whose annotated parameters FastAPI fills in.
    """

    method: str
    path: str
    handler: Callable[..., Awaitable[JsonResponse]]


EndpointKey = tuple[str, str]
"""Method and path of an endpoint."""

T = TypeVar("T")


class ByPath(Generic[T]):
    """What belongs to each endpoint, found by the method and path of a request.

    Args:
        values: by the method and path of their endpoints.
    """

    def __init__(self, values: Mapping[EndpointKey, T]) -> None:
        self._values = values
        self._of_prefix = {
            (method, path.rpartition("/")[0]): value for (method, path), value in values.items() if parameter_of(path)
        }

    def get(self, method: str, path: str) -> T | None:
        """Return what belongs to a request; ``None`` if it is for no endpoint."""
        found = self._values.get((method, path))
        if found is None and self._of_prefix:
            prefix, _, last = path.rpartition("/")
            found = self._of_prefix.get((method, prefix)) if last else None
        return found


def parameter_of(path: str) -> str | None:
    """Return the name of the parameter at the end of a path; ``None`` without one."""
    last = path.rpartition("/")[2]
    return last[1:-1] if last.startswith("{") and last.endswith("}") else None


ServiceFactory = Callable[[Clock], Sequence[ApiEndpoint]]
"""Builds the endpoints of a service, and their state, around a clock."""
