"""Two ASGI wrappers around a service's API: one measures requests, the other injects faults.

Both look up endpoints by method and path. Other requests, such as /metrics, pass unchanged and are not counted.
"""

import json
from collections.abc import Callable, Collection, Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from demo.platform.endpoint import ByPath, EndpointKey
from demo.platform.faults import PlatformFaults
from demo.platform.metrics import EndpointSeries

RECEIVED_AT = "bellwether.received_at_s"
"""Scope key: when the server read the request, on the clock of `Observation`."""

_FAULT_BODY = json.dumps({"detail": "injected fault: the service is set to fail this request"}).encode()
_FAULT_HEADERS = [(b"content-type", b"application/json"), (b"content-length", str(len(_FAULT_BODY)).encode())]


class Observation:
    """Counts and times API requests.

    A duration starts when the server read the request (if the server records that, otherwise when handling starts),
    and ends with the response. So it includes the wait behind other requests that the event loop read at the same time.

    Args:
        app: the wrapped application.
        series: of each endpoint.
        clock: monotonic seconds.
    """

    def __init__(
        self, app: ASGIApp, *, series: Mapping[EndpointKey, EndpointSeries], clock: Callable[[], float]
    ) -> None:
        self._app = app
        self._series = ByPath(series)
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request and record it."""
        series = self._series.get(*_key(scope))
        if series is None:
            await self._app(scope, receive, send)
            return
        started_s: float = scope.get(RECEIVED_AT) or self._clock()
        # The server responds with 500 to a request that fails before a response starts.
        status = 500

        async def observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, observed)
        finally:
            series.record(status=status, duration_s=self._clock() - started_s)


class FaultInjection:
    """Applies the active fault to API requests before the service sees them.

    Args:
        app: the wrapped application.
        endpoints: method and path of the requests that faults apply to.
        faults: the active fault.
    """

    def __init__(self, app: ASGIApp, *, endpoints: Collection[EndpointKey], faults: PlatformFaults) -> None:
        self._app = app
        self._endpoints = ByPath(dict.fromkeys(endpoints, True))
        self._faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Apply the active fault to a request, then handle it."""
        if self._endpoints.get(*_key(scope)) and await self._faults.strike():
            await send({"type": "http.response.start", "status": 503, "headers": _FAULT_HEADERS})
            await send({"type": "http.response.body", "body": _FAULT_BODY})
            return
        await self._app(scope, receive, send)


def _key(scope: Scope) -> EndpointKey:
    return (scope["method"], scope["path"]) if scope["type"] == "http" else ("", "")
