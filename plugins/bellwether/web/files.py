"""Files: those of a run that may be had, its charts, and our styles and scripts. Nothing else is ever given out."""

import re
from collections.abc import Iterator

from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse

from bellwether.web.answers import addresses_of, site_of, visitor_of
from bellwether.web.site import NotThere
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
"""An SVG that is opened by itself draws, and does nothing else."""

KEPT = "private, max-age=31536000, immutable"
ASKED_AGAIN = "private, no-cache"


def image_source(request: Request, entry: RunEntry) -> ImageSource:
    """Return where a run's report finds its charts."""
    addresses, there = addresses_of(request), site_of(request).store.names(entry.uri)

    def address(path: str) -> str | None:
        return addresses.run(entry, *path.split("/")) if path in there else None

    return address


@router.get("/runs/{service}/{scenario}/{run_id}/files/{name}")
def send_file(request: Request, service: str, scenario: str, run_id: str, name: str) -> Response:
    """Send one of a run's files, to be kept: none of them is shown as a page of this site."""
    if name not in FILES:
        raise NotThere(f"there is no file of that name; there are {', '.join(FILES)}")
    content = _content(request, _run(request, service, scenario, run_id), name)
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(content, media_type="application/octet-stream", headers=headers)


@router.get("/runs/{service}/{scenario}/{run_id}/charts/{name}")
def send_chart(request: Request, service: str, scenario: str, run_id: str, name: str) -> Response:
    """Send one of a run's charts."""
    found = CHART.match(name)
    if found is None:
        raise NotThere("there is no chart of that name")
    content = _content(request, _run(request, service, scenario, run_id), f"{CHARTS_FOLDER}/{name}")
    headers = {"Content-Security-Policy": CHART_POLICY, "Cache-Control": "private, max-age=3600"}
    return StreamingResponse(content, media_type=CHART_TYPES[found[2]], headers=headers)


def _run(request: Request, service: str, scenario: str, run_id: str) -> RunEntry:
    site, visitor = site_of(request), visitor_of(request)
    return site.run(visitor, run_id, cell=site.cell(visitor, service, scenario))


def _content(request: Request, entry: RunEntry, path: str) -> Iterator[bytes]:
    """Return what is in a file of a run, part by part.

    Raises:
        NotThere: there is no such file.
    """
    store = site_of(request).store
    if path not in store.names(entry.uri):
        raise NotThere(f"run {entry.run_id} has no {path}; raw requests are kept for some weeks only")
    return _parts(store, entry, path)


def _parts(store: ResultsStore, entry: RunEntry, path: str) -> Iterator[bytes]:
    with store.opened(entry.uri, path) as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


@router.get("/static/{name}")
def send_static(request: Request, name: str) -> Response:
    """Send a style sheet or a script."""
    try:
        content, media_type = static_files()[name]
    except KeyError:
        raise NotThere("there is no style sheet or script of that name") from None
    is_current = request.query_params.get("v") == static_version()
    return Response(content, media_type=media_type, headers={"Cache-Control": KEPT if is_current else ASKED_AGAIN})
