"""Slots: the places in prepared requests that are filled when a request is due.

A prepared request has a private-use character in each slot: U+E000 for the first slot of its endpoint, U+E001 for the
second, and so on. U+E03F stands for the length of the body, and U+E03E for the signature. As UTF-8 they are 3 bytes
that no other character has, so the load process finds them in the bytes for the wire, and replaces them by ``%b`` of a
format, which Python fills in about a microsecond.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Literal, NamedTuple, Protocol

from include.perf.catalogue.own_values import OwnValue, own_value
from include.perf.catalogue.request_path import same_target
from include.perf.catalogue.template import JSON_NUMBER
from include.perf.load.uri import encoded_form_part, encoded_part

FIRST = 0xE000
MOST_SLOTS = 56
"""Of the templates of an endpoint; those after them are for its signature."""

SIGNATURE_SLOT = 62
SIGNATURE = chr(FIRST + SIGNATURE_SLOT)
LENGTH_SLOT = 63
LENGTH = chr(FIRST + LENGTH_SLOT)

SLOT = re.compile(rb"\xee\x80([\x80-\xbf])")
"""A slot in bytes; its group is the last byte, ``0x80`` plus the number of the slot."""

_SPLIT = re.compile("([\ue000-\ue03f])")

MAX_CONTENT = 8_192
SHOWN = 60


SlotForm = Literal["path", "query", "form", "json", "number", "value", "header", "text"]
"""Where a slot is, and so how its value is encoded; ``number`` is a value in JSON without quotes, and ``value`` is a
captured one with the type that it had."""

WITHOUT_QUOTES = ("number", "value")
"""A slot of these in JSON is not part of a string."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A place that is filled when the request is due.

    Attributes:
        name, arguments: the value of the request's own; see `include.perf.catalogue.own_values`.
    """

    name: str
    arguments: tuple[str, ...]
    form: SlotForm

    @property
    def value(self) -> OwnValue:
        """The value that fills it."""
        return own_value(self.name, self.arguments)


def marker(slot: int) -> str:
    """Return the character that stands for a slot in a prepared request."""
    return chr(FIRST + slot)


def head_bytes(head: str) -> bytes:
    """Return the head of a request as Latin-1, with its slots as in a body."""
    parts = _SPLIT.split(head)
    return b"".join(part.encode("utf-8" if number % 2 else "latin-1") for number, part in enumerate(parts))


def encoded(value: str, form: SlotForm) -> bytes:
    """Return a value as it stands in its place.

    Raises:
        UnicodeEncodeError: a header field cannot have it.
    """
    match form:
        case "path" | "query":
            return encoded_part(value).encode()
        case "form":
            return encoded_form_part(value).encode()
        case "json":
            return json.dumps(value)[1:-1].encode()
        case "header":
            return value.encode("latin-1")
    return value.encode()


def problem_of_content(value: str, form: SlotForm) -> str | None:
    """Return why a text cannot stand in a place; ``None`` if it can."""
    if form == "number" and not JSON_NUMBER.fullmatch(value):
        return f"must be a number as JSON writes it, but is {value[:SHOWN]!r}"
    if form == "path":
        if not value:
            return "must not be empty in a path"
        try:
            part = encoded_part(value)
            same_target(f"/{part}")
            same_target(f"/.{part}.")  # as in a path with dots around the placeholder
        except ValueError:
            return f"must not lead to another path, but is {value[:SHOWN]!r}"
    if form == "header" and (not value.isprintable() or any(ord(letter) > 0xFF for letter in value)):
        return f"must be one line of Latin-1 text in a header, but is {value[:SHOWN]!r}"
    if len(value) > MAX_CONTENT:
        return f"must have at most {MAX_CONTENT:,} characters, but has {len(value):,}"
    return None


class Moment(Protocol):
    """What the contents of one request depend on."""

    @property
    def number(self) -> int:
        """The number of the arrival, from 0, among all arrivals of the load."""

    @property
    def ordinal(self) -> int:
        """Its number, from 0, among the arrivals of its endpoint."""

    @property
    def due_s(self) -> float:
        """When it is due, in seconds after the start of the schedule."""


class JourneyMoment(Moment, Protocol):
    """What the contents of a request of a journey depend on."""

    @property
    def captured(self) -> Mapping[tuple[str, SlotForm], bytes]:
        """The contents of the variables, by name and place."""


class SlotContents(Protocol):
    """Returns the contents of the slots of an endpoint, request by request."""

    def start(self, started_at: float) -> None:
        """Set when the schedule starts, in Unix seconds."""

    def at(self, moment: Moment) -> Sequence[bytes]:
        """Return the content of every slot."""


class _Format(NamedTuple):
    """A prepared request as a format.

    Attributes:
        text: with ``%b`` in each slot.
        pick: returns the content of the slots in the order of the format, given that of all slots of the endpoint and,
            as the last ones, the length of the body and the signature, if the request has these.
        length: of the body without its slots.
        of_body: the slots in the body.
    """

    text: bytes
    pick: Callable[[Sequence[bytes]], Any]
    length: int
    of_body: tuple[int, ...]


class SlotRequests:
    """The requests of an endpoint with slots, as formats that are filled when a request is due.

    Args:
        wires: (rows,) the bytes of each prepared request.
        signatures: (rows,) how each is signed; none if they are not.
    """

    def __init__(
        self, wires: Sequence[bytes], contents: SlotContents, *, signatures: Sequence["Rendered"] = ()
    ) -> None:
        self.start = contents.start
        self._contents_at = contents.at
        self._signatures = signatures
        self._formats = [_format_of(wire, is_signed=bool(signatures)) for wire in wires]

    def wire(self, row: int, moment: Moment) -> bytes:
        """Return the bytes of a request."""
        found: Sequence[bytes] = self._contents_at(moment)
        text, pick, length, of_body = self._formats[row]
        if of_body:
            for slot in of_body:
                length += len(found[slot])
            found = (*found, b"%d" % length)
        if self._signatures:
            found = (*found, self._signatures[row](found))
        filled: bytes = text % pick(found)
        return filled


def _format_of(wire: bytes, *, is_signed: bool) -> _Format:
    _, _, body = wire.partition(b"\r\n\r\n")
    last = {SIGNATURE_SLOT: -1, LENGTH_SLOT: -2 if is_signed else -1}
    return _Format(*_filling(wire, last), len(SLOT.sub(b"", body)), _slots_in(body))


def _filling(content: bytes, last: Mapping[int, int]) -> tuple[bytes, Callable[[Sequence[bytes]], Any]]:
    """Return a format, and what picks its arguments."""
    order = [last.get(slot, slot) for slot in _slots_in(content)]
    text = SLOT.sub(b"%b", content.replace(b"%", b"%%"))
    return text, itemgetter(*order) if order else lambda _: ()


Rendered = Callable[[Sequence[bytes]], bytes]
"""Returns a text of a request, given the content of all slots of its endpoint."""


def rendered(content: bytes) -> Rendered:
    """Return what fills the slots of a text quickly, again and again."""
    if not SLOT.search(content):
        return lambda _: content
    text, pick = _filling(content, {})
    return lambda found: text % pick(found)


def _slots_in(content: bytes) -> tuple[int, ...]:
    return tuple(match[1][0] - 0x80 for match in SLOT.finditer(content))


def filled(content: bytes, values: Sequence[bytes]) -> bytes:
    """Return a part of a request with its slots filled."""
    return SLOT.sub(lambda match: values[match[1][0] - 0x80], content)
