"""One keep-alive HTTP/1.1 connection that does exactly what it is told, once.

Ready-made clients retry a request that the server reset, follow redirects to other hosts and build each
request anew. A load generator must not: a reset is a failed request, load goes to one host only, and every
request is made ready before the schedule starts.
"""

import socket as stdlib_socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import gevent
import gevent.socket
import gevent.ssl
from geventhttpclient.response import HTTPResponse

from include.perf.feed import Request

READ_SIZE = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back; ``body`` is whole."""

    status: int
    body: bytes


class UnusableAnswer(Exception):
    """The server answered something that is not HTTP, or closed in the middle of it."""


def wire_format(method: str, request: Request, *, base_url: str, headers: Mapping[str, str]) -> bytes:
    """Return the bytes of a request as they go over the wire."""
    lines = [f"{method} {request.target} HTTP/1.1", f"Host: {urlsplit(base_url).netloc}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if request.body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(request.body)}"]
    elif method != "GET":
        lines.append("Content-Length: 0")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + (request.body or b"")


class Connection:
    """A connection to one host; opened when first needed, opened again after it broke."""

    def __init__(self, base_url: str, *, tls: ssl.SSLContext | None) -> None:
        parts = urlsplit(base_url)
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._tls = tls
        self._socket: gevent.socket.socket | None = None

    def send(self, wire: bytes, *, method: str, timeout_s: float) -> Answer:
        """Send a request and return its answer; a time-out covers connecting, sending and reading.

        Raises:
            gevent.Timeout: there was no whole answer within ``timeout_s``.
            OSError: the connection could not be made or broke.
            UnusableAnswer: the answer was not HTTP, or not whole.
        """
        with gevent.Timeout(timeout_s):
            try:
                answer, keep = self._exchange(wire, method)
            except BaseException:
                self.close()
                raise
        if not keep:
            self.close()
        return answer

    def close(self) -> None:
        """Close the connection; the next request opens a new one."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _exchange(self, wire: bytes, method: str) -> tuple[Answer, bool]:
        connection = self._open()
        connection.sendall(wire)
        response = HTTPResponse(method=method)
        while not _is_final(response):
            data = connection.recv(READ_SIZE)
            response.feed(data)
            if not data and not _is_final(response):
                raise UnusableAnswer("the server closed the connection before the answer was whole")
        body = bytes(response._body_buffer)
        return Answer(status=response.get_code(), body=body), not response.should_close()

    def _open(self) -> gevent.socket.socket:
        if self._socket is not None and self._is_alive(self._socket):
            return self._socket
        self.close()
        connection = gevent.socket.create_connection((self._host, self._port))
        connection.setsockopt(stdlib_socket.IPPROTO_TCP, stdlib_socket.TCP_NODELAY, 1)
        if self._tls is not None:
            connection = self._tls.wrap_socket(connection, server_hostname=self._host)
        self._socket = connection
        return connection

    def _is_alive(self, connection: gevent.socket.socket) -> bool:
        """Whether an idle connection is still open; anything to read on it means that it is not.

        A server may close it at any time, and an answer that nobody asked for must not be taken for the next.
        It is looked at below TLS, whose own ``recv`` takes no flags.
        """
        connection.settimeout(0.0)
        try:
            gevent.socket.socket.recv(connection, 1, stdlib_socket.MSG_PEEK)
        except BlockingIOError:
            connection.settimeout(None)
            return True
        except OSError:
            return False
        return False


def _is_final(response: HTTPResponse) -> bool:
    """Whether an answer is whole and not just an interim one (1xx), which the real one follows."""
    return response.message_complete and response.get_code() >= 200


def tls_context(base_url: str, *, verify: bool) -> ssl.SSLContext | None:
    """Return how TLS is spoken to a base URL; ``None`` for plain HTTP."""
    if urlsplit(base_url).scheme != "https":
        return None
    context = gevent.ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_default_certs()
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
