"""A look at the service under test before load is sent.

It goes the way of the load: to the addresses that were checked, by no proxy, with the same headers, credentials and
trust. Nothing is resolved here, and no redirect is followed.

The machine's resolver, with a limit on the time it may take.
"""

import io
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from http.client import HTTPException, HTTPResponse, IncompleteRead
from queue import Empty, SimpleQueue
from typing import Any
from urllib.parse import quote

from include.perf.adapters.http.credentials import environment_credentials
from include.perf.catalogue.service import Service
from include.perf.load.feed import Request
from include.perf.load.wire import Answered, Credentials, headers_of_load, tls_context, wire_format
from include.perf.model.errors import TargetError
from include.perf.model.text import Mask

TIMEOUT_S = 5.0

MAX_BYTES = 1_000_000

NOT_ALLOWED = (401, 403)

IN_PATHS = "!#$%&'()*+,/:;=?@[]~"
"""What has a meaning in a path and goes out as it is (RFC 3986)."""


class HttpTarget:
    """Asks a service for its health over HTTP, as the load asks it: same headers, credentials and trust.

    Args:
        credentials: gives the secret headers of a service.
        timeout_s: how long a question may take in all, from the connection to the last byte of the answer.
    """

    def __init__(self, *, credentials: Credentials = environment_credentials, timeout_s: float = TIMEOUT_S) -> None:
        self._credentials = credentials
        self._timeout_s = timeout_s

    def check(self, service: Service, addresses: Sequence[str]) -> None:
        """Make sure that the service answers 200; redirects are not followed.

        Raises:
            TargetError: it does not; says what was asked and what came back.
            ConfigurationError: its credentials cannot be had.
        """
        url, answer = self._get(service, service.health_path, addresses)
        if answer.status != 200:
            raise TargetError(
                f"{service.name} is not healthy: GET {url} answered {answer.status}, 200 is needed"
                f"{_remedy(service, answer.status)}"
            )

    def json(self, service: Service, path: str, addresses: Sequence[str]) -> Any:
        """Return the JSON that the service answers at a path.

        Raises:
            TargetError: it is not reachable, or answers no JSON with status 200.
            ConfigurationError: its credentials cannot be had.
        """
        url, answer = self._get(service, path, addresses)
        if answer.status != 200:
            raise TargetError(f"GET {url} answered {answer.status}, 200 is needed")
        try:
            return json.loads(answer.body)
        except (ValueError, RecursionError) as err:
            raise TargetError(f"GET {url} answered something that is no JSON") from err

    def _get(self, service: Service, path: str, addresses: Sequence[str]) -> tuple[str, Answered]:
        """Return the address that was asked and what it answered."""
        request = Request(quote(path, safe=IN_PATHS), None)
        answer = self.send(service, "GET", request, addresses, timeout_s=self._timeout_s)
        url = service.base_url + path
        if len(answer.body) > MAX_BYTES:
            raise TargetError(f"GET {url} answered more than {MAX_BYTES:,} bytes; name a path that says less")
        return url, answer

    def send(
        self,
        service: Service,
        method: str,
        request: Request,
        addresses: Sequence[str],
        *,
        timeout_s: float | None = None,
    ) -> Answered:
        """Send one request, exactly as a load does, and return the answer, a body of `MAX_BYTES` and one at most.

        Whatever the service repeats of its credentials is taken out of it.

        Args:
            timeout_s: in all; by default what the service's requests may take.

        Raises:
            TargetError: there was no whole answer in time.
            ConfigurationError: its credentials cannot be had.
        """
        secrets = self._credentials(service)
        headers = headers_of_load(service.headers, secrets, keep_alive=False)
        wire = wire_format(method, request, base_url=service.base_url, headers=headers)
        url = f"{service.base_url}{request.target}"
        begun = time.monotonic()
        try:
            with _connected(service, addresses, _Deadline(timeout_s or service.timeout_s)) as connection:
                answer = _exchange(connection, wire, method)
        except ssl.SSLError as err:
            raise TargetError(
                f"{service.name} is not reachable: {method} {url} failed in TLS ({err}); set ca_file in services.yaml "
                "to the bundle that signs its certificate, or correct base_url"
            ) from err
        except (OSError, HTTPException) as err:
            raise TargetError(
                f"{service.name} is not reachable: {method} {url} failed ({_kind(err)}); start it, or correct base_url "
                "in services.yaml"
            ) from err
        took_s = time.monotonic() - begun
        return replace(answer, body=Mask(secrets.values()).of_bytes(answer.body), took_s=took_s)


class _Deadline:
    """When something must be over: each step of it may take what is left."""

    def __init__(self, timeout_s: float) -> None:
        self._at = time.monotonic() + timeout_s

    def sooner(self, timeout_s: float | None) -> "_Deadline":
        """Return the deadline of a part of it."""
        left_s = self._at - time.monotonic()
        return _Deadline(left_s if timeout_s is None else min(left_s, timeout_s))

    def limit(self, connection: socket.socket) -> None:
        """Let the socket's next step take no longer than what is left.

        Raises:
            TimeoutError: nothing is.
        """
        left_s = self._at - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("the time is over")
        connection.settimeout(left_s)


class _ConnectTimeout(TimeoutError):
    """No address took the connection in time, TLS included."""


class _Incoming(io.RawIOBase):
    """What a socket receives, in what is left of the time: a byte now and then does not make it longer."""

    def __init__(self, connection: socket.socket, deadline: _Deadline) -> None:
        self._connection = connection
        self._deadline = deadline

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read what there is, waiting for it."""
        self._deadline.limit(self._connection)
        return self._connection.recv_into(buffer)


class _Wire:
    """A connected socket as ``http.client`` uses one; whoever has opened it closes it."""

    def __init__(self, connection: socket.socket, deadline: _Deadline) -> None:
        self._connection = connection
        self._deadline = deadline

    def sendall(self, data: bytes) -> None:
        """Send all of it in what is left of the time."""
        self._deadline.limit(self._connection)
        self._connection.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        """Return what is received, for reading."""
        return io.BufferedReader(_Incoming(self._connection, self._deadline))

    def close(self) -> None:
        """Leave it open."""


@contextmanager
def _connected(service: Service, addresses: Sequence[str], deadline: _Deadline) -> Iterator[_Wire]:
    """Lend a connection to the first address that takes it."""
    connecting = deadline.sooner(service.connect_timeout_s)
    try:
        connection = _connect(addresses, service.port, connecting)
        connection = _with_tls(connection, service, connecting)
    except TimeoutError as err:
        raise _ConnectTimeout(str(err)) from err
    with connection:
        yield _Wire(connection, deadline)


def _connect(addresses: Sequence[str], port: int, deadline: _Deadline) -> socket.socket:
    for address in addresses[:-1]:
        with suppress(OSError):
            return _connect_to(address, port, deadline)
    return _connect_to(addresses[-1], port, deadline)


def _connect_to(address: str, port: int, deadline: _Deadline) -> socket.socket:
    found = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    family, _, _, _, where = found[0]
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        deadline.limit(connection)
        connection.connect(where)
    except BaseException:
        connection.close()
        raise
    return connection


def _with_tls(connection: socket.socket, service: Service, deadline: _Deadline) -> socket.socket:
    try:
        context = tls_context(service.base_url, verify=service.verify_tls, ca_file=service.ca_file)
        if context is None:
            return connection
        deadline.limit(connection)
        return context.wrap_socket(connection, server_hostname=service.host)
    except BaseException:
        connection.close()
        raise


def _exchange(wire: _Wire, request: bytes, method: str) -> Answered:
    """Send a request and read the whole answer, or a byte more than is wanted of it."""
    wire.sendall(request)
    answer = HTTPResponse(wire, method=method)  # type: ignore[arg-type]  # it takes what has makefile
    answer.begin()
    body = answer.read(MAX_BYTES + 1)
    if len(body) <= MAX_BYTES and answer.length:
        raise IncompleteRead(body, answer.length)
    return Answered(status=answer.status, body=body)


def _kind(err: OSError | HTTPException) -> str:
    if isinstance(err, _ConnectTimeout):
        return "ConnectTimeout"
    return "ReadTimeout" if isinstance(err, TimeoutError) else "ConnectionError"


def _remedy(service: Service, status: int) -> str:
    if status not in NOT_ALLOWED:
        return ""
    if service.connection is None:
        return "; name a connection with its credentials in services.yaml"
    return f"; correct the credentials in the connection {service.connection}"


RESOLVE_TIMEOUT_S = 5.0


def resolve(host: str, port: int, *, timeout_s: float = RESOLVE_TIMEOUT_S) -> list[str]:
    """Return the addresses of a host as text, in the resolver's order (RFC 6724), each once.

    ``getaddrinfo`` knows no limit of time and cannot be interrupted: it is asked in a thread that is left alone when it
    takes too long.

    Raises:
        OSError: they could not be had in time; a ``socket.gaierror`` where the resolver says why.
    """
    answers: SimpleQueue[list[str] | OSError] = SimpleQueue()
    name = f"resolve {host}"
    threading.Thread(target=lambda: answers.put(_ask(host, port)), name=name, daemon=True).start()
    try:
        answer = answers.get(timeout=timeout_s)
    except Empty:
        raise TimeoutError(f"the resolver did not answer within {timeout_s:g} s") from None
    if isinstance(answer, OSError):
        raise answer
    return answer


def _ask(host: str, port: int) -> list[str] | OSError:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as err:  # a label that is too long; no OSError by itself
        return OSError(f"{host!r} is not a valid host name: {err}")
    except OSError as err:
        return err
    return list(dict.fromkeys(str(where[0]) for _, _, _, _, where in found))
