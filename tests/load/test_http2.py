"""Services that speak HTTP/2 only: smoke runs, health checks and loads name them so."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from include.load.answer import read_answer
from include.load.outcome import FAILURES, failure
from include.perf.adapters.http.http_target import HttpTarget
from include.perf.load.answer_head import HTTP2_ONLY, UnusableAnswer
from include.perf.load.answer_reader import AnswerReader
from include.perf.load.feed import Request
from include.perf.model.errors import TargetError
from tests.certificates import self_signed
from tests.real_loads import service_at
from tests.socket_servers import Serve, SocketServer, Talk, always

SETTINGS = bytes.fromhex("000012040000000000") + bytes.fromhex("000300000080 000400010000 000500004000")
GOAWAY = bytes.fromhex("000008070000000000 00000000 00000001")


@pytest.mark.parametrize("sent", [SETTINGS, SETTINGS + GOAWAY, GOAWAY, b"PRI * HTTP/2.0\r\n", b"HTTP/2 200\r\n\r\n"])
def test_an_answer_in_http2_is_named(serve: Serve, sent: bytes) -> None:
    """The service does not know HTTP/1.1, and begins with its own preface."""

    def script(talk: Talk) -> None:
        talk.read_request()
        talk.send(sent)

    url = serve(script).url
    service = service_at(url)
    with pytest.raises(FAILURES) as caught:
        read_answer(sent, method="GET", more=lambda: b"")
    outcome = failure(caught.value, timeout_s=1)
    assert (outcome.error, outcome.example) == ("HTTP/2 only", HTTP2_ONLY)
    with pytest.raises(TargetError) as refused:
        HttpTarget().check(service, [service.host])
    assert str(refused.value) == (
        f"trading-gateway-service cannot be called: GET {url}/healthz failed: the service speaks HTTP/2 only, and "
        "every request is sent with HTTP/1.1; have it accept HTTP/1.1 too, or set base_url to a proxy that does"
    )
    with pytest.raises(TargetError, match="HTTP/2 only"):
        HttpTarget().send(service, "GET", Request("/", None), [service.host])


@contextmanager
def refusing_alpn() -> Iterator[str]:
    """The URL of a server that ends each handshake with the alert no_application_protocol (RFC 7301, 3.2)."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def run() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    assert b"\x08http/1.1" in connection.recv(4096)
                    connection.sendall(bytes.fromhex("15030300020278"))

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield f"https://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def test_a_tls_server_without_http1_is_named() -> None:
    """Its alert is the reason, also in a load."""
    with refusing_alpn() as url:
        service = service_at(url, verify_tls=False)
        with pytest.raises(TargetError, match="failed: the service speaks HTTP/2 only, and every request") as caught:
            HttpTarget().check(service, [service.host])
    assert isinstance(caught.value.__cause__, ssl.SSLError)
    outcome = failure(caught.value.__cause__, timeout_s=1)
    assert (outcome.error, outcome.example) == ("HTTP/2 only", HTTP2_ONLY)


def test_a_tls_server_that_ignores_the_wish_for_http1_is_named(tmp_path: Path) -> None:
    """It continues the handshake without a protocol, and speaks HTTP/2 then."""
    context = self_signed(tmp_path)
    context.set_alpn_protocols(["h2"])
    with SocketServer(always(SETTINGS), tls=context) as server:
        service = service_at(server.url, verify_tls=False)
        with pytest.raises(TargetError, match="the service speaks HTTP/2 only"):
            HttpTarget().check(service, [service.host])


@pytest.mark.parametrize(
    "sent", [b"\x00\x00", b"\x00\x00\x06\x04\x00\x00\x00\x00", b"\x00\x00\x06\x04\x00\x00\x00\x00\x01"]
)
def test_other_bytes_are_only_broken(sent: bytes) -> None:
    parts = iter([sent, b""])
    with pytest.raises(UnusableAnswer, match=r"not HTTP/1\.1 or HTTP/1\.0"):
        AnswerReader(lambda: next(parts), method="GET").read()
