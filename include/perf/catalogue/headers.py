"""Header fields: which ones may be set, and how sets of them are merged.

A proxy may route a request by any header, so the catalogue may set only those that are known not to redirect a request,
and those that an entry allows by name. A Connection may set any header that is not known to redirect one: whoever
changes Connections has all credentials, and the names of headers with secrets are arbitrary.

Names are case-insensitive (RFC 9110, 5.1). Error messages contain names only, because a value may be a secret.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

OWN_HEADERS = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Set by the load generator itself."""

ROUTING_HEADERS = frozenset(
    {
        "alt-used",
        "destination",
        "forwarded",
        "l5d-dst-override",
        "request-uri",
        "x-accel-redirect",
        "x-backend-host",
        "x-envoy-original-dst-host",
        "x-envoy-original-path",
        "x-forwarded-host",
        "x-forwarded-path",
        "x-forwarded-port",
        "x-forwarded-prefix",
        "x-forwarded-server",
        "x-forwarded-uri",
        "x-host",
        "x-host-override",
        "x-http-destinationurl",
        "x-http-host-override",
        "x-original-host",
        "x-original-uri",
        "x-original-url",
        "x-proxy-url",
        "x-real-host",
        "x-rewrite-uri",
        "x-rewrite-url",
    }
)
"""Used by proxies and frameworks instead of the host or the path: load could go to an unchecked target."""

PLAIN_HEADERS = frozenset(
    {
        "accept",
        "accept-charset",
        "accept-encoding",
        "accept-language",
        "baggage",
        "cache-control",
        "content-encoding",
        "content-language",
        "content-type",
        "date",
        "dnt",
        "from",
        "idempotency-key",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "if-unmodified-since",
        "origin",
        "pragma",
        "prefer",
        "priority",
        "range",
        "referer",
        "traceparent",
        "tracestate",
        "user-agent",
        "x-forwarded-for",
        "x-forwarded-proto",
    }
)
"""Headers of HTTP and of tracing that describe a request and its sender, but not its target."""

PLAIN_WORDS = frozenset(
    {
        *("account", "agent", "api", "app", "application", "author", "b3", "build", "caller", "channel", "client"),
        *("consumer", "correlation", "currency", "customer", "device", "format", "group", "id", "idempotency"),
        *("instance", "key", "language", "locale", "name", "number", "org", "organization", "orgid", "owner", "parent"),
        *("parentspanid", "platform", "priority", "project", "purpose", "reason", "request", "requested", "sampled"),
        *("scope", "seen", "sequence", "source", "spanid", "team", "tenant", "time", "timestamp", "timezone", "trace"),
        *("traceid", "transaction", "type", "user", "version", "with"),
    }
)
"""A header ``X-…`` of these words only names who sends a request, and which: X-Tenant, X-Request-Id."""

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_PRIVATE_USE = re.compile("\xee\x80[\x80-\xbf]")
"""The bytes of a slot (`include.perf.load.slots`), written as Latin-1."""

_SECRET = re.compile(
    r"authorization|cookie|credential|password|secret|token|(api|auth|access|private|subscription)[-_]?key"
    r"|(^|[-_])(auth|session|signature)([-_]|$)"
)


def problems_of_headers(headers: Any, *, may_be_secret: bool, allowed: Collection[str] = ()) -> list[str]:
    """Return the problems with a set of headers; no message contains a value.

    Args:
        may_be_secret: whether the set comes from a Connection, where secrets and any names belong.
        allowed: names that an entry allows in addition to those that are known not to redirect a request.
    """
    if not isinstance(headers, Mapping):
        return [f"headers must be names and texts, but are of type {type(headers).__name__}"]
    problems = [problem for name, value in headers.items() for problem in _problems(name, value)]
    if not may_be_secret:
        problems += [
            f"{name} looks like a secret, and secrets belong in Connections; remove it here, put it into an "
            "Airflow Connection and name that in the setting connection"
            for name in headers
            if looks_secret(name)
        ]
        plain = {name.lower() for name in allowed}
        problems += [
            f"{name} is not known to leave the target of a request alone; if no proxy routes by it, add it to "
            "allowed_headers"
            for name in headers
            if isinstance(name, str) and not (_cannot_redirect(name) or name.lower() in plain or _is_refused(name))
        ]
    names = [str(name).lower() for name in headers]
    doubles = sorted({name for name in names if names.count(name) > 1})
    return problems + [f"{name} is given more than once; header names are case-insensitive" for name in doubles]


def problems_of_token_header(name: str, *, allowed: Collection[str]) -> list[str]:
    """Return the problems with the name of the header that a token goes into.

    Args:
        allowed: names that an entry allows in addition to those that are known not to redirect a request.
    """
    if problems := _problems_of_name(name):
        return problems
    if looks_secret(name) or _cannot_redirect(name) or name.lower() in map(str.lower, allowed):
        return []
    return [
        f"{name} is not known to leave the target of a request alone; if no proxy routes by it, add it to "
        "allowed_headers"
    ]


def problems_of_allowed_headers(names: Sequence[str]) -> list[str]:
    """Return the problems with the names that an entry allows."""
    return [problem for name in names for problem in _problems_of_name(name)]


def looks_secret(name: Any) -> bool:
    """Whether a header is one for secrets, by its name."""
    return _SECRET.search(str(name).lower()) is not None


def _is_refused(name: str) -> bool:
    """Whether a header is refused for another reason than its absence from the list."""
    return bool(_problems_of_name(name)) or looks_secret(name)


def _cannot_redirect(name: str) -> bool:
    lower = name.lower()
    prefix, *words = lower.split("-")
    return lower in PLAIN_HEADERS or (prefix == "x" and bool(words) and PLAIN_WORDS.issuperset(words))


def _problems(name: Any, value: Any) -> list[str]:
    if problems := _problems_of_name(name):
        return problems
    if not isinstance(value, str):
        return [f"{name} must be text, but is of type {type(value).__name__}; put it in quotes"]
    if _CONTROL.search(value):
        return [f"{name} must be one line of text, but has a line break or another control character"]
    if any(ord(letter) > 0xFF for letter in value):
        return [f"{name} must be Latin-1 text, but has other letters; encode them as the service expects it"]
    if _PRIVATE_USE.search(value):
        return [f"{name} must have no UTF-8 bytes of the private-use characters U+E000 to U+E03F; remove them"]
    return []


def _problems_of_name(name: Any) -> list[str]:
    if not isinstance(name, str) or not _TOKEN.fullmatch(name):
        return [f"{name!r} is not a valid header name; it may have letters, digits and - _ ."]
    plain = name.lower().replace("_", "-")  # CGI and WSGI servers read both as the same header
    if plain in OWN_HEADERS:
        return [f"{name} is set by the load generator itself; remove it"]
    if plain in ROUTING_HEADERS:
        return [f"{name} redirects requests away from base_url; remove it and set the host there"]
    return []


def laid_over(*sets: Mapping[str, str]) -> dict[str, str]:
    """Merge sets of headers: later ones take precedence, and the case of names is ignored."""
    merged: dict[str, tuple[str, str]] = {}
    for headers in sets:
        merged |= {name.lower(): (name, value) for name, value in headers.items()}
    return dict(merged.values())
