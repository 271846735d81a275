"""The head of an HTTP/1 answer: what it says about its body and its connection (RFC 9112, 4 to 6; RFC 9110, 5).

It is read as leniently as a client may: lines may end with LF only, fields may be folded, white space may stand before
the colon, and lengths may be repeated if they are equal. What could hide a second answer is an error: lengths that
differ, or a length together with a transfer coding.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

CACHED_HEADS = 256
"""Within a second most answers of a service share a few heads."""

CACHED_BYTES = 4096
"""Longer heads are not cached: they would take too much memory."""

MAX_DIGITS = 18

BLANK = b" \t"
NUL = b"\x00"
NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
FOLD = re.compile(rb"\n[ \t]+")
STATUS_LINE = re.compile(rb"HTTP/1\.(\d)[ \t\x0b\f]+([1-9]\d\d)(?:[ \t\x0b\f].*)?")
FIELDS = re.compile(rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+[ \t]*:[^\n]*\n)*")
RELEVANT = re.compile(
    rb"\n(connection|content-length|keep-alive|proxy-connection|retry-after|transfer-encoding)[ \t]*:([^\n]*)"
)
SET_COOKIE = re.compile(rb"\n(?i:set-cookie)[ \t]*:[ \t]*([^\r\n]*)")
IDLE_LIMIT = re.compile(rb"(?:^|[,;\s])timeout\s*=\s*(\d{1,6})(?:$|[,;\s])")
"""The parameter of a ``Keep-Alive`` field: after how many idle seconds the server closes the connection."""

PERSISTENCE = (b"connection", b"proxy-connection")


class UnusableAnswer(Exception):
    """The server's answer is not HTTP, or incomplete."""


HTTP2_ONLY = (
    "the service speaks HTTP/2 only, and every request is sent with HTTP/1.1; have it accept HTTP/1.1 too, or set "
    "base_url to a proxy that does"
)


class Http2Only(UnusableAnswer):
    """The server speaks HTTP/2 only."""

    def __init__(self) -> None:
        super().__init__(HTTP2_ONLY)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerHead:
    """What a head says.

    Attributes:
        length: of the body in bytes, if it says so.
        is_chunked: whether the body comes in chunks.
        problem: why the end of a body would be uncertain; empty if it is not.
        keeps: whether the connection may be used again.
        idle_s: after how many idle seconds the server closes the connection, if it says so.
        has_retry_after: whether it asks the client to wait before the next request.
        cookies: the values of its ``Set-Cookie`` fields.
    """

    status: int
    length: int | None
    is_chunked: bool
    problem: str
    keeps: bool
    idle_s: float | None
    has_retry_after: bool
    cookies: tuple[bytes, ...]


class AnswerField(NamedTuple):
    """A field of a head; all in lower case."""

    name: bytes
    value: bytes


class _Framing(NamedTuple):
    length: int | None = None
    is_chunked: bool = False
    problem: str = ""


def read_head(text: bytes) -> AnswerHead:
    """Read a head from its status line to its empty line.

    Raises:
        UnusableAnswer: it is not the head of an HTTP/1 answer.
    """
    return _cached_head(text) if len(text) <= CACHED_BYTES else _head(text)


def check_fields(text: bytes) -> None:
    """Check that lines are fields.

    Raises:
        UnusableAnswer: one is not.
    """
    if NUL in text or not FIELDS.fullmatch(text):
        raise UnusableAnswer("the head of the answer has a line that is not a field")


def plain_lines(text: bytes) -> bytes:
    """Return lines that end with LF only, with folded fields on one line (RFC 9112, 5.2).

    A carriage return within a line becomes a space, and indented lines before the first field become part of the status
    line, whose text is ignored (RFC 9112, 2.2).
    """
    return FOLD.sub(b" ", text.replace(b"\r\n", b"\n")).replace(b"\r", b" ")


def cookies_in(lines: bytes) -> tuple[bytes, ...]:
    """Return the values of the ``Set-Cookie`` fields of a head, each line after a line end."""
    return tuple(SET_COOKIE.findall(lines))


def idle_limit_s(field: bytes) -> float | None:
    """Return the seconds of a ``Keep-Alive`` field."""
    limit = IDLE_LIMIT.search(field.lower())
    return float(limit[1]) if limit else None


def _head(text: bytes) -> AnswerHead:
    first, line_end, lines = plain_lines(text).removesuffix(b"\n").partition(b"\n")
    start = STATUS_LINE.fullmatch(first)
    if start is None or NUL in first:
        raise UnusableAnswer("the status line of the answer is not valid")
    check_fields(lines)
    fields = [AnswerField(*found) for found in RELEVANT.findall(line_end + lines.lower())]
    framing = _framing(fields)
    is_old = start[1] == b"0"
    return AnswerHead(
        status=int(start[2]),
        **framing._asdict(),
        # A chunked answer of HTTP/1.0 cannot be trusted to end where it says (RFC 9112, 6.1).
        keeps=_is_kept(fields, is_old=is_old) and not (is_old and framing.is_chunked),
        idle_s=next(map(idle_limit_s, _values(fields, b"keep-alive")), None),
        has_retry_after=bool(_values(fields, b"retry-after")),
        cookies=cookies_in(line_end + lines),
    )


_cached_head = lru_cache(maxsize=CACHED_HEADS)(_head)


def _values(fields: Sequence[AnswerField], *names: bytes) -> list[bytes]:
    return [field.value for field in fields if field.name in names]


def _listed(values: Sequence[bytes]) -> list[bytes]:
    """Return the items of a list that may be spread over fields; empty items do not count (RFC 9110, 5.6.1)."""
    return [item for value in values for part in value.split(b",") if (item := part.strip(BLANK))]


def _framing(fields: Sequence[AnswerField]) -> _Framing:
    """Return how the body ends (RFC 9112, 6.3)."""
    lengths, codings = _values(fields, b"content-length"), _values(fields, b"transfer-encoding")
    if codings and lengths:
        return _Framing(problem="the answer has both a Transfer-Encoding and a Content-Length")
    if codings:
        return _coded(_listed(codings))
    if lengths:
        return _measured(_listed(lengths))
    return _Framing()


def _coded(codings: Sequence[bytes]) -> _Framing:
    *names, last = [coding.partition(b";")[0].rstrip(BLANK) for coding in codings] or [b""]
    if not all(NAME.fullmatch(name) for name in (*names, last)):
        return _Framing(problem="the Transfer-Encoding of the answer is not valid")
    return _Framing(is_chunked=last == b"chunked")


def _measured(lengths: Sequence[bytes]) -> _Framing:
    """Return the length of a body; it may be repeated (RFC 9110, 8.6)."""
    if not lengths or not all(length.isdigit() for length in lengths):
        return _Framing(problem="the Content-Length of the answer is not a number")
    different = {length.lstrip(b"0") or b"0" for length in lengths}
    length = different.pop()
    if different:
        return _Framing(problem="the answer has different values of Content-Length")
    if len(length) > MAX_DIGITS:
        return _Framing(problem=f"the Content-Length of the answer has more than {MAX_DIGITS} digits")
    return _Framing(length=int(length))


def _is_kept(fields: Sequence[AnswerField], *, is_old: bool) -> bool:
    """Whether the connection stays open (RFC 9112, 9.3)."""
    options = _listed(_values(fields, *PERSISTENCE))
    return b"close" not in options and (not is_old or b"keep-alive" in options)
