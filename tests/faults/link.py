"""A TCP proxy between a client and a server that can reset, delay or block its connections."""

import contextlib
import select
import socket
import struct
import threading
from enum import Enum
from types import TracebackType

HOST = "127.0.0.1"
POLL_S = 0.05


class State(Enum):
    """What happens to the data."""

    WHOLE = "passed on"
    RESET = "connection reset"
    HUNG = "blocked"
    SLOW = "delayed"


class FaultyLink:
    """A proxy for a port on this machine.

    Attributes:
        delay_s: delay of responses in the state SLOW.
    """

    def __init__(self, to: int, *, delay_s: float = 0.3) -> None:
        self._to = to
        self.delay_s = delay_s
        self._listener = socket.create_server((HOST, 0), backlog=1024)
        self._closing = threading.Event()
        self.port: int = self._listener.getsockname()[1]
        self.state = State.WHOLE

    def __enter__(self) -> "FaultyLink":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._closing.set()
        self._listener.close()

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._pass_on, args=(client,), daemon=True).start()

    def _pass_on(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError), socket.create_connection((HOST, self._to), timeout=5) as server:
            both = {client: server, server: client}
            while not self._closing.is_set():
                ready, _, _ = select.select(list(both), [], [], POLL_S)
                if self.state is State.RESET:
                    _reset(client)
                    return
                if self.state is State.HUNG:
                    self._closing.wait(POLL_S)
                    continue
                for source in ready:
                    data = source.recv(1 << 16)
                    if not data:
                        return
                    if self.state is State.SLOW and source is server:
                        self._closing.wait(self.delay_s)
                    both[source].sendall(data)


def _reset(client: socket.socket) -> None:
    """Close a connection with a reset."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
