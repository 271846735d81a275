"""A request as it goes over the wire: the same bytes from the load, a smoke run and the health check.

How TLS is spoken to a service: the same for the look at it before a load and for the load itself.
"""

import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from include.perf.catalogue.headers import laid_over
from include.perf.catalogue.service import Service
from include.perf.load.feed import Request
from include.perf.load.load_plan import GENERATOR_VERSION


def headers_of_load(headers: Mapping[str, str], secrets: Mapping[str, str], *, keep_alive: bool) -> dict[str, str]:
    """Return the header fields of every request of a load: its own, the service's, and those that hold secrets."""
    own = {"Accept": "application/json", "User-Agent": f"bellwether/{GENERATOR_VERSION}"}
    own |= {} if keep_alive else {"Connection": "close"}
    return laid_over(own, headers, secrets)


def wire_format(method: str, request: Request, *, base_url: str, headers: Mapping[str, str]) -> bytes:
    """Return the bytes of a request."""
    fields = {"Host": urlsplit(base_url).netloc}
    if request.body is not None:
        fields["Content-Type"] = "application/json"
    given = {name.lower() for name in headers}
    fields = {name: value for name, value in fields.items() if name.lower() not in given} | dict(headers)
    if request.body is not None:
        fields["Content-Length"] = str(len(request.body))
    elif method != "GET":
        fields["Content-Length"] = "0"
    lines = [f"{method} {request.target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + (request.body or b"")


def tls_context(base_url: str, *, verify: bool, ca_file: Path | None = None) -> ssl.SSLContext | None:
    """Return how TLS is spoken to a base URL; ``None`` for plain HTTP.

    Args:
        ca_file: certificates that sign the server's, instead of the system's.
    """
    if urlsplit(base_url).scheme != "https":
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca_file is None:
        context.load_default_certs()
    else:
        context.load_verify_locations(cafile=str(ca_file))
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


Credentials = Callable[[Service], Mapping[str, str]]
"""Returns the secret headers of a service, none for one without a ``connection``.

They go nowhere but into requests: to no file, log, message or command line.

Raises:
    ConfigurationError: the connection is missing, or there are no usable credentials in it.
"""

Resolver = Callable[[str, int], Sequence[str]]
"""Returns the addresses of a host for a port as text, in the order in which they are to be tried.

Raises:
    OSError: they could not be had; a ``socket.gaierror`` with its reason where the resolver gave one.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What came back, and how long that took, from the connection to the last byte."""

    status: int
    body: bytes
    took_s: float = 0.0


class Target(Protocol):
    """The service under test, looked at before load is sent."""

    def check(self, service: Service, addresses: Sequence[str]) -> None:
        """Make sure that the service is there and healthy.

        Args:
            addresses: the only ones that are asked, in the order in which they are tried.

        Raises:
            TargetError: it is not; says what was asked and what came back.
        """

    def json(self, service: Service, path: str, addresses: Sequence[str]) -> Any:
        """Return the JSON that the service answers at a path.

        Raises:
            TargetError: it answers no JSON.
        """

    def send(self, service: Service, method: str, request: Request, addresses: Sequence[str]) -> Answered:
        """Send one request, exactly as a load does, and return the answer.

        Raises:
            TargetError: there was no whole answer in time.
        """
