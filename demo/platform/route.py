"""A FastAPI route that passes the bytes of a request directly to pydantic, and a fast lookup of it.

FastAPI's own path to a handler (middleware, list of routes, one validation per field) costs more than most of the work
here. `DirectRoute` passes the query or the body to pydantic, and `Shortcut` finds the route by method and path. The
OpenAPI document and the format of errors are FastAPI's, as is everything that is not an endpoint of the API.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, get_type_hints
from urllib.parse import parse_qsl

from fastapi import HTTPException
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from demo.platform.endpoint import ByPath, parameter_of
from demo.platform.responses import JsonResponse

Handler = Callable[[Any], Awaitable[JsonResponse]]


class DirectRoute(APIRoute):
    """A route whose handler takes exactly one pydantic model: the query of a GET, otherwise the JSON body.

    A parameter at the end of the path is a field of the model as well; only a GET may have one.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **kwargs: Any) -> None:
        super().__init__(path, endpoint, **kwargs)
        model = request_model(endpoint)
        if "GET" in self.methods:
            self.app = _from_query(model, endpoint, parameter=parameter_of(path))
        else:
            self.app = _from_body(model, endpoint)


class Shortcut:
    """Sends a request to its direct route, and other requests to the application.

    Args:
        app: handles all other requests.
        routes: all routes of the application.
    """

    def __init__(self, app: ASGIApp, *, routes: Sequence[BaseRoute]) -> None:
        self._app = app
        direct = [route for route in routes if isinstance(route, DirectRoute)]
        self._direct = ByPath({(method, route.path): route.app for route in direct for method in route.methods})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        app = self._direct.get(scope["method"], scope["path"]) if scope["type"] == "http" else None
        await (app or self._app)(scope, receive, send)


def request_model(handler: Callable[..., Any]) -> type[BaseModel]:
    """Return the model that a handler takes.

    Raises:
        TypeError: the handler does not take exactly one pydantic model.
    """
    hints = {name: hint for name, hint in get_type_hints(handler).items() if name != "return"}
    models = [hint for hint in hints.values() if isinstance(hint, type) and issubclass(hint, BaseModel)]
    if len(hints) != 1 or len(models) != 1:
        raise TypeError(f"handler {handler!r} must take exactly one pydantic model, but takes {hints}")
    return models[0]


def _from_query(model: type[BaseModel], handler: Handler, *, parameter: str | None) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        if parameter is not None:
            query.append((parameter, scope["path"].rpartition("/")[2]))
        response = await _answer("query", handler, lambda: model.model_validate(dict(query)))
        await response(scope, receive, send)

    return app


def _from_body(model: type[BaseModel], handler: Handler) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        body, is_complete = b"", False
        while not is_complete:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            is_complete = not message.get("more_body", False)
        response = await _answer("body", handler, lambda: model.model_validate_json(body))
        await response(scope, receive, send)

    return app


async def _answer(place: str, handler: Handler, read: Callable[[], BaseModel]) -> JsonResponse:
    try:
        value = read()
    except ValidationError as err:
        return JsonResponse({"detail": _problems(place, err)}, status_code=422)
    try:
        return await handler(value)
    except HTTPException as err:
        return JsonResponse({"detail": err.detail}, status_code=err.status_code)


def _problems(place: str, err: ValidationError) -> list[dict[str, Any]]:
    """List the problems in the format of FastAPI's own 422."""
    # The context of our own validators holds the exception, which is not JSON; its text is in `msg`.
    problems = err.errors(include_url=False, include_context=False)
    found: list[dict[str, Any]] = [{**problem, "loc": (place, *problem["loc"])} for problem in problems]
    for problem in found:
        # an input that is not JSON may not be text either
        if problem["type"] == "json_invalid":
            del problem["input"]
    return found
