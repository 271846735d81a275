"""Our own metrics, for Prometheus: it has a token instead of a login, which opens this route and nothing else."""

import hmac
from asyncio import to_thread

from fastapi import APIRouter, Request
from fastapi.responses import Response

from bellwether.web.access import Visitor
from bellwether.web.answers import site_of, visitor_of
from include.perf.monitoring.families import exposition_of

METRICS_PATH = "/metrics"
HOW_TO_LET_IN = (
    "there is no connection bellwether_metrics with a password; add one whose password is a long random token (Admin → "
    """Connections, or AIRFLOW_CONN_BELLWETHER_METRICS='{"conn_type": "http", "password": "…"}'), and give that """
    "token to Prometheus as authorization: {credentials_file: …}"
)

PROMETHEUS = Visitor(id="prometheus", name="Prometheus", may_read=lambda _: True, may_trigger=lambda _: False)

router = APIRouter()


@router.get(METRICS_PATH)
def show_metrics(request: Request) -> Response:
    """Show how every cell that may be seen stands, as Prometheus reads it."""
    standings = site_of(request).metrics.standings(may_read=visitor_of(request).may_read)
    shown = exposition_of(standings, accept=request.headers.get("accept", ""))
    return Response(shown.content, media_type=shown.content_type)


async def scraper_of(request: Request) -> Visitor | None:
    """Return Prometheus, when it is who asks: for its metrics, and with its token."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if not _is_for_metrics(request) or scheme.lower() != "bearer":
        return None
    token = await to_thread(site_of(request).metrics_token)
    is_right = token is not None and hmac.compare_digest(given.strip().encode(), token.encode())
    return PROMETHEUS if is_right else None


async def is_closed(request: Request) -> bool:
    """Return whether the metrics are asked for, and no token could open them."""
    return _is_for_metrics(request) and await to_thread(site_of(request).metrics_token) is None


def _is_for_metrics(request: Request) -> bool:
    return bool(request.scope["path"] == f"{request.scope.get('root_path', '')}{METRICS_PATH}")
