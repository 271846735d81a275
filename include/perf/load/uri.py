"""How paths, queries and forms are encoded (RFC 3986): the same in a load, a smoke run and the health check."""

from collections.abc import Iterable
from urllib.parse import quote, quote_plus

PATH_SAFE = "/:@!$&'()*+,;=%~"
"""What a path may have without escaping; ``%`` because paths are written with their escapes."""


def encoded_path(path: str) -> str:
    """Return a path for the wire; its escapes stay, other letters that a path may not have are escaped."""
    return quote(path, safe=PATH_SAFE)


def encoded_target(target: str) -> str:
    """Return a path with query for the wire; both are written with their escapes."""
    return quote(target, safe=PATH_SAFE + "?[]#")


def encoded_part(value: str) -> str:
    """Return a value for a path or a query; everything but letters, digits and ``-._~`` is escaped."""
    return quote(value, safe="")


def encoded_pairs(pairs: Iterable[tuple[str, str]]) -> str:
    """Join encoded names and values of a query or a form."""
    return "&".join(f"{name}={value}" for name, value in pairs)


def encoded_form_part(value: str) -> str:
    """Return a name or a value of a form (WHATWG URL, application/x-www-form-urlencoded): a space becomes ``+``."""
    return quote_plus(value)
