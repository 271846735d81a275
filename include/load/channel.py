"""The channel between the master of a load and its workers: ZeroMQ sockets that only holders of the key can use.

CURVE, ZeroMQ's own encryption, authenticates both sides and encrypts every message with keys of its connection. Master
and worker each have a key pair, derived from the shared key, so both know whom to admit. Without the key, a peer of the
master gets nothing but ZeroMQ's greeting, and its connection is closed; what it sends never leaves ZeroMQ.

Source: CurveZMQ is RFC 26 (rfc.zeromq.org/spec/26), the admission of peers (ZAP) RFC 27. The key pairs are derived as
in HKDF-Expand (RFC 5869) for an output of one block.
"""

import hmac
import secrets
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NoReturn

import gevent
import zmq.green as zmq
from zmq.utils import z85
from zmq.utils.monitor import parse_monitor_message

PROTOCOL = b"bellwether load 2"
DOMAIN = PROTOCOL

ADMISSION = "inproc://zeromq.zap.01"
"""Where ZeroMQ asks whether to admit a peer; the address is fixed by RFC 27."""

HANDSHAKE_MS = 5_000
"""A connection that has not proved the key by then is closed."""

MAX_QUEUED = 100
"""Messages of one peer that may wait in each direction; the peer's own queue comes on top."""

MASTER_MAX_BYTES = 2 * 1024 * 1024
"""The longest message to the master: rows are sent in pieces of 256 KiB, a summary with 500 examples has 1.2 MB."""

WORKER_MAX_BYTES = 256 * 1024 * 1024
"""The longest message to a worker: the order of a load has all its requests."""

RECONNECT_MS = 500

BACKLOG = 1_024
"""Connections that the kernel keeps until ZeroMQ accepts them, so that a flood does not turn workers away."""

REFUSALS = {zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL, zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL, zmq.EVENT_HANDSHAKE_FAILED_AUTH}

MAX_REFUSALS_COUNTED = 1_000


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A CURVE key pair, in the encoding of ZeroMQ (Z85)."""

    secret: bytes
    public: bytes


def key_pair(key: bytes, role: bytes) -> KeyPair:
    """Derive the key pair of the master or of its workers from the shared key."""
    secret = z85.encode(hmac.digest(key, PROTOCOL + b" " + role + b"\x01", "sha256"))
    return KeyPair(secret, zmq.curve_public(secret))


def has_ipv6(host: str, port: int) -> bool:
    """Whether a host has an address of IPv6."""
    try:
        found = socket.getaddrinfo(host, port, proto=socket.IPPROTO_TCP)
    except OSError:
        return False
    return any(family == socket.AF_INET6 for family, *_ in found)


def _limited(given: Any, max_bytes: int) -> None:
    """Limit what a peer can make a socket hold; ZeroMQ closes the connection of a peer that sends a longer message."""
    given.setsockopt(zmq.MAXMSGSIZE, max_bytes)
    given.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
    given.setsockopt(zmq.RCVHWM, MAX_QUEUED)
    given.setsockopt(zmq.SNDHWM, MAX_QUEUED)
    given.setsockopt(zmq.LINGER, 0)


class Refusals:
    """Counts the connections of a socket whose handshake failed.

    Args:
        events: the kinds of failures that count.
    """

    def __init__(self, given: Any, events: Iterable[int]) -> None:
        self.count = 0
        self._socket = given
        self._monitor = given.get_monitor_socket(sum(events))
        gevent.spawn(self._count)

    def _count(self) -> None:
        """Count up to a limit: ZeroMQ waits for a reader of its events, and nobody may keep it waiting."""
        while self.count < MAX_REFUSALS_COUNTED:
            event = parse_monitor_message(self._monitor.recv_multipart())["event"]
            if event == zmq.EVENT_MONITOR_STOPPED:
                return
            self.count += 1
        self._socket.disable_monitor()


class MasterSocket:
    """The master's end: it receives from all workers that hold the key.

    Raises:
        zmq.ZMQError: it cannot listen there.
    """

    def __init__(self, key: bytes, *, host: str, port: int) -> None:
        self._workers = key_pair(key, b"worker")
        context = zmq.Context()
        self._admission = context.socket(zmq.REP)
        self._admission.bind(ADMISSION)
        gevent.spawn(self._admit_workers)
        self._socket = context.socket(zmq.ROUTER)
        _limited(self._socket, MASTER_MAX_BYTES)
        self._socket.setsockopt(zmq.BACKLOG, BACKLOG)
        self._socket.setsockopt(zmq.CURVE_SERVER, 1)
        self._socket.setsockopt(zmq.CURVE_SECRETKEY, key_pair(key, b"master").secret)
        self._socket.setsockopt(zmq.ZAP_DOMAIN, DOMAIN)
        self._socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)
        self._socket.setsockopt(zmq.IPV6, has_ipv6(host, port))
        # an aborted handshake without a reason is also what the workers' check for a master looks like
        self._refusals = Refusals(self._socket, REFUSALS - {zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL})
        self._socket.bind(f"tcp://{f'[{host}]' if ':' in host else host}:{port}")

    def _admit_workers(self) -> NoReturn:
        """Answer ZeroMQ's questions whom to admit: those with the workers' key pair."""
        admitted = z85.decode(self._workers.public)
        while True:
            version, request, _, _, _, mechanism, *credentials = self._admission.recv_multipart()
            is_worker = mechanism == b"CURVE" and credentials == [admitted]
            status = b"200" if is_worker else b"400"
            self._admission.send_multipart([version, request, status, b"", b"", b""])

    @property
    def refused(self) -> int:
        """How many connections did not prove the key, up to `MAX_REFUSALS_COUNTED`."""
        return self._refusals.count

    def receive(self) -> tuple[bytes, bytes]:
        """Wait for the next message, and return the sender's name and the content; empty if it had several frames."""
        sender, *frames = self._socket.recv_multipart()
        return sender, frames[0] if len(frames) == 1 else b""

    def send(self, worker: bytes, content: bytes) -> None:
        """Send content to one worker; nothing is sent to a worker that is gone."""
        self._socket.send_multipart([worker, content])


class WorkerSocket:
    """A worker's end: it reaches only a master that holds the key.

    Args:
        address: of the master; names are not resolved again.
    """

    def __init__(self, key: bytes, *, address: str, port: int) -> None:
        pair = key_pair(key, b"worker")
        self._socket = zmq.Context().socket(zmq.DEALER)
        _limited(self._socket, WORKER_MAX_BYTES)
        self._socket.setsockopt(zmq.IDENTITY, b"w" + secrets.token_bytes(16))  # random, so that no other can take it
        self._socket.setsockopt(zmq.CURVE_SERVERKEY, key_pair(key, b"master").public)
        self._socket.setsockopt(zmq.CURVE_PUBLICKEY, pair.public)
        self._socket.setsockopt(zmq.CURVE_SECRETKEY, pair.secret)
        self._socket.setsockopt(zmq.RECONNECT_IVL, RECONNECT_MS)
        self._socket.setsockopt(zmq.IPV6, ":" in address)
        self._refusals = Refusals(self._socket, REFUSALS)
        self._socket.connect(f"tcp://{f'[{address}]' if ':' in address else address}:{port}")

    @property
    def refused(self) -> int:
        """How many connections the master closed before it had proved the key."""
        return self._refusals.count

    def receive(self) -> bytes:
        """Wait for the next message; it is empty if it had several frames."""
        frames = self._socket.recv_multipart()
        return bytes(frames[0]) if len(frames) == 1 else b""

    def send(self, content: bytes) -> None:
        """Send content without waiting.

        Raises:
            zmq.Again: too many messages wait to be sent.
        """
        self._socket.send(content, zmq.NOBLOCK)
