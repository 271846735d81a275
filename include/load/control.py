"""The two pipes between a load process and its parent.

Commands arrive as lines of JSON: first the headers that contain secrets, which must not be written to a file, then the
common start. A reason to stop may arrive at any time. When the pipe closes, the parent is gone, and the load must end.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import gevent
import gevent.os

READ_SIZE = 64 * 1024
MAX_UNSENT_BYTES = 1 << 20
"""How much is kept for a reader that does not read; further reports are dropped."""

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
    """The incoming pipe."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lines = self._read_lines()
        gevent.os.make_nonblocking(descriptor)

    def headers(self) -> Mapping[str, str]:
        """Return the headers that contain secrets."""
        headers: Mapping[str, str] = self.next()["headers"]
        return headers

    def start(self) -> Start:
        """Wait for the common start."""
        return Start(**self.next()["start"])

    def next(self) -> Any:
        """Wait for the next command; a command to stop, or the end of the pipe, ends this process."""
        line = next(self._lines, None)
        command = {"stop": GONE} if line is None else json.loads(line)
        if "stop" in command:
            raise SystemExit(command["stop"])
        return command

    def watch(self, stop: Callable[[str], None]) -> None:
        """Call ``stop`` when a command says so, and when the parent is gone."""
        for command in self.rest():
            stop(command["stop"])
        stop(GONE)

    def rest(self) -> Iterator[dict[str, Any]]:
        """Yield every further command until the pipe closes."""
        return map(json.loads, self._lines)

    def _read_lines(self) -> Iterator[bytes]:
        pending = b""
        while data := gevent.os.nb_read(self._descriptor, READ_SIZE):
            *lines, pending = (pending + data).split(b"\n")
            yield from lines


class Reports:
    """The outgoing pipe, with lines of JSON; a pipe that nobody reads is no reason to stop or to wait."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._unsent = b""
        os.set_blocking(descriptor, False)

    def send(self, report: Mapping[str, Any]) -> None:
        """Write a report, after those that could not be written before."""
        if len(self._unsent) < MAX_UNSENT_BYTES:
            self._unsent += json.dumps(report).encode() + b"\n"
        try:
            self._unsent = self._unsent[os.write(self._descriptor, self._unsent) :]
        except (BlockingIOError, BrokenPipeError):
            return
