"""What the plugin registers with Airflow: the app of the page "Performance", a navigation entry and a DAG run tab.

Airflow loads plugins in every process, including every task. Only the API server needs FastAPI, the templates and the
adapters, so this module imports none of them: the app is built when its first request arrives.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import Future
from typing import Any

from bellwether.links import URL_PREFIX, pages_path
from bellwether.web.lanes import Lane, result_of

TITLE = "Performance"

BUILD_WAIT_S = 15.0
NOT_READY = "The page is being prepared: its stores do not answer yet. Try again in a while.\n"

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

    It is built in a thread of its own. Until it is ready, requests wait for a bounded time.

    Args:
        build: returns the app; called again only after it failed.
    """

    def __init__(self, build: Callable[[], App], *, wait_s: float = BUILD_WAIT_S) -> None:
        self._build = build
        self._wait_s = wait_s
        self._lane = Lane("start", threads=1, queued=1)
        self._building: Future[App] | None = None

    async def __call__(self, scope: Scope, receive: Channel, send: Channel) -> None:
        """Pass a request on to the app."""
        building = self._building
        if building is None or (building.done() and building.exception() is not None):
            building = self._building = self._lane.submit(self._build)
        try:
            app = building.result() if building.done() else await result_of(building, within_s=self._wait_s)
        except TimeoutError:
            await _answer_unavailable(send)
            return
        await app(scope, receive, send)


async def _answer_unavailable(send: Channel) -> None:
    """Answer with 503, without a web framework."""
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"retry-after", b"5")]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": NOT_READY.encode()})


def performance_app() -> App:
    """Build the app of the page "Performance"."""
    from bellwether.web.app import airflow_app

    return airflow_app()
