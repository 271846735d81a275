"""The bytes and the TLS settings of a request: the same in a load, a smoke run and the health check.

The ports for a single request are here too: credentials, name resolution, and the target.
"""

import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from include.perf.catalogue.endpoint import JSON_TYPE, WITHOUT_BODY
from include.perf.catalogue.headers import laid_over
from include.perf.catalogue.service import Service
from include.perf.catalogue.template import without_placeholders
from include.perf.load.feed import Request
from include.perf.load.load_plan import GENERATOR_VERSION
from include.perf.load.service_secrets import ServiceSecrets
from include.perf.load.slots import LENGTH, SLOT, head_bytes

HTTP1 = "http/1.1"
"""What a TLS connection asks for (ALPN); a server that speaks HTTP/2 only then says so."""


def headers_of_load(
    headers: Mapping[str, str], secrets: Mapping[str, str], *, keep_alive: bool, own: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the headers of a request: defaults, the service's headers, those of the request, and the secret ones.

    Args:
        headers: of the service; those with placeholders are left out.
        own: of the request, with the service's headers that have placeholders (`include.perf.load.request_template`).
    """
    plain = {name: text for name, value in headers.items() if (text := without_placeholders(value)) is not None}
    defaults = {"Accept": "application/json", "User-Agent": f"bellwether/{GENERATOR_VERSION}"}
    defaults |= {} if keep_alive else {"Connection": "close"}
    return laid_over(defaults, plain, own or {}, secrets)


def wire_format(
    method: str, request: Request, *, base_url: str, headers: Mapping[str, str], has_slots: bool = False
) -> bytes:
    """Return the bytes of a request; no header can replace its host or its length.

    Args:
        has_slots: whether the request has slots, which stay in it; if its body has any, its length is a slot too.
    """
    headers = {name: value for name, value in headers.items() if name.lower() not in ("host", "content-length")}
    fields = {"Host": urlsplit(base_url).netloc}
    if request.body is not None:
        fields["Content-Type"] = JSON_TYPE
    given = {name.lower() for name in headers}
    fields = {name: value for name, value in fields.items() if name.lower() not in given} | dict(headers)
    if request.body is not None:
        fields["Content-Length"] = LENGTH if has_slots and SLOT.search(request.body) else str(len(request.body))
    elif method not in WITHOUT_BODY:
        fields["Content-Length"] = "0"
    lines = [f"{method} {request.target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return head_bytes("\r\n".join(lines) + "\r\n\r\n") + (request.body or b"")


def wants_http2(err: ssl.SSLError) -> bool:
    """Whether a server ended a TLS handshake because it offers no HTTP/1.1 (RFC 7301, 3.2)."""
    return "no application protocol" in str(err)  # Python has no name for this alert, so err.reason is None


def tls_context(
    base_url: str, *, verify: bool, ca_file: Path | None = None, client_certificate: Path | None = None
) -> ssl.SSLContext | None:
    """Return the TLS settings for a base URL; ``None`` for plain HTTP.

    Args:
        ca_file: trusted certificates, instead of the system's.
        client_certificate: certificate and private key of the client.
    """
    if urlsplit(base_url).scheme != "https":
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols([HTTP1])
    if ca_file is None:
        context.load_default_certs()
    else:
        context.load_verify_locations(cafile=str(ca_file))
    if client_certificate is not None:
        context.load_cert_chain(client_certificate)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


Credentials = Callable[[Service], ServiceSecrets]
"""Returns the secrets of a service, none for a service without a ``connection``.

Raises:
    ConfigurationError: the connection is missing, or has no usable credentials.
"""

Resolver = Callable[[str, int], Sequence[str]]
"""Returns the addresses of a host and port as text, in the order in which to try them.

Raises:
    OSError: the name cannot be resolved; a ``socket.gaierror`` when the resolver gave a reason.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """An answer, and how long it took from connecting to the last byte.

    Attributes:
        head: its status line and its fields, as they came.
        cookies: the values of its ``Set-Cookie`` fields.
    """

    status: int
    body: bytes
    took_s: float = 0.0
    head: bytes = b""
    cookies: Sequence[bytes] = ()


class Target(Protocol):
    """Sends single requests to the service under test, before its load."""

    def check(self, service: Service, addresses: Sequence[str]) -> None:
        """Check that the service is reachable and healthy.

        Args:
            addresses: the only addresses to use, in the order in which to try them.

        Raises:
            TargetError: it is not; names the request and the answer.
        """

    def json(self, service: Service, path: str, addresses: Sequence[str]) -> Any:
        """Return the JSON that the service answers at a path, as it came.

        Raises:
            TargetError: the answer is not JSON.
        """

    def masked(self, service: Service, text: str, *, is_cut: bool = False) -> str:
        """Return a text of the service without its credentials, for people and files.

        Args:
            is_cut: whether the text may end within a secret.
        """

    def send(self, service: Service, method: str, request: Request, addresses: Sequence[str]) -> Answered:
        """Send one request, exactly as a load does, and return the answer as it came.

        Raises:
            TargetError: there was no complete answer in time.
        """
