"""The routes of files: a run's files and charts, and the static files. Nothing else is served."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from typing import IO

from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse

from bellwether.web.answers import addresses_of, site_of, visitor_of
from bellwether.web.isolation import Late, Overloaded, isolation_of
from bellwether.web.lanes import Busy, CallOverdue, Lane
from bellwether.web.site import NotFound
from bellwether.web.sources import Freshness
from include.perf.pages.rendering import static_files, static_version
from include.perf.pages.run_page import FILES
from include.perf.reporting.html_page import ImageSource
from include.perf.runs.results_store import CHARTS_FOLDER
from include.perf.runs.run_index import RunEntry

router = APIRouter()

CHUNK_BYTES = 256 * 1024
FILE_WAIT_S = 20.0
"""How long to wait for a file to open, and for each part of it."""
DOWNLOAD_S = 1800.0
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
async def send_file(request: Request, service: str, scenario: str, run_id: str, name: str) -> Response:
    """Send a file of a run as a download; none is shown as a page of this site."""
    if name not in FILES:
        raise NotFound(f"there is no such file; a run may have {', '.join(FILES)}")
    file = await _opened(request, Wanted(service=service, scenario=scenario, run_id=run_id, path=name))
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(file.chunks(), media_type="application/octet-stream", headers=headers)


@router.get("/runs/{service}/{scenario}/{run_id}/charts/{name}")
async def send_chart(request: Request, service: str, scenario: str, run_id: str, name: str) -> Response:
    """Send a chart of a run."""
    found = CHART.match(name)
    if found is None:
        raise NotFound("there is no such chart")
    path = f"{CHARTS_FOLDER}/{name}"
    file = await _opened(request, Wanted(service=service, scenario=scenario, run_id=run_id, path=path))
    headers = {"Content-Security-Policy": CHART_POLICY, "Cache-Control": "private, max-age=3600"}
    return StreamingResponse(file.chunks(), media_type=CHART_TYPES[found[2]], headers=headers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The file of a run that a request names."""

    service: str
    scenario: str
    run_id: str
    path: str


class OpenFile:
    """A file that is being sent. It is read in the threads of files, and holds none while its reader is slow."""

    def __init__(self, opening: AbstractContextManager[IO[bytes]], lane: Lane) -> None:
        self._opening = opening
        self._lane = lane
        self._file = opening.__enter__()

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the content in parts; the connection breaks off if the store stops answering."""
        try:
            async with asyncio.timeout(DOWNLOAD_S):
                while chunk := await self._lane.call(self._next, within_s=FILE_WAIT_S):
                    yield chunk
        finally:
            with suppress(Busy):  # then it is closed when nothing refers to it any more
                self._lane.submit(self._close)

    def _next(self) -> bytes:
        return self._file.read(CHUNK_BYTES)

    def _close(self) -> None:
        self._opening.__exit__(None, None, None)


async def _opened(request: Request, wanted: Wanted) -> OpenFile:
    """Open a file of a run.

    Raises:
        NotFound: there is no such file, or the viewer may not see it.
        Overloaded, Late: the store does not answer in time.
    """
    isolation = isolation_of(request)
    request.state.freshness = Freshness()
    request.state.site = isolation.guard.reading(request.state.freshness)
    try:
        return await isolation.files.call(lambda: _open(request, wanted, isolation.files), within_s=FILE_WAIT_S)
    except Busy as err:
        raise Overloaded from err
    except CallOverdue as err:
        raise Late("the results store does not answer, so try again in a while") from err


def _open(request: Request, wanted: Wanted, lane: Lane) -> OpenFile:
    site, visitor = site_of(request), visitor_of(request)
    entry = site.run(visitor, wanted.run_id, cell=site.cell(visitor, wanted.service, wanted.scenario))
    if wanted.path not in site.store.names(entry.uri):
        raise NotFound(f"run {entry.run_id} has no {wanted.path}; raw requests are deleted after some weeks")
    return OpenFile(site.store.opened(entry.uri, wanted.path), lane)


@router.get("/static/{name}")
async def send_static(request: Request, name: str) -> Response:
    """Send a static file; all are in memory."""
    try:
        content, media_type = static_files()[name]
    except KeyError:
        raise NotFound("there is no such static file") from None
    is_current = request.query_params.get("v") == static_version()
    return Response(
        content, media_type=media_type, headers={"Cache-Control": CACHED_FOREVER if is_current else REVALIDATED}
    )
