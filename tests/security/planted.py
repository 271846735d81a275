"""Recognisable secrets, and a search for them in everything that was written.

The search does not use `include.perf.model.masking`, so that it finds what that module misses.
"""

import base64
import gzip
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote, quote_plus

AWKWARD = ("basic password", "database", "webhook path", "Prometheus password")
"""Uses of secrets that may contain characters which differ between encodings."""

PLAIN = (
    "bearer",
    "api key",
    "metrics token",
    "annotations token",
    "annotations login",
    "production token",
    "S3 key",
    "Locust key",
    "Slack bot",
    "Slack webhook",
    "signing secret",
    "signing key",
    "client secret",
    "fetched token",
)
"""Uses of secrets that go unencoded into a header."""

SECRETS: Mapping[str, str] = {
    **{name: f"{name}-pläntéd+/&x7Qz<{name[::-1]}>=z9" for name in AWKWARD},
    **{name: f"{name.replace(' ', '-')}-planted-{number}-x7Qz" for number, name in enumerate(PLAIN)},
}
"""The secrets by their use."""


def forms_of(secret: str) -> frozenset[bytes]:
    """Return the forms that a secret may have in a file: plain, quoted, escaped, hexadecimal, base64."""
    content = secret.encode()
    forms = {content, content.hex().encode(), content.hex().upper().encode(), secret.upper().encode()}
    forms |= {quote(secret).encode(), quote(secret, safe="").encode(), quote_plus(secret).encode()}
    forms |= {json.dumps(secret)[1:-1].encode(), repr(secret)[1:-1].encode(), repr(content)[2:-1].encode()}
    for before in range(3):
        for encoded in (base64.b64encode(b"?" * before + content), base64.urlsafe_b64encode(b"?" * before + content)):
            forms.add(encoded[4:-4])  # both ends depend on the neighbouring bytes
    return frozenset(forms)


def echoes_of(secret: str) -> Iterator[str]:
    """Yield forms in which a server may repeat a secret."""
    content = secret.encode()
    yield from (secret, quote(secret), json.dumps(secret), content.hex(), f"0x{content.hex().upper()}")
    yield from (base64.b64encode(b"token=" + content).decode(), base64.urlsafe_b64encode(b"!" + content).decode())


def leaks_in(texts: Mapping[str, bytes], secrets: Iterable[str] = SECRETS) -> list[str]:
    """Return the places of secrets, with their surroundings."""
    wanted = [(name, form) for name in secrets for form in forms_of(SECRETS[name])]
    return [
        f"{name} in {where}: …{text[max(0, at - 60) : at + len(form) + 20]!r}…"
        for where, text in texts.items()
        for name, form in wanted
        if (at := text.find(form)) >= 0
    ]


def written_in(*folders: Path) -> dict[str, bytes]:
    """Return the content of all files in some folders by path, decompressed."""
    files = [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path): _readable(path) for path in files}


def _readable(path: Path) -> bytes:
    content = path.read_bytes()
    if path.suffix != ".gz":
        return content
    try:
        return gzip.decompress(content)
    except EOFError:  # its process was killed
        return zlib.decompressobj(31).decompress(content)
