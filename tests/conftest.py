"""What tests of several folders share."""

from collections.abc import Callable, Iterator

import pytest

from tests.socket_servers import Serve, SocketServer, Talk

ALONE = ("tests/load/", "tests/perf/adapters/test_locust")
"""Where tests send real load, or wait for real time to pass."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests beside which nothing else may run."""
    for item in items:
        if item.nodeid.startswith(ALONE):
            item.add_marker("alone")


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
