"""Where a load goes: one host, its name resolved once."""

import socket
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import gevent
import gevent.socket


@dataclass(frozen=True, slots=True)
class Address:
    """One address of a host, as ``socket`` takes it."""

    family: int
    where: Any


class Host:
    """The host of a base URL.

    Its name is resolved when first needed and kept for the whole load: what is measured is one service, not
    the resolver. While it cannot be resolved one attempt at a time is made, and all who wait share its end.
    """

    def __init__(self, base_url: str) -> None:
        parts = urlsplit(base_url)
        self.name = parts.hostname or ""
        self.port = parts.port or (443 if parts.scheme == "https" else 80)
        self._addresses: list[Address] = []
        self._attempt: gevent.Greenlet[..., OSError | None] | None = None

    def addresses(self) -> list[Address]:
        """Return the addresses in the order in which they are to be tried.

        Raises:
            socket.gaierror: the name cannot be resolved.
        """
        while not self._addresses:
            if self._attempt is None:
                self._attempt = gevent.spawn(self._resolve)
            err = self._attempt.get()
            if err is not None:
                raise type(err)(*err.args)
        return self._addresses

    def _resolve(self) -> OSError | None:
        """Resolve the name; an error is returned, because many may wait for it."""
        try:
            found = gevent.socket.getaddrinfo(self.name, self.port, type=socket.SOCK_STREAM)
        except OSError as err:
            return err
        finally:
            self._attempt = None
        self._addresses = [Address(family, where) for family, _, _, _, where in found]
        return None
