"""The app on stores of its own, and viewers with different permissions."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from bellwether.web.access import NotLoggedIn, Visitor
from bellwether.web.answers import unavailable
from bellwether.web.app import build_app
from bellwether.web.csrf import Tokens
from bellwether.web.guarded import SourceGuards
from bellwether.web.isolation import Isolation
from bellwether.web.site import Site
from fastapi import FastAPI, Request
from starlette.applications import Starlette
from starlette.routing import Mount

from include.perf.adapters.files.alert_file import AlertFile
from include.perf.adapters.files.baseline_file import BaselineFile, CachedBaselines
from include.perf.adapters.files.folder_store import FolderStore
from include.perf.adapters.files.load_locks import LoadLocks
from include.perf.adapters.files.load_log import LoadLog
from include.perf.adapters.files.sqlite_index import SqliteIndex
from include.perf.catalogue.reading import load_catalogue
from include.perf.monitoring.cell_status import Sources
from include.perf.runs.record import RunRecord
from include.perf.runs.stage_files import StageFiles
from tests.catalogues import catalogue_folder
from tests.fakes.clock import FixedClock
from tests.perf.alert_words import message
from tests.records import START, run_record

HOST = "airflow.test"
BASE = "/deployed/bellwether"
PAGE = {"Accept": "text/html"}

READS: Mapping[str, tuple[str, ...]] = {
    "editor": ("calm", "storm"),
    "viewer": ("calm", "storm"),
    "half": ("calm",),
    "nobody": (),
}
"""The scenarios that a user may view."""
CHANGES: Mapping[str, tuple[str, ...]] = {"editor": ("calm", "storm"), "half": ("calm",)}
"""The scenarios that a user may change."""


async def authenticate(request: Request) -> Visitor:
    """Return the user whose name is in the header."""
    name = request.headers.get("x-user", "")
    if name not in READS:
        raise NotLoggedIn
    return Visitor(
        id=f"id of {name}",
        name=name,
        may_read=READS[name].__contains__,
        may_trigger=CHANGES.get(name, ()).__contains__,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Pages:
    """The app as a test sees it.

    Attributes:
        app: the app itself.
        outer: the app with the mount around it.
        tokens: Prometheus' token under ``metrics``, once it is set.
    """

    app: FastAPI
    site: Site
    outer: Starlette
    store: FolderStore
    clock: FixedClock
    tokens: dict[str, str]

    def use(self, **changes: Any) -> None:
        """Replace data sources."""
        self.app.state.isolation = Isolation(
            SourceGuards(replace(self.app.state.isolation.guard.site, **changes)), unavailable=unavailable
        )

    def request(self, method: str, path: str, *, user: str | None = "editor", **options: Any) -> httpx.Response:
        """Send a request to a path below the pages; redirects are not followed."""
        headers = {**PAGE, **({"X-User": user} if user else {}), **options.pop("headers", {})}

        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.outer, root_path="/deployed")
            async with httpx.AsyncClient(transport=transport, base_url=f"http://{HOST}") as client:
                return await client.request(method, f"{BASE}{path}", headers=headers, **options)

        return asyncio.run(send())

    def get(self, path: str, *, user: str | None = "editor", **options: Any) -> httpx.Response:
        """Request a page."""
        return self.request("GET", path, user=user, **options)

    def post(self, path: str, *, user: str = "editor", **fields: str) -> httpx.Response:
        """Send one of our forms."""
        token = self.site.tokens.token_for(f"id of {user}")
        return self.request("POST", path, user=user, data={"csrf_token": token, **fields})

    def add_run(self, **changes: Any) -> RunRecord:
        """Store the record of a run, by default of the engine under calm."""
        record = run_record(**{"service": "engine", "scenario": "calm", "run_id": "run-1", **changes})
        uri = self.store.create(service=record.service, scenario=record.scenario, run_id=record.run_id)
        StageFiles(self.store, uri).record.write(record)
        self.clock.now += timedelta(seconds=2)  # the index syncs at most once a second
        return record


@pytest.fixture
def pages(tmp_path: Path) -> Pages:
    """The app on a small catalogue without runs: two services, calm for both and storm for the engine."""
    (tmp_path / "catalogue").mkdir()
    folder = catalogue_folder(tmp_path / "catalogue")
    clock = FixedClock(START + timedelta(days=1))
    tokens: dict[str, str] = {}
    store = FolderStore(str(tmp_path / "results"))
    metrics = Sources(
        catalogue=lambda: load_catalogue(folder),
        index=SqliteIndex(tmp_path / "index.sqlite", store=store, clock=clock),
        baselines=CachedBaselines(BaselineFile(tmp_path / "baselines.json")),
        alerts=AlertFile(tmp_path / "alerts.json"),
        loads=LoadLog(tmp_path / "load-log", locks=LoadLocks(tmp_path / "locks")),
        limits=lambda: None,
        clock=clock,
    )
    site = Site(
        catalogue=metrics.catalogue,
        store=store,
        index=metrics.index,
        baselines=metrics.baselines,
        alerts=metrics.alerts,
        acknowledged=lambda silence: message(f"{silence.by} knows: {silence.reason}"),
        clock=clock,
        authenticate=authenticate,
        tokens=Tokens(secret="secret"),
        metrics=metrics,
        metrics_token=lambda: tokens.get("metrics"),
    )
    app = build_app(site)
    outer = Starlette(routes=[Mount("/bellwether", app)])
    return Pages(app=app, site=site, outer=outer, store=store, clock=clock, tokens=tokens)
