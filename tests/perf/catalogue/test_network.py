"""Each host has one spelling; other spellings, and addresses that are not one machine, are refused."""

import socket
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from include.perf.catalogue.network import (
    PRIVATE_NETWORKS,
    address_of,
    is_own,
    is_within,
    network_of,
    problem_of_url,
    same_host,
    why_no_host,
)


@pytest.mark.parametrize(
    "url",
    [
        "http://gateway",
        "http://gateway:8000",
        "https://GateWay.Example.:8443",
        "http://trading_gateway-1.ns.svc",
        "http://3m.example",
        "http://127.0.0.1:1",
        "http://[::1]:65535",
        "http://[2001:DB8::7]",
        "http://xn--bcher-kva.example",
    ],
)
def test_a_base_url_of_a_host(url: str) -> None:
    """A name, a dotted IPv4 address, or an IPv6 address in brackets, with or without a port."""
    assert problem_of_url(url) is None


IS_LOOPBACK = "is another spelling of 127.0.0.1; write 127.0.0.1 if that is meant"


@pytest.mark.parametrize(
    ("host", "problem"),
    [
        ("2130706433", IS_LOOPBACK),  # 127 · 2²⁴ + 1
        ("0x7f000001", IS_LOOPBACK),
        ("0X7F.1", IS_LOOPBACK),
        ("017700000001", IS_LOOPBACK),
        ("0177.0.0.1", IS_LOOPBACK),
        ("127.1", IS_LOOPBACK),
        ("127.0.1", IS_LOOPBACK),
        ("127.000.000.001", IS_LOOPBACK),
        ("127.0.0.0x1", IS_LOOPBACK),
        ("127.0.0.1.", IS_LOOPBACK),
        ("[::ffff:127.0.0.1]", IS_LOOPBACK),
        ("[::ffff:7f00:1]", IS_LOOPBACK),
        ("[0:0:0:0:0:ffff:127.0.0.1]", IS_LOOPBACK),
        ("0", "'0' is another spelling of 0.0.0.0; write 0.0.0.0 if that is meant"),
        ("256.0.0.1", "'256.0.0.1' ends in a number, but is no IPv4 address; correct it"),
        ("1.2.3.4.5", "'1.2.3.4.5' ends in a number, but is no IPv4 address; correct it"),
        ("gateway.0x1f", "'gateway.0x1f' ends in a number, but is no IPv4 address; correct it"),
        ("１２７.0.0.1", "'１２７.0.0.1' has letters that are encoded before sending; write '127.0.0.1'"),
        ("ｌocalhost", "'ｌocalhost' has letters that are encoded before sending; write 'localhost'"),
        ("prod。example", "'prod。example' has letters that are encoded before sending; write 'prod.example'"),
        ("bücher.example", "write 'xn--bcher-kva.example' if that is meant"),
        ("ü" * 64, "is not a valid host name ("),
        ("a..b", "'a..b' is not a valid host name; correct it"),
        (".gateway", "'.gateway' is not a valid host name; correct it"),
        ("gateway..", "'gateway..' is not a valid host name; correct it"),
        ("evil\\gateway", "'evil\\\\gateway' is not a valid host name; correct it"),
        ("gateway%2eevil", "'gateway%2eevil' is not a valid host name; correct it"),
        ("user@gateway", "'user@gateway' is not a valid host name; correct it"),
        ("-gateway", "'-gateway' is not a valid host name; correct it"),
        ("a" * 64, "is not a valid host name; correct it"),
        (".".join(["a" * 60] * 5), "is not a valid host name; correct it"),
        ("[fe80::1%eth0]", "'fe80::1%eth0' is not an address that load can go to (fe80::1%eth0 is an address on one"),
        ("[fe80::1%25eth0]", "'fe80::1%25eth0' is not an address that load can go to"),
        ("[v1.gateway]", "'v1.gateway' is not an address that load can go to"),
        ("[127.0.0.1]", IS_LOOPBACK),
        ("[]", "'' is not an address that load can go to"),
    ],
)
def test_a_host_with_several_interpretations_is_refused(host: str, problem: str) -> None:
    """Octal, hexadecimal, short, decimal, mapped, full-width: the message contains the correct spelling."""
    found = problem_of_url(f"http://{host}:8000")
    assert found is not None
    assert problem in found


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://[::1]evil:8000", "must be a scheme, a host and a port, such as http://gateway:8000, but is"),
        ("http://evil[::1]:8000", "must be a scheme, a host and a port"),
        ("http://[::1", "must be a scheme, a host and a port"),
        ("http://::1:8000", "must be a scheme, a host and a port"),
        ("http://gateway:", "must be a scheme, a host and a port"),
        ("http://gateway:80:80", "must be a scheme, a host and a port"),
        ("http://gateway:８０", "must be a scheme, a host and a port"),
        ("http://gateway:0", "must have a port of 1 to 65535, but has 0"),
        ("http://gateway:65536", "must have a port of 1 to 65535, but has 65536"),
    ],
)
def test_a_base_url_of_the_wrong_shape(url: str, problem: str) -> None:
    """Everything after the brackets or the colon must be valid."""
    assert (problem_of_url(url) or "").startswith(problem)


@pytest.mark.parametrize(
    ("text", "address"),
    [("10.0.0.7", "10.0.0.7"), ("::ffff:10.0.0.7", "10.0.0.7"), ("FD00::7", "fd00::7"), ("0::1", "::1")],
)
def test_an_address_has_one_form(text: str, address: str) -> None:
    """An IPv4 address written as IPv6 is the same machine."""
    assert str(address_of(text)) == address


@pytest.mark.parametrize("text", ["fe80::1%eth0", "::1%lo", "010.0.0.7", "10.7", "gateway", ""])
def test_invalid_addresses(text: str) -> None:
    """Names, other spellings, and addresses that depend on the interface."""
    with pytest.raises(ValueError, match=r"."):
        address_of(text)


@pytest.mark.parametrize(
    ("host", "form"),
    [
        ("Gateway.Example.", "gateway.example"),
        ("[::1]", "::1"),
        ("0:0::1", "::1"),
        ("::FFFF:10.0.0.7", "10.0.0.7"),
        ("10.0.0.7", "10.0.0.7"),
        ("gateway..", "gateway."),
    ],
)
def test_hosts_are_compared_in_one_form(host: str, form: str) -> None:
    """Names are case-insensitive, and a trailing dot is ignored."""
    assert same_host(host) == form


@pytest.mark.parametrize(
    ("address", "what"),
    [
        ("0.0.0.0", "an unspecified address, which reaches this machine itself"),  # noqa: S104
        ("0.1.2.3", "an unspecified address, which reaches this machine itself"),
        ("::", "an unspecified address, which reaches this machine itself"),
        ("224.0.0.1", "a multicast address"),
        ("ff02::1", "a multicast address"),
        ("255.255.255.255", "a broadcast or reserved address"),
        ("240.0.0.1", "a broadcast or reserved address"),
        ("::127.0.0.1", "an IPv4 address in the form of an IPv6 one"),
        ("64:ff9b::a00:7", "an IPv4 address in the form of an IPv6 one"),
        ("64:ff9b:1::a00:7", "an IPv4 address in the form of an IPv6 one"),
        ("2002:a00:7::1", "an IPv4 address in the form of an IPv6 one"),
        ("2001:0:a00:7::1", "an IPv4 address in the form of an IPv6 one"),
    ],
)
def test_addresses_that_are_not_one_machine(address: str, what: str) -> None:
    """They never receive load, regardless of any list."""
    assert why_no_host(ip_address(address)) == what


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "::1", "10.0.0.7", "fd00::7", "8.8.8.8", "2001:db8::7", "169.254.1.1"]
)
def test_addresses_of_machines(address: str) -> None:
    """The lists decide whether they may receive load."""
    assert why_no_host(ip_address(address)) is None


@pytest.mark.parametrize(
    ("address", "is_ours"),
    [
        ("127.0.0.1", True),
        ("127.3.2.1", True),
        ("::1", True),
        ("::", True),
        ("192.0.2.7", False),
        ("2001:db8::7", False),
    ],
)
def test_the_addresses_of_this_machine(address: str, is_ours: bool) -> None:
    """Loopback and unspecified addresses are; those for documentation are not (RFC 5737, 3849)."""
    assert is_own(ip_address(address)) is is_ours


def test_the_address_of_an_interface_belongs_to_this_machine() -> None:
    """It is the address from which the kernel would send."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.7", 9))
        except OSError:
            pytest.skip("this machine has no interface but loopback")
        ours = probe.getsockname()[0]
    assert is_own(ip_address(ours))


@pytest.mark.parametrize(
    ("address", "is_private"),
    [
        ("127.0.0.1", True),
        ("127.255.0.1", True),
        ("::1", True),
        ("10.255.255.255", True),
        ("172.16.0.1", True),
        ("172.31.255.255", True),
        ("172.32.0.1", False),
        ("192.168.1.1", True),
        ("fd12::1", True),
        ("8.8.8.8", False),
        ("2001:db8::1", False),
        ("169.254.169.254", False),
        ("fe80::1", False),
        ("100.64.0.1", False),
        ("11.0.0.1", False),
    ],
)
def test_private_networks(address: str, is_private: bool) -> None:
    """This machine, RFC 1918 and RFC 4193, but neither link-local nor provider-shared addresses."""
    assert any(is_within(ip_address(address), network) for network in PRIVATE_NETWORKS) is is_private


@pytest.mark.parametrize(
    ("given", "network"),
    [
        ("10.20.0.0/16", "10.20.0.0/16"),
        (" 10.20.0.7 ", "10.20.0.7/32"),
        ("fd00:20::/32", "fd00:20::/32"),
        ("FD00::7", "fd00::7/128"),
        ("::ffff:10.20.0.0/112", "10.20.0.0/16"),
        ("::ffff:10.20.0.7", "10.20.0.7/32"),
        (ip_network("10.20.0.0/16"), "10.20.0.0/16"),
    ],
)
def test_a_network(given: Any, network: str) -> None:
    """A single address is a network, and IPv4 in the form of IPv6 becomes IPv4."""
    assert str(network_of(given)) == network


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ("gateway", "must be a network such as 10.20.0.0/16, but is 'gateway'"),
        ("10.20.0.0/33", "must be a network such as 10.20.0.0/16, but is '10.20.0.0/33'"),
        ("10.20/16", "must be a network such as 10.20.0.0/16, but is '10.20/16'"),
        ("010.20.0.0/16", "must be a network such as 10.20.0.0/16, but is '010.20.0.0/16'"),
        (10, "must be a network such as 10.20.0.0/16, but is 10"),
        (None, "must be a network such as 10.20.0.0/16, but is None"),
        ("10.20.0.7/16", "has host bits set; write 10.20.0.0/16"),
        ("0.0.0.0/0", "'0.0.0.0/0' contains every address; name the intended ones"),
        ("::/0", "'::/0' contains every address; name the intended ones"),
        ("fe80::1%eth0", "'fe80::1%eth0' is valid on one interface of this machine only"),
    ],
)
def test_invalid_networks(given: Any, problem: str) -> None:
    """The message contains the value, and the correct spelling if it is known."""
    with pytest.raises(ValueError, match=r"^must be a network such as 10\.20\.0\.0/16, but ") as caught:
        network_of(given)
    assert str(caught.value).endswith(problem)
