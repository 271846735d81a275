"""Signs requests with AWS Signature Version 4, in the header ``Authorization``.

Source: "Create a signed AWS API request" of the AWS documentation (canonical request, string to sign, derived key).
"""

import hashlib
import hmac
import re
from collections.abc import Sequence
from functools import lru_cache
from urllib.parse import quote_from_bytes, unquote_to_bytes

from include.perf.catalogue.headers import laid_over
from include.perf.catalogue.signing import CONTENT_HEADER, AwsSigning
from include.perf.load.feed import Request
from include.perf.load.service_secrets import SigningKey
from include.perf.load.signing import Piece, SentRequest, hashed, joined, sorted_pairs
from include.perf.load.slots import SIGNATURE, SLOT, Rendered, Slot, marker, rendered
from include.perf.model.masking import MASK

ALGORITHM = "AWS4-HMAC-SHA256"
UNSIGNED = "UNSIGNED-PAYLOAD"

_SLASHES = re.compile(rb"/{2,}")
_BLANKS = re.compile(rb"[ \t]+")


class AwsSigner:
    """Signs the host, the content type and all headers ``X-Amz-…``, the path, the query and mostly the body.

    Attributes:
        slots: the time, in the basic format of ISO 8601.
    """

    slots = (Slot("now", ("basic",), "text"),)

    def __init__(self, signing: AwsSigning, key: SigningKey, *, first: int) -> None:
        self._signing = signing
        self._key = key
        self._first = first
        self._scope = f"/{signing.region}/{signing.service}/aws4_request".encode()

    def placed(self, request: Request) -> Request:
        """Return a request with its time and a slot for the signature."""
        authorization, date, *content = self._signing.header_names
        own = {date: marker(self._first), authorization: f"{ALGORITHM} Credential={self._key.key_id}/{SIGNATURE}"}
        said = UNSIGNED if self._signing.said_of_body == "unsigned" else hashlib.sha256(request.body or b"").hexdigest()
        own |= dict.fromkeys(content, said)
        return Request(request.target, request.body, laid_over(request.headers, own))

    def signature(self, wire: bytes) -> Rendered:
        """Return what makes the scope, the names of the signed headers and the signature."""
        sent = SentRequest.read(wire)
        signed = {name: value for name, value in sorted(sent.headers.items()) if _is_signed(name)}
        names = ";".join(signed).encode()
        fields = b"".join(name.encode() + b":" + _BLANKS.sub(b" ", signed[name].strip()) + b"\n" for name in signed)
        request: list[Piece] = [
            sent.method + b"\n",
            _path_as_sent(sent.path) if self._signing.is_s3 else _canonical_path(sent.path),
            b"\n" + _canonical_query(sent.query) + b"\n" + fields + b"\n" + names + b"\n",
            sent.headers.get(CONTENT_HEADER.lower()) or hashed([sent.body], "sha256", "hex"),
        ]
        digest = joined([hashed(request, "sha256", "hex")])
        time, scope, sign = self._first, self._scope, self._sign
        start, between = ALGORITHM.encode() + b"\n", b", SignedHeaders=" + names + b", Signature="

        def made(found: Sequence[bytes]) -> bytes:
            at = found[time]
            day_scope = at[:8] + scope
            return day_scope + between + sign(at[:8], start + at + b"\n" + day_scope + b"\n" + digest(found))

        return made

    def _sign(self, day: bytes, text: bytes) -> bytes:
        if self._key.is_masked:
            return MASK.encode()
        signing = self._signing
        key = _derived_key(self._key.secret, day, signing.region, signing.service)
        return hmac.digest(key, text, "sha256").hex().encode()


@lru_cache(maxsize=8)
def _derived_key(secret: str, day: bytes, region: str, service: str) -> bytes:
    """Return the key of a day."""
    key = b"AWS4" + secret.encode()
    for part in (day, region.encode(), service.encode(), b"aws4_request"):
        key = hmac.digest(key, part, hashlib.sha256)
    return key


def _is_signed(name: str) -> bool:
    return name in ("host", "content-type") or name.startswith("x-amz-")


def _canonical_path(path: bytes) -> Piece:
    """Return the path, encoded once more than it is sent, as all services but S3 want it."""
    path = _SLASHES.sub(b"/", path)
    if not SLOT.search(path):
        return _encoded_path(path)
    text = rendered(path)
    return lambda found: _encoded_path(text(found))


def _path_as_sent(path: bytes) -> Piece:
    """Return the path as S3 wants it: encoded once, all but unreserved characters."""
    if not SLOT.search(path):
        return _encoded_path(unquote_to_bytes(path))
    text = rendered(path)
    return lambda found: _encoded_path(unquote_to_bytes(text(found)))


def _encoded_path(path: bytes) -> bytes:
    return quote_from_bytes(path, safe="/-_.~").encode()


def _canonical_query(query: bytes) -> bytes:
    """Return the query in order; every field has a value, and all but unreserved characters are encoded."""
    pairs = [pair.partition(b"=") for pair in query.split(b"&") if pair]
    return b"&".join(sorted_pairs(b"&".join(_canonical(name) + b"=" + _canonical(value) for name, _, value in pairs)))


def _canonical(text: bytes) -> bytes:
    """Return a name or a value of a query; with slots, it is encoded already."""
    return text if SLOT.search(text) else quote_from_bytes(unquote_to_bytes(text), safe="-_.~").encode()
