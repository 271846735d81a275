"""What goes out: pages, notices of what was done, and explanations of what was not."""

from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from itsdangerous import BadSignature, URLSafeTimedSerializer
from starlette.exceptions import HTTPException

from bellwether.web.access import Visitor, airflow_path
from bellwether.web.site import Site
from include.perf.model.errors import ConfigurationError
from include.perf.pages.addresses import Addresses
from include.perf.pages.rendering import Frame, MessagePage, no_image, render, static_version
from include.perf.reporting.html_page import ImageSource

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; object-src 'none'; form-action 'self'; frame-ancestors 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    # not no-referrer: with that, browsers hide from us where a form was sent from
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}

NOTICE_S = 60
"""So long a notice is shown when the page is loaded again."""

Handler = Callable[[Request, Exception], Awaitable[Response]]


def site_of(request: Request) -> Site:
    """Return what the pages are made from."""
    site: Site = request.app.state.site
    return site


def visitor_of(request: Request) -> Visitor:
    """Return who asks; nobody gets this far without a login."""
    visitor: Visitor = request.state.visitor
    return visitor


def addresses_of(request: Request) -> Addresses:
    """Return where the pages are, as browsers see it."""
    return Addresses(base=request.scope.get("root_path", ""), airflow=airflow_path(request))


def page_response(
    request: Request, template: str, page: object, *, image: ImageSource = no_image, status: int = 200
) -> Response:
    """Return a page."""
    visitor, site = visitor_of(request), site_of(request)
    frame = Frame(
        addresses=addresses_of(request),
        user=visitor.name,
        token=site.tokens.token_for(visitor.id),
        version=static_version(),
        notice=_notice(site, request.query_params.get("notice", "")),
    )
    return HTMLResponse(render(template, frame, page, image=image), status_code=status)


def done(request: Request, address: str, notice: str) -> Response:
    """Lead on to a page that says what was done; to load it again does nothing twice."""
    signed = _notices(site_of(request)).dumps(notice)
    return RedirectResponse(f"{address}{'&' if '?' in address else '?'}notice={signed}", status_code=303)


def explained(status: int, title: str) -> Handler:
    """Return what answers an error: a page that says what is wrong."""

    async def answer(request: Request, err: Exception) -> Response:
        page = MessagePage(title=title, lines=_said(err), back=_back(request))
        return page_response(request, "message", page, status=status)

    return answer


def _said(err: Exception) -> tuple[str, ...]:
    match err:
        case ConfigurationError():
            return err.problems
        case RequestValidationError():
            return tuple(f"{each['loc'][-1]}: {each['msg']}" for each in err.errors())
        case HTTPException():
            return (str(err.detail),)
        case _:
            return (str(err),)


def _back(request: Request) -> str:
    """Return the page that a form was on, if it is one of ours."""
    referrer, base = urlsplit(request.headers.get("referer", "")), addresses_of(request).base
    is_ours = referrer.netloc == request.headers.get("host") and referrer.path.startswith(f"{base}/")
    return referrer.path if is_ours else ""


def _notices(site: Site) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(site.tokens.secret, salt="bellwether-notice")


def _notice(site: Site, signed: str) -> str:
    """Return the notice in an address; one that we did not write says nothing."""
    try:
        return str(_notices(site).loads(signed, max_age=NOTICE_S)) if signed else ""
    except BadSignature:
        return ""
