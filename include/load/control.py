"""The two pipes between a load process and the one that started it.

Commands come in, a JSON line each: first the headers that hold secrets, which must not lie in any file, then
the common start. A reason to stop may come at any time. When the pipe closes, whoever started the load is
gone, and so has to be the load.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import gevent
import gevent.os

READ_SIZE = 64 * 1024
MOST_UNSENT = 1 << 20
"""Bytes that wait for a reader who does not read; what comes then is left out."""

GONE = "stopped: the process that started the load is gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """When the schedule starts.

    Attributes:
        start: on the clock of ``time.perf_counter``, which the processes of one machine share.
        started_at: the same moment in Unix seconds.
    """

    start: float
    started_at: float


class Commands:
    """What comes in."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lines = self._read_lines()
        gevent.os.make_nonblocking(descriptor)

    def headers(self) -> Mapping[str, str]:
        """Return the headers that hold secrets."""
        headers: Mapping[str, str] = self.next()["headers"]
        return headers

    def start(self) -> Start:
        """Wait for the common start."""
        return Start(**self.next()["start"])

    def next(self) -> Any:
        """Wait for the next command; one that calls the load off, and the end of the pipe, end this process."""
        line = next(self._lines, None)
        command = {"stop": GONE} if line is None else json.loads(line)
        if "stop" in command:
            raise SystemExit(command["stop"])
        return command

    def watch(self, stop: Callable[[str], None]) -> None:
        """Pass on a reason to stop, and the end of the process that started this one."""
        for command in self.rest():
            stop(command["stop"])
        stop(GONE)

    def rest(self) -> Iterator[dict[str, Any]]:
        """Return every command that still comes, until the pipe closes."""
        return map(json.loads, self._lines)

    def _read_lines(self) -> Iterator[bytes]:
        pending = b""
        while data := gevent.os.nb_read(self._descriptor, READ_SIZE):
            *lines, pending = (pending + data).split(b"\n")
            yield from lines


class Reports:
    """What goes out, a JSON line each; a pipe that nobody reads is no reason to stop or to wait."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._unsent = b""
        os.set_blocking(descriptor, False)

    def tell(self, report: Mapping[str, Any]) -> None:
        """Write a report, after what could not be written before."""
        if len(self._unsent) < MOST_UNSENT:
            self._unsent += json.dumps(report).encode() + b"\n"
        try:
            self._unsent = self._unsent[os.write(self._descriptor, self._unsent) :]
        except (BlockingIOError, BrokenPipeError):
            return
