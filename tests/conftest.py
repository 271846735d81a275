"""What tests of several folders share."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

import tests.airflow_home  # noqa: F401 - before any test imports Airflow
from tests.socket_servers import Serve, SocketServer, Talk

if TYPE_CHECKING:
    from tests.object_stores import ObjectStore

ON_THE_BASELINE = frozenset({"first_run", "second_run", "slow_run", "planted"})
"""Fixtures of the stack that make or change baselines: only one process may have them."""

WITHOUT_OTHER_LOADS = frozenset({"halted", "only_load"})
"""Fixtures of the stack that wait until no other process sends load; tests come last that have one."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that share the one running stack, by whether they may run side by side."""
    for item in items:
        is_alone = item.get_closest_marker("alone") is not None
        uses_platform = "platform" in getattr(item, "fixturenames", ())
        if item.nodeid.startswith("tests/integration/") and uses_platform and not is_alone:
            item.add_marker("stack")
            lane = "baselines" if ON_THE_BASELINE.intersection(item.fixturenames) else "others"
            item.add_marker(pytest.mark.xdist_group(lane))
    items.sort(key=lambda item: not WITHOUT_OTHER_LOADS.isdisjoint(getattr(item, "fixturenames", ())))


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
