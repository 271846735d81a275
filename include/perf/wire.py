"""A request as it goes over the wire: the same bytes from the load, a smoke run and the health check."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from include.perf.feed import Request
from include.perf.headers import laid_over
from include.perf.load_plan import GENERATOR_VERSION


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
