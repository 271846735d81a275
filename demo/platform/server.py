"""Runs a service in this process until a signal stops it."""

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
    """Records when each request was read from its connection.

    The event loop reads all ready connections before it handles any request. The handler cannot see the time between.
    """

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self.scope[RECEIVED_AT] = time.perf_counter()  # type: ignore[literal-required]


class Stopped(SystemExit):
    """A signal stopped the process; uncaught, it is a clean exit."""


def raise_on_stop_signals() -> None:
    """Make SIGTERM and SIGINT raise `Stopped` in the main thread.

    While uvicorn serves, it has its own handlers; after its shutdown it raises the signal again.
    """
    for wanted in (signal.SIGTERM, signal.SIGINT):
        signal.signal(wanted, _stop)


def serve(app: ASGIApp, *, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT, finish open requests for at most 3 s, then raise the signal again."""
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
    """Stop this process, as SIGTERM would, when its parent has ended.

    An orphan gets another parent, which polling detects on every system. Linux would send its parent-death signal
    already when the thread that started this process ends.

    Args:
        parent: returns the ID of the current parent.
        stop: called then; the default is SIGTERM.
        poll_s: seconds between polls.
    """
    first_parent = parent()

    def watch() -> None:
        while parent() == first_parent:
            time.sleep(poll_s)
        (stop or _terminate)()

    thread = threading.Thread(target=watch, name="exit-with-parent", daemon=True)
    thread.start()
    return thread


def _terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def _stop(number: int, frame: Any) -> None:
    raise Stopped(0)
