"""Small scripted servers on loopback, and child processes that end with their test."""

import contextlib
import json
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[1]


class Talk:
    """An accepted connection, for the script of a server."""

    def __init__(self, connection: socket.socket, number: int, closing: threading.Event) -> None:
        self.connection = connection
        self.number = number
        self.closing = closing
        self._buffer = b""

    def read_request(self) -> bytes | None:
        """Return the next complete request; ``None`` after the client has closed."""
        while b"\r\n\r\n" not in self._buffer:
            if not self._read_more():
                return None
        head, _, rest = self._buffer.partition(b"\r\n\r\n")
        length = 0
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        while len(rest) < length:
            if not self._read_more():
                return None
            rest = self._buffer.partition(b"\r\n\r\n")[2]
        self._buffer = rest[length:]
        return head + b"\r\n\r\n" + rest[:length]

    def _read_more(self) -> bool:
        data = self.connection.recv(65536)
        self._buffer += data
        return bool(data)

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def send_and_close(self, data: bytes) -> None:
        """Send a response and close the connection in one packet, so that the client gets both at once."""
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        self.connection.sendall(data)
        self.connection.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Reset the connection."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()


Script = Callable[[Talk], None]


class SocketServer:
    """A server that runs a script per connection, in a thread, until the test ends."""

    def __init__(
        self, script: Script, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        self._script = script
        self._tls = tls
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, port), family=family, backlog=512)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://{f'[{host}]' if ':' in host else host}:{self.port}"
        self.closing = threading.Event()
        self._connections: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def accepted(self) -> int:
        """The number of accepted connections."""
        return len(self._connections)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection, len(self._connections)), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
                self._connections[number - 1] = connection
            self._script(Talk(connection, number, self.closing))
        connection.close()

    def close(self) -> None:
        self.closing.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(timeout=10)

    def __enter__(self) -> "SocketServer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def answer(body: bytes = b"{}", *, status: str = "200 OK", headers: str = "") -> bytes:
    """Return the bytes of a response; ``headers`` are lines that end with CRLF."""
    return f"HTTP/1.1 {status}\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body


def always(data: bytes) -> Script:
    """Return a script that sends the same response to every request and keeps the connection open."""

    def script(talk: Talk) -> None:
        while talk.read_request() is not None:
            talk.send(data)

    return script


def has_ipv6() -> bool:
    """Return whether this machine has IPv6 on loopback."""
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


def free_port() -> int:
    """Return a port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def eventually(condition: Callable[[], Any], *, within_s: float = 30.0, every_s: float = 0.02) -> Any:
    """Poll until a condition holds, and return its value."""
    deadline = time.monotonic() + within_s
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, f"the condition did not hold within {within_s} s"
        time.sleep(every_s)


@contextlib.contextmanager
def child(*command: str, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process until the end of the block, also if it is stopped."""
    process = subprocess.Popen(command, cwd=PROJECT, **options)
    try:
        yield process
    finally:
        process.kill()
        process.wait(timeout=10)
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()


@contextlib.contextmanager
def python(*arguments: str, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Run a Python process of this project until the end of the block."""
    with child(sys.executable, *arguments, **options) as process:
        yield process


@contextlib.contextmanager
def prometheus(
    folder: Path, *, targets: dict[str, int], interval: str = "200ms", port: int | None = None
) -> Iterator[str]:
    """Run a Prometheus that scrapes local ports, with their names as ``service`` labels; yield its URL.

    It is killed at the end. Another one in the same folder continues with the stored data.
    """
    scrapes = [
        {
            "job_name": name,
            "static_configs": [
                {"targets": [f"127.0.0.1:{port}"], "labels": {"service": name, "environment": "staging"}}
            ],
        }
        for name, port in targets.items()
    ]
    config = {"global": {"scrape_interval": interval, "scrape_timeout": interval}, "scrape_configs": scrapes}
    with prometheus_with(folder, config, port=port) as address:
        yield address


@contextlib.contextmanager
def prometheus_with(
    folder: Path, config: dict[str, Any], *, port: int | None = None, options: tuple[str, ...] = ()
) -> Iterator[str]:
    """Run a Prometheus with any configuration; yield its URL."""
    # JSON is valid YAML.
    (folder / "prometheus.yml").write_text(json.dumps(config), encoding="utf-8")
    port = port or free_port()
    paths = [f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'tsdb'}"]
    with child(
        "prometheus",
        *paths,
        *options,
        f"--web.listen-address=127.0.0.1:{port}",
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        eventually(lambda: _answers(port) or process.poll() is not None, within_s=60)
        assert process.poll() is None, "prometheus did not start"
        yield f"http://127.0.0.1:{port}"


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.sendall(b"GET /-/ready HTTP/1.0\r\n\r\n")
            return connection.recv(64).split(b" ")[1:2] == [b"200"]
    except OSError:
        return False


Serve = Callable[[Callable[[Talk], None]], SocketServer]
"""Starts a server that stops with the test: the type of the fixture ``serve``."""
