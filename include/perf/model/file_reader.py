"""Reads regular files only, up to a size: other kinds may wait forever, or have no end."""

import errno
import os
import stat
from pathlib import Path
from typing import IO

from include.perf.model.errors import ItemError


def regular_file(path: Path, *, what: str) -> IO[bytes]:
    """Open a regular file for reading. Opening a FIFO without ``O_NONBLOCK`` would wait for a writer.

    Args:
        what: names the file in the error.

    Raises:
        OSError: it cannot be opened.
        ItemError: it is no regular file.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        mode = os.fstat(handle).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(mode):
            raise ItemError(f"cannot read {what}: it is no regular file")
    except BaseException:
        os.close(handle)
        raise
    return os.fdopen(handle, "rb")


def open_item(path: Path, *, what: str, limit: int) -> IO[bytes] | None:
    """Open a file of a run for reading; ``None`` if it does not exist.

    Args:
        what: names the file in the error.
        limit: how many bytes it may have.

    Raises:
        ItemError: it cannot be opened, is no regular file, or is larger.
    """
    try:
        file = regular_file(path, what=what)
    except FileNotFoundError:
        return None
    except OSError as err:
        raise ItemError(f"cannot read {what}: {err.strerror}") from err
    if os.fstat(file.fileno()).st_size > limit:
        file.close()
        raise ItemError(too_large(what, limit=limit))
    return file


def read_item(path: Path, *, what: str, limit: int) -> bytes | None:
    """Return the content of a file of a run; ``None`` if it does not exist. See `open_item`."""
    file = open_item(path, what=what, limit=limit)
    if file is None:
        return None
    with file:
        try:
            content = file.read(limit + 1)
        except OSError as err:
            raise ItemError(f"cannot read {what}: {err.strerror}") from err
    if len(content) > limit:  # it grew meanwhile
        raise ItemError(too_large(what, limit=limit))
    return content


def too_large(what: str, *, limit: int) -> str:
    """Return the sentence about a file that is larger than its limit."""
    return f"cannot read {what}: it is larger than {limit // 1024**2:,} MiB"
