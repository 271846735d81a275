"""Reads and writes JSON documents."""

import reprlib
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from include.perf.model.errors import ItemError
from include.perf.model.text import one_line
from include.perf.model.validation import place_of

T = TypeVar("T")

MAX_PROBLEM = 500
"""Characters of a problem that are shown: its names and values are those of the document, which may be hostile."""

_ADAPTERS: dict[Any, TypeAdapter[Any]] = {}


def _adapter(kind: Any) -> TypeAdapter[Any]:
    """Return the converter of a class; building one is slow, so it is cached."""
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


def to_json(value: object) -> bytes:
    """Return a dataclass as indented JSON; times are RFC 3339 in UTC."""
    return _adapter(type(value)).dump_json(value, indent=2) + b"\n"


def from_json(kind: type[T], content: bytes, *, where: str) -> T:
    """Parse JSON into a dataclass.

    Args:
        where: the path or URI of the file, for the error message.

    Raises:
        ItemError: the content is not JSON, or does not match ``kind``.
    """
    try:
        document: T = _adapter(kind).validate_json(content)
    except ValidationError as err:
        raise ItemError(f"{where} cannot be read: {_problem_of(err)}") from err
    return document


def _problem_of(err: ValidationError) -> str:
    """Return the first error in words: ``verdict should be 'PASS' or 'REGRESSION', but is 'FINE'``."""
    problem = one_line(_first_problem_of(err))
    return problem if len(problem) <= MAX_PROBLEM else f"{problem[:MAX_PROBLEM]}…"


def _first_problem_of(err: ValidationError) -> str:
    first = err.errors()[0]
    place = place_of(first).lstrip(".") or "the document"
    match first["type"]:
        case "int_parsing_size":
            return f"{place} has too many digits"
        case "json_invalid":
            return f"it is not valid JSON ({first['ctx']['error']})"
        case "missing":
            return f"{place} is missing"
        case "value_error":
            return f"{place}: {first['ctx']['error']}"
        case _:
            rule = first["msg"].removeprefix("Input ").replace("a valid array", "a list")
            return f"{place} {rule}, but is {reprlib.repr(first['input'])}"
