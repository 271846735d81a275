"""One connection against servers that behave and servers that do not, on real sockets.

gevent is used without patching anything; Locust, which patches, is never imported here.
"""

import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator

import gevent
import gevent.monkey
import pytest
from geventhttpclient.response import HTTPParseError

from include.load.connection import Answer, Connection, UnusableAnswer, tls_context, wire_format
from include.perf.feed import Request
from tests.socket_servers import Script, SocketServer, Talk, always, answer, free_port, self_signed

OK = answer(b'{"ok":1}')
AGAIN = answer(b'{"ok":2}')
OWN = Answer(status=200, body=b'{"ok":1}')


@pytest.fixture
def serve() -> Iterator[Callable[..., SocketServer]]:
    """Start servers that end with the test."""
    servers: list[SocketServer] = []

    def start(script: Script, *, tls: ssl.SSLContext | None = None) -> SocketServer:
        servers.append(SocketServer(script, tls=tls))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def connect() -> Iterator[Callable[..., Connection]]:
    """Open connections that end with the test."""
    connections: list[Connection] = []

    def to(url: str, *, verify: bool = True) -> Connection:
        connections.append(Connection(url, tls=tls_context(url, verify=verify)))
        return connections[-1]

    yield to
    for connection in connections:
        connection.close()


def get(connection: Connection, url: str, *, path: str = "/x", timeout_s: float = 10.0) -> Answer:
    wire = wire_format("GET", Request(path, None), base_url=url, headers={})
    return connection.send(wire, method="GET", timeout_s=timeout_s)


def test_the_standard_library_is_not_patched_here() -> None:
    """Importing Locust would patch it for the whole test run."""
    assert "locust" not in sys.modules
    assert not gevent.monkey.is_module_patched("socket")
    assert socket.socket.__module__ == "socket"


@pytest.mark.parametrize(
    ("method", "request_", "headers", "expected"),
    [
        ("GET", Request("/a?b=c", None), {}, b"GET /a?b=c HTTP/1.1\r\nHost: gw:8000\r\n\r\n"),
        (
            "POST",
            Request("/a", '{"x":"é"}'.encode()),
            {"Accept": "application/json"},
            b"POST /a HTTP/1.1\r\nHost: gw:8000\r\nAccept: application/json\r\n"
            # é is two bytes of UTF-8: 9 characters, 10 bytes
            b'Content-Type: application/json\r\nContent-Length: 10\r\n\r\n{"x":"\xc3\xa9"}',
        ),
        ("DELETE", Request("/a", None), {}, b"DELETE /a HTTP/1.1\r\nHost: gw:8000\r\nContent-Length: 0\r\n\r\n"),
    ],
)
def test_a_request_is_these_bytes(method: str, request_: Request, headers: dict[str, str], expected: bytes) -> None:
    """Nothing is added to what the feed and the service say."""
    assert wire_format(method, request_, base_url="http://gw:8000", headers=headers) == expected


def test_requests_share_one_connection(serve: Callable[..., SocketServer], connect: Callable[..., Connection]) -> None:
    """Keep-alive is used, and each request goes out once, as it was made."""
    seen: list[bytes | None] = []

    def script(talk: Talk) -> None:
        while (request := talk.read_request()) is not None:
            seen.append(request)
            talk.send(OK)

    server = serve(script)
    connection = connect(server.url)
    assert [get(connection, server.url, path=f"/{number}") for number in range(3)] == [OWN] * 3
    assert server.accepted == 1
    assert seen == [f"GET /{number} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n".encode() for number in range(3)]


def test_a_connection_closed_while_idle_is_opened_anew(
    serve: Callable[..., SocketServer], connect: Callable[..., Connection]
) -> None:
    """A server may close an idle connection whenever it likes, also at once; no request fails of it."""

    def script(talk: Talk) -> None:
        talk.read_request()
        talk.send_and_close(OK)
        talk.closing.wait()

    server = serve(script)
    connection = connect(server.url)
    assert [get(connection, server.url) for _ in range(3)] == [OWN] * 3
    assert server.accepted == 3


def test_an_answer_that_nobody_asked_for_is_not_taken_for_the_next(
    serve: Callable[..., SocketServer], connect: Callable[..., Connection]
) -> None:
    """Some proxies send 408 on an idle connection before they close it."""
    idle, sent = threading.Event(), threading.Event()

    def script(talk: Talk) -> None:
        talk.read_request()
        talk.send(OK)
        if talk.number == 1:
            idle.wait(10)
            talk.send(answer(b"idle too long", status="408 Request Timeout"))
            sent.set()
        talk.closing.wait()

    server = serve(script)
    connection = connect(server.url)
    assert get(connection, server.url) == OWN
    idle.set()
    assert sent.wait(10)
    assert get(connection, server.url) == OWN
    assert server.accepted == 2


def test_an_interim_answer_is_not_the_answer(
    serve: Callable[..., SocketServer], connect: Callable[..., Connection]
) -> None:
    """103 Early Hints comes before the real answer, which must not be left for the next request."""

    def script(talk: Talk) -> None:
        for data in (OK, AGAIN):
            talk.read_request()
            talk.send(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
            talk.closing.wait(0.05)
            talk.send(data)
        talk.closing.wait()

    server = serve(script)
    connection = connect(server.url)
    assert get(connection, server.url) == OWN
    assert get(connection, server.url) == Answer(status=200, body=b'{"ok":2}')
    assert server.accepted == 1


@pytest.mark.parametrize(
    ("sent", "status", "body", "connections"),
    [
        (OK, 200, b'{"ok":1}', 1),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", 200, b"abcde", 1),
        (answer(b"", status="204 No Content"), 204, b"", 1),
        (answer(b"no", status="500 Internal Server Error"), 500, b"no", 1),
        (answer(b"busy", status="503 Service Unavailable"), 503, b"busy", 1),
        (answer(b"bye", headers="Connection: close\r\n"), 200, b"bye", 2),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nold", 200, b"old", 2),
        (b"HTTP/1.1 200 caf\xe9\r\nX-Name: \xe9\r\nContent-Length: 2\r\n\r\nok", 200, b"ok", 1),
    ],
    ids=["plain", "chunked", "204", "500", "503", "close", "HTTP/1.0", "latin-1 headers"],
)
def test_an_answer_is_read_whole(
    serve: Callable[..., SocketServer],
    connect: Callable[..., Connection],
    sent: bytes,
    status: int,
    body: bytes,
    connections: int,
) -> None:
    """Status and body are what was sent; the connection is kept exactly when HTTP says so."""
    server = serve(always(sent))
    connection = connect(server.url)
    assert [get(connection, server.url) for _ in range(2)] == [Answer(status=status, body=body)] * 2
    assert server.accepted == connections


def test_an_answer_without_a_length_ends_with_its_connection(
    serve: Callable[..., SocketServer], connect: Callable[..., Connection]
) -> None:
    """HTTP allows it; the next request opens a new connection."""

    def script(talk: Talk) -> None:
        talk.read_request()
        talk.send(b"HTTP/1.1 200 OK\r\n\r\nuntil the end")

    server = serve(script)
    connection = connect(server.url)
    assert [get(connection, server.url).body for _ in range(2)] == [b"until the end"] * 2
    assert server.accepted == 2


def test_a_redirect_is_an_answer_and_not_followed(
    serve: Callable[..., SocketServer], connect: Callable[..., Connection]
) -> None:
    """Load goes to one host only."""
    elsewhere = serve(always(OK))
    server = serve(always(answer(b"", status="302 Found", headers=f"Location: {elsewhere.url}/x\r\n")))
    assert get(connect(server.url), server.url).status == 302
    assert elsewhere.accepted == 0


CUT = [
    (b"", UnusableAnswer, "closed the connection before the answer was whole"),
    (b"HTTP/1.1 200 OK\r\nConte", HTTPParseError, "Invalid EOF state"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", HTTPParseError, "Incomplete response"),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc", HTTPParseError, "Incomplete response"),
    (b"HTTP/1.1 103 Early Hints\r\n\r\n", HTTPParseError, "Incomplete response"),
    (b"SSH-2.0-OpenSSH_9.2\r\n", HTTPParseError, "Expected HTTP/"),
    (b"\x00\xff\x16\x03\x01", HTTPParseError, "Expected HTTP/"),
    (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n", HTTPParseError, "Upgrade"),
]


@pytest.mark.parametrize(("sent", "error", "message"), CUT, ids=[str(number) for number in range(len(CUT))])
def test_a_broken_answer_is_an_error_and_the_next_request_starts_afresh(
    serve: Callable[..., SocketServer],
    connect: Callable[..., Connection],
    sent: bytes,
    error: type[Exception],
    message: str,
) -> None:
    """Half an answer, none or garbage is no answer; nothing is sent twice."""

    def script(talk: Talk) -> None:
        while talk.read_request() is not None:
            requests.append(talk.number)
            if talk.number == 1:
                talk.send(sent)
                return
            talk.send(OK)

    requests: list[int] = []
    server = serve(script)
    connection = connect(server.url)
    with pytest.raises(error, match=message):
        get(connection, server.url)
    assert requests == [1]
    assert get(connection, server.url) == OWN
    assert requests == [1, 2]


def test_a_reset_is_an_error_and_not_retried(
    serve: Callable[..., SocketServer], connect: Callable[..., Connection]
) -> None:
    """Clients made for users hide a reset by sending again."""

    def script(talk: Talk) -> None:
        talk.read_request()
        if talk.number == 1:
            talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
            talk.reset()
            return
        talk.send(OK)
        talk.closing.wait()

    server = serve(script)
    connection = connect(server.url)
    with pytest.raises(ConnectionResetError):
        get(connection, server.url)
    assert server.accepted == 1
    assert get(connection, server.url) == OWN


def test_a_refused_connection_is_an_error(connect: Callable[..., Connection]) -> None:
    """Nobody listens there."""
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(ConnectionRefusedError):
        get(connect(url), url)


def _never(talk: Talk) -> None:
    talk.read_request()
    talk.closing.wait()


def _drop_by_drop(talk: Talk) -> None:
    talk.read_request()
    talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while not talk.closing.wait(0.02):
        talk.send(b".")


@pytest.mark.parametrize("script", [_never, _drop_by_drop])
def test_the_time_out_covers_the_whole_request(
    serve: Callable[..., SocketServer], connect: Callable[..., Connection], script: Script
) -> None:
    """A server that never answers, or always has a byte more, is given up at the time-out and not before."""
    server = serve(script)
    connection = connect(server.url)
    began = time.perf_counter()
    with pytest.raises(gevent.Timeout):
        get(connection, server.url, timeout_s=0.3)
    assert 0.29 <= time.perf_counter() - began < 5


def test_a_late_answer_is_not_taken_for_the_next(
    serve: Callable[..., SocketServer], connect: Callable[..., Connection]
) -> None:
    """After a time-out the connection is given up, with whatever still comes on it."""

    def script(talk: Talk) -> None:
        talk.read_request()
        if talk.number > 1:
            talk.send(OK)
        elif talk.read_request() is not None:
            talk.send(AGAIN)
        talk.closing.wait()

    server = serve(script)
    connection = connect(server.url)
    with pytest.raises(gevent.Timeout):
        get(connection, server.url, timeout_s=0.2)
    assert get(connection, server.url) == OWN
    assert server.accepted == 2


@pytest.fixture(scope="module")
def server_tls(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """A certificate for 127.0.0.1 that nobody has signed."""
    return self_signed(tmp_path_factory.mktemp("tls"))


def test_tls_connections_are_kept_too(
    serve: Callable[..., SocketServer], connect: Callable[..., Connection], server_tls: ssl.SSLContext
) -> None:
    """A handshake for every request would be counted as the service's latency."""
    server = serve(always(OK), tls=server_tls)
    connection = connect(server.url, verify=False)
    assert [get(connection, server.url) for _ in range(3)] == [OWN] * 3
    assert server.accepted == 1


def test_a_tls_connection_closed_while_idle_is_opened_anew(
    serve: Callable[..., SocketServer], connect: Callable[..., Connection], server_tls: ssl.SSLContext
) -> None:
    """The end of a TLS connection is seen below TLS."""
    closed = threading.Semaphore(0)

    def script(talk: Talk) -> None:
        talk.read_request()
        talk.send(OK)
        talk.connection.shutdown(socket.SHUT_RDWR)
        closed.release()

    server = serve(script, tls=server_tls)
    connection = connect(server.url, verify=False)
    for _ in range(3):
        assert get(connection, server.url) == OWN
        assert closed.acquire(timeout=10)
    assert server.accepted == 3


def test_an_unknown_certificate_is_refused(
    serve: Callable[..., SocketServer], connect: Callable[..., Connection], server_tls: ssl.SSLContext
) -> None:
    """Unless the service says verify_tls: false."""
    server = serve(always(OK), tls=server_tls)
    with pytest.raises(ssl.SSLCertVerificationError):
        get(connect(server.url), server.url)


def test_plain_http_has_no_tls() -> None:
    """Nothing is made ready for it."""
    assert tls_context("http://gw:8000", verify=True) is None
