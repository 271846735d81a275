"""Opens regular files only: other kinds may wait forever, or have no end."""

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
    file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise ItemError(f"cannot read {what}: it is no regular file")
    return file
