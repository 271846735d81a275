"""A hostile service under test: its responses are limited in size and time, and cannot redirect the load."""

import re
import time

import pytest

from include.load.answer import HEAD, MAX_BYTES, UnusableAnswer, read_answer, simple_answer
from include.perf.adapters.generator.load_process import INHERITED
from include.perf.adapters.http.http_target import HttpTarget
from include.perf.load.feed import Request
from include.perf.model.errors import TargetError
from tests.real_loads import service_at
from tests.socket_servers import Serve, Talk, always, answer

TOKEN = "token-planted-in-a-header"
MEBIBYTE = 1 << 20


def test_an_endless_response_is_refused() -> None:
    """A response has at most 64 MiB, so that a service cannot fill the memory of the generator."""
    parts = 0

    def more() -> bytes:
        nonlocal parts
        parts += 1
        return b"x" * MEBIBYTE

    with pytest.raises(UnusableAnswer, match="more than 67,108,864 bytes"):
        read_answer(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", method="GET", more=more)
    assert parts <= MAX_BYTES // MEBIBYTE


def test_an_endless_head_is_refused() -> None:
    """Header fields count towards the limit."""
    with pytest.raises(Exception, match=r"more than 67,108,864 bytes|HPE_"):
        read_answer(b"HTTP/1.1 200 OK\r\n", method="GET", more=lambda: b"X-More: " + b"y" * MEBIBYTE + b"\r\n")


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 " + b"a" * 60_000,
        b"HTTP/1.1 200 OK" + b"\r\na:" * 20_000,
        b"HTTP/1.1 200 OK\r\n" + b"a" * 60_000,
        b"HTTP/1.1 200 OK" + b"\r\na: b\r" * 10_000,
    ],
)
def test_no_head_takes_long_to_match(head: bytes) -> None:
    """The pattern of a simple head does not backtrack."""
    began = time.process_time()
    assert HEAD.fullmatch(head) is None
    assert simple_answer(head) is None
    assert time.process_time() - began < 0.5


def test_a_redirect_is_not_followed(serve: Serve) -> None:
    """A redirect is a response like any other: requests go only to the host that the guard has checked."""
    elsewhere = serve(always(answer(b'{"version": "elsewhere"}')))
    here = serve(always(answer(b"", status="302 Found", headers=f"Location: {elsewhere.url}/\r\n")))
    service = service_at(here.url)
    with pytest.raises(TargetError, match="answered 302"):
        HttpTarget().check(service, [service.host])
    assert elsewhere.accepted == 0


def test_repeated_credentials_are_masked(serve: Serve) -> None:
    """Responses never show them, neither as the version nor as the example of a smoke run."""

    def script(talk: Talk) -> None:
        while (request := talk.read_request()) is not None:
            found = re.search(rb"Authorization: (.*)\r", request)
            assert found is not None
            talk.send(answer(b'{"version": "' + found[1] + b'"}'))

    service = service_at(serve(script).url)
    target = HttpTarget(credentials=lambda _: {"Authorization": f"Bearer {TOKEN}"})
    assert target.json(service, "/version", [service.host]) == {"version": "***"}
    assert target.send(service, "GET", Request("/", None), [service.host]).body == b'{"version": "***"}'


def test_secret_variables_do_not_reach_a_load_process() -> None:
    """A load process inherits only variables with harmless prefixes."""
    secrets = (
        "AIRFLOW_CONN_X",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN",
        "AWS_SECRET_ACCESS_KEY",
        "BELLWETHER_ANNOTATIONS_TOKEN",
        "BELLWETHER_LOCUST_KEY",
        "DATABASE_URL",
        "PROMETHEUS_TOKEN",
        "PROMETHEUS_URL",
        "SLACK_BOT_TOKEN",
    )
    assert [name for name in secrets if name.startswith(INHERITED)] == []
    assert all(name.startswith(INHERITED) for name in ("PATH", "HOME", "LC_ALL", "PYTHONPATH", "SSL_CERT_FILE"))
