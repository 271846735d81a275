"""Rows of a JSON export: a list of objects, an object that has one such list, or an object on each line.

A field within an object is a column named by its path: ``mid.o``, ``bids.0.price``. Plain fields beside the list are
columns, too: the name of the instrument stands there in a response of OANDA.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

MAX_DEPTH = 4
MAX_COLUMNS = 200

LIFE_SIGN = "HEARTBEAT"
"""The type of the lines that a stream of prices has between the prices."""


def is_json(text: str) -> bool:
    """Whether a text is JSON rather than CSV."""
    return text.lstrip()[:1] in ("{", "[")


def json_rows(text: str) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Yield the line, 0 if it is unknown, and the fields of each row; numbers are as they are written.

    Raises:
        ValueError: it is no JSON, or has no rows.
        RecursionError: it is nested too deeply.
    """
    try:
        document = _parsed(text)
    except json.JSONDecodeError:
        lines = [(number, line) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
        if len(lines) < 2:
            raise
        yield from _found(((number, _parsed(line)) for number, line in lines), beside={})
        return
    rows, beside = _rows_in(document)
    yield from _found(((0, row) for row in rows), beside=beside)


def _parsed(text: str) -> Any:
    return json.loads(text, parse_float=str, parse_int=str, parse_constant=str)


def _rows_in(document: Any) -> tuple[Sequence[Any], Mapping[str, str]]:
    """Return the rows of a document, and the plain fields beside them."""
    if isinstance(document, list):
        return document, {}
    lists = [value for value in document.values() if isinstance(value, list) and value and isinstance(value[0], dict)]
    if len(lists) == 1 and "asks" not in document:
        return lists[0], {name: value for name, value in document.items() if isinstance(value, str)}
    return [document], {}


def _found(items: Iterator[tuple[int, Any]], *, beside: Mapping[str, str]) -> Iterator[tuple[int, Mapping[str, str]]]:
    for line, item in items:
        if not isinstance(item, dict):
            raise ValueError(f"{str(item)[:60]!r} is no object with fields")
        if item.get("type") != LIFE_SIGN:
            yield line, {**beside, **dict(_flat(item, depth=MAX_DEPTH))}


def _flat(item: Any, *, depth: int, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield the plain values within an object by their paths."""
    if not isinstance(item, dict | list):
        yield path, "" if item is None else str(item)
    elif depth:
        pairs = item.items() if isinstance(item, dict) else enumerate(item[:2])
        for name, value in pairs:
            yield from _flat(value, depth=depth - 1, path=f"{path}.{name}" if path else str(name))
