"""One keep-alive HTTP/1.1 connection.

HTTP client libraries retry a request that the server reset, follow redirects to other hosts and build every request
when it is sent. A load generator must not: a reset is a failed request, load goes to one host only, and every request
is prepared before the schedule starts.

There is one exception, which every client makes: a server may close an idle connection at the moment at which the next
request is sent on it. A request that died that way, before the first byte of an answer, is sent once more on a new
connection if its method is idempotent (RFC 9110, 9.2.2); it is counted, and its latency counts from its due time.

The time of an answer is the kernel's: when its last segment reached this machine (SO_TIMESTAMPNS, socket(7)). So a
delay in this process does not look like latency of the service.
"""

import errno
import os
import socket as stdlib_socket
import ssl
import struct
import sys
import time
from dataclasses import dataclass, field
from typing import Any

import gevent
import gevent.monkey
from gevent import get_hub, getcurrent

from include.load.answer import ClosedEarly, read_answer, simple_answer
from include.load.host import Address, Host
from include.load.poller import Poller
from include.load.reuse import ConnectionUse, Lifetime, ReuseLimits
from include.load.tls import TlsLayer
from include.perf.load.answer_reader import HEAD, Answer

READ_SIZE = 64 * 1024
WRITE = 2
CONNECTING = (errno.EINPROGRESS, errno.EAGAIN)

SO_TIMESTAMPNS = 35
"""Not in Python's socket module; the number is Linux's."""

TIMESPEC = struct.Struct("@ll")
ROOM_FOR_STAMP = stdlib_socket.CMSG_SPACE(TIMESPEC.size)

Socket: Any = gevent.monkey.get_original("socket", "socket")
"""The original socket class: Locust replaces it with gevent's in its process."""


IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})


class ClosedWhileIdle(OSError):
    """The server closed an idle connection, and the request that was sent on it must not be sent again."""


class ConnectTimeout(Exception):
    """The server did not accept the connection in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionSettings:
    """How to connect to a host.

    Attributes:
        poller: reports the sockets that can be read.
        tls: the TLS settings; ``None`` for plain HTTP.
        keep_alive: whether a connection is used for more than one request.
        connect_timeout_s: how long connecting may take; ``None`` for no separate limit.
        limits: when a connection is replaced.
        use: counts what all connections do.
    """

    host: Host
    poller: Poller
    tls: ssl.SSLContext | None = None
    keep_alive: bool = True
    connect_timeout_s: float | None = None
    limits: ReuseLimits = field(default_factory=ReuseLimits)
    use: ConnectionUse = field(default_factory=ConnectionUse)


class Connection:
    """A connection to one host; it is opened when first needed, and opened again after it broke.

    One greenlet uses it; it waits for the socket by switching to gevent's hub, which switches back.
    """

    def __init__(self, settings: ConnectionSettings) -> None:
        self._settings = settings
        self._poller = settings.poller
        self._socket: Any = None
        self._layer: TlsLayer | None = None
        self._reader: Any = None
        self._is_watched = False
        self._received = 0.0
        self._address = ""
        self._has_begun = False
        self._lifetime = Lifetime(settings.limits, opened=0.0)

    def send(self, wire: bytes, *, method: str) -> Answer:
        """Send a request and return its answer.

        It sets no time limit: the caller ends a request by throwing an exception into this greenlet.

        Raises:
            ConnectTimeout: the server did not accept the connection in time.
            OSError: the connection failed or broke.
            UnusableAnswer: the answer was not HTTP, or incomplete.
        """
        is_reused = self._socket is not None and self._is_usable()
        if not is_reused:
            self.close()
        try:
            return self._ask(wire, method)
        except (ConnectionError, ClosedEarly) as err:
            if not is_reused or self._has_begun:
                raise
            if method not in IDEMPOTENT:
                raise ClosedWhileIdle(None, "the server closed an idle connection, and did not answer") from err
        self._settings.use.resent += 1
        return self._ask(wire, method)

    def _ask(self, wire: bytes, method: str) -> Answer:
        self._has_begun = False
        try:
            if self._socket is None:
                self._open()
            self._settings.use.requests[self._address] += 1
            layer = self._layer
            answer = self._exchange(wire, method) if layer is None else self._exchange_over_tls(layer, wire, method)
        except BaseException:
            self.close()
            raise
        answer.received = self._received
        is_last = self._lifetime.is_last(self._received, server_idle_s=answer.idle_s)
        if is_last or not (answer.keeps and self._settings.keep_alive):
            self.close()
        return answer

    def close(self) -> None:
        """Close the connection; the next request opens a new one."""
        if self._socket is not None:
            self._poller.remove(self._socket.fileno())
            self._socket.close()
            self._socket = self._layer = None
            self._is_watched = False

    def _is_usable(self) -> bool:
        """Whether the connection is still open, neither too old nor idle for too long, and no data waits on it."""
        return not self._lifetime.is_over(time.perf_counter()) and self._is_idle()

    def _is_idle(self) -> bool:
        """Whether the connection is still open and no data waits on it.

        A server may close it at any time, and an unsolicited answer must not be taken for the next one. Both the socket
        and the TLS layer are checked.
        """
        if self._layer is not None and not self._layer.is_idle:
            return False
        try:
            self._socket.recv(1, stdlib_socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def _open(self) -> None:
        limit = self._settings.connect_timeout_s
        with gevent.Timeout(limit, ConnectTimeout(f"no connection within {limit} s")):
            self._connect()
            if self._settings.tls is not None:
                self._layer = TlsLayer(self._settings.tls, self._settings.host.name)
                while not self._layer.is_open():
                    self._send_all(self._layer.outgoing())
                    self._take_in(self._layer)
                self._send_all(self._layer.outgoing())

    def _connect(self) -> None:
        """Connect to the first address that accepts the connection; connections begin with each address in turn."""
        addresses = self._settings.host.in_turn()
        for address in addresses[:-1]:
            try:
                return self._connect_to(address)
            except OSError:
                self.close()
        return self._connect_to(addresses[-1])

    def _connect_to(self, address: Address) -> None:
        connection = Socket(address.family, stdlib_socket.SOCK_STREAM)
        connection.settimeout(0.0)
        connection.setsockopt(stdlib_socket.IPPROTO_TCP, stdlib_socket.TCP_NODELAY, 1)
        if sys.platform == "linux":
            connection.setsockopt(stdlib_socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._socket = connection
        code = connection.connect_ex(address.where)
        if code in CONNECTING:
            self._await_writable()
            code = connection.getsockopt(stdlib_socket.SOL_SOCKET, stdlib_socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))
        self._address = address.text
        self._lifetime = Lifetime(self._settings.limits, opened=time.perf_counter())

    def _exchange(self, wire: bytes, method: str) -> Answer:
        """Send and read over the plain socket: the path of nearly every request, in as few steps as possible."""
        try:
            sent = self._socket.send(wire)
        except BlockingIOError:
            sent = 0
        if sent < len(wire):
            self._send_all(wire[sent:])
        data = self._receive()
        if not data:
            raise ClosedEarly
        self._has_begun = True
        return (method != HEAD and simple_answer(data)) or read_answer(data, method=method, more=self._receive_at_once)

    def _exchange_over_tls(self, layer: TlsLayer, wire: bytes, method: str) -> Answer:
        self._send_all(layer.encrypted(wire))
        data = self._decrypt(layer)
        if not data:
            raise ClosedEarly
        self._has_begun = True
        return (method != HEAD and simple_answer(data)) or read_answer(
            data, method=method, more=lambda: self._decrypt(layer)
        )

    def _decrypt(self, layer: TlsLayer) -> bytes:
        while (data := layer.decrypted()) is None:
            self._take_in(layer)
        return data

    def _take_in(self, layer: TlsLayer) -> None:
        layer.take_in(self._receive_at_once())
        self._send_all(layer.outgoing())

    def _send_all(self, data: bytes) -> None:
        while data:
            try:
                data = data[self._socket.send(data) :]
            except BlockingIOError:
                self._await_writable()

    def _receive_at_once(self) -> bytes:
        """Return the next bytes without delay; the server may be waiting until they are read."""
        self._poller.wake()
        return self._receive()

    def _receive(self) -> bytes:
        """Return the next bytes, empty when the server has closed, and record when they arrived."""
        while True:
            self._await_readable()
            try:
                data: bytes
                data, notes, _, _ = self._socket.recvmsg(READ_SIZE, ROOM_FOR_STAMP)
            except BlockingIOError:
                continue
            # In this order: a delay between the two must not make the answer look earlier than it was.
            wall, self._received = time.time(), time.perf_counter()
            if notes:
                seconds, nanoseconds = TIMESPEC.unpack(notes[0][2])
                self._received -= max(0.0, wall - seconds - nanoseconds * 1e-9)
            return data

    def _await_readable(self) -> None:
        if not self._is_watched:
            self._is_watched = True
            self._poller.add(self._socket.fileno(), self._on_readable)
        self._reader = getcurrent()
        try:
            get_hub().switch()
        finally:
            self._reader = None

    def _on_readable(self) -> None:
        """Wake the waiting greenlet; without one, an idle connection has ended, which its next use notices."""
        if self._reader is not None:
            self._reader.switch()
        else:
            self._is_watched = False
            self._poller.remove(self._socket.fileno())

    def _await_writable(self) -> None:
        watcher = get_hub().loop.io(self._socket.fileno(), WRITE)
        watcher.start(getcurrent().switch)
        try:
            get_hub().switch()
        finally:
            watcher.stop()
            watcher.close()
