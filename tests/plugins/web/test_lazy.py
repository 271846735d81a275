"""What Airflow mounts: light for every process, whole with the first request."""

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from bellwether.web.lazy import App, LazyApp
from bellwether.web.mounted import external_views, fastapi_apps


def test_the_app_is_made_once() -> None:
    """Requests at once wait for one and the same."""
    made: list[str] = []
    asked: list[str] = []

    async def app(scope: Any, receive: Callable[..., Awaitable[Any]], send: Callable[..., Awaitable[Any]]) -> None:
        asked.append(scope["path"])

    def make() -> App:
        made.append("app")
        return app

    lazy = LazyApp(make)
    assert made == []

    async def nothing(*_: Any) -> None:
        return

    async def ask() -> None:
        await asyncio.gather(*(lazy({"path": f"/{number}"}, nothing, nothing) for number in range(5)))

    asyncio.run(ask())
    assert made == ["app"]
    assert sorted(asked) == ["/0", "/1", "/2", "/3", "/4"]


def test_the_plugin_is_light() -> None:
    """A task's process loads neither FastAPI nor templates for it."""
    code = (
        "import sys, bellwether.web.mounted as m; m.fastapi_apps(); m.external_views();"
        "print([name for name in ('fastapi', 'jinja2.environment', 'numpy', 'include.perf.pages.rendering') "
        "if name in sys.modules and name not in before])"
    )
    before = "import sys, airflow.sdk, airflow.configuration; before = set(sys.modules);"
    path = "import sys; sys.path[:0] = ['.', 'plugins'];"
    done = subprocess.run(
        [sys.executable, "-c", path + before + code], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_airflow_shows_an_entry_and_a_tab() -> None:
    """In the navigation, and at every run of a DAG; each has an address of its own in the UI."""
    views = {view["destination"]: view for view in external_views()}
    assert views["nav"]["href"].endswith("/bellwether/")
    assert views["dag_run"]["href"].endswith("/bellwether/dag-runs/{DAG_ID}/{RUN_ID}")
    assert len({view["url_route"] for view in views.values()}) == 2
    (app,) = fastapi_apps()
    assert app["url_prefix"] == "/bellwether"
