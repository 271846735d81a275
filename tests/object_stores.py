"""Object stores for tests: a server process, buckets, and a proxy that can fail."""

import contextlib
import itertools
import socket
import subprocess
import threading
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from include.perf.adapters.s3.client import S3Login, client_of
from include.perf.adapters.s3.objects import Objects
from include.perf.adapters.s3.place import S3Place
from tests.socket_servers import answer, python

_BUCKETS = itertools.count(1)
UNAVAILABLE = answer(
    b"<Error><Code>SlowDown</Code><Message>calm down</Message></Error>",
    status="503 Slow Down",
    headers="Connection: close\r\n",
)


DENIED = answer(
    b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>",
    status="403 Forbidden",
    headers="Connection: close\r\n",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectStore:
    """An object store server."""

    port: int

    @property
    def login(self) -> S3Login:
        """The credentials and address."""
        return S3Login(
            access_key_id="test-key-id",
            secret_access_key="test-secret-key",
            endpoint_url=f"http://127.0.0.1:{self.port}",
            region_name="us-east-1",
        )

    def bucket(self) -> str:
        """Create a bucket and return its name."""
        name = f"bucket-{next(_BUCKETS)}"
        client_of(self.login).create_bucket(Bucket=name)
        return name

    def objects(self, prefix: str = "results") -> Objects:
        """Return the objects below a prefix of a new bucket."""
        return Objects(S3Place(bucket=self.bucket(), prefix=prefix), lambda: self.login)

    def through(self, proxy: "Proxy") -> S3Login:
        """Return the credentials with the address of a proxy."""
        return replace(self.login, endpoint_url=f"http://127.0.0.1:{proxy.port}")

    def requests(self) -> list[str]:
        """Return the requests since the last call of this method."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/_requests", timeout=10) as response:
            return [line for line in response.read().decode().splitlines() if line]


@contextlib.contextmanager
def object_store() -> Iterator[ObjectStore]:
    """Run a server until the end of the block."""
    with python("-m", "tests.s3_server", stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield ObjectStore(port=int(process.stdout.readline()))


class Proxy:
    """A proxy of a server with faults: ``reset``, ``503``, ``403``, ``silent``, or ``cut`` for half of an answer.

    Attributes:
        faults: of the next requests, one by one; ``None`` for no fault.
        fault: of all requests after them.
        is_spared: returns whether a request has no fault, by its first line.
        lost_answers: number of next responses that are dropped after the server has handled the request.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._is_over = threading.Event()
        self.port: int = self._listener.getsockname()[1]
        self.faults: list[str | None] = []
        self.fault: str | None = None
        self.is_spared: Callable[[str], bool] = lambda _: False
        self.lost_answers = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while not self._is_over.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            while request := _request(connection):
                fault = self.faults.pop(0) if self.faults else self.fault
                if self.is_spared(request.partition(b"\r\n")[0].decode()):
                    fault = None
                if fault == "silent":
                    self._is_over.wait(60)
                    return
                if fault == "reset":
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                    return
                if fault in ("503", "403"):
                    connection.sendall(UNAVAILABLE if fault == "503" else DENIED)
                    return
                answered = _exchange(self._target, request)
                if self.lost_answers:
                    self.lost_answers -= 1
                    return
                connection.sendall(answered[: len(answered) - 5] if fault == "cut" else answered)
                if fault == "cut":
                    return

    def close(self) -> None:
        """Accept no more connections."""
        self._is_over.set()
        self._listener.close()


def _request(connection: socket.socket) -> bytes:
    """Return the next complete request, or nothing after the client has closed; confirm ``Expect: 100-continue``."""
    data = b""
    while b"\r\n\r\n" not in data:
        if not (more := connection.recv(65536)):
            return b""
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in head.splitlines())}
    if headers.get(b"expect") == b"100-continue":
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    lines = [line for line in head.splitlines() if not line.lower().startswith((b"expect:", b"connection:"))]
    while len(body) < int(headers.get(b"content-length", 0)):
        body += connection.recv(65536)
    return b"\r\n".join([*lines, b"Connection: close", b"", b""]) + body


def _exchange(port: int, request: bytes) -> bytes:
    """Send a request to the server and return its complete response."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as server:
        server.sendall(request)
        return b"".join(iter(lambda: server.recv(65536), b""))


def files_in(folder: Path) -> list[str]:
    """Return the names of all files below a folder."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
