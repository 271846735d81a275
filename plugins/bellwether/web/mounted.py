"""What the plugin registers with Airflow: the app of the page "Performance", a navigation entry and a DAG run tab.

Airflow loads plugins in every process, including every task. Only the API server needs FastAPI, the templates and the
adapters, so this module imports none of them: the app is built when its first request arrives.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from bellwether.links import URL_PREFIX, pages_path

TITLE = "Performance"

Scope = MutableMapping[str, Any]
Channel = Callable[..., Awaitable[Any]]
App = Callable[[Scope, Channel, Channel], Awaitable[None]]


def fastapi_apps() -> list[dict[str, Any]]:
    """Return the app and the prefix that Airflow mounts it under."""
    return [{"app": LazyApp(performance_app), "url_prefix": URL_PREFIX, "name": TITLE}]


def external_views() -> list[dict[str, Any]]:
    """Return the pages that Airflow's UI embeds; their URLs start with the path that browsers reach Airflow under."""
    base = pages_path()
    shared = {
        "name": TITLE,
        "icon": f"{base}/static/icon.svg",
        "icon_dark_mode": f"{base}/static/icon-dark.svg",
    }
    return [
        {**shared, "href": f"{base}/", "destination": "nav", "nav_top_level": True, "url_route": "performance"},
        {
            **shared,
            "href": f"{base}/dag-runs/{{DAG_ID}}/{{RUN_ID}}",
            "destination": "dag_run",
            "url_route": "performance-of-run",
        },
    ]


class LazyApp:
    """An ASGI app that is built when its first request arrives.

    Args:
        build: returns the app; called once.
    """

    def __init__(self, build: Callable[[], App]) -> None:
        self._build = build
        self._app: App | None = None
        self._lock = threading.Lock()

    async def __call__(self, scope: Scope, receive: Channel, send: Channel) -> None:
        """Pass a request on to the app."""
        app = self._app
        if app is None:
            app = await asyncio.to_thread(self._build_once)
        await app(scope, receive, send)

    def _build_once(self) -> App:
        with self._lock:
            if self._app is None:
                self._app = self._build()
            return self._app


def performance_app() -> App:
    """Build the app of the page "Performance"."""
    from bellwether.web.app import airflow_app

    return airflow_app()
