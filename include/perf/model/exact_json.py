"""JSON that is written back as it was read, also where Python's own parser would lose something.

Repeated keys are kept, and so are numbers that are no finite Python number: ``NaN``, ``1e999``, very long integers.
"""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

MAX_DIGITS = 300
MAX_DEPTH = 300

_SURROGATE = re.compile("[\ud800-\udfff]")


class ExactObject(dict[str, Any]):
    """A JSON object that remembers repeated keys.

    Attributes:
        pairs: all keys with their values, in the order of the text.
        repeated: the keys that occur more than once.
    """

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        names = [name for name, _ in pairs]
        self.pairs = pairs
        self.repeated = [name for name in self if names.count(name) > 1] if len(self) < len(names) else []


@dataclass(frozen=True, slots=True)
class OddNumber:
    """A number that is not finite, or has too many digits, as it was written."""

    text: str


@dataclass(frozen=True, slots=True)
class AsItWas:
    """A value that is written as it was read, with its flaws."""

    value: Any


class OneLine(dict[str, Any]):
    """An object that is written on one line."""


def parse_exact(content: bytes) -> Any:
    """Parse JSON; objects are `ExactObject`, and numbers that are no finite Python number are `OddNumber`.

    Raises:
        ValueError, RecursionError: it is not JSON, or nested too deeply.
    """
    document = json.loads(
        content, object_pairs_hook=ExactObject, parse_constant=OddNumber, parse_float=_float, parse_int=_int
    )
    _check_depth(document)
    return document


def _check_depth(document: object) -> None:
    """Refuse what the other functions here could not walk through."""
    level: list[object] = [document]
    for _ in range(MAX_DEPTH):
        inner = (
            value.values() if isinstance(value, dict) else value for value in level if isinstance(value, dict | list)
        )
        level = [value for values in inner for value in values]
    if level:
        raise RecursionError(f"it is nested more than {MAX_DEPTH} levels deep")


def _float(text: str) -> float | OddNumber:
    number = float(text)
    return number if math.isfinite(number) else OddNumber(text)


def _int(text: str) -> int | OddNumber:
    return int(text) if len(text) <= MAX_DIGITS else OddNumber(text)


@dataclass(frozen=True, slots=True)
class Flaw:
    """A flaw of a JSON document that Python's parser accepts.

    Attributes:
        path: the keys and indexes that lead to it.
    """

    path: tuple[str | int, ...]
    text: str


def flaws_of(value: object, path: tuple[str | int, ...] = ()) -> Iterator[Flaw]:
    """Yield repeated keys, numbers that are not finite, and text with half a character, at any depth."""
    match value:
        case ExactObject():
            yield from (Flaw((*path, name), "duplicate key") for name in value.repeated)
            for name, inner in value.items():
                if _SURROGATE.search(name):
                    yield Flaw(path, f"the name {json.dumps(name)} has half a character in it")
                yield from flaws_of(inner, (*path, name))
        case list():
            for number, inner in enumerate(value):
                yield from flaws_of(inner, (*path, number))
        case OddNumber():
            found = f"is {value.text}" if len(value.text) <= 20 else "has too many digits"
            yield Flaw(path, f"must be a finite number, but {found}")
        case str() if _SURROGATE.search(value):
            yield Flaw(path, "has half a character in it")


def format_exact(value: object, indent: str = "", *, is_odd: bool = False) -> str:
    """Format indented JSON, with one line for each `OneLine` and for a list of strings.

    Args:
        is_odd: whether text with half a character is kept, as in `AsItWas`.

    Raises:
        ValueError: a value outside of `AsItWas` has such text, or a number that is not finite.
    """
    deeper = f"{indent}  "
    if isinstance(value, AsItWas):
        return format_exact(value.value, indent, is_odd=True)
    if isinstance(value, OddNumber):
        return value.text
    if isinstance(value, dict) and value and not isinstance(value, OneLine):
        begin, end = "{}"
        pairs = value.pairs if isinstance(value, ExactObject) else value.items()
        parts = [
            f"{_plain(name, is_odd=is_odd or isinstance(inner, AsItWas))}: {format_exact(inner, deeper, is_odd=is_odd)}"
            for name, inner in pairs
        ]
    elif isinstance(value, list) and not all(isinstance(item, str) for item in value):
        begin, end = "[]"
        parts = [format_exact(item, deeper, is_odd=is_odd) for item in value]
    else:
        return _plain(value, is_odd=is_odd)
    lines = f",\n{deeper}".join(parts)
    return f"{begin}\n{deeper}{lines}\n{indent}{end}"


def _plain(value: object, *, is_odd: bool) -> str:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    if _SURROGATE.search(text) is None:
        return text
    if is_odd:
        return json.dumps(value)
    text.encode()
    return text
