"""The only writer of files that are replaced: atomic, durable, and with the permissions that people expect.

A new file gets the permissions that the umask leaves. A replaced file keeps its own, and its owner where the process
may set one. A link stays a link: the file that it leads to is replaced.
"""

import errno
import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Error numbers for: no space left, quota exceeded, file too large."""

NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def write_atomically(path: Path, content: bytes, *, follow_link: bool = True) -> None:
    """Replace the content of a file: after a crash or power loss it has either the old content or the new.

    Args:
        follow_link: replace the file that a link at ``path`` leads to; otherwise the link itself is replaced, which is
            right where other people may have made the link.

    Raises:
        OSError: the file cannot be written, or ``path`` leads to something else than a regular file.
    """
    place = final_place(path) if follow_link else path
    replaced = _replaceable(place)
    temporary = place.with_name(f".{place.name[:100]}.{secrets.token_hex(6)}")
    handle = os.open(temporary, NEW_FILE, mode=0o666)  # the kernel applies the umask
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            if replaced is not None:
                _take_over(file.fileno(), replaced)
            os.fsync(file.fileno())
        temporary.replace(place)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(place.parent)


def final_place(path: Path) -> Path:
    """Return the path with all links resolved, so that the links stay and what they lead to is replaced.

    Raises:
        OSError: the links form a loop, or lead through something that is no folder.
    """
    with suppress(FileNotFoundError):
        path.stat()
    return Path(os.path.realpath(path))


def _replaceable(place: Path) -> os.stat_result | None:
    """Return the state of the file that will be replaced; ``None`` if its permissions are not to be kept."""
    try:
        found = place.lstat()
    except FileNotFoundError:
        return None
    if stat.S_ISCHR(found.st_mode) or stat.S_ISBLK(found.st_mode):
        raise OSError(errno.EINVAL, "it is a device, not a file", str(place))
    return found if stat.S_ISREG(found.st_mode) else None


def _take_over(handle: int, replaced: os.stat_result) -> None:
    """Give a new file the owner, if possible, and the permissions of the file that it replaces."""
    own = os.fstat(handle)
    for uid, gid, is_other in (
        (replaced.st_uid, -1, own.st_uid != replaced.st_uid),
        (-1, replaced.st_gid, own.st_gid != replaced.st_gid),
    ):
        if is_other:
            with suppress(OSError):  # only root may give files away, and some file systems have no owners
                os.fchown(handle, uid, gid)
    with suppress(PermissionError):  # on some network file systems
        os.fchmod(handle, stat.S_IMODE(replaced.st_mode))


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
