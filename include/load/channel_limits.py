"""Limits of Locust's channel: whoever reaches a port may send anything, and as much of it as they like."""

from typing import Any

import zmq
from locust.rpc import zmqrpc

MAX_QUEUED = 100
"""Messages of one peer that may wait; the peer's own queue comes before this one."""

_create_socket: Any = zmqrpc.BaseSocket.__init__


def limit_messages(max_bytes: int) -> None:
    """Limit what each socket that Locust opens from now on receives: the size of a message, and how many wait.

    ZeroMQ closes the connection of a peer that sends more. Locust has no setting for it, and the options must be set
    before it binds or connects the socket.
    """

    def create(self: Any, socket_type: int, ipv4_only: bool) -> None:  # noqa: FBT001 - Locust's own signature
        _create_socket(self, socket_type, ipv4_only)
        self.socket.setsockopt(zmq.MAXMSGSIZE, max_bytes)
        self.socket.setsockopt(zmq.RCVHWM, MAX_QUEUED)

    zmqrpc.BaseSocket.__init__ = create  # type: ignore[method-assign]  # see above: there is no other way in
