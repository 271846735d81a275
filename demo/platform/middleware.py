"""The two wrappers around a service's API: one observes every request, one spoils it on demand.

Both are plain ASGI and look an endpoint up by (method, path); everything else, such as /metrics, passes
untouched and uncounted.
"""

import json
from collections.abc import Callable, Collection, Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from demo.platform.faults import PlatformFaults
from demo.platform.metrics import EndpointSeries

RECEIVED_AT = "bellwether.received_at_s"
"""Scope key: when the server read the request, on the clock of `Observation`."""

EndpointKey = tuple[str, str]
_FAULT_BODY = json.dumps({"detail": "injected fault: the service is set to fail this request"}).encode()
_FAULT_HEADERS = [(b"content-type", b"application/json"), (b"content-length", str(len(_FAULT_BODY)).encode())]


class Observation:
    """Counts and times API requests.

    The duration runs from the moment the server read the request, where it says so, and else from the
    start of its handling, to the end of the answer. So the wait behind other requests that were read in
    the same turn of the event loop is in it.

    Args:
        app: what answers.
        series: where each endpoint's figures go.
        clock: monotonic seconds.
    """

    def __init__(
        self, app: ASGIApp, *, series: Mapping[EndpointKey, EndpointSeries], clock: Callable[[], float]
    ) -> None:
        self._app = app
        self._series = series
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request and record it."""
        series = self._series.get(_key(scope))
        if series is None:
            await self._app(scope, receive, send)
            return
        started_s: float = scope.get(RECEIVED_AT) or self._clock()
        # What fails before an answer began is answered with 500 by the server.
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
        app: what answers.
        endpoints: (method, path) of the requests to spoil.
        faults: the fault knob.
    """

    def __init__(self, app: ASGIApp, *, endpoints: Collection[EndpointKey], faults: PlatformFaults) -> None:
        self._app = app
        self._endpoints = frozenset(endpoints)
        self._faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Delay, burn or refuse a request as the active fault says."""
        if _key(scope) in self._endpoints and await self._faults.strike():
            await send({"type": "http.response.start", "status": 503, "headers": _FAULT_HEADERS})
            await send({"type": "http.response.body", "body": _FAULT_BODY})
            return
        await self._app(scope, receive, send)


def _key(scope: Scope) -> EndpointKey:
    return (scope["method"], scope["path"]) if scope["type"] == "http" else ("", "")
