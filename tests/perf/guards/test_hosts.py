"""Where load may go: all ways in which a name can lead to a forbidden address, each with its message."""

import logging
import socket
from collections.abc import Sequence
from typing import Any

import pytest

from include.perf.catalogue.forbidden_hosts import forbidden_by_production, read_forbidden_hosts
from include.perf.catalogue.service import Service
from include.perf.guards.hosts import allowed_addresses, why_forbidden_now
from include.perf.model.errors import HostRefused, TargetError
from tests.fakes.resolver import FakeResolver
from tests.fakes.small_catalogue import small_service

LISTED = "(forbidden_hosts in services.yaml); correct base_url or the name"
REFUSED = "load on orders-service is refused: its host orders-service resolves to"
NO_NAME = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
NOT_NOW = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
ANY_V4 = ["1.0.0.0/8", "8.0.0.0/6", "127.0.0.0/8", "128.0.0.0/1"]


def service_at(url: str, **settings: Any) -> Service:
    """Return a service whose entry lists its host."""
    host = url.partition("//")[2].rpartition(":")[0]
    return small_service(base_url=url, allowed_hosts=[host], **settings)


def addresses_of(service: Service, *, never: Sequence[str] = (), **answers: Any) -> tuple[str, ...]:
    """Return the allowed addresses, with the given results of the resolver (``_`` for a hyphen or dot)."""
    known = {name.replace("__", ".").replace("_", "-"): answer for name, answer in answers.items()}
    return allowed_addresses(service, never=read_forbidden_hosts(list(never)), resolve=FakeResolver(**known))


def refusal(service: Service, **world: Any) -> str:
    with pytest.raises(HostRefused) as caught:
        addresses_of(service, **world)
    return str(caught.value)


def test_the_addresses_of_a_name_are_in_the_order_of_the_resolver() -> None:
    """Duplicates are removed, and an IPv4 address written as IPv6 is converted."""
    found = ["fd00::7", "10.0.0.7", "::ffff:10.0.0.7", "10.0.0.6", "10.0.0.7"]
    assert addresses_of(small_service(), orders_service=[found]) == ("fd00::7", "10.0.0.7", "10.0.0.6")


def test_a_name_is_resolved_once_with_its_port() -> None:
    """Later results do not matter."""
    resolve = FakeResolver(**{"orders-service": [["10.0.0.7"], ["8.8.8.8"]]})
    assert allowed_addresses(small_service(), never=(), resolve=resolve) == ("10.0.0.7",)
    assert resolve.asked == [("orders-service", 8000)]


@pytest.mark.parametrize(("url", "address"), [("http://127.0.0.1:1", "127.0.0.1"), ("http://[FD00:0::7]:1", "fd00::7")])
def test_an_address_is_not_resolved(url: str, address: str) -> None:
    """It is used directly."""
    resolve = FakeResolver()
    assert allowed_addresses(service_at(url), never=(), resolve=resolve) == (address,)
    assert resolve.asked == []


BEYOND = (
    "(127.0.0.0/8, 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, ::1/128, fc00::/7); add it there if load may go to it"
)


@pytest.mark.parametrize(
    ("found", "problem"),
    [
        (["8.8.8.8"], f"8.8.8.8, which is in none of its allowed_networks {BEYOND}"),
        (["2001:db8::7"], f"2001:db8::7, which is in none of its allowed_networks {BEYOND}"),
        (["10.0.0.7", "8.8.8.8"], f"8.8.8.8, which is in none of its allowed_networks {BEYOND}"),
        (["8.8.8.8", "10.0.0.7"], f"8.8.8.8, which is in none of its allowed_networks {BEYOND}"),
        (["::ffff:8.8.8.8"], f"8.8.8.8, which is in none of its allowed_networks {BEYOND}"),
        (["169.254.169.254"], f"169.254.169.254, which is in none of its allowed_networks {BEYOND}"),
        (["fe80::7"], f"fe80::7, which is in none of its allowed_networks {BEYOND}"),
        (["100.64.0.1"], f"100.64.0.1, which is in none of its allowed_networks {BEYOND}"),
        (["0.0.0.0"], "0.0.0.0, which is an unspecified address, which reaches this machine itself"),  # noqa: S104
        (["::"], "::, which is an unspecified address"),
        (["::ffff:0.0.0.0"], "0.0.0.0, which is an unspecified address"),
        (["::127.0.0.1"], "::7f00:1, which is an IPv4 address in the form of an IPv6 one"),
        (["64:ff9b::7f00:1"], "64:ff9b::7f00:1, which is an IPv4 address in the form of an IPv6 one"),
        (["2002:7f00:1::"], "2002:7f00:1::, which is an IPv4 address in the form of an IPv6 one"),
        (["224.0.0.1"], "224.0.0.1, which is a multicast address"),
        (["255.255.255.255"], "255.255.255.255, which is a broadcast or reserved address"),
        (["10.0.0.7", "ff02::1"], "ff02::1, which is a multicast address"),
        (
            ["fe80::7%eth0"],
            "an address that cannot be used (fe80::7%eth0 is an address on one interface of this",
        ),
        (["somewhere"], "an address that cannot be used ('somewhere' does not appear to be"),
    ],
)
def test_a_name_that_resolves_to_an_address_outside_its_networks(found: list[str], problem: str) -> None:
    """One such address is enough, in any position."""
    assert refusal(small_service(), orders_service=[found]).startswith(f"{REFUSED} {problem}")


def test_an_entry_can_list_other_networks() -> None:
    """They replace the private ones; addresses that are not one machine's stay refused."""
    service = small_service(allowed_networks=["8.8.8.0/24", "2001:db8::/32", "224.0.0.0/3"])
    assert addresses_of(service, orders_service=[["8.8.8.8", "2001:db8::7"]]) == ("8.8.8.8", "2001:db8::7")
    assert "10.0.0.7, which is in none of its allowed_networks (8.8.8.0/24, " in refusal(
        service, orders_service=[["10.0.0.7"]]
    )
    assert "which is a multicast address" in refusal(service, orders_service=[["224.0.0.1"]])
    assert "which is a broadcast or reserved" in refusal(service, orders_service=[["255.255.255.255"]])


@pytest.mark.parametrize(
    ("found", "never", "problem"),
    [
        (["10.1.0.7"], ["prod.example"], f"10.1.0.7, and that is prod.example {LISTED}"),
        (["10.1.0.7"], ["PROD.Example.:8000"], f"10.1.0.7, and that is prod.example:8000 {LISTED}"),
        (["10.0.0.7", "10.1.0.8"], ["prod.example"], f"10.1.0.8, and that is prod.example {LISTED}"),
        (["::ffff:10.1.0.7"], ["prod.example"], f"10.1.0.7, and that is prod.example {LISTED}"),
        (["fd01::7"], ["prod.example"], f"fd01::7, and that is prod.example {LISTED}"),
        (["10.1.0.7"], ["10.1.0.7"], f"10.1.0.7, and that is 10.1.0.7 {LISTED}"),
        (["10.1.0.7"], ["10.9.0.0/16", "10.1.0.0/16:8000"], f"10.1.0.7, and that is 10.1.0.0/16:8000 {LISTED}"),
        (["fd01::0:9"], ["[fd01::/64]:8000"], f"fd01::9, and that is [fd01::/64]:8000 {LISTED}"),
        (["127.0.0.2"], ["127.0.0.1"], f"127.0.0.2, and that is 127.0.0.1 {LISTED}"),
        (["::1"], ["here.example"], f"::1, and that is here.example {LISTED}"),
    ],
)
def test_another_name_or_address_of_a_forbidden_host(found: list[str], never: list[str], problem: str) -> None:
    """Addresses are compared, not names; all loopback addresses are this machine."""
    prod = ["10.1.0.7", "::ffff:10.1.0.8", "fd01::7"]
    assert (
        refusal(
            small_service(), never=never, orders_service=[found], prod__example=[prod], here__example=[["127.0.0.1"]]
        )
        == f"{REFUSED} {problem}"
    )


@pytest.mark.parametrize(
    ("url", "never", "problem"),
    [
        (
            "http://prod.example:8000",
            "prod.example",
            "load to http://prod.example:8000 is refused: that is prod.example (",
        ),
        ("http://PROD.example.:8000", "prod.example:8000", "is refused: that is prod.example:8000 ("),
        ("http://10.1.0.7:8000", "10.1.0.0/16", "is refused: that is 10.1.0.0/16 ("),
        ("http://10.1.0.7:8000", "prod.example", f"its host is 10.1.0.7, and that is prod.example {LISTED}"),
        ("http://[fd01:0:0::7]:8000", "prod.example", f"its host is fd01::7, and that is prod.example {LISTED}"),
    ],
)
def test_a_forbidden_host_by_its_own_name_or_address(url: str, never: str, problem: str) -> None:
    """It is refused before its name is resolved."""
    found = refusal(service_at(url), never=[never], prod__example=[["10.1.0.7", "fd01::7"]])
    assert found.startswith("load on orders-service is refused: ")
    assert problem in found


@pytest.mark.parametrize(
    ("forbidden", "found", "is_refused"),
    [
        ("127.0.0.1", "10.0.0.5", True),
        ("::1", "fd00::5", True),
        ("10.0.0.5", "127.0.0.1", True),
        ("10.0.0.5", "fd00::5", True),
        ("10.0.0.6", "127.0.0.1", False),
        ("127.0.0.1", "10.0.0.6", False),
        ("127.0.0.1:9000", "10.0.0.5", False),
    ],
)
def test_all_addresses_of_this_machine_are_one_machine(forbidden: str, found: str, is_refused: bool) -> None:
    """A server that listens on all of them is reached through each."""
    own = ("127.0.0.1", "::1", "10.0.0.5", "fd00::5")
    world: dict[str, Any] = {
        "never": read_forbidden_hosts([forbidden]),
        "resolve": FakeResolver(**{"orders-service": [[found]]}),
        "is_own": lambda address: str(address) in own,
    }
    if is_refused:
        with pytest.raises(HostRefused, match="and that is"):
            allowed_addresses(small_service(), **world)
    else:
        assert allowed_addresses(small_service(), **world) == (found,)


def test_another_port_of_a_forbidden_host() -> None:
    """The name of a host with another forbidden port is not resolved."""
    resolve = FakeResolver(**{"orders-service": [["10.1.0.7"]]})
    never = read_forbidden_hosts(["prod.example:443", "10.1.0.7:443", "orders-service:443"])
    assert allowed_addresses(small_service(), never=never, resolve=resolve) == ("10.1.0.7",)
    assert resolve.asked == [("orders-service", 8000)]


def test_the_host_of_production_under_another_name() -> None:
    """It need not be listed, because it is in the catalogue."""
    live = small_service(
        name="orders-live",
        environment="prod-eu",
        allow_production=True,
        max_rate_rps=10,
        base_url="http://orders.live:8000",
        allowed_hosts=["orders.live"],
    )
    resolve = FakeResolver(**{"orders-service": [["10.1.0.7"]], "orders.live": [["10.1.0.9", "10.1.0.7"]]})
    with pytest.raises(HostRefused) as caught:
        allowed_addresses(small_service(), never=forbidden_by_production(small_service(), [live]), resolve=resolve)
    assert str(caught.value) == (
        f"{REFUSED} 10.1.0.7, and that is orders.live (the host of orders-live, environment prod-eu); correct "
        "base_url or the name"
    )
    assert allowed_addresses(live, never=(), resolve=resolve) == ("10.1.0.9", "10.1.0.7")


def live_at(url: str, **settings: Any) -> Service:
    return service_at(url, name="orders-live", environment="live", allow_production=True, max_rate_rps=10, **settings)


@pytest.mark.parametrize(
    ("live", "host", "found", "is_refused"),
    [
        ({"url": "http://orders.live:8000"}, ["10.1.0.7"], "10.1.0.7", True),
        ({"url": "http://orders.live:9000"}, ["10.1.0.7"], "10.1.0.7", True),
        ({"url": "http://10.1.0.7:9000"}, [], "10.1.0.7", True),
        ({"url": "http://10.1.0.7:9000"}, [], "10.1.0.8", False),
        ({"url": "http://orders.live:9000", "forbidden_ports": "own"}, ["10.1.0.7"], "10.1.0.7", False),
        ({"url": "http://orders.live:8000", "forbidden_ports": "own"}, ["10.1.0.7"], "10.1.0.7", True),
        # loopback: only the port of the production service
        ({"url": "http://orders.live:9000"}, ["127.0.0.1"], "127.0.0.1", False),
        ({"url": "http://orders.live:8000"}, ["127.0.0.1"], "127.0.0.1", True),
        ({"url": "http://orders.live:9000"}, ["127.0.0.1", "10.1.0.7"], "10.1.0.7", True),
        ({"url": "http://127.0.0.1:9000"}, [], "::1", False),
        ({"url": "http://127.0.0.1:8000"}, [], "::1", True),
    ],
)
def test_every_port_of_a_production_host_is_forbidden_except_at_loopback(
    live: dict[str, Any], host: list[str], found: str, is_refused: bool
) -> None:
    """The service under load uses port 8000."""
    never = forbidden_by_production(small_service(), [live_at(**live)])
    resolve = FakeResolver(**{"orders-service": [[found]], "orders.live": [host]})
    world: dict[str, Any] = {"never": never, "resolve": resolve, "is_own": lambda address: address.is_loopback}
    if is_refused:
        with pytest.raises(HostRefused, match="the host of orders-live, environment live"):
            allowed_addresses(small_service(), **world)
    else:
        assert allowed_addresses(small_service(), **world) == (found,)
    assert (why_forbidden_now(small_service(), (found,), **world) is not None) is is_refused


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (NO_NAME, "cannot be resolved (Name or service not known)"),
        (NOT_NOW, "cannot be resolved (Temporary failure in name resolution)"),
        (
            TimeoutError("the resolver did not answer within 5 s"),
            "cannot be resolved (the resolver did not answer within",
        ),
        ([[]], "has no address; correct base_url in services.yaml, or the name"),
    ],
)
def test_a_host_without_an_address_is_not_reachable(answer: Any, problem: str) -> None:
    """The message contains the reason."""
    with pytest.raises(TargetError) as caught:
        addresses_of(small_service(), orders_service=answer)
    assert str(caught.value).startswith(f"orders-service is not reachable: its host orders-service {problem}")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (NOT_NOW, "Temporary failure in name resolution"),
        (
            socket.gaierror(socket.EAI_FAIL, "Non-recoverable failure in name resolution"),
            "Non-recoverable failure in name",
        ),
        (TimeoutError("the resolver did not answer within 5 s"), "the resolver did not answer within 5 s"),
        ([["nonsense"]], "'nonsense' does not appear to be an IPv4 or IPv6 address"),
    ],
)
def test_a_forbidden_name_that_cannot_be_resolved_refuses_the_load(answer: Any, reason: str) -> None:
    """It might be the same machine."""
    found = refusal(small_service(), never=["prod.example"], orders_service=[["10.0.0.7"]], prod__example=answer)
    assert found.startswith(
        "load on orders-service is refused: prod.example (forbidden_hosts in services.yaml) cannot be resolved "
        f"({reason}"
    )
    assert found.endswith(
        "so it is unknown whether orders-service is the same machine; try again when the resolver works, or "
        "list its addresses in forbidden_hosts"
    )


@pytest.mark.parametrize("answer", [NO_NAME, socket.gaierror(socket.EAI_NODATA, "No address associated"), [[]]])
def test_a_forbidden_name_that_does_not_exist_has_no_effect(answer: Any, caplog: pytest.LogCaptureFixture) -> None:
    """It has no address; a warning is logged, as the name may be misspelled."""
    with caplog.at_level(logging.WARNING):
        found = addresses_of(
            small_service(), never=["prod.example"], orders_service=[["10.0.0.7"]], prod__example=answer
        )
    assert found == ("10.0.0.7",)
    assert "the forbidden host prod.example has no address" in caplog.text


def test_a_forbidden_address_of_one_interface_is_compared_without_the_interface() -> None:
    """A forbidden name may resolve to such an address."""
    service = small_service(allowed_networks=["fe80::/10"])
    assert "fe80::7, and that is prod.example" in refusal(
        service, never=["prod.example"], orders_service=[["fe80::7"]], prod__example=[["fe80::7%eth0"]]
    )


@pytest.mark.parametrize(
    ("never", "answer", "reason"),
    [
        ("prod.example", ["10.1.0.7"], None),
        ("prod.example", ["10.1.0.7", "10.0.0.7"], "its load goes to 10.0.0.7, and that is now prod.example "),
        ("prod.example:8000", ["::ffff:10.0.0.7"], "its load goes to 10.0.0.7, and that is now prod.example:8000 "),
        ("prod.example:443", ["10.0.0.7"], None),
        ("prod.example", NO_NAME, None),
    ],
)
def test_a_forbidden_name_may_move_to_an_address_under_load(never: str, answer: Any, reason: str | None) -> None:
    """Its addresses are compared with those of the load, not with those that the service has now."""
    resolve = FakeResolver(**{"prod.example": [answer] if isinstance(answer, list) else answer})
    found = why_forbidden_now(
        small_service(), ("10.0.0.6", "10.0.0.7"), never=read_forbidden_hosts([never]), resolve=resolve
    )
    assert found == (reason and reason + "(forbidden_hosts in services.yaml)")
    assert ("orders-service", 8000) not in resolve.asked


def test_a_forbidden_name_that_cannot_be_resolved_is_no_answer() -> None:
    """The watch counts it as a source that cannot be read."""
    with pytest.raises(HostRefused, match=r"prod\.example .* cannot be resolved"):
        why_forbidden_now(
            small_service(),
            ("10.0.0.7",),
            never=read_forbidden_hosts(["prod.example"]),
            resolve=FakeResolver(**{"prod.example": NOT_NOW}),
        )
