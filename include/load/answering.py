"""A server that answers every request at once: ``python -m include.load.answering <address>``.

The capacity search sends its loads to it. It prints the port on which it listens; for every line on its standard input
it prints how many cores it needed since the line before, and it ends when its standard input closes.
"""

import asyncio
import json
import os
import sys

from include.load.processor import WantedCores

ANSWER = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{"ok":true}'
END_OF_HEAD = b"\r\n\r\n"
LENGTH = b"content-length:"
MAX_REQUEST_BYTES = 1 << 20
"""The load generator sends no larger requests."""


class AnsweringConnection(asyncio.Protocol):
    """One connection, which carries one request at a time."""

    def __init__(self) -> None:
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer once a request is complete."""
        self._buffer += data
        if len(self._buffer) > MAX_REQUEST_BYTES:
            self._transport.close()
        elif _is_complete(self._buffer):
            self._buffer = b""
            self._transport.write(ANSWER)  # type: ignore[attr-defined]  # a stream's transport can


def _is_complete(request: bytes) -> bool:
    head, found, body = request.partition(END_OF_HEAD)
    if not found:
        return False
    _, has_length, rest = head.lower().partition(LENGTH)
    return not has_length or len(body) >= int(rest.split(b"\r\n", 1)[0])


async def serve(address: str) -> None:
    """Serve until the standard input closes."""
    loop = asyncio.get_running_loop()
    try:
        server = await loop.create_server(AnsweringConnection, address, 0, backlog=1024)
    except OSError as err:
        raise SystemExit(f"the answering process cannot listen: {err.strerror}") from err
    is_over = asyncio.Event()
    use = WantedCores()

    def on_line() -> None:
        if os.read(sys.stdin.fileno(), 1):
            _report({"wanted_cores": use.take()})
        else:
            is_over.set()

    loop.add_reader(sys.stdin.fileno(), on_line)
    _report({"port": server.sockets[0].getsockname()[1]})
    await is_over.wait()


def _report(values: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
