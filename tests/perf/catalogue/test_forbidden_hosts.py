"""Forbidden hosts: their spelling, and which hosts they match."""

from ipaddress import ip_address
from typing import Any

import pytest

from include.perf.catalogue.forbidden_hosts import (
    ForbiddenHost,
    forbidden_by_production,
    problems_of_service,
    read_forbidden_hosts,
    warning_without_list,
)
from include.perf.model.errors import CatalogueError
from tests.fakes.small_catalogue import small_service

LISTED = "forbidden_hosts in services.yaml"


@pytest.mark.parametrize(
    ("text", "shown", "port"),
    [
        ("Prod.Example.", "prod.example", None),
        ("prod.example:8000", "prod.example:8000", 8000),
        ("10.1.0.7", "10.1.0.7", None),
        ("10.1.0.7:443", "10.1.0.7:443", 443),
        ("10.1.0.0/16", "10.1.0.0/16", None),
        ("10.1.0.0/16:443", "10.1.0.0/16:443", 443),
        ("FD00::7", "fd00::7", None),
        ("[fd00::7]", "fd00::7", None),
        ("[fd00::7]:443", "[fd00::7]:443", 443),
        ("fd00::/64", "fd00::/64", None),
        ("[fd00::/64]:443", "[fd00::/64]:443", 443),
        ("::ffff:10.1.0.7", "10.1.0.7", None),
        ("[::ffff:10.1.0.7]:443", "10.1.0.7:443", 443),
    ],
)
def test_how_a_forbidden_host_is_written(text: str, shown: str, port: int | None) -> None:
    """A name, an address or a network, with a port or for all ports."""
    (host,) = read_forbidden_hosts([text])
    assert (str(host), host.port, host.rule) == (shown, port, LISTED)


def test_without_a_list_nothing_is_forbidden() -> None:
    """The same applies to an empty key."""
    assert read_forbidden_hosts(None) == read_forbidden_hosts([]) == ()


FORM = (
    "must be a name, an address or a network, such as gateway.example, 10.1.0.0/16 or [fd00::7], alone or with a port "
    "as in gateway.example:8000, but is "
)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (80, f"forbidden_hosts[0] {FORM}80"),
        ("", f"forbidden_hosts[0] {FORM}'': '' is not a valid host name; correct it"),
        ("http://prod", f"forbidden_hosts[0] {FORM}'http://prod': must be a network such as"),
        ("*.prod.example", f"forbidden_hosts[0] {FORM}'*.prod.example': '*.prod.example' is not a valid host name"),
        ("0x7f.1", f"forbidden_hosts[0] {FORM}'0x7f.1': '0x7f.1' is another spelling of 127.0.0.1; write 127.0.0.1"),
        ("10.1.0.7/16", "has host bits set; write 10.1.0.0/16"),
        ("bücher.example", "write 'xn--bcher-kva.example'"),
        ("prod:0", "forbidden_hosts[0] must have a port of 1 to 65535, but is 'prod:0'"),
        ("prod:99999", "forbidden_hosts[0] must have a port of 1 to 65535, but is 'prod:99999'"),
        ("fe80::1%eth0", "is valid on one interface of this machine only"),
    ],
)
def test_invalid_entries_are_refused(given: Any, problem: str) -> None:
    """A forbidden host with a typing error would not protect anything."""
    with pytest.raises(CatalogueError) as caught:
        read_forbidden_hosts([given])
    assert problem in str(caught.value)


def test_all_mistakes_in_the_list_are_reported() -> None:
    """Each with its position."""
    with pytest.raises(CatalogueError) as caught:
        read_forbidden_hosts([True, "prod", "a b"])
    assert [problem.partition(" ")[0] for problem in caught.value.problems] == [
        "forbidden_hosts[0]",
        "forbidden_hosts[2]",
    ]
    with pytest.raises(CatalogueError, match=r"^forbidden_hosts must be a list of hosts, but is 'prod'$"):
        read_forbidden_hosts("prod")


@pytest.mark.parametrize(
    ("forbidden", "address", "holds"),
    [
        ("10.1.0.7", "10.1.0.7", True),
        ("10.1.0.7", "10.1.0.8", False),
        ("10.1.0.0/16", "10.1.255.1", True),
        ("fd00::/64", "fd00::7", True),
        ("fd00::/64", "10.1.0.7", False),
        ("127.0.0.1", "127.0.0.2", True),
        ("127.0.0.1", "::1", True),
        ("::1", "127.0.0.1", True),
        ("prod", "10.1.0.7", False),
    ],
)
def test_the_addresses_of_a_forbidden_host(forbidden: str, address: str, holds: bool) -> None:
    """Every loopback address is this machine; a name has no address before it is resolved."""
    (host,) = read_forbidden_hosts([forbidden])
    assert host.holds(ip_address(address)) is holds


@pytest.mark.parametrize(
    ("url", "forbidden", "is_refused"),
    [
        ("http://orders-service:8000", "orders-service", True),
        ("http://ORDERS-SERVICE.:8000", "Orders-Service", True),
        ("http://orders-service:8000", "orders-service.:8000", True),
        ("http://orders-service:8000", "orders-service:8001", False),
        ("http://orders-service", "orders-service:80", True),
        ("https://orders-service", "orders-service:80", False),
        ("http://orders-service:8000", "service", False),
        ("http://10.1.0.7:8000", "10.1.0.0/16", True),
        ("http://10.1.0.7:8000", "10.1.0.0/16:8000", True),
        ("http://10.1.0.7:8000", "10.1.0.0/16:443", False),
        ("http://[FD00::7]:8000", "[fd00:0::7]:8000", True),
        ("http://127.0.0.2:8000", "127.0.0.1:8000", True),
        ("http://[::1]:8000", "127.0.0.1:8000", True),
    ],
)
def test_matches_without_a_resolver(url: str, forbidden: str, is_refused: bool) -> None:
    """By name or by address, with the forbidden port."""
    service = small_service(base_url=url, allowed_hosts=["orders-service", "10.1.0.7", "fd00::7", "127.0.0.2", "::1"])
    never = read_forbidden_hosts([forbidden])
    said = [f"load to {url} is refused: that is {never[0]} ({LISTED}); correct base_url"]
    assert problems_of_service(service, never) == (said if is_refused else [])


def test_the_hosts_of_production_are_forbidden_for_all_others() -> None:
    """With every port, for every name of a production environment, but not for production itself."""
    live = small_service(
        name="orders-live",
        environment="eu-live",
        allow_production=True,
        max_rate_rps=10,
        base_url="http://Orders:8000",
        allowed_hosts=["orders"],
    )
    staging = small_service()
    assert forbidden_by_production(staging, [live, staging]) == [
        ForbiddenHost(rule="the host of orders-live, environment eu-live", name="orders", loopback_port=8000)
    ]
    assert forbidden_by_production(live, [live, staging]) == []


@pytest.mark.parametrize(
    ("url", "settings", "ports"),
    [
        ("https://orders.live", {}, (None, 443)),
        ("https://orders.live", {"forbidden_ports": "own"}, (443, None)),
        ("http://10.1.0.7:9000", {}, (None, 9000)),
        ("http://127.0.0.1:9000", {}, (9000, None)),
        ("http://[::1]:9000", {}, (9000, None)),
        ("http://localhost:9000", {}, (9000, None)),
        ("http://live.LOCALHOST.:9000", {}, (9000, None)),
        ("http://notlocalhost:9000", {}, (None, 9000)),
    ],
)
def test_the_forbidden_ports_of_a_production_host(
    url: str, settings: dict[str, Any], ports: tuple[int | None, int | None]
) -> None:
    """Every port, except at loopback or where the entry forbids only its own."""
    hosts = ["orders.live", "10.1.0.7", "127.0.0.1", "::1", "localhost", "live.localhost", "notlocalhost"]
    live = small_service(
        environment="live", allow_production=True, max_rate_rps=10, base_url=url, allowed_hosts=hosts, **settings
    )
    (host,) = forbidden_by_production(small_service(), [live])
    assert (host.port, host.loopback_port) == ports


OPEN = (
    "forbidden_hosts is empty, while the allowed_networks of orders-service cover all of {}; list the hosts and "
    "networks of production there, or narrow allowed_networks to those of the services"
)


@pytest.mark.parametrize(
    ("networks", "covered"),
    [
        (None, "10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, fc00::/7"),
        (["10.0.0.0/8"], "10.0.0.0/8"),
        (["8.0.0.0/6"], "10.0.0.0/8"),
        (["10.0.0.0/9", "10.128.0.0/9"], "10.0.0.0/8"),
        (["fd00::/8", "fc00::/8", "192.168.0.0/16"], "192.168.0.0/16, fc00::/7"),
        (["10.0.0.0/9", "127.0.0.0/8", "::1/128"], None),
        (["10.20.0.0/16", "fd00::/8"], None),
    ],
)
def test_a_warning_when_load_may_go_to_a_whole_private_network(networks: list[str] | None, covered: str | None) -> None:
    """Production is often in the same one; any forbidden host shows that somebody thought of it."""
    service = small_service(
        base_url="http://orders-service:8000", **({} if networks is None else {"allowed_networks": networks})
    )
    assert warning_without_list([service], ()) == (covered and OPEN.format(covered))
    assert warning_without_list([service], read_forbidden_hosts(["10.9.0.0/16"])) is None


def test_one_warning_for_all_services() -> None:
    """It names those that are open, and every network once."""
    orders, narrow = small_service(), small_service(name="narrow", allowed_networks=["10.20.0.0/16"])
    rates = small_service(name="rates", allowed_networks=["10.0.0.0/8"])
    warning = warning_without_list([orders, narrow, rates], ())
    assert warning is not None
    assert "the allowed_networks of orders-service, rates cover all of 10.0.0.0/8, 172.16.0.0/12, " in warning
    assert warning.count("10.0.0.0/8") == 1
