"""The channel with real ZeroMQ sockets and hostile peers: without the key nobody is heard, or learns anything."""

import os
import secrets
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import zmq

from include.load.channel import MASTER_MAX_BYTES, PROTOCOL, KeyPair, key_pair
from tests.socket_servers import child, eventually, free_port

MASTER = """
import sys
from include.load import channel
channel.HANDSHAKE_MS = 1_000
master = channel.MasterSocket(bytes.fromhex(sys.argv[1]), host="127.0.0.1", port=int(sys.argv[2]))
print("listening", flush=True)
while True:
    sender, content = master.receive()
    print(master.refused, len(content), content[:20], flush=True)
    master.send(sender, b"answer to " + content[:20])
"""

LONGEST = MASTER_MAX_BYTES - 1_000
"""A message and what encryption adds to it."""

KEY, OTHER = secrets.token_bytes(32), secrets.token_bytes(32)


@dataclass(frozen=True)
class Port:
    """The port of a master that prints and answers every message."""

    number: int
    output: Path
    running: ExitStack

    def lines(self) -> list[str]:
        return self.output.read_text(encoding="utf-8").splitlines()

    def await_line(self, end: str) -> str:
        """Wait for a line with this end, and return it."""
        return str(eventually(lambda: next((line for line in self.lines() if line.endswith(end)), None)))

    def dealer(self, **options: Any) -> "zmq.Socket[bytes]":
        """Connect with options of ZeroMQ."""
        dealer = self.running.enter_context(zmq.Context.instance().socket(zmq.DEALER))
        dealer.linger, dealer.rcvtimeo, dealer.reconnect_ivl = 0, 60_000, 100
        for name, value in options.items():
            setattr(dealer, name, value)
        dealer.connect(f"tcp://127.0.0.1:{self.number}")
        return dealer

    def worker(self, master: bytes, pair: KeyPair) -> "zmq.Socket[bytes]":
        """Connect with a key pair to the master of a public key."""
        return self.dealer(curve_serverkey=master, curve_publickey=pair.public, curve_secretkey=pair.secret)

    def honest(self) -> "zmq.Socket[bytes]":
        return self.worker(key_pair(KEY, b"master").public, key_pair(KEY, b"worker"))

    def raw(self) -> socket.socket:
        return self.running.enter_context(socket.create_connection(("127.0.0.1", self.number), timeout=30))


@pytest.fixture
def listen(tmp_path: Path) -> Iterator[Callable[[bytes], Port]]:
    """Start masters with a key."""
    with ExitStack() as running:

        def start(key: bytes) -> Port:
            port = free_port()
            path = tmp_path / f"output-{port}"
            output = running.enter_context(path.open("wb"))
            running.enter_context(child(sys.executable, "-c", MASTER, key.hex(), str(port), stdout=output))
            made = Port(port, path, running)
            made.await_line("listening")
            return made

        yield start


def everything(connection: socket.socket) -> bytes:
    """Return all bytes that come until the connection is closed."""
    received = b""
    try:
        while data := connection.recv(65_536):
            received += data
    except ConnectionResetError:
        pass
    return received


def test_a_worker_with_the_key_is_heard_and_answered(listen: Callable[[bytes], Port]) -> None:
    """Both sides have the same key."""
    port = listen(KEY)
    worker = port.honest()
    worker.send(b"hello")
    assert worker.recv() == b"answer to hello"
    assert port.lines() == ["listening", "0 5 b'hello'"]


def test_nobody_else_is_heard(listen: Callable[[bytes], Port]) -> None:
    """With another key, without encryption, with a password, or with the right master but an own key pair."""
    port, own, others = listen(KEY), key_pair(OTHER, b"worker"), key_pair(OTHER, b"master").public
    strangers = [
        port.worker(others, own),
        port.worker(key_pair(KEY, b"master").public, own),
        port.worker(key_pair(KEY, b"worker").public, key_pair(KEY, b"worker")),
        port.dealer(),
        port.dealer(plain_username=b"worker", plain_password=KEY.hex().encode()),
    ]
    for stranger in strangers:
        stranger.send(b"let me in")
    worker = port.honest()

    def refused() -> int:
        worker.send(b"hello")
        worker.recv()
        return int(port.lines()[-1].split()[0])

    eventually(lambda: refused() >= len(strangers))
    assert {line.partition(" ")[2] for line in port.lines()[1:]} == {"5 b'hello'"}
    for stranger in strangers:
        with pytest.raises(zmq.Again):
            stranger.recv(zmq.NOBLOCK)


GREETING = b"\xff" + bytes(7) + b"\x01\x7f" + b"\x03\x01"
CURVE = GREETING + b"CURVE".ljust(20, b"\0") + bytes(32)
MASTERS_GREETING = GREETING + b"CURVE".ljust(20, b"\0") + bytes(32)
NULL = GREETING + b"NULL".ljust(20, b"\0") + bytes(32)
HELLO = b"\x05HELLO\x01\x00" + bytes(72)


def frame_of(command: bytes) -> bytes:
    """Return a command of ZMTP."""
    return b"\x04" + bytes([len(command)]) + command


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET / HTTP/1.1\r\n\r\n",
        NULL,
        NULL + frame_of(b"\x05READY"),
        CURVE,
        CURVE + frame_of(HELLO + os.urandom(8 + 32 + 80)),
        CURVE + b"\x06" + (1 << 62).to_bytes(8, "big") + bytes(1_000),
        CURVE + frame_of(b"\x08INITIATE" + os.urandom(200)),
        os.urandom(500),
    ],
    ids=["silent", "HTTP", "NULL", "NULL READY", "silent CURVE", "another key", "long command", "INITIATE", "noise"],
)
def test_a_stranger_learns_nothing_and_is_closed(listen: Callable[[bytes], Port], sent: bytes) -> None:
    """It gets no more than the greeting, which is the same for every key, and then the connection is closed."""
    connection = listen(KEY).raw()
    connection.sendall(sent)
    assert MASTERS_GREETING.startswith(everything(connection))


def test_a_message_that_is_too_long_is_not_received(listen: Callable[[bytes], Port]) -> None:
    """Its sender loses the connection; the others do not notice. One of several frames has no content."""
    port = listen(KEY)
    hostile, worker = port.honest(), port.honest()
    hostile.send(bytes(MASTER_MAX_BYTES + 1))
    worker.send(bytes(LONGEST))
    worker.recv()
    worker.send_multipart([b"x"] * 10_000)
    assert worker.recv() == b"answer to "
    assert [line.split()[1] for line in port.lines()[1:]] == [str(LONGEST), "0"]


def test_a_flood_of_strangers_does_not_delay_a_worker(listen: Callable[[bytes], Port]) -> None:
    """Two hundred silent connections, and twenty that try again and again; a worker connects, and stays connected."""
    port = listen(KEY)
    before = port.honest()
    before.send(b"before")
    before.recv()
    silent = [port.raw() for _ in range(200)]
    own, others = key_pair(OTHER, b"worker"), key_pair(OTHER, b"master").public
    for _ in range(10):
        port.worker(others, own).send(b"let me in")
        port.dealer().send(b"let me in")
    began = time.monotonic()
    worker = port.honest()
    for number in range(50):
        for talker in (worker, before):
            talker.send(b"%d" % number)
            assert talker.recv() == b"answer to %d" % number
    assert time.monotonic() - began < 30
    assert all(MASTERS_GREETING.startswith(everything(connection)) for connection in silent)


def test_a_master_without_the_key_gets_nothing_from_a_worker(listen: Callable[[bytes], Port]) -> None:
    """Neither a master with another key nor one without encryption receives the order's recipient."""
    port = listen(OTHER)
    port.honest().send(b"hello")
    with zmq.Context.instance().socket(zmq.ROUTER) as fake:
        fake.linger, fake.rcvtimeo = 0, 1_000
        number = fake.bind_to_random_port("tcp://127.0.0.1")
        Port(number, port.output, port.running).honest().send(b"hello")
        with pytest.raises(zmq.Again):
            fake.recv_multipart()
    assert port.lines() == ["listening"]


def test_keys_are_derived_for_one_purpose() -> None:
    """Master and worker have different pairs; another shared key gives others."""
    pairs = [key_pair(key, role) for key in (KEY, OTHER) for role in (b"master", b"worker")]
    assert len({pair.secret for pair in pairs} | {pair.public for pair in pairs}) == 8
    assert key_pair(bytes(32), b"master") == key_pair(bytes(32), b"master")
    assert PROTOCOL == b"bellwether load 2"
