"""The secrets within a header value: a server may repeat each of them alone.

A value has structure: ``Bearer <token>``, ``Basic <login and password in base64>``, the cookies of ``Cookie``, the
parameters of ``Digest``, ``Token token="…"`` and AWS signatures, the login and the query of a URL, a JSON object. The
secrets are what stands in the places of values, decoded where it is percent-encoded or base64.

Values that are too short or too common to be secret are left out: they occur in other text, which would become
unreadable.
"""

import base64
import binascii
import contextlib
import json
import re
from collections.abc import Iterator
from urllib.parse import parse_qsl, unquote, unquote_plus, urlsplit

SHORTEST = 5
"""Characters of the shortest secret: the text ``1.4.1`` must not lose its 1 because a header has that value."""

DEPTH = 3
"""How deep structures are followed: an encoded cookie that contains a JSON object."""

MAX_VALUES = 100
"""A header with more values is nothing that a person made."""

_COMMON_VALUES = frozenset(
    {
        *("account", "admin", "administrator", "airflow", "alpha", "analyst", "anonymous", "apikey"),
        *("authorization", "basic", "bearer", "bellwether", "changeme", "client", "close", "cookie"),
        *("customer", "default", "demo-user", "develop", "development", "digest", "disabled", "docker"),
        *("enabled", "example", "external", "gateway", "grafana", "guest", "identity", "internal", "jenkins"),
        *("keep-alive", "latest", "local", "localhost", "login", "manager", "master", "monitor"),
        *("monitoring", "nobody", "operator", "passwd", "password", "perf-test", "performance", "preprod"),
        *("prices", "pricing", "private", "production", "prometheus", "public", "reader", "readonly"),
        *("release", "sample", "sandbox", "secret", "secrets", "server", "service", "session", "staging"),
        *("standard", "status", "system", "tenant", "tester", "testing", "token", "traders", "trading"),
        *("unknown", "update", "username", "users", "value", "version", "viewer", "writer"),
    }
)
"""Words that people use as login, password or header and that stand in other text, too."""

_COMMON_FORM = re.compile(
    r"\d{1,7}"  # a number
    r"|v?\d+(\.\d+)+([-+][\w.]+)?"  # a version, an address
    r"|\d{4}-\d\d-\d\d"  # a date
    r"|(application|audio|font|image|multipart|text|video|\*)/[\w.+*-]+"  # a media type
    r"|(.)\4*",  # one character, repeated
    re.IGNORECASE,
)

_PUBLIC_NAMES = frozenset(
    {
        *("algorithm", "alg", "charset", "domain", "expires", "max-age", "nc", "path", "qop", "realm"),
        *("samesite", "signedheaders", "typ", "uri", "version"),
    }
)
"""Parameters whose values are not secret."""

_AFTER_SCHEME = re.compile(r"[A-Za-z][\w-]*\s+(\S+|.*=.*)", re.DOTALL)
_PAIR = re.compile(
    r"""(?<![\w.$\[\]-])([\w.$\[\]-]+)["']?\s*[=:]\s*("(?:\\.|[^"\\])*"|'[^']*'|[^\s,;&"'{}]+)""",
)
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{8,}={0,2}")


def secret_values(header: str) -> tuple[str, ...]:
    """Return the secrets within a header value, itself among them; nothing that is too short or too common."""
    found: dict[str, None] = {}
    for value in _within(header, depth=DEPTH):
        if not _is_common(value):
            found[value] = None
        if len(found) == MAX_VALUES:
            break
    return tuple(found)


def _is_common(value: str) -> bool:
    return len(value) < SHORTEST or value.lower() in _COMMON_VALUES or _COMMON_FORM.fullmatch(value) is not None


def _within(value: str, *, depth: int) -> Iterator[str]:
    """Yield a value, and the values within it."""
    value = value.strip()
    yield value
    if not depth:
        return
    inner = _values_of_url(value) if "://" in value else (*_values_of_scheme(value), *_values_of_pairs(value))
    for other in (*inner, unquote(value)):
        if other != value:
            yield from _within(other, depth=depth - 1)
    yield from _values_of_base64(value, depth=depth - 1)


def _values_of_scheme(value: str) -> Iterator[str]:
    """Yield what follows the scheme: one word, or parameters."""
    if found := _AFTER_SCHEME.fullmatch(value):
        yield found[1]


def _values_of_pairs(value: str) -> Iterator[str]:
    """Yield the values of cookies, parameters and JSON fields."""
    for name, given in _PAIR.findall(value):
        if name.lower() in _PUBLIC_NAMES:
            continue
        yield _unquoted(given)
        if name.lower() == "credential":  # AWS: <access key>/<date>/<region>/<service>/aws4_request
            yield given.partition("/")[0]


def _unquoted(given: str) -> str:
    """Return a value without its quotes: those of JSON, of a header (RFC 9110, 5.6.4), or single ones."""
    if given[0] not in "\"'":
        return given
    try:
        text: str = json.loads(given)
    except ValueError:
        return re.sub(r"\\(.)", r"\1", given[1:-1])
    return text


def _values_of_url(value: str) -> Iterator[str]:
    """Yield login, password and the values of the query."""
    with contextlib.suppress(ValueError):
        url = urlsplit(value)
        yield from filter(None, (url.username, url.password))
        yield from (given for name, given in parse_qsl(url.query) if name.lower() not in _PUBLIC_NAMES)


def _values_of_base64(value: str, *, depth: int) -> Iterator[str]:
    """Yield what base64 encodes, if that is text; of ``login:password`` also its parts."""
    if not _BASE64.fullmatch(value):
        return
    padded = value.rstrip("=") + "=" * (-len(value.rstrip("=")) % 4)
    try:
        text = base64.b64decode(padded, altchars=b"-_" if set("-_") & set(value) else None).decode()
    except (binascii.Error, UnicodeDecodeError):
        return
    if not text.isprintable():
        return
    yield text
    login, colon, password = text.partition(":")
    if text.startswith("{"):
        yield from _within(text, depth=depth)
    elif colon:
        yield from (login, password, unquote_plus(login), unquote_plus(password))
