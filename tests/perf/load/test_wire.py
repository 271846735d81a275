"""The bytes of a request."""

import pytest

from include.perf.load.feed import Request
from include.perf.load.wire import headers_of_load, wire_format


@pytest.mark.parametrize(
    ("method", "request_", "headers", "expected"),
    [
        ("GET", Request("/a?b=c", None), {}, b"GET /a?b=c HTTP/1.1\r\nHost: gw:8000\r\n\r\n"),
        (
            "POST",
            Request("/a", '{"x":"é"}'.encode()),
            {"Accept": "application/json"},
            b"POST /a HTTP/1.1\r\nHost: gw:8000\r\nContent-Type: application/json\r\nAccept: application/json\r\n"
            # é is two bytes of UTF-8: 9 characters, 10 bytes
            b'Content-Length: 10\r\n\r\n{"x":"\xc3\xa9"}',
        ),
        (
            "PUT",
            Request("/a", b"{}"),
            {"content-type": "application/merge-patch+json", "Connection": "close", "X-Name": "caf\xe9"},
            b"PUT /a HTTP/1.1\r\nHost: gw:8000\r\ncontent-type: application/merge-patch+json\r\n"
            b"Connection: close\r\nX-Name: caf\xe9\r\nContent-Length: 2\r\n\r\n{}",
        ),
        (
            "POST",
            Request("/a", b""),
            {},
            b"POST /a HTTP/1.1\r\nHost: gw:8000\r\nContent-Type: application/json\r\nContent-Length: 0\r\n\r\n",
        ),
        ("DELETE", Request("/a", None), {}, b"DELETE /a HTTP/1.1\r\nHost: gw:8000\r\nContent-Length: 0\r\n\r\n"),
    ],
)
def test_a_request_is_these_bytes(method: str, request_: Request, headers: dict[str, str], expected: bytes) -> None:
    """Nothing is added to the feed and the service's headers; a content type of the service wins."""
    assert wire_format(method, request_, base_url="http://gw:8000", headers=headers) == expected


def test_the_headers_of_a_load() -> None:
    """The service's headers override the defaults, and secret headers both, whatever the case of their names."""
    headers = headers_of_load({"accept": "text/plain", "X-Team": "fx"}, {"Authorization": "Bearer x"}, keep_alive=False)
    assert headers == {
        "accept": "text/plain",
        "User-Agent": headers["User-Agent"],
        "Connection": "close",
        "X-Team": "fx",
        "Authorization": "Bearer x",
    }
    assert headers["User-Agent"].startswith("bellwether/")
    assert "Connection" not in headers_of_load({}, {}, keep_alive=True)


def test_no_header_replaces_the_host_or_the_length() -> None:
    """Even if a header of the catalogue or of a Connection got past its check."""
    headers = {"HOST": "evil.example", "content-length": "99", "X-Team": "fx"}
    assert wire_format("POST", Request("/a", b"{}"), base_url="http://gw:8000", headers=headers) == (
        b"POST /a HTTP/1.1\r\nHost: gw:8000\r\nContent-Type: application/json\r\nX-Team: fx\r\n"
        b"Content-Length: 2\r\n\r\n{}"
    )
