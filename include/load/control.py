"""The two pipes between a load process and its parent.

Commands arrive as lines of JSON: first the secrets of the service, which must not be written to a file, then the common
start. Renewed tokens and a reason to stop may arrive at any time. Empty lines are the parent's signs of life. When the
pipe closes, the parent is gone; when nothing arrives for some seconds, it hangs. Either way the load must end.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gevent
import gevent.os

from include.load.sign_of_life import SignOfLife
from include.perf.load.service_secrets import ServiceSecrets

READ_SIZE = 64 * 1024
MAX_UNSENT_BYTES = 1 << 20
"""How much is kept for a reader that does not read; further reports are dropped."""

GONE = "stopped: the process that started the load is gone"

HANGS = "stopped: the process that started the load hangs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """When the schedule starts.

    Attributes:
        start: on the clock of ``time.perf_counter``, which the processes of one machine share.
        started_at: the same moment in Unix seconds.
    """

    start: float
    started_at: float


def take_in(command: Mapping[str, Any], stop: Callable[[str], None], renew: Callable[[Sequence[str]], None]) -> None:
    """Take in a command to a running load."""
    if "tokens" in command:
        renew(command["tokens"])
    else:
        stop(command["stop"])


class Commands:
    """The incoming pipe.

    Attributes:
        last_sign: since the parent's last sign of life.
    """

    def __init__(self, descriptor: int) -> None:
        self.last_sign = SignOfLife()
        self._descriptor = descriptor
        self._lines = self._read_lines()
        gevent.os.make_nonblocking(descriptor)

    def secrets(self) -> ServiceSecrets:
        """Return the secrets of the service."""
        return ServiceSecrets.read(self.next()["secrets"])

    def start(self, renew: Callable[[Sequence[str]], None]) -> Start:
        """Wait for the common start; call ``renew`` with tokens that arrive before it."""
        while "tokens" in (command := self.next()):
            renew(command["tokens"])
        return Start(**command["start"])

    def next(self) -> Any:
        """Wait for the next command; a command to stop, or the end of the pipe, ends this process."""
        line = next(self._lines, None)
        command = {"stop": GONE} if line is None else json.loads(line)
        if "stop" in command:
            raise SystemExit(command["stop"])
        return command

    def watch(self, stop: Callable[[str], None], renew: Callable[[Sequence[str]], None]) -> None:
        """Call ``stop`` with a reason to stop, also when the parent is gone or hangs, and ``renew`` with new tokens."""
        self.follow(lambda command: take_in(command, stop, renew), stop)

    def follow(self, take_in: Callable[[dict[str, Any]], None], stop: Callable[[str], None]) -> None:
        """Pass on every further command; call ``stop`` with the reason when the parent is gone or hangs."""
        self.last_sign.heard()
        watching = gevent.spawn(self._await_last_sign, stop)
        for line in self._lines:
            take_in(json.loads(line))
        watching.kill()
        stop(GONE)

    def _await_last_sign(self, stop: Callable[[str], None]) -> None:
        self.last_sign.await_end()
        stop(HANGS)

    def _read_lines(self) -> Iterator[bytes]:
        pending = b""
        while data := gevent.os.nb_read(self._descriptor, READ_SIZE):
            self.last_sign.heard()
            *lines, pending = (pending + data).split(b"\n")
            yield from filter(None, lines)


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
