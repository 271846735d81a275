"""One connection against servers that behave and servers that do not, on real sockets.

gevent is used without patching anything; Locust, which patches, is never imported here.
"""

import contextlib
import random
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import gevent.monkey
import pytest

from include.load.connection import ClosedWhileIdle, Connection, ConnectTimeout
from include.load.host import Address, Host
from include.load.outcome import failure
from include.load.reuse import ReuseLimits
from include.perf.load.answer_head import UnusableAnswer
from include.perf.load.feed import Request
from include.perf.load.wire import tls_context, wire_format
from tests.certificates import self_signed
from tests.load.driven_loads import way_to
from tests.socket_servers import Script, SocketServer, Talk, always, answer, free_port

OK = answer(b'{"ok":1}')
AGAIN = answer(b'{"ok":2}')
ADDRESSES = ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
OWN = (200, b'{"ok":1}')


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

    def to(url: str, **way: Any) -> Connection:
        connections.append(Connection(way_to(url, **way)))
        return connections[-1]

    yield to
    for connection in connections:
        connection.close()


@pytest.fixture(scope="module")
def tls_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the server's certificate."""
    return tmp_path_factory.mktemp("tls")


@pytest.fixture(scope="module")
def server_tls(tls_folder: Path) -> ssl.SSLContext:
    """Return a self-signed certificate for 127.0.0.1."""
    return self_signed(tls_folder)


def get(connection: Connection, url: str, *, path: str = "/x", timeout_s: float = 10.0) -> tuple[int, bytes]:
    """Return the status and the body of an answer received in time."""
    wire = wire_format("GET", Request(path, None), base_url=url, headers={})
    with gevent.Timeout(timeout_s):
        answer_ = connection.send(wire, method="GET")
    return answer_.status, answer_.body


def test_the_standard_library_is_not_patched_here() -> None:
    """Importing Locust would patch it for all tests of the run."""
    assert "locust" not in sys.modules
    assert not gevent.monkey.is_module_patched("socket")
    assert socket.socket.__module__ == "socket"


def test_requests_share_one_connection(serve: Callable[..., SocketServer], connect: Callable[..., Connection]) -> None:
    """Keep-alive is used, and every request is sent once and unchanged."""
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


def test_a_connection_closed_while_idle_is_opened_again(
    serve: Callable[..., SocketServer], connect: Callable[..., Connection]
) -> None:
    """A server may close an idle connection at any time, also at once; no request fails because of it."""

    def script(talk: Talk) -> None:
        talk.read_request()
        talk.send_and_close(OK)
        talk.closing.wait()

    server = serve(script)
    connection = connect(server.url)
    assert [get(connection, server.url) for _ in range(3)] == [OWN] * 3
    assert server.accepted == 3


def test_an_unsolicited_answer_is_not_taken_for_the_next(
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
    """103 Early Hints precedes the final answer, which must not be left for the next request."""

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
    assert get(connection, server.url) == (200, b'{"ok":2}')
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
def test_an_answer_is_read_completely(
    serve: Callable[..., SocketServer],
    connect: Callable[..., Connection],
    sent: bytes,
    status: int,
    body: bytes,
    connections: int,
) -> None:
    """Status and body are those that were sent; the connection is kept exactly when HTTP allows it."""
    server = serve(always(sent))
    connection = connect(server.url)
    assert [get(connection, server.url) for _ in range(2)] == [(status, body)] * 2
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
    assert [get(connection, server.url) for _ in range(2)] == [(200, b"until the end")] * 2
    assert server.accepted == 2


def test_a_redirect_is_an_answer_and_not_followed(
    serve: Callable[..., SocketServer], connect: Callable[..., Connection]
) -> None:
    """Load goes to one host only."""
    elsewhere = serve(always(OK))
    server = serve(always(answer(b"", status="302 Found", headers=f"Location: {elsewhere.url}/x\r\n")))
    assert get(connect(server.url), server.url)[0] == 302
    assert elsewhere.accepted == 0


CUT = [
    (b"", UnusableAnswer, "closed the connection before the answer was complete"),
    (b"HTTP/1.1 200 OK\r\nConte", UnusableAnswer, "before the answer"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", UnusableAnswer, "before the answer"),
    (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
        UnusableAnswer,
        "before the answer was complete",
    ),
    (b"HTTP/1.1 103 Early Hints\r\n\r\n", UnusableAnswer, "before the answer"),
    (b"SSH-2.0-OpenSSH_9.2\r\n", UnusableAnswer, "the answer is not HTTP/1.1 or HTTP/1.0"),
    (b"\x00\xff\x16\x03\x01", UnusableAnswer, "the answer is not HTTP/1.1 or HTTP/1.0"),
    (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n", UnusableAnswer, "Upgrade"),
]


@pytest.mark.parametrize(("sent", "error", "message"), CUT, ids=[str(number) for number in range(len(CUT))])
def test_a_broken_answer_is_an_error_and_closes_the_connection(
    serve: Callable[..., SocketServer],
    connect: Callable[..., Connection],
    sent: bytes,
    error: type[Exception],
    message: str,
) -> None:
    """A partial or missing answer or garbage is no answer; no request is sent twice."""

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
    """Ordinary HTTP clients hide a reset by sending the request again."""

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


def _never_answers(talk: Talk) -> None:
    talk.read_request()
    talk.read_request()


def _drop_by_drop(talk: Talk) -> None:
    talk.read_request()
    talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while not talk.closing.wait(0.02):
        talk.send(b".")


def _reads_late(talk: Talk) -> None:
    """Until then the kernel accepts data, and does not report that the client is gone."""
    talk.closing.wait(0.3)
    while talk.connection.recv(1 << 20):
        pass


class _GivenUp(Exception):
    """The exception that the caller throws when the time is up."""


@pytest.mark.parametrize(
    ("script", "scheme", "body_bytes"),
    [
        (_never_answers, "http", 0),
        (_drop_by_drop, "http", 0),
        (_reads_late, "http", 50_000_000),
        (_reads_late, "https", 0),
    ],
    ids=["no answer", "drop by drop", "sending", "TLS handshake"],
)
def test_a_waiting_request_can_be_given_up(
    serve: Callable[..., SocketServer],
    connect: Callable[..., Connection],
    script: Script,
    scheme: str,
    body_bytes: int,
) -> None:
    """The thrown exception is raised, and the connection is closed, which the server notices."""
    gone = threading.Event()

    def watched(talk: Talk) -> None:
        try:
            script(talk)
        finally:
            gone.set()

    server = serve(watched)
    url = server.url.replace("http", scheme)
    wire = wire_format("POST", Request("/x", b"x" * body_bytes), base_url=url, headers={})
    connection, errors = connect(url), []

    def send() -> None:
        try:
            connection.send(wire, method="POST")
        except _GivenUp as err:
            errors.append(err)

    request = gevent.spawn(send)
    while not server.accepted:
        gevent.sleep(0.001)
    with gevent.Timeout(0.1, False):
        request.join()
    assert not gone.is_set()
    request.kill(_GivenUp, timeout=5)
    assert [type(err) for err in errors] == [_GivenUp]
    assert gone.wait(5)


def test_a_late_answer_is_not_taken_for_the_next(
    serve: Callable[..., SocketServer], connect: Callable[..., Connection]
) -> None:
    """After a timeout the connection is closed, whatever still arrives on it."""

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


def test_without_keep_alive_every_request_has_its_own_connection(
    serve: Callable[..., SocketServer], connect: Callable[..., Connection]
) -> None:
    """Also when the server would keep it."""
    gone = threading.Semaphore(0)

    def script(talk: Talk) -> None:
        while talk.read_request() is not None:
            talk.send(OK)
        gone.release()

    server = serve(script)
    connection = connect(server.url, keep_alive=False)
    for number in range(1, 4):
        assert get(connection, server.url) == OWN
        assert gone.acquire(timeout=10)  # closed by the client after its answer, and not before the next request
        assert server.accepted == number


def test_connecting_has_its_own_timeout(serve: Callable[..., SocketServer], connect: Callable[..., Connection]) -> None:
    """It includes TLS: this server accepts the connection and sends nothing."""
    server = serve(_reads_late)
    url = server.url.replace("http", "https")
    with pytest.raises(ConnectTimeout, match=r"^no connection within 0\.2 s$"):
        get(connect(url, connect_timeout_s=0.2), url)


def test_a_full_queue_of_connections_is_a_connect_timeout(connect: Callable[..., Connection]) -> None:
    """The kernel drops connections when the server's queue is full."""
    with socket.socket() as listener, contextlib.ExitStack() as waiting:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            early = waiting.enter_context(socket.socket())
            early.setblocking(False)
            early.connect_ex(listener.getsockname())
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(ConnectTimeout):
            get(connect(url, connect_timeout_s=0.2), url)


def test_the_connect_timeout_ends_with_connecting(
    serve: Callable[..., SocketServer], connect: Callable[..., Connection]
) -> None:
    """An answer may take longer than connecting."""

    def script(talk: Talk) -> None:
        talk.read_request()
        talk.closing.wait(0.4)
        talk.send(OK)

    server = serve(script)
    assert get(connect(server.url, connect_timeout_s=0.1), server.url) == OWN


class _TwoAddresses(Host):
    """A host with several addresses, like ``localhost``."""

    def __init__(self, *ports: int) -> None:
        super().__init__("http://several", [])
        self.addresses = [Address(socket.AF_INET, ("127.0.0.1", port)) for port in ports]


def test_the_first_address_that_accepts_is_used(
    serve: Callable[..., SocketServer], connect: Callable[..., Connection]
) -> None:
    """A host may have an IPv6 address on which nothing listens."""
    server = serve(always(OK))
    connection = connect(server.url, host=_TwoAddresses(free_port(), server.port))
    assert [get(connection, server.url) for _ in range(2)] == [OWN] * 2
    assert server.accepted == 1
    with pytest.raises(ConnectionRefusedError) as caught:
        get(connect(server.url, host=_TwoAddresses(free_port(), free_port())), server.url)
    assert failure(caught.value, timeout_s=1).error == "connection refused"


MANY = 3_000_000
"""Bytes; more than any kernel buffer on loopback, and 183 TLS records."""


def _mirror(talk: Talk) -> None:
    while (request := talk.read_request()) is not None:
        talk.send(answer(request.partition(b"\r\n\r\n")[2]))


@pytest.mark.parametrize("is_tls", [False, True], ids=["plain", "TLS"])
def test_a_request_and_an_answer_may_be_long(
    serve: Callable[..., SocketServer],
    connect: Callable[..., Connection],
    server_tls: ssl.SSLContext,
    is_tls: bool,
) -> None:
    """However much the kernel transfers at a time, all of it is sent and received."""
    server = serve(_mirror, tls=server_tls if is_tls else None)
    connection = connect(server.url, verify=False)
    body = random.Random(5).randbytes(MANY)
    wire = wire_format("POST", Request("/x", body), base_url=server.url, headers={})
    for _ in range(2):
        with gevent.Timeout(30):
            assert connection.send(wire, method="POST").body == body
    assert server.accepted == 1


@pytest.mark.parametrize("is_tls", [False, True], ids=["plain", "TLS"])
def test_a_second_answer_to_one_request_is_not_taken_for_the_next(
    serve: Callable[..., SocketServer],
    connect: Callable[..., Connection],
    server_tls: ssl.SSLContext,
    is_tls: bool,
) -> None:
    """It is in one packet with the first, so no request can have caused it: the connection is closed."""

    def script(talk: Talk) -> None:
        talk.read_request()
        if talk.number == 1:
            # Two records of TLS, or one and a half answers, in one segment
            talk.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
            talk.send(OK)
            talk.send(AGAIN)
            talk.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)
        else:
            talk.send(OK)
        talk.closing.wait()

    server = serve(script, tls=server_tls if is_tls else None)
    connection = connect(server.url, verify=False)
    with contextlib.suppress(UnusableAnswer):
        assert get(connection, server.url) == OWN
    assert get(connection, server.url) == OWN
    assert server.accepted == 2


def test_tls_connections_are_kept_too(
    serve: Callable[..., SocketServer], connect: Callable[..., Connection], server_tls: ssl.SSLContext
) -> None:
    """A handshake for every request would be counted as the service's latency."""
    server = serve(always(OK), tls=server_tls)
    connection = connect(server.url, verify=False)
    assert [get(connection, server.url) for _ in range(3)] == [OWN] * 3
    assert server.accepted == 1


def test_a_tls_connection_closed_while_idle_is_opened_again(
    serve: Callable[..., SocketServer], connect: Callable[..., Connection], server_tls: ssl.SSLContext
) -> None:
    """The end of a TLS connection is noticed at the socket."""
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
    """Unless the service has verify_tls: false."""
    server = serve(always(OK), tls=server_tls)
    with pytest.raises(ssl.SSLCertVerificationError):
        get(connect(server.url), server.url)


def test_a_certificate_is_verified_with_the_service_s_bundle(
    serve: Callable[..., SocketServer],
    connect: Callable[..., Connection],
    server_tls: ssl.SSLContext,
    tls_folder: Path,
) -> None:
    """With it this certificate is accepted, for its own name only."""
    server = serve(always(OK), tls=server_tls)
    bundle = tls_folder / "server.pem"
    assert get(connect(server.url, ca_file=bundle), server.url) == OWN
    elsewhere = server.url.replace("127.0.0.1", "localhost")
    with pytest.raises(ssl.SSLCertVerificationError, match="not valid for 'localhost'"):
        get(connect(elsewhere, ca_file=bundle), elsewhere)


def test_a_server_without_tls_is_an_error(
    serve: Callable[..., SocketServer], connect: Callable[..., Connection]
) -> None:
    """It answers the handshake in plain HTTP, or closes."""
    for script in (lambda talk: talk.send(OK), lambda talk: None):
        server = serve(script)
        url = server.url.replace("http", "https")
        with pytest.raises(OSError, match=r"SSL|reset"):
            get(connect(url), url)


@pytest.mark.parametrize("sent", [answer(b"long", headers="X: y\r\n")[:-2], b"", b"HTTP/1.1 200 OK\r\n\r\nto the end"])
def test_the_end_of_a_tls_connection_is_the_end_of_the_answer(
    serve: Callable[..., SocketServer], connect: Callable[..., Connection], server_tls: ssl.SSLContext, sent: bytes
) -> None:
    """With or without a TLS close message: an answer without a length is complete then, any other is broken."""

    def script(talk: Talk) -> None:
        talk.read_request()
        talk.send(sent)
        if talk.number == 1:
            assert isinstance(talk.connection, ssl.SSLSocket)
            talk.connection.unwrap()

    server = serve(script, tls=server_tls)
    connection = connect(server.url, verify=False)
    for _ in range(2):
        if sent.endswith(b"to the end"):
            assert get(connection, server.url) == (200, b"to the end")
        else:
            with pytest.raises(UnusableAnswer):
                get(connection, server.url)
    assert server.accepted == 2


def test_plain_http_has_no_tls() -> None:
    """There are no TLS settings for it."""
    assert tls_context("http://gw:8000", verify=True) is None


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's time of an answer is Linux's")
@pytest.mark.parametrize("is_tls", [False, True], ids=["plain", "TLS"])
def test_the_time_of_an_answer_is_the_kernel_s(
    serve: Callable[..., SocketServer],
    connect: Callable[..., Connection],
    server_tls: ssl.SSLContext,
    is_tls: bool,
) -> None:
    """This process is blocked for 0.2 s after the answer arrived: that is no latency of the service."""
    sent = threading.Event()
    times_s: list[float] = []

    def script(talk: Talk) -> None:
        talk.read_request()
        times_s.append(time.perf_counter())
        talk.send(OK)
        times_s.append(time.perf_counter())
        sent.set()
        talk.closing.wait()

    def hold_up() -> None:
        while not times_s:
            gevent.sleep(0.001)
        sent.wait(10)
        time.sleep(0.2)

    server = serve(script, tls=server_tls if is_tls else None)
    wire = wire_format("GET", Request("/x", None), base_url=server.url, headers={})
    request = gevent.spawn(connect(server.url, verify=False).send, wire, method="GET")
    hold_up()
    received = request.get(timeout=10).received
    before, after = times_s
    assert before <= received + 0.001
    assert received < after + 0.1


# Reuse


def ask(connection: Connection, url: str, method: str) -> Any:
    wire = wire_format(method, Request("/x", None), base_url=url, headers={})
    with gevent.Timeout(10):
        return connection.send(wire, method=method)


def _closes_at_the_second_request(talk: Talk) -> None:
    """Close the connection when a second request arrives, as if its idle time had just ended."""
    talk.read_request()
    talk.send(OK)
    if talk.number == 1:
        talk.read_request()
        talk.reset()
        return
    talk.closing.wait()


def _ends_at_the_second_request(talk: Talk) -> None:
    """Do the same without a reset."""
    talk.read_request()
    talk.send(OK)
    if talk.number == 1:
        talk.read_request()
        talk.connection.close()
        return
    talk.closing.wait()


@pytest.mark.parametrize("script", [_closes_at_the_second_request, _ends_at_the_second_request])
@pytest.mark.parametrize("is_tls", [False, True], ids=["plain", "TLS"])
@pytest.mark.parametrize("method", ["GET", "OPTIONS", "PUT", "DELETE"])
def test_a_request_on_a_connection_that_was_closed_meanwhile_is_sent_again(
    serve: Callable[..., SocketServer], server_tls: ssl.SSLContext, method: str, script: Script, is_tls: bool
) -> None:
    """Once, on a new connection, and it is counted."""
    server = serve(script, tls=server_tls if is_tls else None)
    settings = way_to(server.url, verify=False)
    connection = Connection(settings)
    try:
        assert [ask(connection, server.url, method).status for _ in range(2)] == [200, 200]
    finally:
        connection.close()
    assert server.accepted == 2
    assert settings.use.resent == 1
    assert settings.use.requests == {"127.0.0.1": 3}


@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize("script", [_closes_at_the_second_request, _ends_at_the_second_request])
def test_a_request_that_may_have_an_effect_is_not_sent_again(
    serve: Callable[..., SocketServer], connect: Callable[..., Connection], method: str, script: Script
) -> None:
    """It is an error of its own kind: the service may have processed it, or never have seen it."""
    server = serve(script)
    connection = connect(server.url)
    ask(connection, server.url, method)
    with pytest.raises(ClosedWhileIdle) as caught:
        ask(connection, server.url, method)
    assert server.accepted == 1
    outcome = failure(caught.value, timeout_s=1)
    assert outcome.error == "idle connection closed"
    assert outcome.example == "the server closed an idle connection, and did not answer"


def test_a_request_is_sent_again_only_once(
    serve: Callable[..., SocketServer], connect: Callable[..., Connection]
) -> None:
    """A new connection that ends without an answer is a failure of the service."""

    def script(talk: Talk) -> None:
        talk.read_request()
        if talk.number == 1:
            talk.send(OK)
            talk.read_request()
        talk.reset()

    server = serve(script)
    connection = connect(server.url)
    get(connection, server.url)
    with pytest.raises((ConnectionResetError, UnusableAnswer)):
        get(connection, server.url)
    assert server.accepted == 2


def test_a_request_whose_answer_has_begun_is_not_sent_again(
    serve: Callable[..., SocketServer], connect: Callable[..., Connection]
) -> None:
    def script(talk: Talk) -> None:
        talk.read_request()
        talk.send(OK)
        talk.read_request()
        talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        talk.reset()

    server = serve(script)
    connection = connect(server.url)
    get(connection, server.url)
    with pytest.raises((ConnectionResetError, UnusableAnswer)):
        get(connection, server.url)
    assert server.accepted == 1


def test_a_connection_is_replaced_after_its_requests(
    serve: Callable[..., SocketServer], connect: Callable[..., Connection]
) -> None:
    server = serve(always(OK))
    connection = connect(server.url, limits=ReuseLimits(max_requests=2))
    for _ in range(5):
        get(connection, server.url)
    assert server.accepted == 3


def test_each_new_connection_begins_with_the_next_address() -> None:
    """As clients share a name with several addresses; without keep-alive, each gets the same."""
    port = free_port()
    servers = [SocketServer(always(OK), host=address, port=port) for address in ADDRESSES]
    url = f"http://127.0.0.1:{port}"
    settings = way_to(url, host=Host(url, ADDRESSES), keep_alive=False)
    connection = Connection(settings)
    try:
        for _ in range(9):
            get(connection, url)
        assert [server.accepted for server in servers] == [3, 3, 3]
        assert settings.use.requests == dict.fromkeys(ADDRESSES, 3)
        servers[1].close()
        for _ in range(6):
            get(connection, url)
        assert settings.use.requests == {"127.0.0.1": 5, "127.0.0.2": 3, "127.0.0.3": 7}
    finally:
        connection.close()
        for server in servers:
            server.close()
