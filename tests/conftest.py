"""What tests of several folders share."""

from collections.abc import Callable, Iterator

import pytest

from tests.socket_servers import Serve, SocketServer, Talk


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start servers that end with the test."""
    servers: list[SocketServer] = []

    def start(script: Callable[[Talk], None]) -> SocketServer:
        servers.append(SocketServer(script))
        return servers[-1]

    yield start
    for server in servers:
        server.close()
