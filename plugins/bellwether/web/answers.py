"""Responses: pages, redirects with a notice after a change, and error pages."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from itsdangerous import BadSignature, URLSafeTimedSerializer
from starlette.exceptions import HTTPException

from bellwether.web.access import Visitor, airflow_path
from bellwether.web.isolation import isolation_of
from bellwether.web.site import Site
from bellwether.web.sources import Freshness
from include.perf.model.errors import ConfigurationError, StoreError
from include.perf.pages.addresses import Addresses
from include.perf.pages.freshness import stale_notices
from include.perf.pages.rendering import Frame, MessagePage, no_image, render, static_version
from include.perf.reporting.html_page import ImageSource

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; object-src 'none'; form-action 'self'; frame-ancestors 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    # with no-referrer, browsers would send "Origin: null" with our own forms
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}

NOTICE_S = 60
"""How long a notice stays valid when the page is reloaded."""

RETRY_AFTER_S = 5
"""When to try again if a page is not available."""

Handler = Callable[[Request, Exception], Awaitable[Response]]


def site_of(request: Request) -> Site:
    """Return the data sources; for a page they are guarded, see `bellwether.web.guarded`."""
    site: Site = getattr(request.state, "site", isolation_of(request).guard.site)
    return site


def freshness_of(request: Request) -> Freshness:
    """Return which sources of a page show their last known state."""
    freshness: Freshness = request.state.freshness
    return freshness


def visitor_of(request: Request) -> Visitor:
    """Return the viewer; requests without a login never get here."""
    visitor: Visitor = request.state.visitor
    return visitor


def addresses_of(request: Request) -> Addresses:
    """Return the URLs of the pages as browsers see them."""
    return Addresses(base=request.scope.get("root_path", ""), airflow=airflow_path(request))


def page_response(request: Request, template: str, page: object, *, image: ImageSource = no_image) -> Response:
    """Return a page as a response."""
    site = site_of(request)
    problems = _catalogue_problems(site, visitor_of(request))
    frame = replace(
        _frame(request),
        catalogue_problems=problems,
        stale=stale_notices(freshness_of(request).stale, now=site.clock()),
    )
    return HTMLResponse(render(template, frame, page, image=image))


def _frame(request: Request) -> Frame:
    """Return what surrounds a page, made without any source."""
    visitor, site = visitor_of(request), site_of(request)
    return Frame(
        addresses=addresses_of(request),
        user=visitor.name,
        token=site.tokens.token_for(visitor.id),
        version=static_version(),
        notice=_notice(site, request.query_params.get("notice", "")),
    )


def _catalogue_problems(site: Site, visitor: Visitor) -> tuple[str, ...]:
    """Return the problems of wrong entries for a viewer who may see every scenario; they quote the entries."""
    try:
        catalogue = site.catalogue()
    except ConfigurationError:  # a file is wrong as a whole: the page itself shows the problems
        return ()
    names = (*catalogue.scenarios, *catalogue.left_out_scenarios) if catalogue.problems else ()
    return catalogue.problems if all(visitor.may_read(name) for name in names) else ()


def done(request: Request, address: str, notice: str) -> Response:
    """Redirect to a page that shows a notice, so that a reload does not repeat the change."""
    signed = _notices(site_of(request)).dumps(notice)
    return RedirectResponse(f"{address}{'&' if '?' in address else '?'}notice={signed}", status_code=303)


def error_page(status: int, title: str) -> Handler:
    """Return an exception handler that shows the problems on a page. It runs in Airflow's loop, so it reads nothing."""

    async def answer(request: Request, err: Exception) -> Response:
        return _message_page(request, err, status=status, title=title)

    return answer


def unavailable(request: Request, err: StoreError) -> Response:
    """Return the page for a store that does not answer."""
    return _message_page(request, err, status=HTTPStatus.SERVICE_UNAVAILABLE, title="Storage unavailable")


async def briefly_unavailable(_: Request, err: Exception) -> Response:
    """Say in plain text that a request was not answered in time; cheap, because many requests may end like this."""
    return PlainTextResponse(f"{_sentence(str(err))}\n", status_code=503, headers={"Retry-After": str(RETRY_AFTER_S)})


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _message_page(request: Request, err: Exception, *, status: int, title: str) -> Response:
    headers = {"Retry-After": str(RETRY_AFTER_S)} if status == HTTPStatus.SERVICE_UNAVAILABLE else None
    page = MessagePage(title=title, lines=_messages(err), back=_back(request))
    return HTMLResponse(render("message", _frame(request), page), status_code=status, headers=headers)


def _messages(err: Exception) -> tuple[str, ...]:
    match err:
        case ConfigurationError():
            return err.problems
        case RequestValidationError():
            return tuple(_field_message(error) for error in err.errors())
        case HTTPException():
            return (str(err.detail),)
        case _:
            return (str(err),)


def _field_message(error: dict[str, Any]) -> str:
    """Return what is wrong with a form field or query parameter."""
    name, limits = error["loc"][-1], error.get("ctx", {})
    match error["type"]:
        case "float_parsing" | "int_parsing":
            return f"{name} must be a number, but is {error['input']!r}"
        case "string_too_long":
            return f"{name} must have at most {limits['max_length']} characters"
        case "greater_than_equal":
            return f"{name} must be at least {limits['ge']}, but is {error['input']}"
        case _:
            return f"{name}: {error['msg']}"


def _back(request: Request) -> str:
    """Return the path of the page that the form was on; empty for a page that is not ours."""
    referrer, base = urlsplit(request.headers.get("referer", "")), addresses_of(request).base
    is_ours = referrer.netloc == request.headers.get("host") and referrer.path.startswith(f"{base}/")
    return referrer.path if is_ours else ""


def _notices(site: Site) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(site.tokens.secret, salt="bellwether-notice")


def _notice(site: Site, signed: str) -> str:
    """Return the notice in a URL; empty where the signature is missing, wrong or expired."""
    try:
        return str(_notices(site).loads(signed, max_age=NOTICE_S)) if signed else ""
    except BadSignature:
        return ""
