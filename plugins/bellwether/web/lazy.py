"""What Airflow mounts: an app that is made when somebody first asks for it.

Airflow loads plugins in every process, each task's among them; none but the API server needs FastAPI, templates and
adapters, so nothing is imported for them here.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Channel = Callable[..., Awaitable[Any]]
App = Callable[[Scope, Channel, Channel], Awaitable[None]]


class LazyApp:
    """An ASGI app that is made with its first request.

    Args:
        make: returns the app; called once.
    """

    def __init__(self, make: Callable[[], App]) -> None:
        self._make = make
        self._app: App | None = None
        self._making = threading.Lock()

    async def __call__(self, scope: Scope, receive: Channel, send: Channel) -> None:
        """Pass a request on."""
        app = self._app
        if app is None:
            app = await asyncio.to_thread(self._made_once)
        await app(scope, receive, send)

    def _made_once(self) -> App:
        with self._making:
            if self._app is None:
                self._app = self._make()
            return self._app


def performance_app() -> App:
    """Return the app of the page "Performance"."""
    from bellwether.web.app import airflow_app

    return airflow_app()
