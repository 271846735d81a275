"""One request to a service, or to where its tokens are fetched, and the complete response; with one deadline.

It goes to the checked addresses, over a connection of its own, without a proxy. No redirect is followed.
"""

import socket
import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace

from include.perf.adapters.http.target_problems import SlowConnect, connection_problem, tls_problem
from include.perf.catalogue.service import Service
from include.perf.load.answer_head import Http2Only, UnusableAnswer
from include.perf.load.answer_reader import AnswerReader
from include.perf.load.wire import Answered, tls_context
from include.perf.model.errors import TargetError

MAX_BYTES = 1_000_000
READ_SIZE = 64 * 1024


def exchange(
    service: Service, addresses: Sequence[str], wire: bytes, *, method: str, url: str, timeout_s: float
) -> Answered:
    """Send the bytes of a request, and return the response with at most `MAX_BYTES` + 1 bytes of body.

    Args:
        addresses: the only addresses to use, in the order in which to try them.
        url: names the request in messages.
        timeout_s: in total, from connecting to the last byte of the response.

    Raises:
        TargetError: there was no complete response in time.
    """
    deadline = _Deadline(timeout_s)
    started = time.monotonic()
    try:
        with _connected(service, addresses, deadline) as connection:
            answer = _exchange(connection, wire, method)
    except Http2Only as err:
        raise TargetError(f"{service.name} cannot be called: {method} {url} failed: {err}") from err
    except ssl.SSLError as err:
        raise TargetError(
            f"{service.name} is not reachable: {method} {url} failed: {tls_problem(err, service)}"
        ) from err
    except (OSError, UnusableAnswer) as err:
        problem = connection_problem(err, deadline.timeout_s)
        raise TargetError(
            f"{service.name} is not reachable: {method} {url} failed: {problem}; start it, or correct "
            f"{service.url_setting} in services.yaml"
        ) from err
    return replace(answer, took_s=time.monotonic() - started)


class _Deadline:
    """The end of a time limit that several steps share."""

    def __init__(self, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self._at = time.monotonic() + timeout_s

    def sooner(self, timeout_s: float | None) -> "_Deadline":
        """Return a deadline for some of the steps: this one, or ``timeout_s`` from now if that is sooner."""
        left_s = self._at - time.monotonic()
        return _Deadline(left_s if timeout_s is None else min(left_s, timeout_s))

    def limit(self, connection: socket.socket) -> None:
        """Set the timeout of the next socket operation to the remaining time.

        Raises:
            TimeoutError: no time remains.
        """
        left_s = self._at - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("no time remains")
        connection.settimeout(left_s)


class _Wire:
    """A connected socket, used until the deadline; its owner closes the socket."""

    def __init__(self, connection: socket.socket, deadline: _Deadline) -> None:
        self._connection = connection
        self._deadline = deadline

    def send(self, data: bytes) -> None:
        """Send all bytes before the deadline."""
        self._deadline.limit(self._connection)
        self._connection.sendall(data)

    def receive(self) -> bytes:
        """Return the next bytes, empty when the service has closed; wait for them until the deadline."""
        self._deadline.limit(self._connection)
        return self._connection.recv(READ_SIZE)


@contextmanager
def _connected(service: Service, addresses: Sequence[str], deadline: _Deadline) -> Iterator[_Wire]:
    """Yield a connection to the first address that accepts it."""
    connecting = deadline.sooner(service.connect_timeout_s)
    try:
        connection = _connect(addresses, service.port, connecting)
        connection = _with_tls(connection, service, connecting)
    except TimeoutError as err:
        raise SlowConnect(f"no connection within {connecting.timeout_s:.3g} s") from err
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
        context = tls_context(
            service.base_url,
            verify=service.verify_tls,
            ca_file=service.ca_file,
            client_certificate=service.client_certificate,
        )
        if context is None:
            return connection
        deadline.limit(connection)
        return context.wrap_socket(connection, server_hostname=service.host)
    except BaseException:
        connection.close()
        raise


def _exchange(wire: _Wire, request: bytes, method: str) -> Answered:
    """Send a request and read the response, at most one byte more than `MAX_BYTES`."""
    wire.send(request)
    answer = AnswerReader(wire.receive, method=method, max_body_bytes=MAX_BYTES).read()
    return Answered(status=answer.status, body=answer.body, head=answer.head, cookies=answer.cookies)
