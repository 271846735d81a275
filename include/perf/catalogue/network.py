"""Parses hosts, addresses and networks; each has only one accepted spelling, so that they can be compared as text.

127.0.0.1, 2130706433, 0x7f.1, 127.1, ::ffff:127.0.0.1 and 127.0.0.1 with a trailing dot are the same machine, but
programs differ in which spellings they understand. One is accepted; the others are refused with the correct one.

Source: RFC 4291 (IPv6), RFC 6052 (NAT64), RFC 6890 (special addresses), WHATWG URL (hosts that end in a number).
"""

import re
import socket
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

PRIVATE_NETWORKS: tuple[Network, ...] = tuple(
    ip_network(text) for text in ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7")
)
"""This machine and private networks (RFC 1918, RFC 4193); not link-local, where clouds serve their metadata."""

_MAPPED = IPv6Network("::ffff:0:0/96")
_EMBEDDED = "an IPv4 address in the form of an IPv6 one"
_NOT_HOSTS: tuple[tuple[Network, str], ...] = tuple(
    (ip_network(network), what)
    for network, what in (
        ("0.0.0.0/8", "an unspecified address, which reaches this machine itself"),
        ("224.0.0.0/4", "a multicast address"),
        ("240.0.0.0/4", "a broadcast or reserved address"),
        ("::/128", "an unspecified address, which reaches this machine itself"),
        ("ff00::/8", "a multicast address"),
        ("::/96", _EMBEDDED),
        ("64:ff9b::/96", _EMBEDDED),
        ("64:ff9b:1::/48", _EMBEDDED),
        ("2002::/16", _EMBEDDED),
        ("2001::/32", _EMBEDDED),
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
    """Parse an address; an IPv4 address written as IPv6 (``::ffff:10.0.0.7``) becomes IPv4.

    Raises:
        ValueError: it is not an address, or valid on one interface of this machine only (``fe80::1%eth0``).
    """
    address = ip_address(text)
    if isinstance(address, IPv4Address):
        return address
    if address.scope_id is not None:
        raise ValueError(f"{text} is an address on one interface of this machine only")
    return address.ipv4_mapped or address


def literal_of(host: str) -> Address | None:
    """Return the address of a host that is written as one; ``None`` for a name."""
    try:
        return address_of(host)
    except ValueError:
        return None


def network_of(given: Any) -> Network:
    """Parse a network; a single address is a network, too.

    Raises:
        ValueError: it is not a network, has host bits set, or contains every address.
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
        raise ValueError(f"{wanted}, but {given!r} has host bits set; write {network}")
    if network.prefixlen == 0:
        raise ValueError(f"{wanted}, but {given!r} contains every address; name the intended ones")
    if isinstance(network, IPv6Network):
        if network.network_address.scope_id is not None:
            raise ValueError(f"{wanted}, but {given!r} is valid on one interface of this machine only")
        if network.subnet_of(_MAPPED):
            bits = int(network.network_address) - int(_MAPPED.network_address)
            return IPv4Network((bits, network.prefixlen - _MAPPED.prefixlen))
    return network


def network_with(address: Address) -> Network:
    """Return the network that consists of one address."""
    return ip_network(address)


def is_within(address: Address, network: Network) -> bool:
    """Whether a network contains an address; an address of the other IP version is never contained."""
    return address.version == network.version and address in network


def is_own(address: Address) -> bool:
    """Whether an address belongs to this machine: the kernel would use it as the source address. Nothing is sent."""
    if address.is_loopback or address.is_unspecified:
        return True
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((str(address), _DISCARD_PORT))
            return address_of(probe.getsockname()[0]) == address
    except (OSError, ValueError):  # no route, or the IP version is not available
        return False


def why_no_host(address: Address) -> str | None:
    """Return why an address is not that of a single machine; ``None`` if it is."""
    if address.is_loopback:
        return None
    return next((what for network, what in _NOT_HOSTS if is_within(address, network)), None)


def same_host(host: str) -> str:
    """Return the canonical form of a host: lower case, without brackets or a trailing dot."""
    plain = host.strip().lower().removeprefix("[").removesuffix("]").removesuffix(".")
    address = literal_of(plain)
    return plain if address is None else str(address)


def problems_of_target(
    host: str, *, setting: str, allowed_hosts: Sequence[str], allowed_networks: Sequence[Network]
) -> Iterator[str]:
    """Yield why a host may not be called, as far as that is known without resolving its name.

    Args:
        setting: names the host, for messages.
    """
    what = f"the host {host!r} of {setting} is"
    if same_host(host) not in map(same_host, allowed_hosts):
        yield f"{what} not in allowed_hosts {list(allowed_hosts)}; add it there if load may go to it"
    address = literal_of(host)
    if address is None:
        return
    if why := why_no_host(address):
        yield f"{what} {why}; name one machine"
    elif not any(is_within(address, network) for network in allowed_networks):
        networks = ", ".join(map(str, allowed_networks))
        yield f"{what} in none of allowed_networks ({networks}); add it there if load may go to it"


def problem_of_url(base_url: str) -> str | None:
    """Return the problem with the host or port of a base URL; ``None`` if there is none."""
    found = _URL.fullmatch(base_url)
    if found is None:
        return f"must be a scheme, a host and a port, such as http://gateway:8000, but is {base_url!r}"
    port = found["port"]
    if port is not None and not 1 <= int(port) <= _MAX_PORT:
        return f"must have a port of 1 to {_MAX_PORT}, but has {port}"
    host = found["host"].lower()
    return _problem_of_literal(host[1:-1]) if host.startswith("[") else problem_of_host(host)


def problem_of_host(host: str) -> str | None:
    """Return the problem with a name or an IPv4 address in lower case; ``None`` if there is none."""
    if not host.isascii():
        return _problem_of_letters(host)
    if _ENDS_IN_NUMBER.fullmatch(host):
        return _problem_of_number(host)
    labels = host.removesuffix(".").split(".")
    if not _NAME.fullmatch(host) or len(host) > _MAX_NAME or max(map(len, labels)) > _MAX_LABEL:
        return f"{host!r} is not a valid host name; correct it"
    return None


def _problem_of_literal(text: str) -> str | None:
    try:
        address = address_of(text)
    except ValueError as err:
        return f"{text!r} is not an address that load can go to ({err}); write it as in http://[2001:db8::7]:8000"
    return None if isinstance(address, IPv6Address) else _other_spelling(text, address)


def _problem_of_number(host: str) -> str | None:
    """Only four decimal numbers are an address everywhere; other hosts that end in a number are ambiguous."""
    try:
        address = IPv4Address(socket.inet_aton(host.removesuffix(".")))
    except OSError:
        return f"{host!r} ends in a number, but is no IPv4 address; correct it"
    return None if host == str(address) else _other_spelling(host, address)


def _problem_of_letters(host: str) -> str:
    try:
        plain = host.encode("idna").decode("ascii").lower()
    except UnicodeError as err:
        return f"{host!r} is not a valid host name ({err}); correct it"
    return f"{host!r} has letters that are encoded before sending; write {plain!r} if that is meant"


def _other_spelling(host: str, address: IPv4Address) -> str:
    return f"{host!r} is another spelling of {address}; write {address} if that is meant"
