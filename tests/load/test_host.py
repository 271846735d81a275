"""Where a load goes: the addresses that it was told; a name is never resolved in the load's process."""

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
    """The port is that of the scheme where none is given; the name is for the certificate."""
    host = Host(url, ["10.0.0.7"])
    assert host.name == name
    assert host.addresses == [Address(socket.AF_INET, ("10.0.0.7", port))]


def test_the_order_is_kept() -> None:
    """Who resolved the name says which address is to be tried first (RFC 6724)."""
    here, there = Address(socket.AF_INET, ("10.0.0.7", 8000)), Address(socket.AF_INET6, ("2001:db8::7", 8000, 0, 0))
    assert Host("http://gateway:8000", ["2001:db8::7", "10.0.0.7"]).addresses == [there, here]


def test_a_name_is_no_address() -> None:
    """Nothing is resolved here: what was checked before the load is what it goes to."""
    with pytest.raises(socket.gaierror):
        Host("http://localhost:8000", ["localhost"])
