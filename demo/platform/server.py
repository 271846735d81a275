"""Runs a service in this process until it is told to stop."""

import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from demo.platform.middleware import RECEIVED_AT

_PARENT_POLL_S = 0.5
_SHUTDOWN_S = 3


class StampingProtocol(HttpToolsProtocol):
    """Notes when each request was read from its connection.

    The event loop reads all connections that are ready before it handles any request, so the time between
    is a wait that the handler itself cannot see.
    """

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self.scope[RECEIVED_AT] = time.perf_counter()  # type: ignore[literal-required]


class Stopped(SystemExit):
    """The process was told to stop; uncaught, it is a clean exit."""


def raise_on_stop_signals() -> None:
    """Make SIGTERM and SIGINT raise `Stopped` in the main thread.

    uvicorn has handlers of its own while it serves, and raises the signal again once it has shut down.
    """
    for wanted in (signal.SIGTERM, signal.SIGINT):
        signal.signal(wanted, _stop)


def serve(app: ASGIApp, *, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT, finish open requests for at most 3 s, and let the signal act then."""
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        loop="uvloop",
        http=StampingProtocol,
        lifespan="off",
        access_log=False,
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=_SHUTDOWN_S,
        timeout_keep_alive=75,
    )
    uvicorn.Server(config).run()


def exit_with_parent(
    *,
    parent: Callable[[], int] = os.getppid,
    stop: Callable[[], None] | None = None,
    poll_s: float = _PARENT_POLL_S,
) -> threading.Thread:
    """Stop this process, as SIGTERM would, once its parent has died.

    An orphan gets another parent, which polling sees on every system. Linux's parent-death signal would be
    sent as well when only the thread that started this process ends.

    Args:
        parent: gives the id of the present parent.
        stop: what to do then.
        poll_s: seconds between looks.
    """
    born_to = parent()

    def watch() -> None:
        while parent() == born_to:
            time.sleep(poll_s)
        (stop or _terminate)()

    thread = threading.Thread(target=watch, name="exit-with-parent", daemon=True)
    thread.start()
    return thread


def _terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def _stop(number: int, frame: Any) -> None:
    raise Stopped(0)
