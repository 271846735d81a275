"""The master's port, with Locust's own master behind it: what strangers send there changes nothing."""

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import msgpack
import pytest
import zmq

from tests.distributed_loads import free_port
from tests.socket_servers import child

MASTER = """
import sys
from include.load.master import Master
say = lambda *words: print(*words, flush=True)
master = Master("127.0.0.1", int(sys.argv[1]), greet=lambda name: say("greet", name), take=lambda *it: say("take", *it))
master.greenlet.join()
"""

NOISE = b"\x01\x02"
"""More than one value: for this Locust hands over the message before it once more."""


class Port:
    """The port of a master, which writes down whom it greets and what it takes."""

    def __init__(self, port: int, told: Path, running: ExitStack) -> None:
        self._port, self._told, self._running = port, told, running

    def connect(self, name: str) -> "zmq.Socket[bytes]":
        """Connect under a name, and wait until that was greeted."""
        socket = self._running.enter_context(zmq.Context.instance().socket(zmq.DEALER))
        socket.linger = 0
        socket.identity = name.encode()
        socket.connect(f"tcp://127.0.0.1:{self._port}")
        socket.send(msgpack.dumps(("client_ready", -1, name)))
        assert self.told(f"greet {name}")
        return socket

    def told(self, line: str) -> list[str]:
        """Wait for a line; return all up to now, none when it does not come."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            lines = self._told.read_text(encoding="utf-8").splitlines()
            if line in lines:
                return lines
            time.sleep(0.02)
        return []


@pytest.fixture
def port(tmp_path: Path) -> Iterator[Port]:
    """A master's port."""
    number, told = free_port(), tmp_path / "told"
    with ExitStack() as running:
        output, log = running.enter_context(told.open("wb")), running.enter_context((tmp_path / "log").open("wb"))
        running.enter_context(child(sys.executable, "-c", MASTER, str(number), stdout=output, stderr=log))
        yield Port(number, told, running)


def said_by(name: str, content: bytes) -> bytes:
    """Return a message of ours as it goes over Locust's channel."""
    packed: bytes = msgpack.dumps(("bellwether", {"sealed": content}, name))
    return packed


def test_what_one_says_is_never_taken_as_said_by_another(port: Port) -> None:
    """By noise, for which Locust repeats the last message in the name of who made it; or in another's name."""
    worker, stranger = port.connect("a"), port.connect("x")
    worker.send(said_by("a", b"hello"))
    assert port.told("take a b'hello'")
    stranger.send(NOISE)
    stranger.send(said_by("a", b"forged"))
    stranger.send(said_by("x", b"own"))
    assert port.told("take x b'own'") == ["greet a", "greet x", "take a b'hello'", "take x b'own'"]


def test_noise_does_not_keep_the_workers_waiting(port: Port) -> None:
    """A hundred unreadable messages of every kind: what a worker says next is taken at once."""
    worker, stranger = port.connect("a"), port.connect("x")
    for number in range(100):
        stranger.send((b"x", b"", NOISE, b"\xc1")[number % 4])
    stranger.send(said_by("x", b"done"))
    began = time.monotonic()
    assert port.told("take x b'done'")
    worker.send(said_by("a", b"rows"))
    assert port.told("take a b'rows'")
    assert time.monotonic() - began < 5
