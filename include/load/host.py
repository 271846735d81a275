"""Where a load goes: the addresses of its plan, and no others."""

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Address:
    """One address of a host, as ``socket`` takes it."""

    family: int
    where: Any

    @property
    def text(self) -> str:
        """The address without its port."""
        return str(self.where[0])


class Host:
    """The host of a base URL.

    Its name was resolved and its addresses were checked before the load. It is never resolved again, so a changed DNS
    record cannot redirect the load, and the latency of the resolver is not measured.

    Args:
        addresses: as text, in the order in which they are tried.
    """

    def __init__(self, base_url: str, addresses: Sequence[str]) -> None:
        parts = urlsplit(base_url)
        self.name = parts.hostname or ""
        port = parts.port or (443 if parts.scheme == "https" else 80)
        self.addresses = [_address_of(address, port) for address in addresses]
        self._first = -1

    def in_turn(self) -> list[Address]:
        """Return the addresses in the order for the next connection: each one is the first in turn."""
        self._first = (self._first + 1) % len(self.addresses)
        return self.addresses[self._first :] + self.addresses[: self._first]


def _address_of(address: str, port: int) -> Address:
    found = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    family, _, _, _, where = found[0]
    return Address(family, where)
