"""Secrets out of what others say: a server may repeat what it was sent, as it is or written in another way.

Known ways are the secret itself, its parts (the token of ``Bearer <token>``, login and password of ``Basic …``), and
these in base64 at any place of a longer text, in hexadecimal, percent-encoded, and escaped for JSON or HTML. Whoever
takes a secret apart on purpose, letter by letter, is not stopped by this.
"""

import base64
import contextlib
import html
import json
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, quote_plus

MASK = "***"

SHORTEST_ENCODED = 6
"""Shorter ones are looked for as they are only: two letters in hexadecimal are in every other answer."""


class Mask:
    """Takes secrets out of text, whatever its case.

    Args:
        secrets: header values and plain ones; empty ones are none.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        parts = dict.fromkeys(part for secret in secrets for part in _parts(secret))
        forms = {form for part in parts for form in _forms(part)}
        found = "|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True))
        self._found = re.compile(found, re.IGNORECASE) if found else None

    def __call__(self, text: str) -> str:
        """Return a text with three asterisks for each secret in it."""
        return text if self._found is None else self._found.sub(MASK, text)

    def of_bytes(self, content: bytes) -> bytes:
        """Return the bytes of a text, UTF-8 or not, in the same way."""
        if self._found is None:
            return content
        return self(content.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")


def _parts(secret: str) -> Iterator[str]:
    """Return a secret as a whole and what a server may repeat of it alone.

    Of ``Bearer <token>`` that is the token, of ``Basic <base64>`` also the login and password in it.
    """
    scheme, _, credentials = secret.partition(" ")
    parts = [secret, credentials]
    if scheme.lower() == "basic":
        with contextlib.suppress(ValueError):
            readable = base64.b64decode(credentials, validate=True).decode()
            parts += [readable, readable.partition(":")[2]]
    yield from filter(None, parts)


def _forms(part: str) -> Iterator[str]:
    """Return how a text may be written."""
    yield part
    if len(part) < SHORTEST_ENCODED:
        return
    content = part.encode(errors="surrogateescape")
    yield content.hex()
    yield from (quote(content), quote(content, safe=""), quote_plus(content))
    yield from (json.dumps(part)[1:-1], part.replace("/", r"\/"), html.escape(part))
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for before in range(3):
            # Six bits a letter: of the first and the last only what no neighbour has a share in.
            first, last = -(-before * 8 // 6), (before + len(content)) * 8 // 6
            yield encode(bytes(before) + content).decode("ascii")[first:last]


# C0 and C1 controls, zero-width and bidirectional marks, line and paragraph separators, what XML does not allow
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff\ufffe\uffff]+")


def utc_time(moment: datetime) -> str:
    """Write a moment in UTC, to the second."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def span(seconds: float) -> str:
    """Write a length of time as people say it: ``15 min``, ``1 h 30 min``, ``90 s``."""
    whole = round(seconds)
    if whole < 120 or whole % 60:
        return f"{seconds:g} s" if whole < 600 else str(timedelta(seconds=whole))
    hours, minutes = divmod(whole // 60, 60)
    return " ".join(part for part in (f"{hours} h" * bool(hours), f"{minutes} min" * bool(minutes)) if part)


def counted(number: int, noun: str) -> str:
    """Write a number of things: ``1 run``, ``3 runs``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def one_line(text: str) -> str:
    """Return text on one line, control characters and runs of white space turned into single spaces."""
    return " ".join(without_controls(text).split())


def without_controls(text: str) -> str:
    """Return text with a space instead of control characters, which could hide or turn around what follows."""
    return _CONTROL.sub(" ", text)


Clock = Callable[[], datetime]
"""Says what time it is, with a time zone."""
