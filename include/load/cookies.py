"""The cookies of a virtual user (RFC 6265), as far as they matter for one host.

The cookies of the standard library (``http.cookiejar``) want a request object for every request and have no limits.
Whether a domain is a public suffix does not matter here: cookies of other hosts than the service's are ignored.
"""

import base64
import ipaddress
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from email.utils import mktime_tz, parsedate_tz
from functools import lru_cache
from urllib.parse import quote, unquote_to_bytes

from include.load.connection import Connection, ConnectionSettings
from include.load.outcome import EXAMPLE_BYTES
from include.perf.load.answer_reader import Answer
from include.perf.model.secret_values import SHORTEST

MAX_COOKIES = 50
MAX_COOKIE_BYTES = 4096
"""What a client should be able to hold at least (RFC 6265, 6.1); longer cookies are ignored."""

MAX_JAR_BYTES = 8192
"""Of all cookies of a user; hardly any server accepts more in a header, and there may be thousands of users."""

SEARCHED_BYTES = EXAMPLE_BYTES + 3 * MAX_COOKIE_BYTES
"""An example may end within a cookie, which may be percent-encoded."""

MAX_ECHOED = 100
"""Cookies that a service repeated in its answers; a load keeps the examples of a few."""

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_MAX_AGE = re.compile(r"-?\d{1,12}", re.ASCII)
_FIELD = b"\r\nCookie: "


@dataclass(frozen=True, slots=True, kw_only=True)
class Cookie:
    """A cookie that the service set.

    Attributes:
        expires: in Unix seconds; ``None`` if it stays as long as its user.
    """

    name: str
    value: str
    path: str
    expires: float | None
    is_secure: bool

    @property
    def pair(self) -> str:
        """What is sent."""
        return f"{self.name}={self.value}" if self.name else self.value

    def is_for(self, path: str) -> bool:
        """Whether it is sent to a path (RFC 6265, 5.1.4)."""
        return path == self.path or (
            path.startswith(self.path) and (self.path.endswith("/") or path[len(self.path)] == "/")
        )


class CookieJar:
    """The cookies of one user.

    Args:
        host: of the service, in lower case.
        is_secure: whether requests go over TLS.
        clock: the present in Unix seconds.
    """

    def __init__(self, host: str, *, is_secure: bool, clock: Callable[[], float] = time.time) -> None:
        self._host = host
        self._is_secure = is_secure
        self._clock = clock
        self._cookies: dict[tuple[str, str], Cookie] = {}
        self._ordered: tuple[Cookie, ...] = ()
        self._next_expiry = float("inf")

    def header(self, path: str) -> str:
        """Return the cookies for a path, those of longer paths first; empty for none."""
        if not self._cookies:
            return ""
        if self._next_expiry <= (now := self._clock()):
            self._cookies = {key: held for key, held in self._cookies.items() if not _is_over(held, now)}
            self._order()
        return "; ".join([cookie.pair for cookie in self._ordered if cookie.is_for(path)])

    @property
    def cookies(self) -> tuple[Cookie, ...]:
        """All cookies, those of longer paths first."""
        return self._ordered

    def take(self, fields: Iterable[bytes], *, path: str) -> None:
        """Take the ``Set-Cookie`` fields of an answer to a request for a path."""
        now = self._clock()
        for field in fields:
            cookie = self._parsed(field.decode("latin-1"), path, now)
            if cookie is None:
                continue
            key = (cookie.name, cookie.path)
            if _is_over(cookie, now):
                self._cookies.pop(key, None)
            else:
                self._cookies[key] = cookie
        self._make_room()
        self._order()

    def _make_room(self) -> None:
        """Remove the oldest cookies while there are too many."""
        total = sum(map(_size, self._cookies.values()))
        while len(self._cookies) > MAX_COOKIES or total > MAX_JAR_BYTES:
            total -= _size(self._cookies.pop(next(iter(self._cookies))))

    def _order(self) -> None:
        self._ordered = tuple(sorted(self._cookies.values(), key=lambda cookie: -len(cookie.path)))
        expiries = [cookie.expires for cookie in self._ordered if cookie.expires is not None]
        self._next_expiry = min(expiries, default=float("inf"))

    def _parsed(self, field: str, request_path: str, now: float) -> Cookie | None:
        """Read a ``Set-Cookie`` field (RFC 6265, 5.2 and 5.3); ``None`` for a cookie that is ignored."""
        pair, *attributes = field.split(";")
        name, equals, value = pair.partition("=")
        if not equals:
            name, value = "", pair
        name, value = name.strip(" \t"), value.strip(" \t")
        found = dict(_attribute(text) for text in attributes)
        cookie = Cookie(
            name=name,
            value=value,
            path=found["path"] if found.get("path", "").startswith("/") else _default_path(request_path),
            expires=_expiry(found, now),
            is_secure="secure" in found,
        )
        is_ignored = (
            not (name or value)
            or _size(cookie) > MAX_COOKIE_BYTES
            or _CONTROL.search(pair + cookie.path)
            or (cookie.is_secure and not self._is_secure)
            or not self._is_own(found.get("domain", ""))
        )
        return None if is_ignored else cookie

    def _is_own(self, domain: str) -> bool:
        """Whether a cookie of a domain is also sent to the host (RFC 6265, 5.1.3)."""
        domain = domain.lower().removeprefix(".")
        if domain in ("", self._host):
            return True
        return self._host.endswith(f".{domain}") and not _is_address(self._host)


class EchoedCookies:
    """The cookies that a service repeated in its answers: no example of an answer may show them.

    A service that sets a session knows no other secret of it. Its cookies are unknown before the load, and there may be
    thousands, so only those that stand in an answer are remembered.
    """

    def __init__(self) -> None:
        self._values: dict[str, None] = {}

    @property
    def values(self) -> tuple[str, ...]:
        """The values, latest last."""
        return tuple(self._values)

    def look(self, cookies: Iterable[Cookie], body: bytes) -> None:
        """Remember the cookies that stand in an answer."""
        for cookie in cookies:
            value = cookie.value.strip('"')
            if value not in self._values and any(form in body for form in _forms(value)):
                self._values[value] = None
                if len(self._values) > MAX_ECHOED:
                    del self._values[next(iter(self._values))]


@lru_cache(maxsize=10_000)
def _forms(value: str) -> tuple[bytes, ...]:
    """Return a cookie's value as it may stand in an answer; nothing if it is too short to be secret."""
    if len(value) < SHORTEST:
        return ()
    content = value.encode("latin-1")
    return tuple({content, quote(content, safe="").encode(), unquote_to_bytes(content), base64.b64encode(content)})


ECHOED = EchoedCookies()


class CookieConnection(Connection):
    """The connection of a user who keeps the cookies of the service, also when the connection is opened again."""

    def __init__(self, settings: ConnectionSettings) -> None:
        super().__init__(settings)
        self._jar = CookieJar(settings.host.name, is_secure=settings.tls is not None)

    def send(self, wire: bytes, *, method: str) -> Answer:
        """Send a request with the user's cookies, and keep those of the answer."""
        start = wire.index(b" ") + 1
        path = wire[start : wire.index(b" ", start)].partition(b"?")[0].decode("latin-1")
        if cookies := self._jar.header(path).encode("latin-1"):
            wire = _with_cookies(wire, cookies)
        answer = super().send(wire, method=method)
        if answer.cookies:
            self._jar.take(answer.cookies, path=path)
        ECHOED.look(self._jar.cookies, answer.body[:SEARCHED_BYTES])
        return answer


def _with_cookies(wire: bytes, cookies: bytes) -> bytes:
    """Return a request with cookies, before those that it has already."""
    end = wire.index(b"\r\n\r\n")
    at = wire[:end].lower().find(_FIELD.lower())
    if at < 0:
        return wire[:end] + _FIELD + cookies + wire[end:]
    at += len(_FIELD)
    return wire[:at] + cookies + b"; " + wire[at:]


def _attribute(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name.strip(" \t").lower(), value.strip(" \t")


def _expiry(attributes: dict[str, str], now: float) -> float | None:
    """Return when a cookie expires; ``Max-Age`` goes before ``Expires``, and what cannot be read is ignored."""
    if _MAX_AGE.fullmatch(age := attributes.get("max-age", "")):
        return now + int(age)
    try:
        date = parsedate_tz(attributes.get("expires", ""))
        return None if date is None else float(mktime_tz(date))
    except (ValueError, OverflowError):
        return None


def _default_path(path: str) -> str:
    """Return the path of a cookie that names none (RFC 6265, 5.1.4)."""
    return path[: path.rfind("/")] or "/"


def _is_over(cookie: Cookie, now: float) -> bool:
    return cookie.expires is not None and cookie.expires <= now


def _size(cookie: Cookie) -> int:
    return len(cookie.name) + len(cookie.value) + len(cookie.path)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
