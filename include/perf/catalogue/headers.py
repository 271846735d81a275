"""Header fields: which ones may be set, and how sets of them are merged.

Names are case-insensitive (RFC 9110, 5.1). Error messages contain names only, because a value may be a secret.
"""

import re
from collections.abc import Mapping
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
        "forwarded",
        "x-envoy-original-dst-host",
        "x-forwarded-host",
        "x-forwarded-server",
        "x-host",
        "x-http-host-override",
        "x-original-host",
        "x-original-url",
        "x-rewrite-url",
    }
)
"""Used by proxies and frameworks instead of the host or the path: load could go to an unchecked target."""

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_SECRET = re.compile(
    r"authorization|cookie|credential|password|secret|token|(api|auth|access|private|subscription)[-_]?key"
    r"|(^|[-_])(auth|session|signature)([-_]|$)"
)


def problems_of_headers(headers: Any, *, may_be_secret: bool) -> list[str]:
    """Return the problems with a set of headers; no message contains a value.

    Args:
        may_be_secret: whether the set comes from a Connection, where secrets belong.
    """
    if not isinstance(headers, Mapping):
        return [f"headers must be names and texts, but are of type {type(headers).__name__}"]
    problems = [problem for name, value in headers.items() for problem in _problems(name, value)]
    if not may_be_secret:
        problems += [
            f"{name} looks like a secret, and secrets belong in Connections; remove it here, put it into an "
            "Airflow Connection and name that in the setting connection"
            for name in headers
            if _SECRET.search(str(name).lower())
        ]
    names = [str(name).lower() for name in headers]
    doubles = sorted({name for name in names if names.count(name) > 1})
    return problems + [f"{name} is given more than once; header names are case-insensitive" for name in doubles]


def _problems(name: Any, value: Any) -> list[str]:
    if not isinstance(name, str) or not _TOKEN.fullmatch(name):
        return [f"{name!r} is not a valid header name; it may have letters, digits and - _ ."]
    if name.lower() in OWN_HEADERS:
        return [f"{name} is set by the load generator itself; remove it"]
    if name.lower().replace("_", "-") in ROUTING_HEADERS:
        return [f"{name} redirects requests away from base_url; remove it and set the host there"]
    if not isinstance(value, str):
        return [f"{name} must be text, but is of type {type(value).__name__}; put it in quotes"]
    if _CONTROL.search(value):
        return [f"{name} must be one line of text, but has a line break or another control character"]
    if any(ord(letter) > 0xFF for letter in value):
        return [f"{name} must be Latin-1 text, but has other letters; encode them as the service expects it"]
    return []


def laid_over(*sets: Mapping[str, str]) -> dict[str, str]:
    """Merge sets of headers: later ones take precedence, and the case of names is ignored."""
    merged: dict[str, tuple[str, str]] = {}
    for headers in sets:
        merged |= {name.lower(): (name, value) for name, value in headers.items()}
    return dict(merged.values())
