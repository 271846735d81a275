"""The plugin's registration: cheap to import in every process; the app is built with its first request."""

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from bellwether.web.mounted import App, LazyApp, external_views, fastapi_apps


def test_the_app_is_built_once() -> None:
    """Concurrent first requests wait for the same app."""
    built: list[str] = []
    requested: list[str] = []

    async def app(scope: Any, receive: Callable[..., Awaitable[Any]], send: Callable[..., Awaitable[Any]]) -> None:
        requested.append(scope["path"])

    def build() -> App:
        built.append("app")
        return app

    lazy = LazyApp(build)
    assert built == []

    async def nothing(*_: Any) -> None:
        return

    async def request_five() -> None:
        await asyncio.gather(*(lazy({"path": f"/{number}"}, nothing, nothing) for number in range(5)))

    asyncio.run(request_five())
    assert built == ["app"]
    assert sorted(requested) == ["/0", "/1", "/2", "/3", "/4"]


def test_the_plugin_imports_no_web_framework() -> None:
    """A task process loads neither FastAPI nor templates for it."""
    code = (
        "import sys, bellwether.web.mounted as m; m.fastapi_apps(); m.external_views();"
        "print([name for name in ('fastapi', 'jinja2.environment', 'numpy', 'include.perf.pages.rendering') "
        "if name in sys.modules and name not in before])"
    )
    before = "import sys, airflow.sdk, airflow.configuration; before = set(sys.modules);"
    path = "import sys; sys.path[:0] = ['.', 'plugins'];"
    finished = subprocess.run(
        [sys.executable, "-c", path + before + code], capture_output=True, text=True, check=True, timeout=120
    )
    assert finished.stdout.splitlines()[-1] == "[]"


def test_the_navigation_entry_and_the_dag_run_tab() -> None:
    """Both are registered, with different routes in Airflow's UI."""
    views = {view["destination"]: view for view in external_views()}
    assert views["nav"]["href"].endswith("/bellwether/")
    assert views["dag_run"]["href"].endswith("/bellwether/dag-runs/{DAG_ID}/{RUN_ID}")
    assert len({view["url_route"] for view in views.values()}) == 2
    (app,) = fastapi_apps()
    assert app["url_prefix"] == "/bellwether"
