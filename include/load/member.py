"""One worker elsewhere, as the master of a load sees it."""

import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import gevent
from gevent.event import Event

from include.load.clock_offset import ClockOffset, Round, offset_of
from include.load.conversation import Conversation, Introduction, Letter, MessageKind, NotOurs
from include.load.versions import difference, own_versions

log = logging.getLogger("include.load.member")

ROUNDS = 8
"""Questions about the clock; the one that took least on its way counts."""
ROUND_S = 1.0
"""How long an answer is waited for."""


class Member:
    """What the master knows of a worker, and how they talk.

    Args:
        session: made for this load; the worker must answer to it.
        client_id: of its connection; its hello must name it, so that nobody else can repeat the hello.
        nonces: of all workers of the session; each is taken once.
        send: sends sealed content to the worker.

    Attributes:
        host: where it says that it runs; empty until it has proved that it has the key.
        refused: why it may not take part.
        left: how it went, ``None`` while it takes part.
        offsets: of its clock, before and after the load.
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
        """Say which session this is; only who has the key can answer."""
        self._send(self._introduction.seal({"session": self._session}))

    def hear(self, sealed: object) -> Letter | None:
        """Open what it said; ``None`` where that concerns only who it is and what its clock says.

        Raises:
            MessageMissing: one that it sent before never came.
        """
        came = time.perf_counter()
        try:
            if self._conversation is None:
                self._let_in(self._introduction.open(sealed))
                return None
            letter = self._conversation.hear(sealed)
        except NotOurs:
            log.warning("a message that no worker with the key sealed for this load was left out")
            return None
        if letter.kind is MessageKind.WORDS and "asked" in (words := letter.words):
            self._rounds.append(Round(asked=words["asked"], came=words["came"], went=words["went"], answered=came))
            self._answered.set()
            return None
        return letter

    def _let_in(self, hello: Mapping[str, Any]) -> None:
        if hello.get("session") != self._session or hello.get("worker") != self._client_id:
            raise NotOurs
        nonce = str(hello["nonce"])
        if nonce in self._nonces:
            raise NotOurs
        self._nonces.add(nonce)
        self._conversation = Conversation(self._key, session=self._session, nonce=nonce, is_master=True)
        self.host = str(hello["host"])
        differing = difference(hello["versions"], own_versions())
        if differing is not None:
            self.refused = f"it has {differing}"
            log.warning("the worker on %s is refused: %s", self.host, self.refused)
            self.say({"refused": differing})

    def say(self, words: Mapping[str, Any]) -> None:
        """Tell it something."""
        if self._conversation is not None:
            self._send(self._conversation.say(words))

    def measure_clock(self) -> None:
        """Ask what its clock says, and keep the offset; it must not be asked twice at once."""
        self._rounds.clear()
        for _ in range(ROUNDS):
            self._answered.clear()
            self.say({"ask": time.perf_counter()})
            self._answered.wait(timeout=ROUND_S)
            gevent.sleep(0)
        offset = offset_of(self._rounds)
        if offset is not None:
            self.offsets.append(offset)
            log.info("the clock of %s is ahead by %.6f s ± %.6f s", self.host, offset.ahead_s, offset.uncertainty_s)

    @property
    def clock_drift_s(self) -> float | None:
        """By how much its clock went away from ours between the measurements, beyond what they may be off by."""
        if len(self.offsets) < 2:
            return None
        before, after = self.offsets[0], self.offsets[-1]
        return max(0.0, abs(after.ahead_s - before.ahead_s) - before.uncertainty_s - after.uncertainty_s)

    def keep(self, rows: bytes, path: Path) -> None:
        """Write rows as they come: what is told of is on the disk, however the load ends."""
        if self._rows is None:
            self._rows = path.open("wb")
        self._rows.write(rows)
        self._rows.flush()

    def leave(self, how: str) -> None:
        """Count it as gone."""
        self.left = how
        if self._rows is not None:
            self._rows.close()
            self._rows = None
