"""Hosts, addresses and networks: one way to write each, so that two that are the same also look the same.

The same machine can be asked for as 127.0.0.1, 2130706433, 0x7f.1, 127.1, ::ffff:127.0.0.1 or 127.0.0.1 with a dot
behind it; programs differ in which of them they understand. Here one of them is accepted, and the others are refused
with the one to write.

Source: RFC 4291 (IPv6), RFC 6052 (NAT64), RFC 6890 (special addresses), WHATWG URL (hosts that end in a number).
"""

import re
import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

PRIVATE_NETWORKS: tuple[Network, ...] = tuple(
    ip_network(each) for each in ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7")
)
"""This machine and private networks (RFC 1918, RFC 4193). Not link-local: there are the metadata of clouds."""

_MAPPED = IPv6Network("::ffff:0:0/96")
_IN_DISGUISE = "an IPv4 address in the form of an IPv6 one"
_NO_HOSTS: tuple[tuple[Network, str], ...] = tuple(
    (ip_network(network), what)
    for network, what in (
        ("0.0.0.0/8", "an unspecified address, which reaches this machine itself"),
        ("224.0.0.0/4", "a multicast address"),
        ("240.0.0.0/4", "a broadcast or reserved address"),
        ("::/128", "an unspecified address, which reaches this machine itself"),
        ("ff00::/8", "a multicast address"),
        ("::/96", _IN_DISGUISE),
        ("64:ff9b::/96", _IN_DISGUISE),
        ("64:ff9b:1::/48", _IN_DISGUISE),
        ("2002::/16", _IN_DISGUISE),
        ("2001::/32", _IN_DISGUISE),
    )
)
_URL = re.compile(r"https?://(?P<host>\[[^\[\]]*\]|[^:\[\]]+)(:(?P<port>[0-9]{1,5}))?")
_NAME = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*\.?")
_ENDS_IN_NUMBER = re.compile(r"(.*\.)?([0-9]+|0x[0-9a-f]*)\.?")
_MAX_NAME = 253
_MAX_LABEL = 63
_MAX_PORT = 65535
_DISCARD_PORT = 9


def address_of(text: str) -> Address:
    """Read an address; an IPv4 one that is written as IPv6 (``::ffff:10.0.0.7``) is an IPv4 one.

    Raises:
        ValueError: it is none, or one that holds on one interface of this machine only (``fe80::1%eth0``).
    """
    address = ip_address(text)
    if isinstance(address, IPv4Address):
        return address
    if address.scope_id is not None:
        raise ValueError(f"{text} is an address on one interface of this machine only")
    return address.ipv4_mapped or address


def literal_of(host: str) -> Address | None:
    """Return the address that a host is written as; ``None`` for a name."""
    try:
        return address_of(host)
    except ValueError:
        return None


def network_of(given: Any) -> Network:
    """Read a network; one address is a network of its own.

    Raises:
        ValueError: it is none, has bits beyond its mask, or is everything there is.
    """
    wanted = "must be a network such as 10.20.0.0/16"
    if isinstance(given, (IPv4Network, IPv6Network)):
        return given
    if not isinstance(given, str):
        raise ValueError(f"{wanted}, but is {given!r}")
    try:
        network = ip_network(given.strip(), strict=False)
        exact = ip_network(given.strip().partition("/")[0])
    except ValueError:
        raise ValueError(f"{wanted}, but is {given!r}") from None
    if exact.network_address != network.network_address:
        raise ValueError(f"{wanted}, but {given!r} has bits beyond its mask; write {network}")
    if network.prefixlen == 0:
        raise ValueError(f"{wanted}, but {given!r} is every address there is; name those that are meant")
    if isinstance(network, IPv6Network):
        if network.network_address.scope_id is not None:
            raise ValueError(f"{wanted}, but {given!r} holds on one interface of this machine only")
        if network.subnet_of(_MAPPED):
            bits = int(network.network_address) - int(_MAPPED.network_address)
            return IPv4Network((bits, network.prefixlen - _MAPPED.prefixlen))
    return network


def network_with(address: Address) -> Network:
    """Return the network that consists of one address."""
    return ip_network(address)


def is_within(address: Address, network: Network) -> bool:
    """Whether an address lies in a network, which never holds one of the other family."""
    return address.version == network.version and address in network


def is_own(address: Address) -> bool:
    """Whether an address is this machine's: to reach it, the kernel would send from it. Nothing is sent."""
    if address.is_loopback or address.is_unspecified:
        return True
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((str(address), _DISCARD_PORT))
            return address_of(probe.getsockname()[0]) == address
    except (OSError, ValueError):  # no way to it, or no such family here
        return False


def why_no_host(address: Address) -> str | None:
    """Say what an address is that is no single machine's own; ``None`` for one that is."""
    if address.is_loopback:
        return None
    return next((what for network, what in _NO_HOSTS if is_within(address, network)), None)


def same_host(host: str) -> str:
    """Return the one form of a host, as it is compared: names know no case, and a dot at the end changes nothing."""
    plain = host.strip().lower().removeprefix("[").removesuffix("]").removesuffix(".")
    address = literal_of(plain)
    return plain if address is None else str(address)


def problem_of_url(base_url: str) -> str | None:
    """Say what is wrong with the host and the port of a base URL; ``None`` when nothing is."""
    found = _URL.fullmatch(base_url)
    if found is None:
        return f"must be a scheme, a host and a port, such as http://gateway:8000, but is {base_url!r}"
    port = found["port"]
    if port is not None and not 1 <= int(port) <= _MAX_PORT:
        return f"must have a port of 1 to {_MAX_PORT}, but has {port}"
    host = found["host"].lower()
    return _problem_of_literal(host[1:-1]) if host.startswith("[") else problem_of_host(host)


def problem_of_host(host: str) -> str | None:
    """Say what is wrong with a name or an IPv4 address, in lower case; ``None`` when nothing is."""
    if not host.isascii():
        return _problem_of_letters(host)
    if _ENDS_IN_NUMBER.fullmatch(host):
        return _problem_of_number(host)
    labels = host.removesuffix(".").split(".")
    if not _NAME.fullmatch(host) or len(host) > _MAX_NAME or max(map(len, labels)) > _MAX_LABEL:
        return f"{host!r} is no name of a host; correct it"
    return None


def _problem_of_literal(text: str) -> str | None:
    try:
        address = address_of(text)
    except ValueError as err:
        return f"{text!r} is no address that load could go to ({err}); write it as in http://[2001:db8::7]:8000"
    return None if isinstance(address, IPv6Address) else _other_spelling(text, address)


def _problem_of_number(host: str) -> str | None:
    """Only four decimal numbers are an address everywhere; what else ends in a number, some take for one."""
    try:
        address = IPv4Address(socket.inet_aton(host.removesuffix(".")))
    except OSError:
        return f"{host!r} ends in a number, but is no IPv4 address; correct it"
    return None if host == str(address) else _other_spelling(host, address)


def _problem_of_letters(host: str) -> str:
    try:
        plain = host.encode("idna").decode("ascii").lower()
    except UnicodeError as err:
        return f"{host!r} is no name of a host ({err}); correct it"
    return f"{host!r} has letters that are sent in another form; write that, {plain!r}, if it is meant"


def _other_spelling(host: str, address: IPv4Address) -> str:
    return f"{host!r} is another spelling of {address}; write {address} if it is meant"
