"""The master's port, with the real Locust master behind it: messages of strangers change nothing."""

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
show = lambda *values: print(*values, flush=True)
show_message = lambda *values: show("receive", *values)
master = Master("127.0.0.1", int(sys.argv[1]), greet=lambda name: show("greet", name), receive=show_message)
master.greenlet.join()
"""

MAX_MESSAGE_BYTES = 4 * 1024 * 1024
"""As in `include.load.master`, which cannot be imported here: Locust would patch the standard library."""

NOISE = b"\x01\x02"
"""More than one value: after it Locust delivers the previous message again."""


class Port:
    """The port of a master that prints which workers it greets and which messages it receives."""

    def __init__(self, port: int, output: Path, running: ExitStack) -> None:
        self._port, self._output, self._running = port, output, running

    def connect(self, name: str) -> "zmq.Socket[bytes]":
        """Connect under a name, and wait until the master has greeted it."""
        socket = self._running.enter_context(zmq.Context.instance().socket(zmq.DEALER))
        socket.linger = 0
        socket.identity = name.encode()
        socket.connect(f"tcp://127.0.0.1:{self._port}")
        socket.send(msgpack.dumps(("client_ready", -1, name)))
        assert self.lines_up_to(f"greet {name}")
        return socket

    def lines_up_to(self, line: str) -> list[str]:
        """Wait until the master prints a line; return all its lines, none if the line does not appear."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            lines = self._output.read_text(encoding="utf-8").splitlines()
            if line in lines:
                return lines
            time.sleep(0.02)
        return []


@pytest.fixture
def port(tmp_path: Path) -> Iterator[Port]:
    """A master's port."""
    number, path = free_port(), tmp_path / "output"
    with ExitStack() as running:
        output, log = running.enter_context(path.open("wb")), running.enter_context((tmp_path / "log").open("wb"))
        running.enter_context(child(sys.executable, "-c", MASTER, str(number), stdout=output, stderr=log))
        yield Port(number, path, running)


def message_of(name: str, content: bytes) -> bytes:
    """Return a Bellwether message as bytes of Locust's channel."""
    packed: bytes = msgpack.dumps(("bellwether", {"sealed": content}, name))
    return packed


def test_a_message_is_never_attributed_to_another_worker(port: Port) -> None:
    """Noise makes Locust repeat the last message under the id of its sender; a stranger may also use another's name."""
    worker, stranger = port.connect("a"), port.connect("x")
    worker.send(message_of("a", b"hello"))
    assert port.lines_up_to("receive a b'hello'")
    stranger.send(NOISE)
    stranger.send(message_of("a", b"forged"))
    stranger.send(message_of("x", b"own"))
    assert port.lines_up_to("receive x b'own'") == ["greet a", "greet x", "receive a b'hello'", "receive x b'own'"]


def test_noise_does_not_delay_the_workers(port: Port) -> None:
    """After a hundred unreadable messages the next message of a worker is received at once."""
    worker, stranger = port.connect("a"), port.connect("x")
    for number in range(100):
        stranger.send((b"x", b"", NOISE, b"\xc1")[number % 4])
    stranger.send(message_of("x", b"done"))
    began = time.monotonic()
    assert port.lines_up_to("receive x b'done'")
    worker.send(message_of("a", b"rows"))
    assert port.lines_up_to("receive a b'rows'")
    assert time.monotonic() - began < 5


def test_a_message_that_is_too_long_is_not_received(port: Port) -> None:
    """Its sender loses the connection; the others do not notice."""
    worker, stranger = port.connect("a"), port.connect("x")
    stranger.send(message_of("x", b"y" * (MAX_MESSAGE_BYTES + 1)))
    stranger.send(message_of("x", b"after"))
    worker.send(message_of("a", b"rows"))
    lines = port.lines_up_to("receive a b'rows'")
    assert lines
    assert max(map(len, lines)) < 100


FORGET = """
import sys
from include.load.master import Master
master = Master("127.0.0.1", int(sys.argv[1]), greet=lambda name: show(name), receive=print)
def show(name):
    before = master.is_there(name)
    master.forget(name)
    print("greet", name, flush=True)
    print(before, master.is_there(name), len(master.clients), len(master.worker_indexes), flush=True)
master.greenlet.join()
"""


def test_a_forgotten_connection_leaves_nothing(tmp_path: Path) -> None:
    """Neither of Locust's tables keeps it."""
    number, path = free_port(), tmp_path / "output"
    with ExitStack() as running:
        output = running.enter_context(path.open("wb"))
        running.enter_context(child(sys.executable, "-c", FORGET, str(number), stdout=output))
        forgetting = Port(number, path, running)
        forgetting.connect("a")
        forgetting.connect("b")
        assert forgetting.lines_up_to("greet b")
        assert forgetting.lines_up_to("True False 0 0")
