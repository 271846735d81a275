"""The routes of files: a run's files and charts, and the static files. Nothing else is served."""

import re
from collections.abc import Iterator

from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse

from bellwether.web.answers import addresses_of, site_of, visitor_of
from bellwether.web.site import NotFound
from include.perf.pages.rendering import static_files, static_version
from include.perf.pages.run_page import FILES
from include.perf.reporting.html_page import ImageSource
from include.perf.runs.results_store import CHARTS_FOLDER, ResultsStore
from include.perf.runs.run_index import RunEntry

router = APIRouter()

CHUNK_BYTES = 256 * 1024
CHART = re.compile(r"\A[a-z][a-z0-9_-]*(\.dark)?\.(png|svg)\Z")
CHART_TYPES = {"png": "image/png", "svg": "image/svg+xml"}
CHART_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'; sandbox"
"""An SVG opened in its own tab may draw, but not run scripts."""

CACHED_FOREVER = "private, max-age=31536000, immutable"
REVALIDATED = "private, no-cache"


def image_source(request: Request, entry: RunEntry) -> ImageSource:
    """Return the function that gives the URLs of a run's charts."""
    addresses, names = addresses_of(request), site_of(request).store.names(entry.uri)

    def address(path: str) -> str | None:
        return addresses.run(entry, *path.split("/")) if path in names else None

    return address


@router.get("/runs/{service}/{scenario}/{run_id}/files/{name}")
def send_file(request: Request, service: str, scenario: str, run_id: str, name: str) -> Response:
    """Send a file of a run as a download; none is shown as a page of this site."""
    if name not in FILES:
        raise NotFound(f"there is no such file; a run may have {', '.join(FILES)}")
    content = _content(request, _run(request, service, scenario, run_id), name)
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(content, media_type="application/octet-stream", headers=headers)


@router.get("/runs/{service}/{scenario}/{run_id}/charts/{name}")
def send_chart(request: Request, service: str, scenario: str, run_id: str, name: str) -> Response:
    """Send a chart of a run."""
    found = CHART.match(name)
    if found is None:
        raise NotFound("there is no such chart")
    content = _content(request, _run(request, service, scenario, run_id), f"{CHARTS_FOLDER}/{name}")
    headers = {"Content-Security-Policy": CHART_POLICY, "Cache-Control": "private, max-age=3600"}
    return StreamingResponse(content, media_type=CHART_TYPES[found[2]], headers=headers)


def _run(request: Request, service: str, scenario: str, run_id: str) -> RunEntry:
    site, visitor = site_of(request), visitor_of(request)
    return site.run(visitor, run_id, cell=site.cell(visitor, service, scenario))


def _content(request: Request, entry: RunEntry, path: str) -> Iterator[bytes]:
    """Return the content of a file of a run in chunks.

    Raises:
        NotFound: there is no such file.
    """
    store = site_of(request).store
    if path not in store.names(entry.uri):
        raise NotFound(f"run {entry.run_id} has no {path}; raw requests are deleted after some weeks")
    return _chunks(store, entry, path)


def _chunks(store: ResultsStore, entry: RunEntry, path: str) -> Iterator[bytes]:
    with store.opened(entry.uri, path) as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


@router.get("/static/{name}")
def send_static(request: Request, name: str) -> Response:
    """Send a static file."""
    try:
        content, media_type = static_files()[name]
    except KeyError:
        raise NotFound("there is no such static file") from None
    is_current = request.query_params.get("v") == static_version()
    return Response(
        content, media_type=media_type, headers={"Cache-Control": CACHED_FOREVER if is_current else REVALIDATED}
    )
