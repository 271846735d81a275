"""Cookies of a virtual user: which are kept, which are sent, and that nothing changes without them."""

import base64
import re
from collections import Counter, defaultdict
from pathlib import Path
from urllib.parse import quote

import pytest

from include.load.cookies import (
    MAX_COOKIES,
    MAX_ECHOED,
    MAX_JAR_BYTES,
    CookieConnection,
    CookieJar,
    EchoedCookies,
)
from tests.load.driven_loads import Run, plan_of, way_to
from tests.socket_servers import Serve, Talk, always, answer

NOW = 1_764_579_600.0


class FakeClock:
    """A clock that a test advances."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


def jar_with(
    *fields: str, path: str = "/api/v1/orders", host: str = "gateway.example", is_secure: bool = False
) -> tuple[CookieJar, FakeClock]:
    clock = FakeClock()
    jar = CookieJar(host, is_secure=is_secure, clock=clock)
    jar.take([field.encode("latin-1") for field in fields], path=path)
    return jar, clock


@pytest.mark.parametrize(
    ("fields", "sent"),
    [
        (["a=1"], "a=1"),
        (["a=1; HttpOnly; SameSite=Lax; Priority=High"], "a=1"),
        (["a=1", "b=2"], "a=1; b=2"),
        (["a=1", "b=2", "a=3"], "a=3; b=2"),
        (["  a = b c ; Path=/"], "a=b c"),
        (['a="b=c"'], 'a="b=c"'),
        (["a="], "a="),
        (["alone"], "alone"),
        (["=alone"], "alone"),
        (["", ";", "=", " ; Path=/"], ""),
        (["a=\x01"], ""),
        (["a=caf\xe9"], "a=caf\xe9"),
        (["a=1", "a=; Max-Age=0"], ""),
        (["a=1", "a=; Max-Age=-1"], ""),
        (["a=1", "a=x; Expires=Thu, 01 Jan 1970 00:00:00 GMT"], ""),
        (["a=1", "a=x; expires=Thu, 01-Jan-70 00:00:00 GMT"], ""),
        (["a=1; Max-Age=9; Expires=Thu, 01 Jan 1970 00:00:00 GMT"], "a=1"),
        (["a=1; Max-Age=soon; Expires=never"], "a=1"),
        (["a=1; Expires=Thu, 01 Jan 99999 00:00:00 GMT"], "a=1"),
        (["a=1; Domain=gateway.example"], "a=1"),
        (["a=1; Domain=.Example"], "a=1"),
        (["a=1; Domain=other.example"], ""),
        (["a=1; Domain=way.example"], ""),
        (["a=1; Secure"], ""),
        ([f"a={'x' * 4096}"], ""),
    ],
)
def test_what_is_kept_and_sent(fields: list[str], sent: str) -> None:
    jar, _ = jar_with(*fields)
    assert jar.header("/api/v1/orders") == sent


@pytest.mark.parametrize(
    ("field", "path", "is_sent"),
    [
        ("a=1", "/api/v1/positions", True),
        ("a=1", "/api/v1", True),
        ("a=1", "/api/v12", False),
        ("a=1", "/api", False),
        ("a=1; Path=/", "/api", True),
        ("a=1; Path=relative", "/api", False),
        ("a=1; Path=/api", "/api", True),
        ("a=1; Path=/api", "/api/x", True),
        ("a=1; Path=/api/", "/api", False),
        ("a=1; Path=/api/", "/api/x", True),
        ("a=1; Path=/api", "/apix", False),
    ],
)
def test_paths(field: str, path: str, is_sent: bool) -> None:
    """Without one, the cookie is for the folder of the request that set it."""
    jar, _ = jar_with(field)
    assert jar.header(path) == ("a=1" if is_sent else "")


def test_cookies_of_longer_paths_come_first() -> None:
    jar, _ = jar_with("a=root; Path=/", "a=deep; Path=/api/v1", "b=root; Path=/")
    assert jar.header("/api/v1/x") == "a=deep; a=root; b=root"
    assert jar.header("/") == "a=root; b=root"


def test_a_cookie_expires() -> None:
    """Neither before nor after its time, and without another answer."""
    jar, clock = jar_with("a=1; Max-Age=10", "b=2; Expires=Mon, 01 Dec 2025 09:00:20 GMT", "c=3")
    clock.now = NOW + 9.9
    assert jar.header("/api/v1/") == "a=1; b=2; c=3"
    clock.now = NOW + 10
    assert jar.header("/api/v1/") == "b=2; c=3"
    clock.now = NOW + 20
    assert jar.header("/api/v1/") == "c=3"


def test_secure_cookies_go_over_tls_only() -> None:
    jar, _ = jar_with("a=1; Secure", is_secure=True)
    assert jar.header("/api/v1/") == "a=1"


def test_an_address_has_no_other_domain() -> None:
    """The end of an address is no domain."""
    jar, _ = jar_with("a=1; Domain=0.0.1", "b=2; Domain=127.0.0.1", host="127.0.0.1")
    assert jar.header("/api/v1/") == "b=2"


def test_the_number_and_the_size_are_limited() -> None:
    """The oldest cookies go; a service that sets cookies without end does not fill the memory."""
    jar, _ = jar_with(*(f"c{number}=1" for number in range(1000)))
    assert jar.header("/api/v1/").split("; ")[:: MAX_COOKIES - 1] == ["c950=1", "c999=1"]
    jar, _ = jar_with(*(f"c{number}={'x' * 4000}" for number in range(10)))
    names = re.findall(r"c\d", jar.header("/api/v1/"))
    assert names == ["c8", "c9"]
    assert len(jar.header("/api/v1/")) < MAX_JAR_BYTES


def counting(talk: Talk) -> None:
    """Answer with the cookies and the body of the request, count it in a cookie, and close the connection."""
    request = talk.read_request() or b""
    found = re.search(rb"\r\n(?i:cookie): ([^\r\n]*)", request)
    cookies = found[1] if found else b""
    counted = re.search(rb"count=(\d)", cookies)
    count = int(counted[1]) + 1 if counted else 1
    fields = f"Set-Cookie: count={count}; Path=/\r\nset-cookie : old=1; Max-Age=0\r\nConnection: close\r\n"
    talk.send(answer(cookies + b"|" + request.partition(b"\r\n\r\n")[2], headers=fields))


def test_cookies_outlive_a_connection(serve: Serve) -> None:
    """They are sent before a cookie that the request has already, such as one of the Connection."""
    server = serve(counting)
    connection = CookieConnection(way_to(server.url))
    own = b"POST /c HTTP/1.1\r\ncookie: own=1\r\nContent-Length: 12\r\n\r\n\r\nCookie: b="
    try:
        bodies = [connection.send(b"GET /a?b HTTP/1.1\r\nHost: x\r\n\r\n", method="GET").body for _ in range(3)]
        bodies.append(connection.send(own, method="POST").body)
    finally:
        connection.close()
    assert bodies == [b"|", b"count=1|", b"count=2|", b"count=3; own=1|\r\nCookie: b="]
    assert server.accepted == 4


def test_each_user_of_a_load_has_cookies_of_its_own(serve: Serve, tmp_path: Path) -> None:
    """The service gives each new user an ID, and sees each ID from one connection only."""
    users: defaultdict[bytes, set[int]] = defaultdict(set)
    new: Counter[int] = Counter()

    def script(talk: Talk) -> None:
        while (request := talk.read_request()) is not None:
            found = re.search(rb"\r\nCookie: user=(\d+)", request)
            if found is None:
                new[id(talk)] += 1
                talk.send(answer(headers=f"Set-Cookie: user={id(talk)}; Path=/\r\n"))
                continue
            users[found[1]].add(id(talk))
            talk.send(answer())

    driven = Run(plan_of(tmp_path, serve(script).url, max_concurrency=5), CookieConnection).run()
    assert driven.kinds == {"": 100}
    assert set(new.values()) == {1}
    assert all(connections == {int(user)} for user, connections in users.items())


def test_without_the_setting_no_cookie_is_sent(serve: Serve, tmp_path: Path) -> None:
    heads = []

    def script(talk: Talk) -> None:
        while (request := talk.read_request()) is not None:
            heads.append(request)
            talk.send(answer(headers="Set-Cookie: user=1; Path=/\r\n"))

    Run(plan_of(tmp_path, serve(script).url, max_concurrency=5)).run()
    assert len(heads) == 100
    assert not any(b"Cookie" in head for head in heads)


def test_one_reading_of_the_fields(serve: Serve) -> None:
    """Folded, in any case, and several; the interim answers before them do not count."""
    sent = (
        b"HTTP/1.1 103 Early Hints\r\nSet-Cookie: early=1\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nSET-COOKIE: a=B;\r\n Path=/\r\nset-cookie:c=D\r\nContent-Length: 0\r\n\r\n"
    )
    connection = CookieConnection(way_to(serve(always(sent)).url))
    try:
        assert connection.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", method="GET").cookies == (b"a=B; Path=/", b"c=D")
    finally:
        connection.close()


def test_cookies_that_a_service_repeats_are_masked(serve: Serve, tmp_path: Path) -> None:
    """Each user has a session of its own; a wrong answer names it plainly, escaped or in base64."""
    sessions = []

    def script(talk: Talk) -> None:
        session = f"s3ss/{id(talk)}=="
        sessions.append(session)
        while (request := talk.read_request()) is not None:
            if b"\r\nCookie: " not in request:
                talk.send(answer(headers=f"Set-Cookie: sid={session}; Path=/\r\n"))
                continue
            said = f"no {session}, {quote(session, safe='')}, {base64.b64encode(session.encode()).decode()}"
            talk.send(answer(said.encode(), status="500 Oops"))

    driven = Run(plan_of(tmp_path, serve(script).url, max_concurrency=5), CookieConnection).run()
    examples = driven.summary.error_examples.values()
    assert {example.partition("***, ***, ***")[0] for example in examples} == {"no "}
    assert all(len(example) <= len("no ***, ***, ***Q==") for example in examples)  # the last letter in base64
    assert sessions


def test_only_a_few_repeated_cookies_are_remembered() -> None:
    """A service that repeats thousands fills no memory; short values are no secrets."""
    echoed = EchoedCookies()
    jar, _ = jar_with("a=b", "lang=de", "sid=0123456789abcdef")
    echoed.look(jar.cookies, b"de b")
    assert echoed.values == ()
    echoed.look(jar.cookies, b"<p>0123456789abcdef</p>")
    assert echoed.values == ("0123456789abcdef",)
    for number in range(2 * MAX_ECHOED):
        jar, _ = jar_with(f"sid={number:016}")
        echoed.look(jar.cookies, f"{number:016}".encode())
    assert len(echoed.values) == MAX_ECHOED
