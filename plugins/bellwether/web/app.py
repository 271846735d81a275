"""The app of the page "Performance": nothing is answered before Airflow knows who asks."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from urllib.parse import urlsplit

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response

from bellwether.timed_cache import TimedCache
from bellwether.web import changes, exposition, files, views
from bellwether.web.access import Forbidden, NotLoggedIn, airflow_door, login_address
from bellwether.web.answers import SECURITY_HEADERS, explained
from bellwether.web.csrf import Forged, Tokens
from bellwether.web.site import NotThere, Site
from include.perf.model.errors import BellwetherError, ConfigurationError, StoreError

CATALOGUE_KEPT_S = 5.0
"""So long after it was edited, pages may still show the catalogue as it was."""

TOKEN_KEPT_S = 30.0
"""So long after it was changed, Prometheus' token may still be the old one: whoever guesses keeps no database busy."""

Next = Callable[[Request], Awaitable[Response]]


def build_app(site: Site) -> FastAPI:
    """Return the app on what is outside of it."""
    app = FastAPI(title="Bellwether", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.site = site
    for router in (views.router, files.router, changes.router, exposition.router):
        app.include_router(router)
    app.add_exception_handler(NotThere, explained(404, "Not found"))
    app.add_exception_handler(404, explained(404, "Not found"))
    app.add_exception_handler(Forbidden, explained(403, "Not allowed"))
    app.add_exception_handler(Forged, explained(403, "Not done"))
    app.add_exception_handler(ConfigurationError, explained(409, "That did not work"))
    app.add_exception_handler(RequestValidationError, explained(422, "Not understood"))
    app.add_exception_handler(StoreError, explained(503, "Not to be had now"))
    app.add_exception_handler(BellwetherError, explained(500, "That did not work"))
    app.middleware("http")(_guarded)
    return app


async def _guarded(request: Request, answer: Next) -> Response:
    """Let nobody in who is not logged in, whatever they ask for, and say to browsers what pages may do."""
    try:
        request.state.visitor = await exposition.scraper_of(request) or await request.app.state.site.door(request)
    except NotLoggedIn:
        response = await _refused(request)
    else:
        response = await answer(request)
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    return response


async def _refused(request: Request) -> Response:
    """Send people to Airflow's login, which leads back; tell programs that they need one, or what is to be set up."""
    if request.method in ("GET", "HEAD") and "text/html" in request.headers.get("accept", ""):
        return RedirectResponse(login_address(request), status_code=302)
    if await exposition.is_closed(request):
        return JSONResponse({"detail": exposition.HOW_TO_LET_IN}, status_code=403)
    return JSONResponse({"detail": "Not authenticated"}, status_code=401)


def airflow_app() -> FastAPI:
    """Return the app on what this Airflow knows, and on the stores that the environment names."""
    from airflow.api_fastapi.auth.tokens import get_signing_key
    from airflow.configuration import conf

    from bellwether.wiring import metrics_token, storage
    from include.perf.adapters.files.baseline_file import CachedBaselines
    from include.perf.adapters.wiring.environment import metrics_sources
    from include.perf.alerts.slack_messages import acknowledged
    from include.perf.catalogue.reading import load_catalogue

    outside = urlsplit(conf.get("api", "base_url", fallback="")).netloc
    kept = storage()
    catalogue, baselines = TimedCache(load_catalogue, for_s=CATALOGUE_KEPT_S), CachedBaselines(kept.baselines())
    metrics = replace(metrics_sources(kept), catalogue=catalogue, baselines=baselines)
    return build_app(
        Site(
            catalogue=catalogue,
            store=kept.results(),
            index=metrics.index,
            baselines=baselines,
            alerts=metrics.alerts,
            acknowledged=acknowledged,
            clock=metrics.clock,
            door=airflow_door,
            metrics=metrics,
            metrics_token=TimedCache(metrics_token, for_s=TOKEN_KEPT_S),
            tokens=Tokens(secret=get_signing_key("api", "secret_key"), hosts=frozenset({outside} - {""})),
        )
    )
