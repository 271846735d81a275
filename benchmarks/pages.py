"""The views of the page "Performance" over synthetic years, requested like a browser does but without a network.

The measured time covers everything that the app does for a view: access checks, index, stores, HTML. Airflow's login
checks and its compression come on top.
"""

import asyncio
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import httpx
from fastapi import FastAPI, Request

from include.perf.adapters.files.alert_file import AlertFile
from include.perf.adapters.files.baseline_file import BaselineFile, CachedBaselines
from include.perf.adapters.files.folder_store import FolderStore
from include.perf.adapters.files.load_locks import LoadLocks
from include.perf.adapters.files.load_log import LoadLog
from include.perf.adapters.files.sqlite_index import SqliteIndex
from include.perf.alerts.slack_messages import acknowledged
from include.perf.catalogue.reading import load_catalogue
from include.perf.model.cell import CellName
from include.perf.monitoring.cell_status import Sources

# Airflow does the same with the folder of plugins.
sys.path.append(str(Path(__file__).parents[1] / "plugins"))

from bellwether.timed_cache import TimedCache
from bellwether.web.access import Visitor
from bellwether.web.app import CATALOGUE_CACHED_S, build_app
from bellwether.web.csrf import Tokens
from bellwether.web.site import Site


def views(
    folder: Path, *, store: FolderStore, index: SqliteIndex, cell: CellName
) -> Iterator[tuple[str, Callable[[], int]]]:
    """Yield the views by name; the first view of a server also reads the baselines."""
    app = _app(folder, store=store, index=index)
    of_cell = f"cells/{cell.service}/{cell.scenario}"
    last, before = (entry.run_id for entry in index.history(cell)[-1:-3:-1])
    pages = {
        "page: matrix": "",
        "page: history of a cell, a quarter": of_cell,
        "page: history of a cell, all": f"{of_cell}?range=all",
        "page: a run": f"runs/{cell.service}/{cell.scenario}/{last}",
        "page: two runs": f"compare?run={before}&run={last}",
        "page: baselines": "baselines",
        "metrics for Prometheus": "metrics",
    }
    for name, path in pages.items():
        yield name, partial(_size_of, app, path)


def _app(folder: Path, *, store: FolderStore, index: SqliteIndex) -> FastAPI:
    metrics = Sources(
        catalogue=TimedCache(load_catalogue, for_s=CATALOGUE_CACHED_S),
        index=index,
        baselines=CachedBaselines(BaselineFile(folder / "baselines.json")),
        alerts=AlertFile(folder / "alerts.json"),
        loads=LoadLog(folder / "loads", locks=LoadLocks(folder / "locks")),
        limits=lambda: None,
        clock=lambda: datetime.now(UTC),
    )
    return build_app(
        Site(
            catalogue=metrics.catalogue,
            store=store,
            index=index,
            baselines=metrics.baselines,
            alerts=metrics.alerts,
            acknowledged=acknowledged,
            clock=metrics.clock,
            authenticate=_anyone,
            tokens=Tokens(secret="benchmark"),  # noqa: S106 - nothing is protected here
            metrics=metrics,
            metrics_token=lambda: None,
        )
    )


async def _anyone(_: Request) -> Visitor:
    return Visitor(id="1", name="benchmark", may_read=lambda _: True, may_trigger=lambda _: True)


def _size_of(app: FastAPI, path: str) -> int:
    return asyncio.run(_get(app, path))


async def _get(app: FastAPI, path: str) -> int:
    """Return the size of a page in bytes."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://airflow") as client:
        answer = await client.get(f"/{path}", headers={"Accept": "text/html"})
        answer.raise_for_status()
        return len(answer.content)
