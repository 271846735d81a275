"""A service that records its requests: ``python tests/target_server.py <truth file> [--stall-at N] [--stall-s S]``.

It answers every request after a seeded time, and records when the request arrived and was answered, on its own clock.
It prints its port when it listens. ``GET /truth/count`` returns how many requests it has answered.
"""

import argparse
import asyncio
import random
import time
from pathlib import Path
from typing import IO

ANSWER = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{"ok":true}'


class Truth:
    """The record of the requests, and the planned stall."""

    def __init__(self, file: IO[str], *, stall_at: int, stall_s: float) -> None:
        self._file = file
        self._stall_at = stall_at
        self._stall_s = stall_s
        self._random = random.Random(5)
        self.requests = 0
        self.answered = 0

    def service_time_s(self) -> float:
        """Draw the next service time: 5 ms at the median, a tail to some 50."""
        return min(0.05, self._random.lognormvariate(-5.3, 0.6))

    def begin(self) -> None:
        """Count a request, and stall if it is the planned one."""
        self.requests += 1
        if self.requests == self._stall_at:
            began = time.time()
            time.sleep(self._stall_s)
            self._file.write(f"stall,{began:.6f},{time.time():.6f}\n")
            self._file.flush()

    def end(self, came: float) -> None:
        """Record a request that was answered."""
        self.answered += 1
        self._file.write(f"request,{came:.6f},{time.time():.6f}\n")
        self._file.flush()


class Service(asyncio.Protocol):
    """One connection, which carries one request at a time."""

    def __init__(self, truth: Truth) -> None:
        self._truth = truth
        self._buffer = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer a complete request after its service time."""
        came = time.time()
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        length = next((int(line[15:]) for line in head.split(b"\r\n") if line[:15] == b"Content-Length:"), 0)
        if not found or len(body) < length:
            return
        self._buffer = b""
        if head.startswith(b"GET /truth/count "):
            text = str(self._truth.answered).encode()
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text))
            return
        self._truth.begin()
        asyncio.get_running_loop().call_later(self._truth.service_time_s(), self._answer, came)

    def _answer(self, came: float) -> None:
        if not self._transport.is_closing():
            self._transport.write(ANSWER)
            self._truth.end(came)


async def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=Path)
    parser.add_argument("--stall-at", type=int, default=0)
    parser.add_argument("--stall-s", type=float, default=1.0)
    options = parser.parse_args()
    with options.file.open("w", encoding="ascii") as file:
        truth = Truth(file, stall_at=options.stall_at, stall_s=options.stall_s)
        server = await asyncio.get_running_loop().create_server(lambda: Service(truth), "127.0.0.1", 0, backlog=1024)
        print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201 - how a test learns the port
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
