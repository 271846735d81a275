"""A load process with a master on another machine: only sealed messages of that master keep it alive."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack
import pytest
import zmq

from include.load.conversation import Conversation, Introduction, packet
from tests.socket_servers import child

KEY = "e1f0a83c5b7d4926804fd3b61c97a25e48d0b19f7c3652ae8f04d97b16c5e32a"

REMOTE = """
import include.load.remote as remote
remote.MASTER_SILENT_S, remote.POLL_INTERVAL_S = 1.5, 0.1
remote.main()
"""


class Master:
    """A master that sends and reads raw messages."""

    def __init__(self) -> None:
        self._socket = zmq.Context.instance().socket(zmq.ROUTER)
        self._socket.linger, self._socket.rcvtimeo = 0, 30_000
        self.port = self._socket.bind_to_random_port("tcp://127.0.0.1")
        self._worker = b""

    def await_message(self, kind: str) -> Any:
        """Return the data of the next message of a kind."""
        while True:
            self._worker, raw = self._socket.recv_multipart()
            named, data, _ = msgpack.loads(raw)
            if named == kind:
                return data

    def send(self, kind: str, data: Any) -> None:
        self._socket.send_multipart([self._worker, msgpack.dumps((kind, data, self._worker.decode()))])

    def admit(self) -> Conversation:
        """Exchange introductions, up to the worker's hello."""
        self.await_message("client_ready")
        self.send("ack", {"index": 0})
        introduction = Introduction(KEY)
        self.send("bellwether", packet(introduction.seal({"session": "s1"})))
        hello = introduction.open(self.await_message("bellwether")["sealed"])
        assert hello["worker"] == self._worker.decode()
        return Conversation(KEY, session="s1", nonce=hello["nonce"], is_master=True)

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def master() -> Iterator[Master]:
    made = Master()
    yield made
    made.close()


def test_only_sealed_messages_keep_a_worker_alive(master: Master, tmp_path: Path) -> None:
    """It lives twice as long as the master may be silent; Locust's heartbeats and a replayed message do not count."""
    given = {"BELLWETHER_LOCUST_MASTER": f"127.0.0.1:{master.port}", "BELLWETHER_LOCUST_KEY": KEY}
    options = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE, "env": os.environ | given}
    with child(sys.executable, "-c", REMOTE, str(tmp_path), **options) as remote:
        talk = master.admit()
        for _ in range(15):
            sealed = talk.seal_json({"alive": True})
            master.send("bellwether", packet(sealed))
            time.sleep(0.2)
        assert remote.poll() is None
        deadline = time.monotonic() + 10
        while remote.poll() is None and time.monotonic() < deadline:
            master.send("heartbeat", None)
            master.send("bellwether", packet(sealed))
            time.sleep(0.2)
        assert remote.returncode == 1
        assert remote.stderr is not None
        assert remote.stderr.read().endswith(b"stopped: the master of the load is gone, or cannot be reached\n")
