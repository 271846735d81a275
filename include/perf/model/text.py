"""Text for people: times, durations and counts in words, one-line text, and secrets masked.

A server may repeat a secret that it was sent, unchanged or encoded. `Mask` finds the secret itself, its parts (the
token of ``Bearer <token>``, login and password of ``Basic …``), and both in base64 at any offset of a longer text, in
hexadecimal, percent-encoded, and escaped for JSON or HTML. It does not stop a server that takes a secret apart on
purpose, letter by letter.
"""

import base64
import contextlib
import html
import json
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, quote_plus

Clock = Callable[[], datetime]
"""Returns the current time, with a time zone."""


def utc_now() -> datetime:
    """Return the current time; the clock of production code."""
    return datetime.now(UTC)


MASK = "***"

SHORTEST_ENCODED = 6
"""Encoded forms of shorter secrets are not masked: two letters in hexadecimal occur in every other response."""

# C0 and C1 controls, zero-width and bidirectional marks, line and paragraph separators, characters not allowed in XML
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff\ufffe\uffff]+")


def utc_time(moment: datetime) -> str:
    """Format a time in UTC, to the second."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def span(seconds: float) -> str:
    """Format a duration: ``15 min``, ``1 h 30 min``, ``90 s``."""
    rounded = round(seconds)
    if rounded < 120 or rounded % 60:
        return f"{seconds:g} s" if rounded < 600 else str(timedelta(seconds=rounded))
    hours, minutes = divmod(rounded // 60, 60)
    return " ".join(part for part in (f"{hours} h" * bool(hours), f"{minutes} min" * bool(minutes)) if part)


def counted(number: int, noun: str) -> str:
    """Format a count with its noun: ``1 run``, ``3 runs``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def one_line(text: str) -> str:
    """Return text on one line: control characters and white space are replaced by single spaces."""
    return " ".join(without_controls(text).split())


def without_controls(text: str) -> str:
    """Return text with spaces instead of control characters, which could hide or reverse what follows."""
    return _CONTROL.sub(" ", text)


class Mask:
    """Replaces secrets in text, ignoring case.

    Args:
        secrets: header values or plain secrets; empty ones are ignored.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        parts = dict.fromkeys(part for secret in secrets for part in _parts(secret))
        forms = {form for part in parts for form in _forms(part)}
        found = "|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True))
        self._found = re.compile(found, re.IGNORECASE) if found else None

    def __call__(self, text: str) -> str:
        """Return a text with each secret replaced by three asterisks."""
        return text if self._found is None else self._found.sub(MASK, text)

    def of_bytes(self, content: bytes) -> bytes:
        """Do the same for the bytes of a text, which need not be valid UTF-8."""
        if self._found is None:
            return content
        return self(content.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")


def _parts(secret: str) -> Iterator[str]:
    """Return a secret, and the parts of it that a server may repeat alone.

    For ``Bearer <token>`` that is the token, for ``Basic <base64>`` also its login and password.
    """
    scheme, _, credentials = secret.partition(" ")
    parts = [secret, credentials]
    if scheme.lower() == "basic":
        with contextlib.suppress(ValueError):
            readable = base64.b64decode(credentials, validate=True).decode()
            parts += [readable, readable.partition(":")[2]]
    yield from filter(None, parts)


def _forms(part: str) -> Iterator[str]:
    """Return the encoded forms of a text."""
    yield part
    if len(part) < SHORTEST_ENCODED:
        return
    content = part.encode(errors="surrogateescape")
    yield content.hex()
    yield from (quote(content), quote(content, safe=""), quote_plus(content))
    yield from (json.dumps(part)[1:-1], part.replace("/", r"\/"), html.escape(part))
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for before in range(3):
            # A letter holds six bits; skip the first and the last one, which depend on the neighbouring bytes.
            first, last = -(-before * 8 // 6), (before + len(content)) * 8 // 6
            yield encode(bytes(before) + content).decode("ascii")[first:last]
