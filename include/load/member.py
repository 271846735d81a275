"""One worker on another machine, as the master of a load sees it."""

import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import gevent
from gevent.event import Event

from include.load.clock_offset import ClockOffset, Round, offset_of
from include.load.conversation import Conversation, Introduction, MessageKind, MessageRejected, OpenedMessage
from include.load.versions import difference, own_versions

log = logging.getLogger("include.load.member")

ROUNDS = 8
"""Clock queries per measurement; the one with the least delay counts."""
ROUND_S = 1.0
"""Timeout of one clock query."""


class Member:
    """The master's record of a worker, and their conversation.

    Args:
        session: made for this load; the worker's hello must name it.
        client_id: of the worker's connection; its hello must name it, so that nobody else can replay the hello.
        nonces: of all workers of the session; each may be used once.
        send: sends sealed content to the worker.

    Attributes:
        host: the host that the worker reports; empty until it has proved that it has the key.
        refused: why it may not take part.
        left: how it left, ``None`` while it takes part.
        offsets: of its clock, before and after the load.
        is_measured: set once its clock was measured after the load.
    """

    def __init__(
        self, key: str, *, session: str, client_id: str, nonces: set[str], send: Callable[[bytes], None]
    ) -> None:
        self._key = key
        self._session = session
        self._client_id = client_id
        self._nonces = nonces
        self._send = send
        self._introduction = Introduction(key)
        self._conversation: Conversation | None = None
        self._rounds: list[Round] = []
        self._answered = Event()
        self._rows: IO[bytes] | None = None
        self.host = ""
        self.refused: str | None = None
        self.left: str | None = None
        self.offsets: list[ClockOffset] = []
        self.is_measured = Event()

    @property
    def is_welcome(self) -> bool:
        """Whether it may take part in the load."""
        return bool(self.host) and self.refused is None

    def greet(self) -> None:
        """Send the session number; only a worker with the key can answer it."""
        self._send(self._introduction.seal({"session": self._session}))

    def receive(self, sealed: object) -> OpenedMessage | None:
        """Open a message; ``None`` for one that was handled here: its hello, and the answers of its clock.

        Raises:
            MessageMissing: a message before this one was never received.
        """
        received_at = time.perf_counter()
        try:
            if self._conversation is None:
                self._let_in(self._introduction.open(sealed))
                return None
            message = self._conversation.open(sealed)
        except MessageRejected:
            log.warning("ignored a message that no worker with the key sealed for this load")
            return None
        if message.kind is MessageKind.JSON and "asked" in (data := message.data):
            self._rounds.append(Round(asked=data["asked"], came=data["came"], went=data["went"], answered=received_at))
            self._answered.set()
            return None
        return message

    def _let_in(self, hello: Mapping[str, Any]) -> None:
        if hello.get("session") != self._session or hello.get("worker") != self._client_id:
            raise MessageRejected
        nonce = str(hello["nonce"])
        if nonce in self._nonces:
            raise MessageRejected
        self._nonces.add(nonce)
        self._conversation = Conversation(self._key, session=self._session, nonce=nonce, is_master=True)
        self.host = str(hello["host"])
        differing = difference(hello["versions"], own_versions())
        if differing is not None:
            self.refused = f"it has {differing}"
            log.warning("the worker on %s is refused: %s", self.host, self.refused)
            self.send({"refused": differing})

    def send(self, data: Mapping[str, Any]) -> None:
        """Send a message, if the worker has proved that it has the key."""
        if self._conversation is not None:
            self._send(self._conversation.seal_json(data))

    def measure_clock(self) -> None:
        """Query the worker's clock and keep its offset; two measurements must not run at once."""
        self._rounds.clear()
        for _ in range(ROUNDS):
            self._answered.clear()
            self.send({"ask": time.perf_counter()})
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

    def write_rows(self, rows: bytes, path: Path) -> None:
        """Write rows to disk as soon as they are received, however the load ends."""
        if self._rows is None:
            self._rows = path.open("wb")
        self._rows.write(rows)
        self._rows.flush()

    def leave(self, how: str) -> None:
        """Mark it as gone."""
        self.left = how
        if self._rows is not None:
            self._rows.close()
            self._rows = None
