"""A file that is whole or as it was."""

import errno
import os
import tempfile
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from include.perf.model.errors import StoreError

T = TypeVar("T")

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What the system says where there is no space left, or no more than is allowed."""


def write_atomically(path: Path, content: bytes) -> None:
    """Write ``content`` so that ``path`` holds either all of it or what it held before, also after a power cut."""
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
    _keep_names(path.parent)


def _keep_names(folder: Path) -> None:
    """Bring the names in a folder to the disk; some shared file systems know no such request."""
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
    """Return the converter of a class; making one is slow, so each is made once."""
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


def to_json(value: object) -> bytes:
    """Write any of these classes as readable JSON, times as RFC 3339 in UTC."""
    return _adapter(type(value)).dump_json(value, indent=2) + b"\n"


def from_json(kind: type[T], content: bytes, *, where: str) -> T:
    """Read one of these classes back.

    Raises:
        StoreError: the content is not what ``kind`` looks like; ``where`` says which file.
    """
    try:
        record: T = _adapter(kind).validate_json(content)
    except ValidationError as err:
        first = err.errors()[0]
        path = ".".join(map(str, first["loc"])) or "the document"
        raise StoreError(f"{where} is not a valid {kind.__name__}: {path}: {first['msg']}") from err
    return record
