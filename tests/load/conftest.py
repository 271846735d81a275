"""Servers and connections that end with their test."""

import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from include.load.connection import Connection
from tests.certificates import self_signed
from tests.load.driven_loads import way_to
from tests.socket_servers import Script, SocketServer


@pytest.fixture
def serve() -> Iterator[Callable[..., SocketServer]]:
    """Start servers that end with the test."""
    servers: list[SocketServer] = []

    def start(script: Script, *, tls: ssl.SSLContext | None = None) -> SocketServer:
        servers.append(SocketServer(script, tls=tls))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def connect() -> Iterator[Callable[..., Connection]]:
    """Open connections that end with the test."""
    connections: list[Connection] = []

    def to(url: str, **way: Any) -> Connection:
        connections.append(Connection(way_to(url, **way)))
        return connections[-1]

    yield to
    for connection in connections:
        connection.close()


@pytest.fixture(scope="module")
def tls_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the server's certificate."""
    return tmp_path_factory.mktemp("tls")


@pytest.fixture(scope="module")
def server_tls(tls_folder: Path) -> ssl.SSLContext:
    """Return a self-signed certificate for 127.0.0.1."""
    return self_signed(tls_folder)
