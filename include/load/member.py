"""One worker on another machine, as the master of a load sees it."""

import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gevent
from gevent.event import Event

from include.load.clock_offset import ClockOffset, Round, offset_of
from include.load.conversation import Conversation, MessageKind, MessageMalformed, OpenedMessage
from include.load.rows_in import WRITE_S, RowsIn
from include.load.sign_of_life import SignOfLife
from include.load.versions import difference, own_versions
from include.load.worker_messages import ClockAnswer, Hello, checked

log = logging.getLogger("include.load.member")

ROUNDS = 8
"""Clock queries per measurement; the one with the least delay counts."""
ROUND_S = 1.0
"""Timeout of one clock query."""

SILENT_S = 8.0
"""A worker that sends nothing for this long, where four heartbeats a second are due, is lost; on a busy machine it may
stand still for some seconds. A worker that has lost its master stops much sooner."""

BURST = 1_000
PER_S = 20.0
"""How many messages a worker may send: it needs seven a second, and a hundred at the end."""


class Member:
    """The master's record of a worker that has introduced itself, and their conversation.

    Args:
        hello: the first message of its connection.
        send: sends a message to the worker.

    Attributes:
        host: the host that the worker reports.
        refused: why it may not take part.
        left: how it left, ``None`` while it takes part.
        offsets: of its clock, before and after the load.
        is_measured: set once its clock was measured after the load.
        last_sign: since its last message.

    Raises:
        MessageMalformed, MessageMissing: the message is no hello.
    """

    def __init__(self, hello: bytes, *, send: Callable[[bytes], None]) -> None:
        self._send = send
        self._conversation = Conversation()
        self._came_at = time.perf_counter()
        self._messages = 0
        self._asked: float | None = None
        self._rounds: list[Round] = []
        self._answered = Event()
        self._rows: RowsIn | None = None
        self._reported: set[str] = set()
        self.left: str | None = None
        self.offsets: list[ClockOffset] = []
        self.is_measured = Event()
        self.last_sign = SignOfLife(limit_s=SILENT_S)
        introduced = checked(Hello, self._conversation.open(hello).data.get("hello"), named="its hello")
        self.host = introduced.host
        differing = difference(introduced.versions, own_versions())
        self.refused = None if differing is None else f"it has {differing}"
        if differing is not None:
            self.send({"refused": differing})

    @property
    def is_there(self) -> bool:
        """Whether it may take part in the load, and was heard of in the last seconds."""
        return self.refused is None and self.left is None and self.last_sign.age_s <= SILENT_S

    def receive(self, packed: bytes) -> OpenedMessage | None:
        """Open a message; ``None`` for one that was handled here: heartbeats, and the answers of its clock.

        Raises:
            MessageMalformed: the worker does not do what was agreed.
            MessageMissing: a message before this one was never received.
        """
        received_at = time.perf_counter()
        self.last_sign.heard()
        self._messages += 1
        if self._messages > BURST + PER_S * (received_at - self._came_at):
            raise MessageMalformed("it sends too many")
        message = self._conversation.open(packed)
        if message.kind is MessageKind.JSON:
            data = message.data
            if "alive" in data:
                return None
            if "clock" in data:
                answer = checked(ClockAnswer, data["clock"], named="the time of its clock")
                self._take_in(answer, received_at)
                return None
        return message

    def _take_in(self, answer: ClockAnswer, received_at: float) -> None:
        """Take in the answer to the current query of the clock; any other comes too late."""
        if answer.asked == self._asked:
            self._asked = None
            self._rounds.append(Round(asked=answer.asked, came=answer.came, went=answer.went, answered=received_at))
            self._answered.set()

    def expect_once(self, report: str) -> None:
        """Note a report that a worker sends only once.

        Raises:
            MessageMalformed: it has sent it before.
        """
        if report in self._reported:
            raise MessageMalformed(f"it reported twice that it is {report}")
        self._reported.add(report)

    def send(self, data: Mapping[str, Any]) -> None:
        """Send a message to the worker."""
        self._send(self._conversation.pack_json(data))

    def send_json(self, content: bytes) -> None:
        """Send a message that is JSON already."""
        self._send(self._conversation.pack(content, MessageKind.JSON))

    def measure_clock(self) -> None:
        """Query the worker's clock and keep its offset; two measurements must not run at once."""
        self._rounds.clear()
        for _ in range(ROUNDS):
            if self.left is not None:
                return
            self._answered.clear()
            self._asked = time.perf_counter()
            self.send({"ask": self._asked})
            self._answered.wait(timeout=ROUND_S)
            gevent.sleep(0)
        offset = offset_of(self._rounds)
        if offset is not None:
            self.offsets.append(offset)
            log.info("the clock of %s is ahead by %.6f s ± %.6f s", self.host, offset.ahead_s, offset.uncertainty_s)

    @property
    def clock_drift_s(self) -> float | None:
        """How far its clock drifted from the master's between the measurements, beyond their uncertainty."""
        if len(self.offsets) < 2:
            return None
        before, after = self.offsets[0], self.offsets[-1]
        return max(0.0, abs(after.ahead_s - before.ahead_s) - before.uncertainty_s - after.uncertainty_s)

    def write_rows(self, rows: bytes, path: Path, *, arrivals: int) -> None:
        """Have rows written to disk as soon as they are received, however the load ends.

        Raises:
            MessageMalformed: they cannot be used.
            DiskProblem: they cannot be written.
        """
        if self._rows is None:
            self._rows = RowsIn(path, arrivals=arrivals)
        self._rows.write(rows)

    def await_rows(self, *, timeout_s: float = WRITE_S) -> None:
        """Wait until all its rows are on the disk; there will be no more.

        Raises:
            DiskProblem: they cannot be written, or not in time.
        """
        if self._rows is not None:
            self._rows.end()
            self._rows.await_end(timeout_s=timeout_s)

    def leave(self, how: str) -> None:
        """Mark it as gone."""
        self.left = how
        self._answered.set()
        if self._rows is not None:
            self._rows.end()
