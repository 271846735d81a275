"""Bellwether's own metrics. Prometheus scrapes them with a token that is valid for this route only."""

import hmac

from fastapi import APIRouter, Request
from fastapi.responses import Response

from bellwether.web.access import Visitor
from bellwether.web.answers import freshness_of, site_of, visitor_of
from bellwether.web.isolation import Late, MetricsRoute, Overloaded, isolation_of
from bellwether.web.lanes import Busy, CallOverdue
from include.perf.monitoring.families import exposition_of

METRICS_PATH = "/metrics"
TOKEN_WAIT_S = 5.0
HOW_TO_OPEN = (
    "there is no connection bellwether_metrics with a password; add one whose password is a long random token (Admin → "
    """Connections, or AIRFLOW_CONN_BELLWETHER_METRICS='{"conn_type": "http", "password": "…"}'), and give that """
    "token to Prometheus as authorization: {credentials_file: …}"
)

PROMETHEUS = Visitor(id="prometheus", name="Prometheus", may_read=lambda _: True, may_trigger=lambda _: False)

router = APIRouter(route_class=MetricsRoute)


@router.get(METRICS_PATH)
def show_metrics(request: Request) -> Response:
    """Show the metrics of all cells that the viewer may see, in a format of Prometheus."""
    site = site_of(request)
    statuses = site.metrics.statuses(may_read=visitor_of(request).may_read)
    as_of = freshness_of(request).as_of(site.clock())
    response = exposition_of(statuses, as_of=as_of, accept=request.headers.get("accept", ""))
    return Response(response.content, media_type=response.content_type)


async def scraper_of(request: Request) -> Visitor | None:
    """Return Prometheus as the visitor where a request for the metrics carries its token; otherwise ``None``."""
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    if not _is_for_metrics(request) or scheme.lower() != "bearer":
        return None
    token = await _token(request)
    is_valid = token is not None and hmac.compare_digest(credentials.strip().encode(), token.encode())
    return PROMETHEUS if is_valid else None


async def is_closed(request: Request) -> bool:
    """Return whether the request is for the metrics and no token is set."""
    return _is_for_metrics(request) and await _token(request) is None


async def _token(request: Request) -> str | None:
    """Return the token, which may come from a secrets backend.

    Raises:
        Overloaded, Late: it cannot be read in time.
    """
    read = site_of(request).metrics_token
    try:
        return await isolation_of(request).tokens.call(read, within_s=TOKEN_WAIT_S)
    except Busy as err:
        raise Overloaded from err
    except CallOverdue as err:
        raise Late("Airflow does not answer with the connection bellwether_metrics, so try again in a while") from err


def _is_for_metrics(request: Request) -> bool:
    return bool(request.scope["path"] == f"{request.scope.get('root_path', '')}{METRICS_PATH}")
