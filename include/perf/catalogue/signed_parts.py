"""The parts of a request that a signature covers."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict

from include.perf.catalogue.template import RESERVED
from include.perf.model.yaml_entries import Entry, chosen_by_key

PARTS: dict[str, str] = {
    "method": "such as POST",
    "path": "as it is sent, without the query",
    "query": "as it is sent, without ? and without the signature",
    "sorted_query": "the same, its fields sorted by name, then by value",
    "target": "path and query as they are sent",
    "body": "as it is sent; empty without one",
    "body_hash": "of the body, in hexadecimal, with the algorithm of the signature",
    "host": "of base_url, with its port",
    "timestamp": "as the setting timestamp sends it",
    "nonce": "as the setting nonce sends it",
    "key_id": "from the Connection",
}
"""What can be signed by its name, and its meaning."""

Algorithm = Literal["sha256", "sha384", "sha512"]


class SigningEntry(Entry):
    """Base of the entries below; white space in them counts."""

    model_config = ConfigDict(str_strip_whitespace=False)


def _some(parts: tuple[Any, ...]) -> tuple[Any, ...]:
    if not parts:
        raise ValueError("needs at least one part, such as body")
    return parts


def _without_reserved(text: str) -> str:
    if RESERVED.search(text):
        raise ValueError(f"must have no private-use characters U+E000 to U+E03F, but is {text!r}")
    return text


LiteralText = Annotated[str, AfterValidator(_without_reserved)]


class HeaderPart(SigningEntry):
    """A part: the value of a header, as it is sent."""

    header: str


class TextPart(SigningEntry):
    """A part: literal text."""

    text: LiteralText


class HashPart(SigningEntry):
    """A part: the hash of other parts, which are joined without a separator.

    Attributes:
        algorithm: by default that of the signature.
        encoding: how the hash is written; ``raw`` is its bytes.
    """

    hash: Annotated[tuple["Part", ...], AfterValidator(_some)]
    algorithm: Algorithm | None = None
    encoding: Literal["hex", "base64", "raw"] = "hex"


_PART_KINDS: dict[str, type[Entry]] = {"header": HeaderPart, "text": TextPart, "hash": HashPart}


def _part(given: Any) -> Any:
    if isinstance(given, str):
        if given not in PARTS:
            known = f"{', '.join(PARTS)}, {{header: …}}, {{text: …}}, {{hash: […]}}"
            raise ValueError(f"{given!r} is not a part of a request that can be signed; known: {known}")
        return given
    return chosen_by_key(given, _PART_KINDS, needs="a known part, {header: …}, {text: …} or {hash: […]}")


Part = Annotated[str | HeaderPart | TextPart | HashPart, BeforeValidator(_part)]

Parts = Annotated[tuple[Part, ...], AfterValidator(_some)]

HashPart.model_rebuild()


def named_in(parts: Sequence[Part]) -> set[str]:
    """Return the parts that are given by their names, also those within hashes."""
    inner = [named_in(part.hash) for part in parts if isinstance(part, HashPart)]
    return {part for part in parts if isinstance(part, str)}.union(*inner)


def headers_in(parts: Sequence[Part]) -> Iterator[str]:
    """Yield the names of the headers that are parts."""
    for part in parts:
        if isinstance(part, HeaderPart):
            yield part.header
        elif isinstance(part, HashPart):
            yield from headers_in(part.hash)
