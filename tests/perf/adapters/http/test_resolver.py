"""Name resolution: unique addresses in the resolver's order, with a timeout."""

import socket
import threading
import time
from typing import Any

import pytest

from include.perf.adapters.http.http_target import resolve


def answering(monkeypatch: pytest.MonkeyPatch, answer: Any) -> list[tuple[Any, ...]]:
    """Replace ``getaddrinfo`` and return the list of its calls."""
    calls: list[tuple[Any, ...]] = []

    def getaddrinfo(host: str, port: int, **options: Any) -> Any:
        calls.append((host, port, options))
        return answer() if callable(answer) else answer

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return calls


def _entry(family: int, *where: Any) -> tuple[Any, ...]:
    return family, socket.SOCK_STREAM, 6, "", where


def test_loopback_by_its_name() -> None:
    """Without a fake: the machine has one or both addresses."""
    found = resolve("localhost", 8000)
    assert found
    assert set(found) <= {"127.0.0.1", "::1"}


def test_addresses_keep_their_order_without_duplicates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of both families; the resolver decides which is tried first."""
    found = [
        _entry(socket.AF_INET6, "fd00::7", 8000, 0, 0),
        _entry(socket.AF_INET, "10.0.0.7", 8000),
        _entry(socket.AF_INET6, "fd00::7", 8000, 0, 0),
        _entry(socket.AF_INET6, "fe80::7%eth0", 8000, 0, 2),
    ]
    calls = answering(monkeypatch, found)
    assert resolve("gateway", 8000) == ["fd00::7", "10.0.0.7", "fe80::7%eth0"]
    assert calls == [("gateway", 8000, {"type": socket.SOCK_STREAM})]


@pytest.mark.parametrize("number", [socket.EAI_NONAME, socket.EAI_AGAIN])
def test_the_error_of_the_resolver_is_passed_on(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Its number distinguishes an unknown name from a failing resolver."""

    def fail() -> None:
        raise socket.gaierror(number, "no")

    answering(monkeypatch, fail)
    with pytest.raises(socket.gaierror) as caught:
        resolve("gateway", 8000)
    assert caught.value.errno == number


def test_an_invalid_host_name() -> None:
    """A label has at most 63 characters."""
    with pytest.raises(OSError, match="is not a valid host name"):
        resolve("a" * 64 + ".example", 8000)


def test_a_resolver_that_does_not_respond(monkeypatch: pytest.MonkeyPatch) -> None:
    """It cannot be interrupted, but delays neither the run nor the end of the process."""
    over = threading.Event()

    def wait() -> list[Any]:
        over.wait(30)
        return []

    answering(monkeypatch, wait)
    began = time.monotonic()
    try:
        with pytest.raises(TimeoutError, match=r"^the resolver did not respond within 0\.2 s$"):
            resolve("gateway", 8000, timeout_s=0.2)
        assert time.monotonic() - began < 3
        assert all(thread.daemon for thread in threading.enumerate() if thread.name == "resolve gateway")
    finally:
        over.set()
