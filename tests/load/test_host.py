"""The addresses of a load: only those of its plan; the load process never resolves a name."""

import socket

import pytest

from include.load.host import Address, Host


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
    """The default port is that of the scheme; the name is for the certificate."""
    host = Host(url, ["10.0.0.7"])
    assert host.name == name
    assert host.addresses == [Address(socket.AF_INET, ("10.0.0.7", port))]


def test_the_order_is_kept() -> None:
    """The resolver has sorted the addresses (RFC 6724)."""
    here, there = Address(socket.AF_INET, ("10.0.0.7", 8000)), Address(socket.AF_INET6, ("2001:db8::7", 8000, 0, 0))
    assert Host("http://gateway:8000", ["2001:db8::7", "10.0.0.7"]).addresses == [there, here]


def test_a_name_is_no_address() -> None:
    """Nothing is resolved here: the load goes only to addresses that were checked before."""
    with pytest.raises(socket.gaierror):
        Host("http://localhost:8000", ["localhost"])
