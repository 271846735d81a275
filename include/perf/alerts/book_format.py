"""The alert book as JSON. What cannot be used of it is left out, and written back as it is.

Version 1 is read, too: there, a message, its charts, its mark and the other channels were one entry.
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import Field, asdict, fields
from functools import cache
from typing import Any

from pydantic import TypeAdapter

from include.perf.alerts.book import (
    SCHEMA_VERSION,
    AlertBook,
    Delivery,
    DeliveryPart,
    DeliveryState,
    Event,
    Problem,
    Silence,
    UnreadableEntry,
)
from include.perf.alerts.outbox import ONLY_IN_THREADS
from include.perf.model.errors import ItemError, StoreError
from include.perf.model.json_files import from_json

READABLE_VERSIONS = (1, SCHEMA_VERSION)

_SECTIONS: Mapping[str, type[Problem] | type[Silence] | type[Delivery]] = {
    "problems": Problem,
    "silences": Silence,
    "outbox": Delivery,
}
LEFT_OUT = "unreadable"
"""The field for what was left out of other fields than the sections, whose new values replace it there."""

_READ_OTHERWISE = ("schema_version", LEFT_OUT)


def _stored_name(attribute: "Field[Any]") -> str:
    """Return the name under which an attribute is stored."""
    aliases = [found.alias for found in getattr(attribute.type, "__metadata__", ()) if found.alias]
    return aliases[0] if aliases else attribute.name


_FIELDS: Mapping[str, str] = {
    name: attribute.name
    for attribute in fields(AlertBook)
    if (name := _stored_name(attribute)) not in (*_SECTIONS, *_READ_OTHERWISE)
}
"""The attribute of each other field: whatever is written is read."""

_REMEDY = "repair it, or move it away: open problems are then alerted again, and silences are lost"
_OF_A_MESSAGE = ("id", "event", "channel", "message", "created_at", "problem_id")


def parse_book(content: bytes, *, where: str) -> AlertBook:
    """Return the book in a file, without what cannot be used of it.

    Args:
        where: the path or URI of the file, for error messages.

    Raises:
        StoreError: the file as a whole is no alert book, or a newer one.
    """
    document = _document(content, where=where)
    book = AlertBook(unreadable=[*map(_left_out_before, _list_of(document.pop(LEFT_OUT, [])))])
    threads = _threads_in(_list_of(document.get("problems", [])))
    for name, stored in document.items():
        if name in _SECTIONS:
            _read_section(book, name, _list_of(stored), threads)
        else:
            _read_field(book, name, stored, where=where)
    book.unreadable = _without_repeats(book.unreadable)
    return book


def _without_repeats(entries: list[UnreadableEntry]) -> list[UnreadableEntry]:
    """Return each unreadable entry once, so that a book that is written again and again does not grow."""
    seen: dict[str, UnreadableEntry] = {}
    for entry in entries:
        seen.setdefault(json.dumps([entry.section, entry.content], sort_keys=True), entry)
    return list(seen.values())


def _document(content: bytes, *, where: str) -> dict[str, Any]:
    """Return the fields of a book."""
    try:
        document: dict[str, Any] = json.loads(content, parse_constant=str, parse_int=_int, parse_float=_float)
        version = document.pop("schema_version")
    except (ValueError, RecursionError, TypeError, KeyError, AttributeError) as err:
        raise StoreError(f"{where} is not an alert book; {_REMEDY}") from err
    if version not in READABLE_VERSIONS or isinstance(version, bool):
        raise StoreError(
            f"{where}: schema_version must be at most {SCHEMA_VERSION}, but is {version!r}; upgrade Bellwether, or "
            f"{_REMEDY}"
        )
    return document


def _list_of(stored: Any) -> list[Any]:
    """Return a list; anything else as its only entry, which then cannot be used."""
    return stored if isinstance(stored, list) else [stored]


def _left_out_before(stored: Any) -> UnreadableEntry:
    """Return what was left out of a field when the book was written."""
    match stored:
        case {"section": str(section), "content": content, "reason": str(reason)} if section not in _SECTIONS:
            return UnreadableEntry(section=section, content=content, reason=reason)
        case _:
            return UnreadableEntry(section=LEFT_OUT, content=stored, reason=f"{LEFT_OUT} has an odd entry")


def _read_section(book: AlertBook, section: str, stored: list[Any], threads: Mapping[str, Any]) -> None:
    known: set[str] = set()
    for index, entry in enumerate(stored):
        try:
            entries = list(_entries(section, entry, known, threads, where=f"{section}[{index}]"))
        except ItemError as err:
            book.unreadable.append(UnreadableEntry(section=section, content=entry, reason=str(err)))
        else:
            getattr(book, section).extend(entries)


def _read_field(book: AlertBook, name: str, stored: Any, *, where: str) -> None:
    """Read a field that is no section. If it cannot be used, its items are read one by one."""
    if name not in _FIELDS:
        book.unreadable.append(
            UnreadableEntry(section=name, content=stored, reason=f"{where}: {name!r} is not a field of an alert book")
        )
        return
    attribute = _FIELDS[name]
    try:
        setattr(book, attribute, _value(name, stored, where=where))
    except ItemError as err:
        items = _items_of(stored, like=getattr(book, attribute))
        if items is None:
            book.unreadable.append(UnreadableEntry(section=name, content=stored, reason=str(err)))
            return
        for item in items:
            _read_item(book, name, item, where=where)


def _read_item(book: AlertBook, name: str, item: Any, *, where: str) -> None:
    """Add an item, given as a list or an object of one, to a field."""
    kept = getattr(book, _FIELDS[name])
    try:
        found = _value(name, item, where=where)
    except ItemError as err:
        content = item if isinstance(item, dict) else item[0]
        book.unreadable.append(UnreadableEntry(section=name, content=content, reason=str(err)))
    else:
        setattr(book, _FIELDS[name], kept | found if isinstance(kept, dict) else kept + found)


def _items_of(stored: Any, *, like: Any) -> list[Any] | None:
    """Return a list or an object as several of one item; ``None`` where the field is neither."""
    if isinstance(stored, list) and isinstance(like, list):
        return [[item] for item in stored]
    if isinstance(stored, dict) and isinstance(like, dict):
        return [{key: value} for key, value in stored.items()]
    return None


def _value(name: str, stored: Any, *, where: str) -> Any:
    return getattr(from_json(AlertBook, json.dumps({name: stored}).encode(), where=where), _FIELDS[name])


def _int(text: str) -> int | str:
    """Return a whole number; one that is too long for Python stays a text, which no field accepts."""
    try:
        return int(text)
    except ValueError:
        return text


def _float(text: str) -> float | str:
    """Return a number; one that is too large stays a text, as infinity is written."""
    return value if math.isfinite(value := float(text)) else text


def _threads_in(problems: list[Any]) -> dict[Any, Any]:
    """Return the stored places of the first messages by problem."""
    return {
        problem["id"]: problem.get("posted")
        for problem in problems
        if isinstance(problem, dict) and isinstance(problem.get("id"), str)
    }


def _entries(
    section: str, stored: Any, known: set[str], threads: Mapping[str, Any], *, where: str
) -> Iterator[Problem | Silence | Delivery]:
    """Yield an entry of a section; an outbox entry of version 1 may be several now.

    Args:
        known: the ids of the entries before, to which the new ones are added.

    Raises:
        ItemError: the entry cannot be used.
    """
    is_former = section == "outbox" and isinstance(stored, dict) and "part" not in stored
    for document in _upgraded(stored, threads) if is_former else [stored]:
        entry = from_json(_SECTIONS[section], json.dumps(document).encode(), where=where)
        if entry.id in known:
            raise ItemError(f"{where} cannot be read: another entry has the id {entry.id!r}")
        known.add(entry.id)
        yield entry


def _upgraded(stored: Mapping[str, Any], threads: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield what version 1 stored as one entry. It passed a message on to other channels once it had arrived."""
    message = {key: stored[key] for key in _OF_A_MESSAGE if key in stored}
    entry_id, event = stored.get("id"), stored.get("event")
    has_arrived = stored.get("posted") is not None
    if not has_arrived:
        thread = None if event == Event.OPENED else threads.get(str(stored.get("problem_id")))
        in_doubt = {"state": DeliveryState.UNKNOWN, "thread": thread} if stored.get("is_unsure") else {}
        yield {**message, "part": DeliveryPart.MESSAGE, "attempts": stored.get("attempts", 0), **in_doubt}
    if stored.get("charts"):
        yield {**message, "id": f"{entry_id}-charts", "part": DeliveryPart.CHARTS, "charts": stored["charts"]}
    if stored.get("mark"):
        yield {**message, "id": f"{entry_id}-mark", "part": DeliveryPart.MARK, "message": stored["mark"]}
    if not has_arrived and event not in ONLY_IN_THREADS:
        yield {**message, "id": f"{entry_id}-others", "part": DeliveryPart.OTHERS}


def format_book(book: AlertBook) -> bytes:
    """Return the book as it is stored."""
    # Not to_json: it writes infinity as null, because JSON has no number for it.
    document = _book_adapter().dump_python(book, mode="json", by_alias=True, exclude={"unreadable"})
    document = _with_infinity_as_text(document)
    left_out: list[Any] = []
    for entry in book.unreadable:
        if entry.section in _SECTIONS:
            document[entry.section].append(entry.content)
        else:
            left_out.append(entry.content if entry.section == LEFT_OUT else asdict(entry))
    if left_out:
        document[LEFT_OUT] = left_out
    return json.dumps(document, indent=2, allow_nan=False).encode() + b"\n"


@cache
def _book_adapter() -> TypeAdapter[AlertBook]:
    """Return the converter of books; building one takes longer than writing a book."""
    return TypeAdapter(AlertBook)


def _with_infinity_as_text(value: Any) -> Any:
    """Replace infinite numbers by a text that is parsed as infinity."""
    if isinstance(value, float) and math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {key: _with_infinity_as_text(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_infinity_as_text(item) for item in value]
    return value
