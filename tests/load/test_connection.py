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
from collections.abc import Callable
from pathlib import Path

import gevent
import gevent.monkey
import pytest

from include.load.connection import Connection, ConnectTimeout
from include.load.host import Address, Host
from include.load.outcome import failure
from include.perf.load.answer_head import UnusableAnswer
from include.perf.load.feed import Request
from include.perf.load.wire import tls_context, wire_format
from tests.load.requests_on import OK, OWN, get
from tests.socket_servers import Script, SocketServer, Talk, always, answer, free_port

AGAIN = answer(b'{"ok":2}')


def test_the_standard_library_is_not_patched_here() -> None:
    """Importing Locust would patch it for all tests of the run."""
    assert "locust" not in sys.modules
    assert not gevent.monkey.is_module_patched("socket")
    assert socket.socket.__module__ == "socket"


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
