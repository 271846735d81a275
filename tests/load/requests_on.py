"""Single requests on one connection."""

import gevent

from include.load.connection import Connection
from include.perf.load.answer_reader import Answer
from include.perf.load.feed import Request
from include.perf.load.wire import wire_format
from tests.socket_servers import answer

OK = answer(b'{"ok":1}')
OWN = (200, b'{"ok":1}')
"""What a connection makes of `OK`."""


def ask(connection: Connection, url: str, method: str, *, path: str = "/x", timeout_s: float = 10.0) -> Answer:
    """Return the answer to one request, received in time."""
    wire = wire_format(method, Request(path, None), base_url=url, headers={})
    with gevent.Timeout(timeout_s):
        return connection.send(wire, method=method)


def get(connection: Connection, url: str, *, path: str = "/x", timeout_s: float = 10.0) -> tuple[int, bytes]:
    """Return the status and the body of an answer received in time."""
    received = ask(connection, url, "GET", path=path, timeout_s=timeout_s)
    return received.status, received.body
