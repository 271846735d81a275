"""Fixtures and scheduling for all tests."""

from collections.abc import Callable, Iterator
from pathlib import PurePath
from typing import TYPE_CHECKING

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadGroupScheduling

import tests.airflow_home  # noqa: F401 - before any test imports Airflow
from tests.socket_servers import Serve, SocketServer, Talk

if TYPE_CHECKING:
    from tests.object_stores import ObjectStore

WITHOUT_OTHER_LOADS = frozenset({"halted", "only_load"})
"""Fixtures that wait until no other process sends load; their tests come last."""

ON_THE_STACK = "tests/integration/"
NEED_NO_BASELINES = ("test_guards", "test_runs_without_baselines")
"""Files of stack tests that neither create nor need baselines."""

TOGETHER = (
    *("test_alert_rules", "test_benchmarks", "test_production_comparison", "test_prometheus_metrics"),
    *("test_report_in_browser", "test_web_metrics_in_prometheus"),
)
"""Files whose tests share what is slow to start: a server, a browser, loads."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that share the running stack."""
    for item in items:
        is_alone = item.get_closest_marker("alone") is not None
        uses_platform = "platform" in getattr(item, "fixturenames", ())
        if item.nodeid.startswith(ON_THE_STACK) and uses_platform and not is_alone:
            item.add_marker("stack")
    items.sort(key=lambda item: not WITHOUT_OTHER_LOADS.isdisjoint(getattr(item, "fixturenames", ())))


class Groups(LoadGroupScheduling):
    """The groups of ``--dist loadgroup``: a group runs in one process, groups run in parallel."""

    def _split_scope(self, nodeid: str) -> str:
        path = PurePath(nodeid.partition("::")[0])
        if path.stem in TOGETHER:
            return path.stem
        if nodeid.startswith(ON_THE_STACK):
            return "no baselines" if path.stem in NEED_NO_BASELINES else "baselines"
        return nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Groups | None:
    """Schedule by our groups; the marks of pytest-xdist need an older pytest."""
    return Groups(config, log) if config.getvalue("dist") == "loadgroup" else None


@pytest.fixture(scope="session")
def s3() -> Iterator["ObjectStore"]:
    """An object store; tests create their own buckets."""
    from tests.object_stores import object_store

    with object_store() as store:
        yield store


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start servers that stop with the test."""
    servers: list[SocketServer] = []

    def start(script: Callable[[Talk], None]) -> SocketServer:
        servers.append(SocketServer(script))
        return servers[-1]

    yield start
    for server in servers:
        server.close()
