"""The host's name: resolved once, by one attempt at a time, and never by the requests themselves."""

import socket
from collections.abc import Callable
from typing import Any

import gevent
import gevent.socket
import pytest
from gevent.event import Event

from include.load.host import Address, Host

HERE = Address(socket.AF_INET, ("10.0.0.7", 8000))
FAILED = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

Result = list[Address] | str


class Resolver:
    """Answers, one after another, when it may; counts what it was asked."""

    def __init__(self, *results: list[Address] | OSError) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.may_answer = Event()
        self._results = list(results)

    def __call__(self, *question: Any, **options: Any) -> list[tuple[Any, ...]]:
        self.asked.append((*question, options))
        assert self.may_answer.wait(10)
        result = self._results.pop(0)
        if isinstance(result, OSError):
            raise result
        return [(address.family, socket.SOCK_STREAM, 6, "", address.where) for address in result]


@pytest.fixture
def resolve(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Resolver]:
    """Put a resolver in the place of the system's."""

    def put(*results: list[Address] | OSError) -> Resolver:
        resolver = Resolver(*results)
        monkeypatch.setattr(gevent.socket, "getaddrinfo", resolver)
        return resolver

    return put


def ask_together(host: Host, count: int) -> "list[gevent.Greenlet[..., Result]]":
    """Ask for the addresses from many greenlets, which all wait when this returns."""

    def ask() -> Result:
        try:
            return host.addresses()
        except OSError as err:
            return str(err)

    greenlets = [gevent.spawn(ask) for _ in range(count)]
    gevent.sleep(0.01)
    return greenlets


def results(greenlets: "list[gevent.Greenlet[..., Result]]") -> list[Result]:
    return [greenlet.get(timeout=10) for greenlet in greenlets]


@pytest.mark.parametrize(
    ("url", "name", "port"),
    [
        ("http://gateway:8000", "gateway", 8000),
        ("http://gateway", "gateway", 80),
        ("https://gateway", "gateway", 443),
        ("https://GateWay:8443", "gateway", 8443),
        ("http://[::1]:8000", "::1", 8000),
    ],
)
def test_a_base_url_names_host_and_port(url: str, name: str, port: int) -> None:
    """The port is that of the scheme where none is given."""
    host = Host(url)
    assert (host.name, host.port) == (name, port)


def test_a_number_is_its_own_address() -> None:
    """The system's resolver is asked, and answers at once."""
    assert Host("http://127.0.0.1:8000").addresses() == [Address(socket.AF_INET, ("127.0.0.1", 8000))]


def test_many_share_one_attempt(resolve: Callable[..., Resolver]) -> None:
    """A thousand users that all begin at once ask the resolver once."""
    resolver = resolve([HERE])
    host = Host("http://gateway:8000")
    waiting = ask_together(host, 50)
    assert len(resolver.asked) == 1
    resolver.may_answer.set()
    assert results(waiting) == [[HERE]] * 50
    assert resolver.asked == [("gateway", 8000, {"type": socket.SOCK_STREAM})]


def test_a_name_is_resolved_once(resolve: Callable[..., Resolver]) -> None:
    """What is measured is the service, not the resolver."""
    resolver = resolve([HERE])
    resolver.may_answer.set()
    host = Host("http://gateway:8000")
    assert [host.addresses() for _ in range(3)] == [[HERE]] * 3
    assert len(resolver.asked) == 1


def test_an_error_is_shared_and_the_next_request_tries_again(resolve: Callable[..., Resolver]) -> None:
    """A resolver that fails is asked one question at a time, and not given up."""
    resolver = resolve(FAILED, FAILED, [HERE])
    host = Host("http://gateway:8000")
    waiting = ask_together(host, 20)
    resolver.may_answer.set()
    assert results(waiting) == [str(FAILED)] * 20
    assert len(resolver.asked) == 1
    assert results(ask_together(host, 20)) == [str(FAILED)] * 20
    assert len(resolver.asked) < 22  # two attempts, had all asked before the answer came
    assert host.addresses() == [HERE]


def test_who_gives_up_takes_nobody_along(resolve: Callable[..., Resolver]) -> None:
    """A request that timed out while it waited for the name leaves the attempt to the others."""
    resolver = resolve([HERE])
    host = Host("http://gateway:8000")
    first, *others = ask_together(host, 3)
    first.kill(timeout=5)
    resolver.may_answer.set()
    assert results(others) == [[HERE]] * 2
    assert len(resolver.asked) == 1


def test_the_order_of_the_resolver_is_kept(resolve: Callable[..., Resolver]) -> None:
    """It says which address is to be tried first (RFC 6724)."""
    there = Address(socket.AF_INET6, ("2001:db8::7", 8000, 0, 0))
    resolve([there, HERE]).may_answer.set()
    assert Host("http://gateway:8000").addresses() == [there, HERE]
