"""The answering process: it answers, reports its processor use, and ends with the block."""

import http.client
import socket
from urllib.parse import urlsplit

import pytest

from include.perf.adapters.generator.answering import answering
from include.perf.model.errors import LoadError


def test_it_answers_every_request_on_one_connection() -> None:
    """With and without a body, also a body that arrives in pieces."""
    with answering("127.0.0.1") as process:
        connection = http.client.HTTPConnection(urlsplit(process.url).netloc, timeout=10)
        for method, body in (("GET", None), ("POST", b'{"row":1}'), ("POST", b"x" * 100_000), ("DELETE", None)):
            connection.request(method, "/any?row=1", body=body)
            answer = connection.getresponse()
            assert (answer.status, answer.read()) == (200, b'{"ok":true}')
        connection.close()
        wanted = process.wanted_cores()
        assert wanted is None or 0 <= wanted < 1


def test_it_is_gone_when_the_block_ends() -> None:
    """Nothing listens at its address any more."""
    with answering("127.0.0.1") as process:
        where = ("127.0.0.1", urlsplit(process.url).port or 0)
        socket.create_connection(where, timeout=10).close()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(where, timeout=10)


def test_an_address_of_another_machine_is_an_error() -> None:
    """192.0.2.0/24 is reserved for documentation (RFC 5737)."""
    with pytest.raises(LoadError, match=r"could not listen at 192\.0\.2\.1"), answering("192.0.2.1"):
        pass
