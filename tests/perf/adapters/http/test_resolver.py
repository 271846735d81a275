"""The machine's resolver: in its order, each address once, and never for longer than its time."""

import socket
import threading
import time
from typing import Any

import pytest

from include.perf.adapters.http.http_target import resolve


def answering(monkeypatch: pytest.MonkeyPatch, answer: Any) -> list[tuple[Any, ...]]:
    """Let ``getaddrinfo`` answer what a test says."""
    asked: list[tuple[Any, ...]] = []

    def getaddrinfo(host: str, port: int, **options: Any) -> Any:
        asked.append((host, port, options))
        return answer() if callable(answer) else answer

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


def _entry(family: int, *where: Any) -> tuple[Any, ...]:
    return family, socket.SOCK_STREAM, 6, "", where


def test_loopback_by_its_name() -> None:
    """Really asked: one or both of them, as the machine has it."""
    found = resolve("localhost", 8000)
    assert found
    assert set(found) <= {"127.0.0.1", "::1"}


def test_the_order_is_kept_and_doubles_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of every family; the resolver says which is to be tried first."""
    found = [
        _entry(socket.AF_INET6, "fd00::7", 8000, 0, 0),
        _entry(socket.AF_INET, "10.0.0.7", 8000),
        _entry(socket.AF_INET6, "fd00::7", 8000, 0, 0),
        _entry(socket.AF_INET6, "fe80::7%eth0", 8000, 0, 2),
    ]
    asked = answering(monkeypatch, found)
    assert resolve("gateway", 8000) == ["fd00::7", "10.0.0.7", "fe80::7%eth0"]
    assert asked == [("gateway", 8000, {"type": socket.SOCK_STREAM})]


@pytest.mark.parametrize("number", [socket.EAI_NONAME, socket.EAI_AGAIN])
def test_what_the_resolver_says_is_passed_on(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Its number tells a name that does not exist from a resolver that does not know."""

    def fail() -> None:
        raise socket.gaierror(number, "no")

    answering(monkeypatch, fail)
    with pytest.raises(socket.gaierror) as caught:
        resolve("gateway", 8000)
    assert caught.value.errno == number


def test_a_name_that_cannot_be_asked_for_is_an_error() -> None:
    """A label has 63 letters at most."""
    with pytest.raises(OSError, match="is not a valid host name"):
        resolve("a" * 64 + ".example", 8000)


def test_a_resolver_that_does_not_answer_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """It cannot be interrupted, and keeps neither the run nor the process."""
    over = threading.Event()

    def wait() -> list[Any]:
        over.wait(30)
        return []

    answering(monkeypatch, wait)
    began = time.monotonic()
    try:
        with pytest.raises(TimeoutError, match=r"^the resolver did not answer within 0\.2 s$"):
            resolve("gateway", 8000, timeout_s=0.2)
        assert time.monotonic() - began < 3
        assert all(each.daemon for each in threading.enumerate() if each.name == "resolve gateway")
    finally:
        over.set()
