"""The rows of one worker, as the master receives them: written to disk at once, as far as they can be used.

They are written in a thread: a disk that hangs must delay neither the heartbeats to the workers nor their messages.
"""

import zlib
from collections.abc import Callable
from functools import partial
from io import FileIO
from pathlib import Path
from typing import TypeVar

import gevent
from gevent.queue import Full, Queue

from include.load.conversation import MessageMalformed
from include.load.rows_out import PIECE_BYTES

T = TypeVar("T")

TEXT_BYTES = 1 << 20
"""How much is decompressed at once; a few bytes may stand for gigabytes."""

ROW_BYTES = 512
"""More than any row has."""

SPARE_BYTES = 1 << 20

MAX_UNWRITTEN = 200
"""Pieces that wait for the disk: 50 MiB at most."""

WRITE_S = 10.0
"""How long the disk may take for what is left at the end."""


class DiskProblem(Exception):
    """The record of a worker cannot be written; the text says why."""


class RowsIn:
    """Writes the rows of a worker to a file, after checking that they can be decompressed.

    Args:
        arrivals: how many rows the worker can have at most.
    """

    def __init__(self, path: Path, *, arrivals: int) -> None:
        self._path = path
        self._left = ROW_BYTES * arrivals + SPARE_BYTES
        self._member = zlib.decompressobj(31)
        self._unwritten: Queue[bytes | None] = Queue(maxsize=MAX_UNWRITTEN)
        self._problem: str | None = None
        self._writing = gevent.spawn(self._write_all)

    def write(self, piece: bytes) -> None:
        """Have the next piece written.

        Raises:
            MessageMalformed: it is not of a gzip file, or longer than it can be.
            DiskProblem: it, or one before it, cannot be written.
        """
        if len(piece) > PIECE_BYTES:
            raise MessageMalformed("its rows are too many at once")
        try:
            self._check(piece)
        except zlib.error as err:
            raise MessageMalformed("its rows cannot be decompressed") from err
        self._raise_problem()
        try:
            self._unwritten.put_nowait(piece)
        except Full as err:
            raise DiskProblem("the disk is too slow") from err

    def _check(self, piece: bytes) -> None:
        while piece:
            if self._member.eof:
                self._member = zlib.decompressobj(31)
            text = self._member.decompress(piece, TEXT_BYTES)
            self._left -= len(text)
            if self._left < 0:
                raise MessageMalformed("its rows are longer than those of its part of the load")
            piece = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
            if len(text) == TEXT_BYTES:
                gevent.sleep(0)

    def _write_all(self) -> None:
        try:
            file = _in_thread(lambda: self._path.open("wb", buffering=0))
            try:
                while (piece := self._unwritten.get()) is not None:
                    _in_thread(partial(_append, file, piece))
            finally:
                _in_thread(file.close)
        except OSError as err:
            self._problem = err.strerror or "unknown problem"

    def _raise_problem(self) -> None:
        if self._problem is not None:
            raise DiskProblem(self._problem)

    def end(self) -> None:
        """Expect no more rows; those that wait are still written."""
        try:
            self._unwritten.put_nowait(None)
        except Full:
            return

    def await_end(self, *, timeout_s: float = WRITE_S) -> None:
        """Wait until all rows are on the disk, after `end`.

        Raises:
            DiskProblem: they cannot be written, or not in time.
        """
        self._writing.join(timeout=timeout_s)
        self._raise_problem()
        if not self._writing.ready():
            raise DiskProblem(f"the disk took longer than {timeout_s:g} s")


def _append(file: FileIO, piece: bytes) -> None:
    unwritten = memoryview(piece)
    while unwritten:
        unwritten = unwritten[file.write(unwritten) :]


def write_in_time(write: Callable[[], T], *, timeout_s: float = WRITE_S) -> T:
    """Write in a thread.

    Raises:
        DiskProblem: it cannot be written, or not in time.
    """
    try:
        with gevent.Timeout(timeout_s):
            return _in_thread(write)
    except OSError as err:
        raise DiskProblem(err.strerror or "unknown problem") from err
    except gevent.Timeout as err:
        raise DiskProblem(f"the disk took longer than {timeout_s:g} s") from err


def _in_thread(act: Callable[[], T]) -> T:
    """Call a function in a thread; other greenlets continue meanwhile."""
    result: T = gevent.get_hub().threadpool.apply(act)
    return result
