"""Runs a service in this process until a signal stops it."""

import os
import signal
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """How a service can be reached.

    Attributes:
        hosts: addresses to listen on, all with the same port.
        idle_timeout_s: after how long an idle connection is closed.
        certificate: PEM file with the server's certificate and key, for TLS.
        client_ca: PEM file; with it, a client must show a certificate of this authority.
    """

    hosts: Sequence[str]
    port: int
    idle_timeout_s: float = 75
    certificate: Path | None = None
    client_ca: Path | None = None


def serve(app: ASGIApp, settings: ServerSettings) -> None:
    """Serve until SIGTERM or SIGINT, finish open requests for at most 3 s, then raise the signal again."""
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=StampingProtocol,
        lifespan="off",
        access_log=False,
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=_SHUTDOWN_S,
        timeout_keep_alive=settings.idle_timeout_s,  # type: ignore[arg-type]  # passed to loop.call_later
        ssl_certfile=settings.certificate,
        ssl_ca_certs=None if settings.client_ca is None else str(settings.client_ca),
        ssl_cert_reqs=ssl.CERT_NONE if settings.client_ca is None else ssl.CERT_REQUIRED,
    )
    uvicorn.Server(config).run(sockets=[_listening(host, settings.port) for host in settings.hosts])


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind((host, port))
    return listening


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
