"""Every place where Bellwether touches the outside world: files, locks, SQLite, the client of S3, threads and clocks.

While a history runs, the functions of the standard library that do so are replaced. They do the same, after the machine
was asked; for everything outside the folder of the history they are unchanged.
"""

import builtins
import errno
import fcntl
import io
import os
import random
import re
import secrets
import sqlite3
import sys
import tempfile
import threading
import time
import types
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar
from unittest import mock

from include.perf.adapters.s3 import leases
from include.perf.guards import watch
from tests.explorer.decisions import Kind, Operation
from tests.explorer.machine import Machine
from tests.explorer.processes import Died, FullDisk
from tests.explorer.simulated_files import SimulatedConnection, SimulatedFile, SortedEntries, buffered, opener
from tests.explorer.simulated_threads import SimulatedEvent, SimulatedThread, current_process

T = TypeVar("T")

_OPEN, _OS_OPEN, _CLOSE, _SCANDIR = io.open, os.open, os.close, os.scandir
_FLOCK, _CONNECT = fcntl.flock, sqlite3.connect
_RANDOM_PART = re.compile(r"(?<=[.-])([a-z0-9_]{8}|[0-9a-f]{12})$")
BUSY_S = 10.0


class Boundaries:
    """The replaced functions, for the files below a folder."""

    def __init__(self, machine: Machine, folder: Path, *, source: random.Random) -> None:
        self.machine = machine
        self._root = f"{folder}{os.sep}"
        # Each kind has a source of its own, because other libraries draw some, too.
        self._tokens, self._uuids, self._file_names = (random.Random(source.random()) for _ in range(3))

    @contextmanager
    def replaced(self) -> Iterator[None]:
        """Replace the functions until the block ends."""
        shim = types.SimpleNamespace(
            Thread=self._thread, Event=lambda: SimulatedEvent(self.machine), Lock=threading.Lock
        )
        with ExitStack() as stack:

            def put(target: Any, name: str, function: Any) -> None:
                stack.enter_context(mock.patch.object(target, name, function))

            put(io, "open", self._open)
            put(builtins, "open", self._open)
            put(os, "open", self._os_open)
            put(os, "scandir", self._scandir)
            put(os, "fsync", self._fsync)
            put(os, "close", self._close)
            for name, words in CHANGES.items():
                put(os, name, self._change(getattr(os, name), words))
            put(os, "fchmod", self._of_living(os.fchmod))
            put(os, "fchown", self._of_living(os.fchown))
            put(fcntl, "flock", self._flock)
            put(sqlite3, "connect", self._connect)
            put(leases, "threading", shim)
            put(watch, "threading", shim)
            put(watch.Inquiry.__init__, "__kwdefaults__", {**INQUIRY, "clock": self.monotonic})
            put(time, "sleep", self._sleep)
            put(uuid, "uuid4", self._uuid)
            put(secrets, "token_hex", lambda size: f"{self._tokens.getrandbits(8 * size):0{2 * size}x}")
            put(tempfile, "_name_sequence", iter(self._names, ""))
            yield

    def monotonic(self) -> float:
        """Return the monotonic clock, which no one moves."""
        return self.machine.now_s

    def _uuid(self) -> uuid.UUID:
        """Return an id; the client of S3 draws other ones."""
        is_own = sys._getframe(1).f_globals["__name__"].startswith("include.")
        return uuid.UUID(int=(self._uuids if is_own else random).getrandbits(128))

    def _names(self) -> str:
        return "".join(self._file_names.choices("abcdefghijklmnopqrstuvwxyz0123456789_", k=8))

    def _sleep(self, seconds: float) -> None:
        if current_process() is None:
            raise AssertionError("the world around the processes never sleeps")
        self.machine.sleep(seconds)

    def _thread(self, *, target: Callable[..., object], args: tuple[Any, ...] = (), name: str, daemon: bool) -> Any:
        return SimulatedThread(self.machine, lambda: target(*args), name)

    def _event(self) -> "SimulatedEvent":
        return SimulatedEvent(self.machine)

    # files

    def inside(self, path: Any) -> str | None:
        """Return the name of a path below the folder; ``None`` for any other, and outside of processes."""
        process = current_process()
        if process is None:
            return None
        if isinstance(path, int):
            return process.files.get(path)
        try:
            text = os.fspath(path)
        except TypeError:
            return None
        if not isinstance(text, str) or not text.startswith(self._root):
            return None
        return _RANDOM_PART.sub("*", text[len(self._root) :])

    def _do(self, kind: Kind, what: str, effect: Callable[[], T], *, code: int = errno.EIO) -> T:
        def failure() -> OSError:
            return OSError(code, os.strerror(code), what)

        return self.machine.perform(Operation(kind=kind, what=what), effect, failure=failure)

    def _os_open(self, path: Any, flags: int, *args: Any, **named: Any) -> int:
        name = self.inside(path)
        if name is None or named.get("dir_fd") is not None:
            return _OS_OPEN(path, flags, *args, **named)
        writes = bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
        kind, words = (Kind.WRITE, "creates") if writes else (Kind.READ, "opens")
        number = self._do(kind, f"{words} {name}", lambda: _OS_OPEN(path, flags, *args, **named))
        self._opened(number, name)
        return number

    def _opened(self, number: int, name: str) -> None:
        process = current_process()
        assert process is not None
        process.files[number] = name

    def _open(self, file: Any, mode: str = "r", buffering: int = -1, *args: Any, **named: Any) -> Any:
        name = self.inside(file)
        if name is None or buffering == 0:
            return _OPEN(file, mode, buffering, *args, **named)
        plain = mode.replace("b", "").replace("t", "")
        if isinstance(file, int):
            raw = SimulatedFile(self, name, file, plain)
        else:
            writes = plain not in ("r",)
            kind, words = (Kind.WRITE, "creates") if writes else (Kind.READ, "opens")
            with ExitStack() as stack:  # a process may die after it opened a file, before it has it

                def opened() -> SimulatedFile:
                    return stack.enter_context(SimulatedFile(self, name, file, plain, opener=opener))

                raw = self._do(kind, f"{words} {name}", opened)
                stack.pop_all()
            self._opened(raw.fileno(), name)
        return buffered(raw, plain, mode, *args, **named)

    def written(self, name: str, size: int, effect: Callable[[int], int]) -> int:
        """Write to a file; where the disk is full, only half of it arrives."""
        process = current_process()
        if process is None or process.is_dead:
            return size
        try:
            return self._do(Kind.WRITE, f"writes {name}", lambda: effect(size))
        except FullDisk:
            effect(size // 2)
            raise

    def closed(self, number: int) -> None:
        """Forget a descriptor."""
        process = current_process()
        if process is not None:
            process.files.pop(number, None)

    def _scandir(self, path: Any = ".") -> Any:
        name = self.inside(path)
        if name is None:
            return _SCANDIR(path)

        def sorted_entries() -> SortedEntries:
            with _SCANDIR(path) as entries:
                return SortedEntries(sorted(entries, key=lambda entry: entry.name))

        return self._do(Kind.READ, f"lists {name or 'the store'}", sorted_entries)

    def _fsync(self, number: int) -> None:
        name = self.inside(number)
        if name is not None:
            self._do(Kind.WRITE, f"flushes {name}", lambda: None)

    def _of_living(self, function: Callable[..., None]) -> Callable[..., None]:
        """Return a function of descriptors; those of a dead process lead to ``/dev/null``, which stays as it is."""

        def changed(number: int, *args: Any) -> None:
            process = current_process()
            if process is not None and process.is_dead:
                raise Died
            function(number, *args)

        return changed

    def _close(self, number: int) -> None:
        self.closed(number)
        _CLOSE(number)

    def _change(self, function: Callable[..., Any], words: str) -> Callable[..., Any]:
        kind = Kind.WRITE if words == "makes the folder" else Kind.CHANGE

        def changed(path: Any, *args: Any, **named: Any) -> Any:
            name = self.inside(args[0] if function.__name__ in ("rename", "replace") else path)
            if name is None or named.get("dir_fd") is not None:
                return function(path, *args, **named)
            return self._do(kind, f"{words} {name}", lambda: function(path, *args, **named))

        return changed

    def _flock(self, file: Any, operation: int) -> None:
        number = file if isinstance(file, int) else file.fileno()
        name = self.inside(number)
        if name is None or operation & fcntl.LOCK_UN:
            return _FLOCK(number, operation)
        return self._do(Kind.LOCK, f"locks {name}", lambda: self._locked(number, operation), code=errno.ENOLCK)

    def _locked(self, number: int, operation: int) -> None:
        """Lock a file; where it would have to wait, others continue until the lock is free."""
        if operation & fcntl.LOCK_NB:
            _FLOCK(number, operation)
        elif not _is_locked_at_once(number, operation):
            self.machine.wait_for(lambda: _is_locked_at_once(number, operation))

    # the index

    def _connect(self, path: str, **named: Any) -> Any:
        name = self.inside(path)
        process = current_process()
        if process is None or name is None:
            return _CONNECT(path, **named)
        connection = _CONNECT(path, **{**named, "timeout": 0.0}, factory=SimulatedConnection)
        connection.boundaries = self
        connection.execute("PRAGMA synchronous = OFF")
        process.at_end.append(connection.close)
        return connection

    def of_index(self, what: str, effect: Callable[[], T]) -> T:
        """Use the index; where another process writes to it, wait as long as SQLite does."""

        def failure() -> sqlite3.OperationalError:
            return _sqlite_error("disk I/O error", sqlite3.SQLITE_IOERR)

        until_s = self.machine.now_s + BUSY_S
        while True:
            try:
                return self.machine.perform(Operation(kind=Kind.INDEX, what=f"index: {what}"), effect, failure=failure)
            except FullDisk:
                raise _sqlite_error("database or disk is full", sqlite3.SQLITE_FULL) from None
            except sqlite3.OperationalError as err:
                if "locked" not in str(err) or self.machine.now_s >= until_s:
                    raise
                self.machine.sleep(0.1)


CHANGES = {
    "replace": "replaces",
    "rename": "renames to",
    "unlink": "removes",
    "rmdir": "removes the folder",
    "mkdir": "makes the folder",
    "chmod": "changes the mode of",
}
INQUIRY = dict(watch.Inquiry.__init__.__kwdefaults__ or {})


def _is_locked_at_once(number: int, operation: int) -> bool:
    try:
        _FLOCK(number, operation | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sqlite_error(text: str, code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError(text)
    error.sqlite_errorcode = code
    return error


def is_locked(path: Path) -> bool:
    """Return whether a process holds the lock of a file."""
    try:
        number = _OS_OPEN(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return not _is_locked_at_once(number, fcntl.LOCK_SH)
    finally:
        _CLOSE(number)
