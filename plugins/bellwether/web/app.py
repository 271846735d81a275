"""The FastAPI app of the page "Performance"; it answers only authenticated requests."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from urllib.parse import urlsplit

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response

from bellwether.timed_cache import TimedCache
from bellwether.web import changes, exposition, files, views
from bellwether.web.access import Forbidden, NotLoggedIn, airflow_visitor, login_address
from bellwether.web.answers import (
    RETRY_AFTER_S,
    SECURITY_HEADERS,
    briefly_unavailable,
    error_page,
    site_of,
    unavailable,
)
from bellwether.web.csrf import ForgedRequest, Tokens
from bellwether.web.guarded import SourceGuards
from bellwether.web.isolation import Isolation, Overloaded
from bellwether.web.limits import BoundedBody
from bellwether.web.site import InvalidChoice, NotFound, Site
from include.perf.model.errors import BellwetherError, ConfigurationError, StoreError
from include.perf.pages.rendering import static_files

CATALOGUE_CACHED_S = 5.0
"""How long pages may show the previous catalogue after an edit."""

TOKEN_CACHED_S = 30.0
"""How long the previous token of Prometheus stays valid after a change; guesses then cost no database queries."""

Next = Callable[[Request], Awaitable[Response]]


def build_app(site: Site) -> FastAPI:
    """Build the app on the given data sources."""
    app = FastAPI(title="Bellwether", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.isolation = Isolation(SourceGuards(site), unavailable=unavailable)
    static_files()  # read them once, before there are requests
    for router in (views.router, files.router, changes.router, exposition.router):
        app.include_router(router)
    app.add_exception_handler(NotFound, error_page(404, "Not found"))
    app.add_exception_handler(InvalidChoice, error_page(404, "Nothing to compare"))
    app.add_exception_handler(404, error_page(404, "Not found"))
    app.add_exception_handler(Forbidden, error_page(403, "Not allowed"))
    app.add_exception_handler(ForgedRequest, error_page(403, "Change rejected"))
    app.add_exception_handler(ConfigurationError, error_page(409, "Request failed"))
    app.add_exception_handler(413, error_page(413, "Too long"))
    app.add_exception_handler(RequestValidationError, error_page(422, "Invalid input"))
    app.add_exception_handler(Overloaded, briefly_unavailable)
    app.add_exception_handler(StoreError, error_page(503, "Storage unavailable"))
    app.add_exception_handler(BellwetherError, error_page(500, "Request failed"))
    app.add_middleware(BoundedBody)
    app.middleware("http")(_authenticated)
    return app


async def _authenticated(request: Request, answer: Next) -> Response:
    """Refuse every request without a login, and add the security headers to every response."""
    try:
        response = await _answered(request, answer)
    except StoreError as err:  # the token of the metrics cannot be read
        headers = {"Retry-After": str(RETRY_AFTER_S)}
        response = JSONResponse({"detail": str(err)}, status_code=503, headers=headers)
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    return response


async def _answered(request: Request, answer: Next) -> Response:
    try:
        request.state.visitor = await exposition.scraper_of(request) or await site_of(request).authenticate(request)
    except NotLoggedIn:
        return await _refused(request)
    return await answer(request)


async def _refused(request: Request) -> Response:
    """Redirect browsers to Airflow's login; answer programs with 401, or with how to open the metrics."""
    if request.method in ("GET", "HEAD") and "text/html" in request.headers.get("accept", ""):
        return RedirectResponse(login_address(request), status_code=302)
    if await exposition.is_closed(request):
        return JSONResponse({"detail": exposition.HOW_TO_OPEN}, status_code=403)
    return JSONResponse({"detail": "Not authenticated"}, status_code=401)


def airflow_app() -> FastAPI:
    """Build the app on this Airflow's configuration and on the stores that the environment names."""
    from airflow.api_fastapi.auth.tokens import get_signing_key
    from airflow.configuration import conf

    from bellwether.wiring import metrics_token, storage
    from include.perf.adapters.files.baseline_file import CachedBaselines
    from include.perf.adapters.wiring.environment import metrics_sources
    from include.perf.alerts.slack_messages import acknowledged
    from include.perf.model.patience import ONCE

    public_host = urlsplit(conf.get("api", "base_url", fallback="")).netloc
    stores = replace(storage(), patience=ONCE)
    sources, baselines = metrics_sources(stores), CachedBaselines(stores.baselines())
    catalogue = TimedCache(sources.catalogue, for_s=CATALOGUE_CACHED_S)
    metrics = replace(sources, catalogue=catalogue, baselines=baselines)
    return build_app(
        Site(
            catalogue=catalogue,
            store=stores.results(),
            index=metrics.index,
            baselines=baselines,
            alerts=metrics.alerts,
            acknowledged=acknowledged,
            clock=metrics.clock,
            authenticate=airflow_visitor,
            metrics=metrics,
            metrics_token=TimedCache(metrics_token, for_s=TOKEN_CACHED_S),
            tokens=Tokens(secret=get_signing_key("api", "secret_key"), hosts=frozenset({public_host} - {""})),
        )
    )
