"""A load process with a master on another machine: only signs of life of that master's task keep it alive."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

from include.load.channel import key_pair
from include.load.conversation import Conversation
from include.load.versions import own_versions
from tests.socket_servers import child

KEY = "e1f0a83c5b7d4926804fd3b61c97a25e48d0b19f7c3652ae8f04d97b16c5e32a"

REMOTE = """
import include.load.remote as remote
remote.SignOfLife = lambda: SignOfLife(limit_s=1.5)
from include.load.sign_of_life import SignOfLife
remote.main()
"""


class Master:
    """A master whose messages a test writes."""

    def __init__(self, key: str = KEY) -> None:
        self._socket = zmq.Context.instance().socket(zmq.ROUTER)
        self._socket.linger, self._socket.rcvtimeo = 0, 60_000
        self._socket.curve_server = True
        self._socket.curve_secretkey = key_pair(bytes.fromhex(key), b"master").secret
        self.port = self._socket.bind_to_random_port("tcp://127.0.0.1")
        self._talk = Conversation()
        self._worker = b""

    def receive(self) -> dict[str, Any]:
        """Return the worker's next message."""
        self._worker, packed = self._socket.recv_multipart()
        return self._talk.open(packed).data

    def send(self, data: dict[str, Any]) -> None:
        self._socket.send_multipart([self._worker, self._talk.pack_json(data)])

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def master() -> Iterator[Master]:
    made = Master()
    yield made
    made.close()


@contextlib.contextmanager
def remote(master: Master, folder: Path, *, key: str = KEY) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a load process until the end of the block."""
    given = {"BELLWETHER_LOCUST_MASTER": f"127.0.0.1:{master.port}"}
    options = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE, "env": os.environ | given}
    with child(sys.executable, "-c", REMOTE, str(folder), **options) as process:
        assert process.stdin is not None
        process.stdin.write(f"{key}\n".encode())
        process.stdin.flush()
        yield process


def end_of(process: "subprocess.Popen[bytes]") -> tuple[int, str]:
    """Wait for the end of a process, and return its exit code and the last line of its log."""
    assert process.stderr is not None
    log = process.stderr.read().decode()
    return process.wait(timeout=60), log.splitlines()[-1]


def test_only_signs_of_life_of_the_task_keep_a_worker_alive(master: Master, tmp_path: Path) -> None:
    """It lives twice as long as they may be away; later the master's own messages, with old signs, do not count."""
    with remote(master, tmp_path) as process:
        hello = master.receive()["hello"]
        assert (hello["host"], hello["versions"]) == (os.uname().nodename, own_versions())
        for _ in range(15):
            master.send({"alive": 0.0})
            time.sleep(0.2)
        assert process.poll() is None
        heard = time.monotonic()
        while process.poll() is None and time.monotonic() < heard + 30:
            master.send({"alive": time.monotonic() - heard})
            master.send({"ask": 0.0})
            time.sleep(0.2)
        assert end_of(process) == (1, "stopped: the master of the load is gone, or cannot be reached")


def test_a_master_with_another_key_is_named(tmp_path: Path) -> None:
    """The exit code makes the worker wait for a minute, because somebody has to change the key."""
    stranger = Master("0" * 63 + "1")
    try:
        with remote(stranger, tmp_path) as process:
            code, line = end_of(process)
    finally:
        stranger.close()
    assert code == 3
    assert line.endswith(
        f"127.0.0.1:{stranger.port} has another key, or is no master of this version of Bellwether; set the same "
        "BELLWETHER_LOCUST_KEY on both sides"
    )


def test_a_refused_worker_logs_why(master: Master, tmp_path: Path) -> None:
    """It has another version."""
    with remote(master, tmp_path) as process:
        master.receive()
        master.send({"refused": "generator 1 where the master has 2"})
        code, line = end_of(process)
    assert (code, line.partition("remote ")[2]) == (
        3,
        "the master refused this worker: generator 1 where the master has 2",
    )


def test_a_missing_message_ends_the_load(master: Master, tmp_path: Path) -> None:
    """It may have been a command to stop."""
    with remote(master, tmp_path) as process:
        master.receive()
        master._talk.pack_json({"stop": "never arrives"})
        master.send({"alive": 0.0})
        assert end_of(process) == (1, "stopped: a message of the master is missing")
