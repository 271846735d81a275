"""Signs requests: an HMAC over parts of each request, or AWS Signature Version 4.

What is signed is read from the bytes that are sent. Their slots (`include.perf.load.slots`) are filled when a request
is due, so the signature is made then, too. Everything that does not change is prepared before the load.
"""

import binascii
import hashlib
import hmac
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import quote_from_bytes

from include.perf.catalogue.headers import laid_over
from include.perf.catalogue.signed_parts import HashPart, HeaderPart, Part, TextPart
from include.perf.catalogue.signing import PartsSigning, Place
from include.perf.load.feed import Request
from include.perf.load.service_secrets import SigningKey
from include.perf.load.slots import SIGNATURE, SLOT, Rendered, Slot, marker, rendered
from include.perf.load.uri import encoded_part
from include.perf.model.masking import MASK

SIGNATURE_BYTES = SIGNATURE.encode()

Piece = bytes | Rendered
"""A part of a text: bytes, which may have slots, or what is computed from the slots."""

Mac = Callable[[bytes], bytes]
"""Returns the signature of a text, as it is sent."""


class Signer(Protocol):
    """Signs the requests of one endpoint."""

    @property
    def slots(self) -> tuple[Slot, ...]:
        """Its own slots; they come after those of the endpoint."""

    def placed(self, request: Request) -> Request:
        """Return a request with everything that the signature adds, and a slot for the signature itself."""

    def signature(self, wire: bytes) -> Rendered:
        """Return what makes the signature of a request, given the bytes of the request."""


@dataclass(frozen=True, slots=True)
class SentRequest:
    """The parts of a request, as they are sent.

    Attributes:
        query: without the signature.
        headers: by name in lower case.
    """

    method: bytes
    path: bytes
    query: bytes
    headers: Mapping[str, bytes]
    body: bytes

    @property
    def target(self) -> bytes:
        """Path and query."""
        return self.path + b"?" + self.query if self.query else self.path

    @staticmethod
    def read(wire: bytes) -> "SentRequest":
        """Read the bytes of a request."""
        head, _, body = wire.partition(b"\r\n\r\n")
        first, *fields = head.split(b"\r\n")
        method, target, _ = first.split(b" ")
        path, _, query = target.partition(b"?")
        pairs = [pair for pair in query.split(b"&") if SIGNATURE_BYTES not in pair]
        headers = dict(field.split(b": ", 1) for field in fields)
        by_name = {name.decode("latin-1").lower(): value for name, value in headers.items()}
        return SentRequest(method, path, b"&".join(pairs), by_name, body)


class PartsSigner:
    """Signs with an HMAC over parts of the request.

    Attributes:
        slots: the timestamp and the nonce as they are signed, then as they are sent, where that differs.
    """

    def __init__(self, signing: PartsSigning, key: SigningKey, *, first: int) -> None:
        self._signing = signing
        self._key = key
        self._first = first
        self._slots: dict[Slot, str] = {}
        self._mac = _mac_of(signing, key)

    @property
    def slots(self) -> tuple[Slot, ...]:
        """Its own slots; they come after those of the endpoint."""
        return tuple(self._slots)

    def placed(self, request: Request) -> Request:
        """Return a request with timestamp, nonce, key ID and a slot for the signature."""
        target, body, headers = request.target, request.body, dict[str, str]()
        for what, place in self._signing.places.items():
            value = self._sent_value(what, place)
            if place.header is not None:
                headers[place.header] = value
            elif place.query is not None:
                target += f"{'&' if '?' in target else '?'}{place.query}={value}"
            elif body is not None:  # a health check has no form
                body += b"&" * bool(body) + f"{place.form}={value}".encode()
        return Request(target, body, laid_over(request.headers, headers))

    def _sent_value(self, what: str, place: Place) -> str:
        match what:
            case "timestamp":
                return self._timestamp(is_encoded=place.header is None)
            case "nonce":
                return self._nonce()
            case "key_id":
                return encoded_part(self._key.key_id) if place.header is None else self._key.key_id
        return self._signing.prefix.replace("$key_id", self._key.key_id) + SIGNATURE

    def signature(self, wire: bytes) -> Rendered:
        """Return what makes the signature of a request, given the bytes of the request."""
        signing, sent, mac = self._signing, SentRequest.read(wire), self._mac
        text = joined([self._piece(part, sent) for part in signing.parts], separator=signing.separator.encode())
        return lambda found: mac(text(found))

    def _piece(self, part: Part, sent: SentRequest) -> Piece:
        match part:
            case TextPart(text=text):
                return text.encode()
            case HeaderPart(header=name):
                return sent.headers[name.lower()]
            case HashPart():
                inner = [self._piece(inner, sent) for inner in part.hash]
                return hashed(inner, part.algorithm or self._signing.algorithm, part.encoding)
        return self._named(str(part), sent)

    def _named(self, name: str, sent: SentRequest) -> Piece:
        match name:
            case "host":
                return sent.headers["host"]
            case "sorted_query":
                return b"&".join(sorted_pairs(sent.query))
            case "body_hash":
                return hashed([sent.body], self._signing.algorithm, "hex")
            case "timestamp":
                return self._timestamp().encode()
            case "nonce":
                return self._nonce().encode()
            case "key_id":
                return self._key.key_id.encode()
        value: bytes = getattr(sent, name)
        return value

    def _timestamp(self, *, is_encoded: bool = False) -> str:
        timestamp = self._signing.timestamp
        assert timestamp is not None  # noqa: S101 - the catalogue refuses the part without the setting
        if timestamp.unit == "rfc3339":
            return self._slot(Slot("now", (), "query" if is_encoded else "text"))
        return self._slot(Slot("now", (timestamp.unit,), "text"))

    def _nonce(self) -> str:
        nonce = self._signing.nonce
        assert nonce is not None  # noqa: S101 - the catalogue refuses the part without the setting
        return self._slot(Slot(nonce.value, (), "text"))

    def _slot(self, slot: Slot) -> str:
        return self._slots.setdefault(slot, marker(self._first + len(self._slots)))


def _mac_of(signing: PartsSigning, key: SigningKey) -> Mac:
    if key.is_masked:
        return lambda _: MASK.encode()
    secret, algorithm = signing.decoded(key.secret), signing.algorithm
    if signing.encoding == "hex":
        return lambda text: hmac.digest(secret, text, algorithm).hex().encode()
    if signing.query is None:
        return lambda text: binascii.b2a_base64(hmac.digest(secret, text, algorithm), newline=False)
    return lambda text: quote_from_bytes(
        binascii.b2a_base64(hmac.digest(secret, text, algorithm), newline=False), safe=""
    ).encode()


def sorted_pairs(query: bytes) -> list[bytes]:
    """Return the fields of a query by name, then by value."""
    return sorted(query.split(b"&"), key=lambda pair: pair.split(b"=", 1))


def hashed(pieces: Sequence[Piece], algorithm: str, encoding: str) -> Piece:
    """Return the hash of a text, or what computes it if the text has slots."""
    text, digest = joined(pieces), getattr(hashlib, algorithm)

    def made(found: Sequence[bytes]) -> bytes:
        content: bytes = digest(text(found)).digest()
        match encoding:
            case "hex":
                return content.hex().encode()
            case "base64":
                return binascii.b2a_base64(content, newline=False)
        return content

    if any(not isinstance(piece, bytes) or SLOT.search(piece) for piece in pieces):
        return made
    content = made(())
    return (lambda _: content) if encoding == "raw" else content  # raw bytes may look like a slot


def joined(pieces: Iterable[Piece], *, separator: bytes = b"") -> Rendered:
    """Return what makes a text of its pieces; neighbouring bytes are filled at once."""
    parts = [rendered(piece) if isinstance(piece, bytes) else piece for piece in _merged(pieces, separator)]
    if len(parts) == 1:
        return parts[0]
    return lambda found: b"".join([part(found) for part in parts])


def _merged(pieces: Iterable[Piece], separator: bytes) -> Iterator[Piece]:
    begun = b""
    for number, piece in enumerate(pieces):
        begun += separator if number else b""
        if isinstance(piece, bytes):
            begun += piece
            continue
        if begun:
            yield begun
        yield piece
        begun = b""
    if begun:
        yield begun
