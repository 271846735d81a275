"""The alert book as JSON. An entry that cannot be used is left out, and written back as it is.

Version 1 is read, too: there, a message, its charts, its mark and the other channels were one entry.
"""

import json
import math
from collections.abc import Iterator, Mapping
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
_REMEDY = "repair it, or move it away: open problems are then alerted again, and silences are lost"
_OF_A_MESSAGE = ("id", "event", "channel", "message", "created_at", "problem_id")


def parse_book(content: bytes, *, where: str) -> AlertBook:
    """Return the book in a file.

    Args:
        where: the path or URI of the file, for error messages.

    Raises:
        StoreError: the file as a whole is no alert book, or a newer one.
    """
    document = _document(content, where=where)
    try:
        book = from_json(AlertBook, json.dumps(document | {section: [] for section in _SECTIONS}).encode(), where=where)
    except ItemError as err:
        raise StoreError(f"{err}; {_REMEDY}") from err
    book.schema_version = SCHEMA_VERSION
    threads = _threads_in(document["problems"])
    for section in _SECTIONS:
        known: set[str] = set()
        for index, stored in enumerate(document[section]):
            try:
                entries = list(_entries(section, stored, known, threads, where=f"{section}[{index}]"))
            except ItemError as err:
                book.unreadable.append(UnreadableEntry(section=section, content=stored, reason=str(err)))
            else:
                getattr(book, section).extend(entries)
    return book


def _document(content: bytes, *, where: str) -> dict[str, Any]:
    try:
        document = json.loads(content, parse_constant=str, parse_int=_int, parse_float=_float)
        version = document["schema_version"]
    except (ValueError, RecursionError, TypeError, KeyError, IndexError) as err:
        raise StoreError(f"{where} is not an alert book; {_REMEDY}") from err
    if version not in READABLE_VERSIONS or isinstance(version, bool):
        raise StoreError(
            f"{where}: schema_version must be at most {SCHEMA_VERSION}, but is {version!r}; upgrade Bellwether, or "
            f"{_REMEDY}"
        )
    for section in _SECTIONS:
        if not isinstance(document.setdefault(section, []), list):
            raise StoreError(f"{where} cannot be read: {section} should be a list; {_REMEDY}")
    found: dict[str, Any] = document
    return found


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
    document = TypeAdapter(AlertBook).dump_python(book, mode="json", by_alias=True, exclude={"unreadable"})
    document = _with_infinity_as_text(document)
    for entry in book.unreadable:
        document[entry.section].append(entry.content)
    return json.dumps(document, indent=2, allow_nan=False).encode() + b"\n"


def _with_infinity_as_text(value: Any) -> Any:
    """Replace infinite numbers by a text that is parsed as infinity."""
    if isinstance(value, float) and math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {key: _with_infinity_as_text(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_infinity_as_text(item) for item in value]
    return value
