"""Opens regular files only: other kinds may wait forever, or have no end."""

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
