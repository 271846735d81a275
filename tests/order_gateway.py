"""A gateway of known truth: it counts open orders, and writes down when requests came and went."""

import re
import threading
import time
from dataclasses import dataclass, field
from itertools import count

from tests.socket_servers import SocketServer, Talk, answer

FILLED_AFTER_S = 0.15

_LINE = re.compile(rb"([A-Z]+) ([^ ]+) ")


@dataclass
class OrderGateway:
    """Takes orders, which are filled after a moment, and closes them when they are cancelled.

    Attributes:
        stall: from when to when no request is answered, in Unix seconds.
        open: the orders that were placed and not cancelled.
        served: of each request its method and path, and when it came and went.
    """

    stall: tuple[float, float] = (0.0, 0.0)
    place_s: float = 0.0
    open: set[bytes] = field(default_factory=set)
    served: list[tuple[str, float, float]] = field(default_factory=list)
    placed: int = 0
    _numbers: "count[int]" = field(default_factory=lambda: count(1))
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _placed_at: dict[bytes, float] = field(default_factory=dict)

    def serve(self) -> SocketServer:
        """Start the server."""
        return SocketServer(self._talk)

    def _talk(self, talk: Talk) -> None:
        while (request := talk.read_request()) is not None:
            came = time.time()
            line = _LINE.match(request)
            assert line is not None
            reply = self._reply(line[1], line[2], request)
            begins, ends = self.stall
            if begins <= came < ends:
                time.sleep(max(0.0, ends - time.time()))
            talk.send(reply)
            with self._lock:
                self.served.append((f"{line[1].decode()} {line[2].decode()}", came, time.time()))

    def _reply(self, method: bytes, path: bytes, request: bytes) -> bytes:
        order = path.rpartition(b"/")[2]
        if path == b"/quotes":
            return answer(b'{"quote":{"ask":1.0842}}')
        if method == b"POST":
            assert request.endswith(b'{"price":1.0842}')
            with self._lock:
                order = b"%d" % next(self._numbers)
                self.open.add(order)
                self.placed += 1
                self._placed_at[order] = time.time()
            time.sleep(self.place_s)
            return answer(b'{"order":{"id":%b}}' % order, status="201 Created")
        if method == b"DELETE":
            with self._lock:
                self.open.discard(order)
            return answer()
        is_filled = time.time() - self._placed_at[order] >= FILLED_AFTER_S
        return answer(b'{"state":"%b"}' % (b"filled" if is_filled else b"working"))


LIFE_CYCLE = {
    "name": "life",
    "steps": [
        {"name": "quote", "method": "GET", "path": "/quotes", "capture": {"ask": {"json": "quote.ask"}}},
        {
            "name": "place",
            "method": "POST",
            "path": "/orders",
            "body": {"price": "$ask"},
            "expect": {"status": 201},
            "capture": {"order_id": {"json": "order.id"}},
            "think_s": 0.2,
        },
        {
            "name": "poll",
            "method": "GET",
            "path": "/orders/$order_id",
            "think_s": 0.05,
            "repeat": {"until": {"json": {"state": "filled"}}, "at_most": 50, "every_s": 0.05},
        },
    ],
    "finally": [{"name": "cancel", "method": "DELETE", "path": "/orders/$order_id"}],
}
"""The journey of an order."""
