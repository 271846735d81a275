"""Routes that run in threads of their own: a bounded number, a bounded queue, and a bounded wait.

FastAPI would run them in the pool of threads that it shares with Airflow's own API.
"""

import inspect
import threading
from collections.abc import Awaitable, Callable, Hashable
from concurrent.futures import Future
from typing import Any

from fastapi import Request
from fastapi.responses import Response
from fastapi.routing import APIRoute

from bellwether.web.access import Visitor
from bellwether.web.guarded import SourceGuards
from bellwether.web.lanes import Busy, CallOverdue, Lane, result_of
from bellwether.web.site import NotFound
from bellwether.web.sources import Freshness
from include.perf.model.errors import StoreError

PAGE_WAIT_S = 15.0
"""How long a request for a page may wait, for a thread and for the page."""

CHANGE_WAIT_S = 30.0

Endpoint = Callable[..., Response]


class Overloaded(StoreError):
    """Too many requests wait already; nothing was done."""

    def __init__(self) -> None:
        super().__init__("too many requests are waiting for their sources; nothing was done, so try again in a while")


class NotInOldState(StoreError):
    """Something is not in the last known state of a source that does not answer: it may exist nevertheless."""


class Late(StoreError):
    """The response did not become ready in time."""


class Isolation:
    """The threads of one app, and the sources that its pages read.

    Args:
        guard: guards the sources.
        unavailable: returns the page for a source that does not answer; called in a thread of ours, because many
            requests may need it at once.
    """

    def __init__(self, guard: SourceGuards, *, unavailable: Callable[[Request, StoreError], Response]) -> None:
        self.guard = guard
        self._unavailable = unavailable
        self.pages = Lane("pages", threads=2, queued=64)
        self.metrics = Lane("metrics", threads=1, queued=16)
        self.changes = Lane("changes", threads=2, queued=8)
        self.files = Lane("files", threads=2, queued=64)
        self.tokens = Lane("token", threads=1, queued=64)
        self._lock = threading.Lock()
        self._shared: dict[Hashable, Future[Response]] = {}

    async def page(self, lane: Lane, endpoint: Endpoint, values: dict[str, Any]) -> Response:
        """Return the response to a request that changes nothing; concurrent equal ones of a user share it.

        Raises:
            Overloaded, Late: there is none.
        """
        request: Request = values["request"]
        visitor: Visitor = request.state.visitor
        key = (visitor.id, request.url.path, request.url.query, request.headers.get("accept"))

        def answer() -> Response:
            try:
                return endpoint(**values)
            except StoreError as err:
                return self._unavailable(request, err)
            except NotFound as err:
                stale = request.state.freshness.stale
                if not stale:
                    raise
                return self._unavailable(request, NotInOldState(f"{err}; this is unknown now, because {stale[0].why}"))
            finally:
                with self._lock:
                    self._shared.pop(key, None)

        with self._lock:
            future = self._shared.get(key)
            if future is None:
                request.state.freshness = Freshness()
                request.state.site = self.guard.reading(request.state.freshness)
                try:
                    future = self._shared[key] = lane.submit(answer)
                except Busy as err:
                    raise Overloaded from err
        try:
            return await result_of(future, within_s=PAGE_WAIT_S)
        except TimeoutError as err:
            raise Late("this page did not become ready in time, so try again in a while") from err

    async def change(self, endpoint: Endpoint, values: dict[str, Any]) -> Response:
        """Return the response to a request that changes something.

        Raises:
            Overloaded: nothing was changed.
            Late: it is unknown whether something was changed.
        """
        try:
            return await self.changes.call(lambda: endpoint(**values), within_s=CHANGE_WAIT_S)
        except Busy as err:
            raise Overloaded from err
        except CallOverdue as err:
            if not err.has_begun:
                raise Overloaded from err
            raise Late(
                f"the store did not answer within {CHANGE_WAIT_S:g} s; it is unknown whether the change was made, so "
                "look before you make it again"
            ) from err


def isolation_of(request: Request) -> Isolation:
    """Return the threads of the app."""
    isolation: Isolation = request.app.state.isolation
    return isolation


class _IsolatedRoute(APIRoute):
    """A route whose function runs in threads of ours."""

    def __init__(self, path: str, endpoint: Endpoint, **options: Any) -> None:
        # FastAPI makes the routes of an included router again, from the function that they got
        is_isolated = inspect.iscoroutinefunction(endpoint)
        super().__init__(path, endpoint if is_isolated else self._isolated(endpoint), **options)

    def _isolated(self, endpoint: Endpoint) -> Callable[..., Awaitable[Response]]:
        """Return a function with the parameters of an endpoint, from which FastAPI reads what to pass."""

        async def run(request: Request, **values: Any) -> Response:
            return await self._run(isolation_of(request), endpoint, {"request": request, **values})

        run.__name__, run.__doc__ = endpoint.__name__, endpoint.__doc__
        run.__signature__ = inspect.signature(endpoint)  # type: ignore[attr-defined]
        return run

    async def _run(self, isolation: Isolation, endpoint: Endpoint, values: dict[str, Any]) -> Response:
        raise NotImplementedError


class PageRoute(_IsolatedRoute):
    """A route that changes nothing."""

    async def _run(self, isolation: Isolation, endpoint: Endpoint, values: dict[str, Any]) -> Response:
        return await isolation.page(isolation.pages, endpoint, values)


class MetricsRoute(_IsolatedRoute):
    """The route of the metrics; Prometheus does not wait for people."""

    async def _run(self, isolation: Isolation, endpoint: Endpoint, values: dict[str, Any]) -> Response:
        return await isolation.page(isolation.metrics, endpoint, values)


class ChangeRoute(_IsolatedRoute):
    """A route that changes something."""

    async def _run(self, isolation: Isolation, endpoint: Endpoint, values: dict[str, Any]) -> Response:
        return await isolation.change(endpoint, values)
