"""Odd answers, read by a load, a smoke run and the health check: all three agree."""

from collections.abc import Callable

import gevent
import pytest

from include.load.connection import Connection
from include.perf.adapters.http.http_target import HttpTarget
from include.perf.catalogue.expectation import Expectation
from include.perf.load.answer_head import UnusableAnswer
from include.perf.load.feed import Request
from include.perf.load.wire import wire_format
from include.perf.model.errors import TargetError
from tests.load.driven_loads import way_to
from tests.real_loads import service_at
from tests.socket_servers import Serve, Talk

OK = b"HTTP/1.1 200 OK\r\n"
LENGTH = b"Content-Length: 8\r\n"
BODY = b'{"ok":1}'
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
HINTS = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
BOM = b"\xef\xbb\xbf"

GOOD = {
    "folded": OK + b"X: a\r\n b\r\n" + LENGTH + b"\r\n" + BODY,
    "indented before the first field": OK + b" X: a\r\n" + LENGTH + b"\r\n" + BODY,
    "equal lengths": OK + LENGTH * 2 + b"\r\n" + BODY,
    "a list of equal lengths": OK + b"Content-Length: 8, 8\r\n\r\n" + BODY,
    "space before a colon": OK + b"Server : x\r\nContent-Length : 8\r\n\r\n" + BODY,
    "LF only": (OK + LENGTH + b"\r\n").replace(b"\r\n", b"\n") + BODY,
    "spaces in the status line": b"HTTP/1.1  200  \t\r\n" + LENGTH + b"\r\n" + BODY,
    "interim answers": HINTS + OK + LENGTH + b"\r\n" + BODY,
    "a byte order mark": OK + b"Content-Length: 11\r\n\r\n" + BOM + BODY,
    "chunk extensions and a trailer": CHUNKED
    + b"3 ; a=b\r\n"
    + BODY[:3]
    + b"\r\n5;c\r\n"
    + BODY[3:]
    + b"\r\n0\r\nT: x\r\n\r\n",
    "no end of the trailer": CHUNKED + b"8\r\n" + BODY + b"\r\n0\r\n",
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\n\r\n" + BODY,
    "until the end": OK + b"\r\n" + BODY,
}

BROKEN = {
    "lengths that differ": OK + LENGTH + b"Content-Length: 9\r\n\r\n" + BODY,
    "a length and chunks": OK + LENGTH + b"Transfer-Encoding: chunked\r\n\r\n8\r\n" + BODY + b"\r\n0\r\n\r\n",
    "a signed length": OK + b"Content-Length: +8\r\n\r\n" + BODY,
    "a chunk line with LF": CHUNKED + b"8\n" + BODY + b"\r\n0\r\n\r\n",
    "a long chunk": CHUNKED + b"7\r\n" + BODY + b"\r\n0\r\n\r\n",
    "no last chunk": CHUNKED + b"8\r\n" + BODY + b"\r\n",
    "a line without a colon": OK + b"oops\r\n" + LENGTH + b"\r\n" + BODY,
    "a zero byte": OK + b"X: \x00\r\n" + LENGTH + b"\r\n" + BODY,
    "too short": OK + b"Content-Length: 9\r\n\r\n" + BODY,
    "another protocol": b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    "HTTP/2": b"HTTP/2.0 200 OK\r\n" + LENGTH + b"\r\n" + BODY,
}


def _server(data: bytes, size: int) -> Callable[[Talk], None]:
    def script(talk: Talk) -> None:
        if talk.read_request() is not None:
            for at in range(0, len(data), size):
                talk.send(data[at : at + size])

    return script


def _by_load(url: str, method: str) -> tuple[int, bytes] | None:
    connection = Connection(way_to(url))
    try:
        with gevent.Timeout(60):
            found = connection.send(wire_format(method, Request("/", None), base_url=url, headers={}), method=method)
    except UnusableAnswer:
        return None
    finally:
        connection.close()
    return found.status, found.body


def _by_smoke(url: str, method: str) -> tuple[int, bytes] | None:
    service = service_at(url)
    try:
        found = HttpTarget().send(service, method, Request("/", None), [service.host], timeout_s=60)
    except TargetError:
        return None
    return found.status, found.body


def _is_healthy(url: str) -> bool:
    service = service_at(url)
    try:
        HttpTarget(timeout_s=60).check(service, [service.host])
    except TargetError:
        return False
    return True


@pytest.mark.parametrize("size", [1, 1 << 16], ids=["byte by byte", "at once"])
@pytest.mark.parametrize("name", [*GOOD, *BROKEN])
def test_all_read_the_same(serve: Serve, name: str, size: int) -> None:
    """What a client may accept (RFC 9112) is good; what could hide another answer is broken."""
    is_good = name in GOOD
    url = serve(_server((GOOD | BROKEN)[name], size)).url
    by_load = _by_load(url, "GET")
    assert by_load == _by_smoke(url, "GET")
    assert _is_healthy(url) == (by_load is not None) == is_good
    if by_load is not None:
        assert Expectation.model_validate({"json": {"ok": 1}}).compiled()(*by_load) is None


@pytest.mark.parametrize("size", [1, 1 << 16], ids=["byte by byte", "at once"])
@pytest.mark.parametrize(
    ("method", "data", "status"),
    [
        ("HEAD", OK + LENGTH + b"\r\n", 200),
        ("HEAD", OK + LENGTH + b"\r\n" + BODY, 200),
        ("GET", b"HTTP/1.1 204 No Content\r\n" + LENGTH + b"\r\n", 204),
        ("GET", b"HTTP/1.1 304 Not Modified\r\n" + LENGTH + b"\r\n", 304),
    ],
)
def test_answers_without_a_body(serve: Serve, method: str, data: bytes, status: int, size: int) -> None:
    """Whatever length their heads give."""
    url = serve(_server(data, size)).url
    assert _by_load(url, method) == _by_smoke(url, method) == (status, b"")
