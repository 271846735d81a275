"""One load process that has its order from a master elsewhere: ``python -m include.load.remote <folder>``.

`include.load.worker` starts one for each load, when there is a master. Its standard input is its lifeline: when that
closes, whoever started it is gone. Ends with `REFUSED` where it will not be let in the next time either.
"""

from include.load.process import ArrivalUser, drive_load, environment  # noqa: I001 - first: it imports Locust
from locust import __version__ as locust_version
from locust.runners import WorkerRunner

import json
import logging
import os
import secrets
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, cast

import gevent
import gevent.os
from gevent.event import Event
from gevent.queue import Queue

from include.load.control import Start
from include.load.conversation import (
    MESSAGE,
    Conversation,
    Introduction,
    MessageKind,
    MessageMissing,
    NotOurs,
    packet,
    sealed_in,
)
from include.load.link import LoadProcessOrder
from include.load.rows_out import RowsOut
from include.load.versions import own_versions
from include.load.worker import MASTER_VARIABLE, REFUSED
from include.perf.load.load_plan import GeneratorLog, LoadPlan
from include.perf.load.load_plan import KEY_VARIABLE, host_and_port
from include.perf.runs.results_store import FEED_FILE
from include.perf.model.json_files import from_json, to_json

log = logging.getLogger("include.load.remote")

MOST_TRIES = 3
"""So often Locust's greeting is tried, 5 s each, before this process gives up: somebody else listens there."""

MASTER_SILENT_S = 5.0
"""A master that seals nothing for so long, who should once a second, is gone, or cannot be reached."""

LOOK_EVERY_S = 0.5
GONE = "stopped: the master of the load is gone, or cannot be reached"
MISSING = "stopped: a message of the master never came"

GOODBYE_S = 60.0
"""How long it is waited until the master has the whole record."""


class Worker(WorkerRunner):
    """Locust's worker, as far as it is of use here: membership, heartbeats and a channel for messages.

    A master has no other way to it: users are started by the load process itself, so that nothing starts, stops or
    moves them while a load runs.

    Attributes:
        is_listening: set once somebody takes messages; they wait until then.
    """

    def __init__(self, take: Callable[[object], None], *, host: str, port: int) -> None:
        self._take = take
        self.is_listening = Event()
        users = environment()
        users.runner = self
        super().__init__(users, host, port)

    def connect_to_master(self) -> None:
        """Greet the master.

        Raises:
            SystemExit: nobody answers as Locust's master does.
        """
        for _ in range(MOST_TRIES):
            self.send_greeting()
            if self.connection_event.wait(timeout=5):
                self.connected = True
                return
        raise SystemExit(f"no master of Locust's answers at {self.master_host}:{self.master_port}")

    def send_greeting(self) -> None:
        """Say that a worker is there; the master answers with its introduction."""
        self.send_message("client_ready", locust_version)  # type: ignore[arg-type]  # as Locust's own worker does

    def handle_message(self, msg: Any) -> None:
        """Take what the master says; what Locust would start or stop users with is left alone."""
        if msg.type == "ack":
            super().handle_message(msg)
        elif msg.type == MESSAGE:
            self.is_listening.wait()
            self._take(sealed_in(msg.data))

    def heartbeat_timeout_checker(self) -> None:  # type: ignore[override]
        """Leave it to `LocustLink`, which is faster and does not go by the wall clock."""

    def stats_reporter(self) -> None:  # type: ignore[override]
        """Send no statistics: the record says more."""

    def logs_reporter(self) -> None:
        """Send no log: it stays on this machine."""


class LocustLink:
    """The link to a master elsewhere, over Locust's channel.

    Args:
        folder: for what comes with the order; it is removed by whoever made it.
    """

    def __init__(self, folder: Path, *, host: str, port: int, key: str) -> None:
        self._folder = folder
        self._key = key
        self._introduction = Introduction(key)
        self._conversation: Conversation | None = None
        self._inbox: Queue[dict[str, Any]] = Queue()
        self._rows = RowsOut()
        self._can_go = Event()
        self._worker = Worker(self._take, host=host, port=port)
        self._heard_at = time.perf_counter()
        self._worker.is_listening.set()
        gevent.spawn(self._watch_master)

    def _take(self, sealed: object) -> None:
        """Open what came; questions about the clock are answered at once, the rest waits until it is asked for."""
        came = time.perf_counter()
        try:
            if self._conversation is None:
                self._introduce(sealed)
                return
            words = self._conversation.hear(sealed).words
            self._heard_at = came
        except NotOurs:
            self._refuse_stranger()
        except MessageMissing:
            self._inbox.put({"stop": MISSING})
        else:
            if "ask" in words:
                self._say({"asked": words["ask"], "came": came, "went": time.perf_counter()})
            elif "goodbye" in words:
                self._can_go.set()
            elif "alive" not in words:
                self._inbox.put(words)

    def _introduce(self, sealed: object) -> None:
        session = self._introduction.open(sealed)["session"]
        self._heard_at = time.perf_counter()
        nonce = secrets.token_hex(16)
        hello = {
            "session": session,
            "worker": self._worker.client_id,
            "nonce": nonce,
            "host": os.uname().nodename,
            "versions": own_versions(),
        }
        self._conversation = Conversation(self._key, session=session, nonce=nonce, is_master=False)
        self._send(self._introduction.seal(hello))

    def _refuse_stranger(self) -> None:
        if self._conversation is None:
            log.error("the master has another key; set the same %s on both sides", KEY_VARIABLE)
            os._exit(REFUSED)
        log.warning("a message that the master did not seal was left out")

    def _watch_master(self) -> None:
        while time.perf_counter() - self._heard_at <= MASTER_SILENT_S:
            gevent.sleep(LOOK_EVERY_S)
        self._inbox.put({"stop": GONE})
        self._can_go.set()

    def _send(self, sealed: bytes) -> None:
        self._worker.send_message(MESSAGE, packet(sealed))

    def _say(self, words: Mapping[str, Any]) -> None:
        if self._conversation is not None:
            self._send(self._conversation.say(words))

    def order(self) -> LoadProcessOrder:
        """Wait for the order, with the feed and everything else that a load needs."""
        words = self._next()
        while "wait" in words:
            log.info("a load runs already; this worker takes part in the next one")
            words = self._next()
        if "over" in words:
            raise SystemExit(0)
        if "refused" in words:
            log.error("the master refused this worker: %s", words["refused"])
            raise SystemExit(REFUSED)
        given = words["order"]
        log.info("takes part in a load as worker %d of %d", given["worker"] + 1, given["workers"])
        return LoadProcessOrder(
            plan=self._plan_of(given),
            secrets=given["headers"],
            worker=given["worker"],
            rows=cast(IO[bytes], self._rows),
        )

    def _plan_of(self, given: Mapping[str, Any]) -> LoadPlan:
        """Return the plan with the paths of this machine."""
        plan = given["plan"] | {"folder": str(self._folder)}
        (self._folder / FEED_FILE).write_text(given["feed"], encoding="utf-8")
        if given["ca"] is not None:
            ca_file = self._folder / "ca.pem"
            ca_file.write_text(given["ca"], encoding="utf-8")
            plan["ca_file"] = str(ca_file)
        return from_json(LoadPlan, _as_json(plan), where="the order of the master")

    def _next(self) -> dict[str, Any]:
        words = self._inbox.get()
        if "stop" in words:
            raise SystemExit(words["stop"])
        return words

    def start_users(self, count: int) -> None:
        """Start them as Locust's worker does when it is told to."""
        self._worker.spawn_users({ArrivalUser.__name__: count})

    @property
    def users(self) -> int:
        """How many users run."""
        count: int = self._worker.user_count
        return count

    def tell(self, report: Mapping[str, Any]) -> None:
        """Send what has been recorded meanwhile, and then the report."""
        self._send_rows()
        self._say({"report": report})

    def _send_rows(self) -> None:
        for piece in self._rows.take():
            if self._conversation is not None:
                self._send(self._conversation.seal(piece, MessageKind.ROWS))

    def start(self) -> Start:
        """Wait for the common start."""
        return Start(**self._next()["start"])

    def watch(self, stop: Callable[[str], None]) -> None:
        """Pass on a reason to stop; that the master is gone is one."""
        while True:
            stop(self._inbox.get()["stop"])

    def finish(self, summary: GeneratorLog) -> None:
        """Send the rest of the rows and the summary, and wait until the master has them."""
        self._send_rows()
        self._say({"summary": to_json(summary).decode()})
        if not self._can_go.wait(timeout=GOODBYE_S):
            log.warning("the master did not say that it has the whole record")


def _as_json(plan: Mapping[str, Any]) -> bytes:
    return json.dumps(plan).encode()


def _end_with_parent() -> None:
    """End this process when whoever started it is gone."""
    while gevent.os.tp_read(sys.stdin.fileno(), 1):
        pass
    os._exit(1)


def main() -> None:
    """Take part in one load of the master that the environment names."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    gevent.spawn(_end_with_parent)
    host, port = host_and_port(os.environ[MASTER_VARIABLE], named=MASTER_VARIABLE)
    drive_load(LocustLink(Path(sys.argv[1]), host=host, port=port, key=os.environ[KEY_VARIABLE]))
    os._exit(0)


if __name__ == "__main__":
    main()
