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
from collections.abc import Iterable, Iterator
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
