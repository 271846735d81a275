"""How the requests of a service are signed: an HMAC over parts of each request, or AWS Signature Version 4.

The secret and its ID are in the service's Connection. Source: RFC 2104 (HMAC).
"""

import base64
import binascii
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, BeforeValidator, model_validator

from include.perf.catalogue.endpoint import Endpoint, Parameters
from include.perf.catalogue.headers import OWN_HEADERS, problems_of_headers
from include.perf.catalogue.signed_parts import Algorithm, LiteralText, Parts, SigningEntry, headers_in, named_in
from include.perf.catalogue.template import Placeholder, parts_of, placeholders_of
from include.perf.model.yaml_entries import matching

SecretEncoding = Literal["text", "hex", "base64"]

CONTENT_HEADER = "X-Amz-Content-Sha256"

SENT_BY_ITSELF = ("host", "accept", "user-agent")
"""Headers of every request."""


def _header_name(name: str) -> str:
    if problems := problems_of_headers({name: ""}, may_be_secret=True):
        raise ValueError("; ".join(problems))
    return name


HeaderName = Annotated[str, AfterValidator(_header_name)]

FieldName = Annotated[str, matching(r"[\w.~-]{1,100}", "must be the name of a field: letters, digits, . _ ~ and -")]

Prefix = Annotated[
    str,
    matching(
        r'(?a:[\w =,:"-]|\$key_id){0,100}',
        'must have only letters, digits, spaces, _ = , : " and -, and $key_id, as in HMAC or Key $key_id:',
    ),
]
"""What may not be in it could make the header name another host to a proxy."""


class Place(SigningEntry):
    """Where a value is sent: in a header, or in a field of the query or of the form."""

    header: HeaderName | None = None
    query: FieldName | None = None
    form: FieldName | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if [self.header, self.query, self.form].count(None) != 2:
            raise ValueError("needs one of header, query and form, to define where it is sent")
        return self

    def __str__(self) -> str:
        if self.header is not None:
            return f"the header {self.header}"
        return f"the query field {self.query}" if self.query is not None else f"the form field {self.form}"


class Timestamp(Place):
    """When the request is due: the unit as in ``${now(ms)}``."""

    unit: Literal["rfc3339", "basic", "s", "ms", "us"] = "ms"


class Nonce(Place):
    """A value that no other request has: the value as ``$uuid`` or ``$sequence``."""

    value: Literal["uuid", "sequence"] = "uuid"


class PartsSigning(Place):
    """An HMAC over parts of a request; its place is that of the signature.

    Attributes:
        parts: what is signed, in this order.
        separator: between the parts.
        secret_encoding: how the secret of the Connection is decoded.
        encoding: how the signature is written.
        prefix: before the signature in its header.
        timestamp, nonce, key_id: where these are sent.
    """

    style: Literal["parts"] = "parts"
    parts: Parts
    separator: LiteralText = ""
    algorithm: Algorithm = "sha256"
    secret_encoding: SecretEncoding = "text"  # noqa: S105 - how it is decoded
    encoding: Literal["hex", "base64"] = "hex"
    prefix: Prefix = ""
    timestamp: Timestamp | None = None
    nonce: Nonce | None = None
    key_id: Place | None = None

    @property
    def places(self) -> dict[str, Place]:
        """Where something is sent, by what it is."""
        found = {"timestamp": self.timestamp, "nonce": self.nonce, "key_id": self.key_id, "the signature": self}
        return {what: place for what, place in found.items() if place is not None}

    @property
    def header_names(self) -> tuple[str, ...]:
        """The headers that signing adds."""
        return tuple(place.header for place in self.places.values() if place.header is not None)

    @property
    def needs_key_id(self) -> bool:
        """Whether a request names its key."""
        return self.key_id is not None or "$key_id" in self.prefix or "key_id" in named_in(self.parts)

    @property
    def sorts_query(self) -> bool:
        """Whether it signs the fields of the query in order."""
        return "sorted_query" in named_in(self.parts)

    def decoded(self, secret: str) -> bytes:
        """Return the bytes of a secret.

        Raises:
            ValueError: it is not encoded as `secret_encoding` says; the message does not repeat it.
        """
        try:
            match self.secret_encoding:
                case "hex":
                    return bytes.fromhex(secret)
                case "base64":
                    return base64.b64decode(secret.strip(), validate=True)
        except (binascii.Error, ValueError):
            raise ValueError(f"the secret is not {self.secret_encoding}; correct it, or secret_encoding") from None
        return secret.encode()

    @model_validator(mode="after")
    def _check(self) -> Self:
        problems = [
            f"the part {name} needs the setting {name}, which says where it is sent"
            for name in ("timestamp", "nonce")
            if name in named_in(self.parts) and getattr(self, name) is None
        ]
        if self.form is not None:
            problems.append("the signature cannot be in the form, which it may cover; set header or query")
        if self.prefix and self.header is None:
            problems.append("prefix is only for a signature in a header; remove it")
        sent = [str(place).lower() for place in self.places.values()]
        problems += [f"{place} is used more than once" for place in sorted({p for p in sent if sent.count(p) > 1})]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def problems(self, endpoint: Endpoint, headers: Collection[str]) -> Iterator[str]:
        """Yield why the requests of an endpoint cannot be signed.

        Args:
            headers: the names of all headers that the catalogue sets for them.
        """
        taken = {name.lower() for name in headers}
        for what, place in self.places.items():
            if place.header is not None and place.header.lower() in taken:
                yield f"{what} is sent in the header {place.header}, which headers set too; remove one of them"
            if place.query is not None and place.query in endpoint.query:
                yield f"{what} is sent in the query field {place.query}, which query sets too; remove one of them"
            if place.form is not None and endpoint.form is None:
                yield f"{what} is sent in the form field {place.form}, but the endpoint has no form; set form"
            if place.form is not None and place.form in (endpoint.form or {}):
                yield f"{what} is sent in the form field {place.form}, which form sets too; remove one of them"
        known = {*taken, *SENT_BY_ITSELF, *(["content-type"] if endpoint.has_body else [])}
        known |= {place.header.lower() for place in self.places.values() if place.header and place is not self}
        for name in headers_in(self.parts):
            if name.lower() in OWN_HEADERS - {"host"}:
                yield f"the part {{header: {name}}} cannot be signed: the load generator sets it last; remove it"
            elif name.lower() not in known:
                yield f"the part {{header: {name}}} is not sent; add it to headers, or remove the part"
        if self.sorts_query and (problem := _unsortable(endpoint.query)):
            yield problem


class AwsSigning(SigningEntry):
    """AWS Signature Version 4 in the header ``Authorization``.

    It signs the host, the content type and all headers ``X-Amz-…``.

    Attributes:
        payload: what the header ``X-Amz-Content-Sha256`` says of the body: its hash, or that it is not signed; ``None``
            for no such header. S3 needs one, and takes the path as it is sent.
    """

    style: Literal["aws"]
    region: Annotated[str, matching(r"[a-z0-9-]{1,50}", "must be a region, such as eu-west-1")]
    service: Annotated[str, matching(r"[a-z0-9.-]{1,50}", "must be the service name of AWS, such as execute-api")]
    payload: Literal["hash", "unsigned"] | None = None

    needs_key_id: ClassVar = True

    @property
    def is_s3(self) -> bool:
        """Whether paths are not encoded once more for the signature."""
        return self.service in ("s3", "s3-outposts", "s3express")

    @property
    def said_of_body(self) -> Literal["hash", "unsigned"] | None:
        """What is sent in the header ``X-Amz-Content-Sha256``."""
        return self.payload or ("hash" if self.is_s3 else None)

    @property
    def header_names(self) -> tuple[str, ...]:
        """The headers that signing adds."""
        return ("Authorization", "X-Amz-Date", *((CONTENT_HEADER,) if self.said_of_body else ()))

    def decoded(self, secret: str) -> bytes:
        """Return the bytes of a secret."""
        return secret.encode()

    def problems(self, endpoint: Endpoint, headers: Collection[str]) -> Iterator[str]:
        """Yield why the requests of an endpoint cannot be signed."""
        taken = {name.lower() for name in headers}
        for name in (name for name in self.header_names if name.lower() in taken):
            yield f"the signature sets the header {name}, which headers set too; remove it there"
        changing = any(part.own is not None for part in placeholders_of([endpoint.body, endpoint.form, endpoint.text]))
        if self.said_of_body == "hash" and changing:
            yield (
                f"the header {CONTENT_HEADER} cannot have the hash of a body with values of the request's own; set "
                "payload: unsigned, or write the body without them"
            )
        if problem := _unsortable(endpoint.query):
            yield problem


_STYLES: dict[str, type[SigningEntry]] = {"parts": PartsSigning, "aws": AwsSigning}


def _of_style(given: Any) -> Any:
    if not isinstance(given, Mapping):
        return given
    style = given.get("style", "parts")
    if style not in _STYLES:
        raise ValueError(f"style must be one of {', '.join(_STYLES)}, but is {style!r}")
    return _STYLES[style].model_validate(given)


Signing = Annotated[PartsSigning | AwsSigning, BeforeValidator(_of_style)]
"""How requests are signed, by the style that the entry names."""


def problems_of_signing(
    signing: PartsSigning | AwsSigning | None,
    endpoints: Sequence[Endpoint],
    *,
    headers: Collection[str],
    connection: str | None,
) -> Iterator[str]:
    """Yield why the requests of a service cannot be signed.

    Args:
        headers: the names of the headers that the service sets.
        connection: has the secret.
    """
    unsigned = [endpoint.name for endpoint in endpoints if not endpoint.sign]
    if signing is None:
        for name in unsigned:
            yield f"{name}, sign: has no effect, because the service has no signing; remove it"
        return
    if connection is None:
        yield "signing needs the setting connection, which names the Connection with the secret"
    if len(unsigned) == len(endpoints):
        yield "signing has no effect, because every endpoint has sign: false; remove one of them"
    for endpoint in (endpoint for endpoint in endpoints if endpoint.sign):
        for problem in signing.problems(endpoint, [*headers, *endpoint.headers]):
            yield f"{endpoint.name}, signing: {problem}"


def _unsortable(query: Parameters) -> str | None:
    """Return why the order of a query is known only when the request is due."""
    for name, values in query.items():
        several = values if isinstance(values, tuple) else ()
        if any(_has_own_value(str(text)) for text in (name, *several)):
            return (
                f"the query field {name} has values of the request's own in its name or its list, so the fields cannot "
                "be sorted before; write the query without them"
            )
    return None


def _has_own_value(text: str) -> bool:
    return any(isinstance(part, Placeholder) and part.own is not None for part in parts_of(text))
