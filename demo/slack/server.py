"""Runs the stand-in on a port: in the foreground, or in a thread for tests."""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from demo.slack.app import Settings, create_app

# A silent connection (fault "timeout") must not delay the shutdown.
GRACE_S = 1
_START_S = 10.0


class CuttableConnection(H11Protocol):
    """A connection whose transport is available to the application, so that a fault can close it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Pass the transport to every request of this connection."""
        self.app_state = self.app_state | {"transport": transport}
        super().connection_made(transport)


def bind(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 takes a free one.

    Raises:
        OSError: the address cannot be used.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=128)
    # Inherited by connections; asyncio sets it only on sockets that it has created. Without it, the body of a
    # response waits 40 ms for the acknowledgement of its head.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def url_of(listener: socket.socket) -> str:
    """Return the base URL of a listening socket, without a trailing slash."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def build_server(settings: Settings) -> uvicorn.Server:
    """Return a server for a new stand-in; run it with ``run(sockets=[bind(…)])``.

    Requests are not logged: webhook and upload URLs are secrets.
    """
    config = uvicorn.Config(
        create_app(settings),
        http=CuttableConnection,
        loop="asyncio",
        ws="none",
        lifespan="off",
        access_log=False,
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
    )
    return uvicorn.Server(config)


@contextlib.contextmanager
def running(settings: Settings, *, host: str = "127.0.0.1") -> Iterator[str]:
    """Run a stand-in in a thread on a free port until the ``with`` block ends.

    Yields:
        Its base URL, such as ``http://127.0.0.1:40123``.

    Raises:
        RuntimeError: the server did not start.
    """
    server = build_server(settings)
    with contextlib.closing(bind(host, 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            _wait_until_started(server, thread)
            yield url_of(listener)
        finally:
            server.should_exit = True
            thread.join()


def _wait_until_started(server: uvicorn.Server, thread: threading.Thread) -> None:
    deadline = time.monotonic() + _START_S
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise RuntimeError(f"the stand-in did not start within {_START_S:.0f} s")
        time.sleep(0.01)
