"""What tests of several folders share."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

import tests.airflow_home  # noqa: F401 - before any test imports Airflow
from tests.socket_servers import Serve, SocketServer, Talk

if TYPE_CHECKING:
    from tests.object_stores import ObjectStore

ALONE = ("tests/load/", "tests/perf/adapters/generator/test_locust", "tests/perf/adapters/metrics/test_prometheus")
"""Where tests send real load, or wait for real time to pass."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests beside which nothing else may run, and those that share the one running stack."""
    for item in items:
        if item.nodeid.startswith(ALONE):
            item.add_marker("alone")
        if item.nodeid.startswith("tests/integration/") and "platform" in getattr(item, "fixturenames", ()):
            item.add_marker("stack")


@pytest.fixture(scope="session")
def s3() -> Iterator["ObjectStore"]:
    """A server of objects; each test takes a bucket of its own."""
    from tests.object_stores import object_store

    with object_store() as store:
        yield store


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
