"""Answers from bytes: the fast path gives the parser's result, or leaves the answer to the parser."""

import random
from collections.abc import Callable, Iterator

import pytest

from include.load.answer import read_answer, simple_answer
from include.perf.load.answer_head import UnusableAnswer
from include.perf.load.answer_reader import Answer
from tests.socket_servers import answer

OK = b"HTTP/1.1 200 OK\r\n"
LENGTH = b"Content-Length: 3\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: t\r\n\r\n"


def parsed(*pieces: bytes, method: str = "GET") -> Answer:
    """Read an answer that arrives in pieces, after which the server closes."""
    rest = iter(pieces[1:])
    return read_answer(pieces[0], method=method, more=lambda: next(rest, b""))


SIMPLE = [
    # answer → status, body
    (OK + LENGTH + b"\r\nabc", 200, b"abc"),
    (OK + b"content-length:3\r\n\r\nabc", 200, b"abc"),
    (OK + b"CONTENT-LENGTH: \t3 \r\n\r\nabc", 200, b"abc"),
    (OK + b"Content-Length: 0003\r\n\r\nabc", 200, b"abc"),
    (OK + b"Content-Length: 0\r\n\r\n", 200, b""),
    (OK + LENGTH + b"Connection: keep-alive\r\n\r\nabc", 200, b"abc"),
    (OK + b"connection: Keep-Alive\r\n" + LENGTH + b"\r\nabc", 200, b"abc"),
    (OK + b"Server: a\r\nX-Name: caf\xe9\r\nX-Empty:\r\n" + LENGTH + b"Date: now\r\n\r\nabc", 200, b"abc"),
    (b"HTTP/1.1 200\r\n" + LENGTH + b"\r\nabc", 200, b"abc"),
    (b"HTTP/1.1 200 \r\n" + LENGTH + b"\r\nabc", 200, b"abc"),
    (b"HTTP/1.1 404 Not Found\r\n" + LENGTH + b"\r\nabc", 404, b"abc"),
    (b"HTTP/1.1 503 caf\xe9\r\n" + LENGTH + b"\r\nabc", 503, b"abc"),
    (OK + LENGTH + b"\r\n\r\n\r", 200, b"\r\n\r"),  # a body may look like the end of a head
    (OK + b"Content-Length: 19\r\n\r\nTransfer-Encoding:\n", 200, b"Transfer-Encoding:\n"),
]


@pytest.mark.parametrize(("data", "status", "body"), SIMPLE)
def test_a_simple_answer_is_read_like_the_parser_does(data: bytes, status: int, body: bytes) -> None:
    """Complete, well-formed, with its length in the head, on a keep-alive connection."""
    assert simple_answer(data) == parsed(data) == Answer(status, body)


LEFT_TO_THE_PARSER = [
    # why → the answer → what the parser makes of it
    ("incomplete", OK + LENGTH + b"\r\nab", UnusableAnswer),
    ("no end of the head", OK + LENGTH, UnusableAnswer),
    ("nothing", b"", UnusableAnswer),
    ("no length", OK + b"\r\nabc", Answer(200, b"abc", keeps=False)),
    ("chunked", CHUNKED, Answer(200, b"abcde")),
    ("chunked and a length", OK + b"Transfer-Encoding: chunked\r\n" + LENGTH + b"\r\nabc", UnusableAnswer),
    ("closes", OK + LENGTH + b"Connection: close\r\n\r\nabc", Answer(200, b"abc", keeps=False)),
    ("closes, in a list", OK + LENGTH + b"Connection: keep-alive, close\r\n\r\nabc", Answer(200, b"abc", keeps=False)),
    (
        "closes, stated twice",
        OK + LENGTH + b"Connection: keep-alive\r\nConnection: close\r\n\r\nabc",
        Answer(200, b"abc", keeps=False),
    ),
    ("closes, as proxies say", OK + LENGTH + b"Proxy-Connection: close\r\n\r\nabc", Answer(200, b"abc", keeps=False)),
    ("keeps, spelled otherwise", OK + LENGTH + b"Connection:keep-alive\r\n\r\nabc", Answer(200, b"abc")),
    ("HTTP/1.0", b"HTTP/1.0 200 OK\r\n" + LENGTH + b"\r\nabc", Answer(200, b"abc", keeps=False)),
    ("interim", b"HTTP/1.1 103 Hints\r\n\r\n" + OK + LENGTH + b"\r\nabc", Answer(200, b"abc")),
    ("interim alone", b"HTTP/1.1 103 Hints\r\n\r\n", UnusableAnswer),
    ("no content", b"HTTP/1.1 204 No Content\r\n\r\n", Answer(204, b"")),
    ("no content, and some", b"HTTP/1.1 204 No Content\r\n" + LENGTH + b"\r\nabc", UnusableAnswer),
    ("not modified, and some", b"HTTP/1.1 304 Not Modified\r\n" + LENGTH + b"\r\nabc", UnusableAnswer),
    ("too much", OK + LENGTH + b"\r\nabcd", UnusableAnswer),
    ("two answers", (OK + LENGTH + b"\r\nabc") * 2, UnusableAnswer),
    ("two lengths", OK + LENGTH + LENGTH + b"\r\nabc", Answer(200, b"abc")),
    ("two lengths that differ", OK + LENGTH + b"Content-Length: 4\r\n\r\nabc", UnusableAnswer),
    ("a list of lengths", OK + b"Content-Length: 3, 3\r\n\r\nabc", Answer(200, b"abc")),
    ("a signed length", OK + b"Content-Length: +3\r\n\r\nabc", UnusableAnswer),
    ("a huge length", OK + b"Content-Length: " + b"9" * 5_000 + b"\r\n\r\nabc", UnusableAnswer),
    ("a long length", OK + b"Content-Length: " + b"0" * 5_000 + b"3\r\n\r\nabc", Answer(200, b"abc")),
    ("a length with a space", OK + b"Content-Length : 3\r\n\r\nabc", Answer(200, b"abc")),
    ("a length on two lines", OK + b"Content-Length: 3\r\n 4\r\n\r\nabc", UnusableAnswer),
    ("hidden chunks", OK + b"X: y\nTransfer-Encoding: chunked\r\n" + LENGTH + b"\r\nabc", UnusableAnswer),
    ("a line without a name", OK + b"oops\r\n" + LENGTH + b"\r\nabc", UnusableAnswer),
    ("a zero byte", OK + b"X: \x00\r\n" + LENGTH + b"\r\nabc", UnusableAnswer),
    ("a status of four digits", b"HTTP/1.1 2000 OK\r\n" + LENGTH + b"\r\nabc", UnusableAnswer),
    ("a status of two digits", b"HTTP/1.1 20 OK\r\n" + LENGTH + b"\r\nabc", UnusableAnswer),
    ("a status below 100", b"HTTP/1.1 099 OK\r\n" + LENGTH + b"\r\nabc", UnusableAnswer),
    ("HTTP/2", b"HTTP/2 200\r\n" + LENGTH + b"\r\nabc", UnusableAnswer),
    ("not HTTP", b"SSH-2.0-OpenSSH_9.2\r\n\r\n", UnusableAnswer),
]


@pytest.mark.parametrize(
    ("data", "result"),
    [example[1:] for example in LEFT_TO_THE_PARSER],
    ids=[example[0] for example in LEFT_TO_THE_PARSER],
)
def test_any_other_answer_is_left_to_the_parser(data: bytes, result: Answer | type[Exception]) -> None:
    """Also one that looks good at first sight: a broken answer must not count as a good one."""
    assert simple_answer(data) is None
    if isinstance(result, Answer):
        assert parsed(data) == result
    else:
        with pytest.raises(result):
            parsed(data)


PIECES = [
    b"HTTP/1.1 ",
    b"200",
    b" OK",
    b"\r\n",
    b"\n",
    b"\r",
    b" ",
    b"\t",
    b":",
    b",",
    b"0",
    b"3",
    b"Content-Length: 3",
]
PIECES += [
    b"Content-Length",
    b"Connection",
    b"keep-alive",
    b"close",
    b"Transfer-Encoding: chunked",
    b"X",
    b"\xe9",
    b"\x00",
]
PIECES += [b"abc", b"204", b"HTTP/1.1 100 Continue\r\n\r\n", b"\r\n\r\n", b"Connection: keep-alive"]


def _mutants(count: int) -> Iterator[bytes]:
    """Return good answers with a few pieces inserted, removed or changed, seeded."""
    source = random.Random(20260101)
    good = [data for data, _, _ in SIMPLE]
    for _ in range(count):
        data = source.choice(good)
        for _ in range(source.randint(1, 3)):
            begin = source.randrange(len(data) + 1)
            end = begin + source.choice([0, 0, 1, 2, 5])
            data = data[:begin] + source.choice([*PIECES, b"", bytes([source.randrange(256)])]) + data[end:]
        yield data


def test_the_fast_path_agrees_with_the_parser() -> None:
    """For 20,000 damaged answers: status, body and keep-alive are the parser's, or the parser gets them."""
    taken = 0
    for data in _mutants(20_000):
        simple = simple_answer(data)
        if simple is not None:
            taken += 1
            assert simple == parsed(data), data
    assert taken > 500  # it was not for want of trying


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (OK + LENGTH + b"X: y\r\n\r\nabc", Answer(200, b"abc")),
        (CHUNKED, Answer(200, b"abcde")),
        (b"HTTP/1.1 103 Hints\r\nLink: </x>\r\n\r\n" + OK + LENGTH + b"\r\nabc", Answer(200, b"abc")),
        (b"HTTP/1.1 204 No Content\r\n\r\n", Answer(204, b"")),
    ],
    ids=["length", "chunks", "interim", "no content"],
)
def test_an_answer_may_be_split_anywhere(data: bytes, expected: Answer) -> None:
    """Into two packets at any byte, and into single bytes."""
    for cut in range(1, len(data)):
        assert parsed(data[:cut], data[cut:]) == expected, cut
        assert simple_answer(data[:cut]) is None
    assert parsed(*(data[at : at + 1] for at in range(len(data)))) == expected


def test_an_incomplete_answer_is_broken() -> None:
    """It may end at any byte before its end."""
    data = answer(b"0123456789", headers="X: y\r\n")
    for cut in range(len(data)):
        with pytest.raises(UnusableAnswer):
            parsed(data[:cut])


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("read", [parsed, lambda data, **_: simple_answer(data)])
def test_the_method_does_not_matter(method: str, read: Callable[..., Answer]) -> None:
    """Only HEAD has answers without a body, and it is not supported."""
    assert read(OK + LENGTH + b"\r\nabc", method=method) == Answer(200, b"abc")


@pytest.mark.parametrize("encoding", ["Content-Length: 2\r\n", "Transfer-Encoding: chunked\r\n"])
@pytest.mark.parametrize(
    ("field", "idle_s"),
    [
        ("Keep-Alive: timeout=5, max=100", 5.0),
        ("keep-alive:max=100,Timeout=20", 20.0),
        ("Keep-Alive: timeout = 0", 0.0),
        ("Keep-Alive: xtimeout=5", None),
        ("Keep-Alive: 5", None),
        ("X-Keep-Alive: timeout=5", None),
    ],
)
def test_the_idle_limit_of_the_server(encoding: str, field: str, idle_s: float | None) -> None:
    """However the answer is read."""
    body = b"ok" if "Length" in encoding else b"2\r\nok\r\n0\r\n\r\n"
    data = f"HTTP/1.1 200 OK\r\n{encoding}{field}\r\n\r\n".encode() + body
    found = simple_answer(data) or read_answer(data, method="GET", more=lambda: b"")
    assert (found.idle_s, found.body) == (idle_s, b"ok")


@pytest.mark.parametrize("encoding", ["Content-Length: 0\r\n", "Transfer-Encoding: chunked\r\n"])
def test_retry_after(encoding: str) -> None:
    body = b"" if "Length" in encoding else b"0\r\n\r\n"
    data = f"HTTP/1.1 429 Slow\r\n{encoding}Retry-After: 3\r\n\r\n".encode() + body
    assert (simple_answer(data) or read_answer(data, method="GET", more=lambda: b"")).has_retry_after
