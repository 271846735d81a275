"""When a connection is used again, when a new one replaces it, and what happens if it closes between requests."""

import socket
import ssl
import threading
from collections.abc import Callable

import pytest

from include.load.connection import ClosedWhileIdle, Connection
from include.load.host import Host
from include.load.outcome import failure
from include.load.reuse import ReuseLimits
from include.perf.load.answer_head import UnusableAnswer
from tests.load.driven_loads import way_to
from tests.load.requests_on import OK, OWN, ask, get
from tests.socket_servers import Script, SocketServer, Talk, always, free_port

ADDRESSES = ["127.0.0.1", "127.0.0.2", "127.0.0.3"]


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


def connections_until_failure(server: SocketServer, connect: Callable[..., Connection]) -> int:
    """Return how many connections a server has accepted when the second request has failed."""
    connection = connect(server.url)
    get(connection, server.url)
    with pytest.raises((ConnectionResetError, UnusableAnswer)):
        get(connection, server.url)
    return server.accepted


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

    assert connections_until_failure(serve(script), connect) == 2


def test_a_request_whose_answer_has_begun_is_not_sent_again(
    serve: Callable[..., SocketServer], connect: Callable[..., Connection]
) -> None:
    def script(talk: Talk) -> None:
        talk.read_request()
        talk.send(OK)
        talk.read_request()
        talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        talk.reset()

    assert connections_until_failure(serve(script), connect) == 1


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
