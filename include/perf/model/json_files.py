"""Reads and writes JSON documents, and replaces files atomically."""

import errno
import os
import reprlib
import tempfile
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from include.perf.model.errors import ItemError
from include.perf.model.validation import place_of

T = TypeVar("T")

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Error numbers for: no space left, quota exceeded, file too large."""


def write_atomically(path: Path, content: bytes) -> None:
    """Replace the content of a file: after a crash or power loss it has either the old content or the new."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Flush the entries of a folder to disk; some network file systems do not support this."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    except OSError as err:
        if err.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(handle)


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
