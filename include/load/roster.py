"""The workers that have introduced themselves to a master: who is admitted, who is there, and why others are not."""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, NoReturn, Protocol

import gevent

from include.load.channel import MAX_REFUSALS_COUNTED
from include.load.conversation import MessageMalformed, MessageMissing
from include.load.member import Member
from include.perf.load.load_plan import HEARTBEAT_INTERVAL_S

log = logging.getLogger("include.load.roster")

MAX_MEMBERS = 1000
"""Workers that the master keeps track of."""

MAX_OUTSIDERS_LOGGED = 100

MAX_NAMED = 10
"""How many refused workers an error names."""


class WorkerChannel(Protocol):
    """Sends messages to the workers that hold the key."""

    @property
    def refused(self) -> int:
        """How many connections did not prove the key."""

    def send(self, worker: bytes, content: bytes) -> None:
        """Send content to one worker."""


class Roster:
    """The workers that have introduced themselves, by the names of their connections.

    Args:
        pool: where they connect (``host``, ``port``), how many the load needs (``min_workers``), and how long the
            master waits for them (``wait_s``).
    """

    def __init__(self, channel: WorkerChannel, *, pool: Mapping[str, Any]) -> None:
        self._channel = channel
        self._pool = pool
        self._known: dict[bytes, Member] = {}
        self._outsiders_logged = 0

    def get(self, client_id: bytes) -> Member | None:
        """Return a worker; ``None`` if it has not introduced itself."""
        return self._known.get(client_id)

    def __getitem__(self, client_id: bytes) -> Member:
        """Return a worker that has introduced itself."""
        return self._known[client_id]

    def admit(self, client_id: bytes, hello: bytes, *, taking_part: Collection[bytes]) -> None:
        """Admit a worker by its first message; anything else is of a worker of another load, and ignored.

        Args:
            taking_part: the workers of the load, if it has begun.
        """
        if not self._has_room(taking_part):
            return
        try:
            member = Member(hello, send=partial(self._channel.send, client_id))
        except (MessageMalformed, MessageMissing):
            return
        self._known[client_id] = member
        if member.refused is not None:
            self.log_outsider(member, f"is refused: {member.refused}")
        elif taking_part:
            self.log_outsider(member, "connected after the load had begun; it takes part in the next one")
            member.send({"wait": True})

    def _has_room(self, taking_part: Collection[bytes]) -> bool:
        """Whether another worker can be tracked; if there are too many, the oldest that is of no use is forgotten.

        Of no use are workers that were refused or are gone, and take no part in the load.
        """
        if len(self._known) < MAX_MEMBERS:
            return True
        for client_id, member in self._known.items():
            if client_id not in taking_part and not member.is_there:
                del self._known[client_id]
                return True
        return False

    def log_outsider(self, member: Member, what: str) -> None:
        """Log something about a worker that takes no part, up to a limit: it may connect again and again."""
        self._outsiders_logged += 1
        if self._outsiders_logged <= MAX_OUTSIDERS_LOGGED:
            log.info("the worker on %s %s", member.host, what)
        elif self._outsiders_logged == MAX_OUTSIDERS_LOGGED + 1:
            log.warning("nothing more is logged about workers that take no part in this load")

    def present(self) -> list[bytes]:
        """Return the workers that could take part now, in an order that does not depend on who connected first."""
        there = [client_id for client_id, member in self._known.items() if member.is_there]
        return sorted(there, key=lambda client_id: (self._known[client_id].host, client_id))

    def describe_shortage(self, client_ids: Sequence[bytes]) -> str:
        """Describe which workers are there, and why others may not be."""
        pool = self._pool
        text = (
            f"{len(client_ids)} of {pool['min_workers']} workers connected to {pool['host']}:{pool['port']} "
            f"within {pool['wait_s']:g} s"
        )
        if client_ids:
            text += f" ({', '.join(self._known[client_id].host for client_id in client_ids)})"
        refused = [member for member in self._known.values() if member.refused]
        for member in refused[:MAX_NAMED]:
            text += f"; the worker on {member.host} was refused: {member.refused}"
        if self._channel.refused:
            or_more = " or more" if self._channel.refused >= MAX_REFUSALS_COUNTED else ""
            text += f"; connections that did not prove the key: {self._channel.refused}{or_more}"
        return f"{text}; start more with python -m include.load.worker (docs/distributed.md)"

    def send_heartbeats(self, age_s: Callable[[], float]) -> NoReturn:
        """Send heartbeats to all workers.

        Args:
            age_s: returns how long ago the process that ordered the load was heard of.
        """
        while True:
            for member in list(self._known.values()):
                if member.refused is None and member.left is None:
                    member.send({"alive": age_s()})
            gevent.sleep(HEARTBEAT_INTERVAL_S)

    def dismiss_waiting(self, *, taking_part: Collection[bytes]) -> None:
        """Dismiss the workers that wait for another load: this master will not have one."""
        for client_id, member in self._known.items():
            if client_id not in taking_part:
                member.send({"over": True})
