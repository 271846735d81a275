"""Requests to the service under test outside of a load, and its host name resolution.

A request is sent exactly like a request of the load: to the checked addresses, without a proxy, with the same headers,
credentials and TLS settings. No redirect is followed. Only `resolve` uses the machine's resolver.
"""

import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from queue import Empty, SimpleQueue
from typing import Any

from include.perf.adapters.http.credentials import environment_credentials
from include.perf.adapters.http.target_problems import SlowConnect, connection_problem, remedy_for_status, tls_problem
from include.perf.catalogue.service import Service
from include.perf.load.answer_head import Http2Only, UnusableAnswer
from include.perf.load.answer_reader import AnswerReader
from include.perf.load.feed import Request
from include.perf.load.request_bytes import single_request
from include.perf.load.uri import encoded_target
from include.perf.load.wire import Answered, Credentials, tls_context
from include.perf.model.errors import TargetError
from include.perf.model.masking import Mask

TIMEOUT_S = 5.0
RESOLVE_TIMEOUT_S = 5.0
MAX_BYTES = 1_000_000
READ_SIZE = 64 * 1024


class HttpTarget:
    """Sends single requests to a service, such as its health check.

    Args:
        credentials: returns the secrets of a service.
        timeout_s: of a request in total, from connecting to the last byte of the response.
    """

    def __init__(self, *, credentials: Credentials = environment_credentials, timeout_s: float = TIMEOUT_S) -> None:
        self._credentials = credentials
        self._timeout_s = timeout_s

    def check(self, service: Service, addresses: Sequence[str]) -> None:
        """Check that the health path of the service returns status 200.

        Raises:
            TargetError: it does not.
            ConfigurationError: the credentials cannot be read.
        """
        url, answer = self._get(service, service.health_path, addresses)
        if answer.status != 200:
            raise TargetError(
                f"{service.name} is not healthy: GET {url} returned {answer.status} instead of 200"
                f"{remedy_for_status(service, answer.status)}"
            )

    def json(self, service: Service, path: str, addresses: Sequence[str]) -> Any:
        """Return the JSON that the service returns at a path.

        Raises:
            TargetError: it is not reachable, or does not return JSON with status 200.
            ConfigurationError: the credentials cannot be read.
        """
        url, answer = self._get(service, path, addresses)
        if answer.status != 200:
            raise TargetError(f"GET {url} returned {answer.status} instead of 200")
        try:
            return json.loads(answer.body)
        except (ValueError, RecursionError) as err:
            raise TargetError(f"GET {url} did not return JSON") from err

    def _get(self, service: Service, path: str, addresses: Sequence[str]) -> tuple[str, Answered]:
        """Return the URL and the response of a GET request."""
        request = Request(encoded_target(path), None)
        answer = self.send(service, "GET", request, addresses, timeout_s=self._timeout_s)
        url = service.base_url + path
        if len(answer.body) > MAX_BYTES:
            raise TargetError(f"GET {url} returned more than {MAX_BYTES:,} bytes; set a path with a shorter response")
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
        """Send one request exactly as a load does, and return the response with at most `MAX_BYTES` + 1 bytes of body.

        The body is what the service sent; `masked` removes the credentials that it may repeat.

        Args:
            timeout_s: in total; by default the request timeout of the service.

        Raises:
            TargetError: there was no complete response in time.
            ConfigurationError: the credentials cannot be read.
        """
        wire = single_request(service, method, request, self._credentials(service), keep_alive=False)
        url = f"{service.base_url}{request.target}"
        deadline = _Deadline(timeout_s or service.timeout_s)
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
                f"{service.name} is not reachable: {method} {url} failed: {problem}; start it, or correct base_url in "
                "services.yaml"
            ) from err
        took_s = time.monotonic() - started
        return replace(answer, took_s=took_s)

    def masked(self, service: Service, text: str, *, is_cut: bool = False) -> str:
        """Return a text of the service without its credentials, for people and files.

        Args:
            is_cut: whether the text may end within a secret.

        Raises:
            ConfigurationError: the credentials cannot be read.
        """
        return Mask(self._credentials(service).texts())(text, is_cut=is_cut)


def resolve(host: str, port: int, *, timeout_s: float = RESOLVE_TIMEOUT_S) -> list[str]:
    """Return the unique addresses of a host in the resolver's order (RFC 6724).

    ``getaddrinfo`` has no timeout and cannot be interrupted. So it runs in a thread, which is abandoned after
    ``timeout_s``.

    Raises:
        OSError: the host name cannot be resolved in time; ``socket.gaierror`` if the resolver gives a reason.
    """
    answers: SimpleQueue[list[str] | OSError] = SimpleQueue()
    name = f"resolve {host}"
    threading.Thread(target=lambda: answers.put(_lookup(host, port)), name=name, daemon=True).start()
    try:
        answer = answers.get(timeout=timeout_s)
    except Empty:
        raise TimeoutError(f"the resolver did not respond within {timeout_s:g} s") from None
    if isinstance(answer, OSError):
        raise answer
    return answer


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
    return Answered(status=answer.status, body=answer.body)


def _lookup(host: str, port: int) -> list[str] | OSError:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as err:  # a label is too long
        return OSError(f"{host!r} is not a valid host name: {err}")
    except OSError as err:
        return err
    return list(dict.fromkeys(str(where[0]) for _, _, _, _, where in found))
