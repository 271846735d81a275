"""A hostile service under test: its responses are limited in size and time, and cannot redirect the load."""

import base64
import re
import time
import tracemalloc
from collections.abc import Callable
from itertools import repeat
from pathlib import Path

import pytest

from include.load.answer import HEAD, MAX_BYTES, AnswersInFlight, read_answer, simple_answer
from include.load.outcome import example_of
from include.load.record import BATCH_ROWS, EXAMPLE_LENGTH, RequestLog, RequestRow
from include.perf.adapters.http.http_target import HttpTarget
from include.perf.catalogue.expectation import TOO_LONG, Expectation
from include.perf.load.answer_head import UnusableAnswer
from include.perf.load.feed import Request
from include.perf.load.service_secrets import ServiceSecrets
from include.perf.model.errors import TargetError
from include.perf.pipeline.loading import read_deploy_version
from tests.fakes.clock import START
from tests.fakes.metrics import FakeMetrics
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
    """A head has a limit of its own, and so has the number of its fields, each of which takes an object."""
    with pytest.raises(UnusableAnswer, match="the head of the answer has more than 262,144 bytes"):
        read_answer(b"HTTP/1.1 200 OK\r\n", method="GET", more=lambda: b"X-More: " + b"y" * MEBIBYTE + b"\r\n")
    with pytest.raises(UnusableAnswer, match="more than 1,000 fields"):
        read_answer(b"HTTP/1.1 200 OK\r\n", method="GET", more=lambda: b"a:\r\n" * 100)


def test_an_endless_trailer_is_refused() -> None:
    """Fields after a chunked body count as well."""
    begun = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n"
    with pytest.raises(UnusableAnswer, match="more than 1,000 fields"):
        read_answer(begun, method="GET", more=lambda: b"a: b\r\n" * 100)


def test_all_unfinished_answers_together_are_limited() -> None:
    """A service may send a long answer on every connection; the bytes of an ended one no longer count."""
    in_flight = AnswersInFlight(limit=3 * MEBIBYTE)
    begun = b"HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\n\r\n"
    problems: list[str] = []
    held: list[int] = []

    def one_more() -> bytes:
        held.append(in_flight.bytes_held)
        if len(held) < 5:
            try:
                read_answer(begun + b"x" * (MEBIBYTE - 1), method="GET", more=one_more, in_flight=in_flight)
            except UnusableAnswer as err:
                problems.append(str(err))
        return b"x"

    answer = read_answer(begun + b"x" * (MEBIBYTE - 1), method="GET", more=one_more, in_flight=in_flight)
    assert len(answer.body) == MEBIBYTE
    assert problems == ["the unfinished answers together have more than 3,145,728 bytes"]
    assert max(held) <= 3 * MEBIBYTE
    assert in_flight.bytes_held == 0


@pytest.mark.parametrize("more", [lambda: b"", lambda: b"x" * MEBIBYTE])
def test_the_bytes_of_a_broken_answer_no_longer_count(more: Callable[[], bytes]) -> None:
    """Otherwise the limit would be reached by answers that ended long ago."""
    in_flight = AnswersInFlight()
    with pytest.raises(UnusableAnswer):
        read_answer(
            b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", method="GET", more=more, in_flight=in_flight
        )
    assert in_flight.bytes_held == 0


def test_long_wrong_answers_take_little_memory(tmp_path: Path) -> None:
    """Of 60 MiB only the beginning is kept; more than one copy exists only while the answer is complete."""
    check = Expectation.model_validate({"json": {"a": 1}}).compiled()
    log = RequestLog((tmp_path / "requests.csv.gz").open("wb"))
    body = b"[[],[],\xff" * (1 << 17)
    length = 60 * len(body)
    tracemalloc.start()
    for number in range(BATCH_ROWS - 1):
        parts = repeat(body, 60)
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % length
        answer = read_answer(head, method="GET", more=lambda parts=parts: next(parts))  # type: ignore[misc]  # a default binds the loop's iterator
        assert (len(answer.body), check(200, answer.body)) == (length, "wrong answer: too long")
        times = number, number, number
        log.add(RequestRow(number, "measured", "a", 200, *times, length, TOO_LONG, example_of(answer.body)))
        del answer
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    log.close()
    assert kept < 4 * MEBIBYTE
    assert peak < 2.5 * length
    assert len(log.examples["a wrong answer: too long"]) == EXAMPLE_LENGTH


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
    with pytest.raises(TargetError, match="returned 302"):
        HttpTarget().check(service, [service.host])
    assert elsewhere.accepted == 0


def test_repeated_credentials_are_masked_where_they_are_shown(serve: Serve) -> None:
    """What is judged stays as it came; the version that is stored and the example of a smoke run do not show them."""

    def script(talk: Talk) -> None:
        while (request := talk.read_request()) is not None:
            found = re.search(rb"Authorization: (.*)\r", request)
            assert found is not None
            talk.send(answer(b'{"version": "' + found[1] + b'"}'))

    service = service_at(serve(script).url)
    target = HttpTarget(credentials=lambda _: ServiceSecrets(headers={"Authorization": f"Bearer {TOKEN}"}))
    raw = f'{{"version": "Bearer {TOKEN}"}}'
    assert target.json(service, "/version", [service.host]) == {"version": f"Bearer {TOKEN}"}
    assert target.send(service, "GET", Request("/", None), [service.host]).body == raw.encode()
    assert target.masked(service, raw) == '{"version": "***"}'
    assert target.masked(service, raw[:25], is_cut=True) == '{"version": "***'


def test_values_that_are_too_common_change_no_answer(serve: Serve) -> None:
    """Login and password `test` and a tenant 1 neither change what is judged, nor what is shown."""
    body = b'{"env": "test", "version": "1.4.1"}'
    service = service_at(serve(always(answer(body))).url, deploy_version={"path": "/version"})
    login = base64.b64encode(b"test:test").decode()
    target = HttpTarget(
        credentials=lambda _: ServiceSecrets(headers={"Authorization": f"Basic {login}", "X-Tenant": "1"})
    )
    check = Expectation.model_validate({"json": {"env": "test"}}).compiled()
    answered = target.send(service, "GET", Request("/", None), [service.host])
    assert check(answered.status, answered.body) is None
    assert target.masked(service, answered.body.decode()) == body.decode()
    assert read_deploy_version(service, [service.host], target, FakeMetrics({}), at=START) == "1.4.1"
