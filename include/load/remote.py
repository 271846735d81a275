"""One load process that gets its order from a master on another machine: ``python -m include.load.remote <folder>``.

`include.load.worker` starts one for each load. When its standard input closes, its parent is gone, and it ends. It
exits with `REFUSED` when the master refused it, because the next try would fail too.
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

from include.load.channel_limits import limit_messages
from include.load.control import Start
from include.load.conversation import (
    MESSAGE,
    Conversation,
    Introduction,
    MessageKind,
    MessageMissing,
    MessageRejected,
    packet,
    sealed_in,
)
from include.load.link import LoadProcessOrder
from include.load.rows_out import RowsOut
from include.load.versions import own_versions
from include.load.worker import MASTER_VARIABLE, REFUSED
from include.perf.load.load_plan import GeneratorLog, LoadPlan
from include.perf.load.channel_key import KEY_VARIABLE
from include.perf.load.load_plan import host_and_port
from include.perf.runs.results_store import FEED_FILE
from include.perf.model.json_files import from_json, to_json

log = logging.getLogger("include.load.remote")

MAX_TRIES = 3
"""How often to try Locust's greeting, 5 s each, before giving up: another program listens there."""

MASTER_SILENT_S = 5.0
"""A master that sends no sealed message for this long, where one a second is due, is gone or cannot be reached."""

MAX_MESSAGE_BYTES = 256 * 1024 * 1024
"""The order of a load has all its requests."""

POLL_INTERVAL_S = 0.5
GONE = "stopped: the master of the load is gone, or cannot be reached"
MISSING = "stopped: a message of the master is missing"

GOODBYE_S = 60.0
"""How long to wait until the master confirms that it has the complete record."""


class Worker(WorkerRunner):
    """Locust's worker, reduced to membership, heartbeats and a channel for messages.

    The load process starts the users itself; no message of a master starts, stops or moves them during a load.

    Attributes:
        is_listening: set once messages can be handled; they wait until then.
    """

    def __init__(self, receive: Callable[[object], None], *, host: str, port: int) -> None:
        self._receive = receive
        self.is_listening = Event()
        limit_messages(MAX_MESSAGE_BYTES)
        users = environment()
        users.runner = self
        super().__init__(users, host, port)

    def connect_to_master(self) -> None:
        """Greet the master.

        Raises:
            SystemExit: no Locust master answers.
        """
        for _ in range(MAX_TRIES):
            self.send_greeting()
            if self.connection_event.wait(timeout=5):
                self.connected = True
                return
        raise SystemExit(f"no Locust master answers at {self.master_host}:{self.master_port}")

    def send_greeting(self) -> None:
        """Announce this worker; the master answers with its introduction."""
        self.send_message("client_ready", locust_version)  # type: ignore[arg-type]  # as Locust's own worker does

    def handle_message(self, msg: Any) -> None:
        """Handle the master's messages; Locust's messages that start or stop users are ignored."""
        if msg.type == "ack":
            super().handle_message(msg)
        elif msg.type == MESSAGE:
            self.is_listening.wait()
            self._receive(sealed_in(msg.data))

    def heartbeat_timeout_checker(self) -> None:  # type: ignore[override]
        """Do nothing: `LocustLink` watches the master, faster and without the wall clock."""

    def stats_reporter(self) -> None:  # type: ignore[override]
        """Do nothing: the record has more than Locust's statistics."""

    def logs_reporter(self) -> None:
        """Do nothing: the log stays on this machine."""


class LocustLink:
    """The link to a master on another machine, over Locust's channel.

    Args:
        folder: for the files of the order; its creator removes it.
    """

    def __init__(self, folder: Path, *, host: str, port: int, key: str) -> None:
        self._folder = folder
        self._key = key
        self._introduction = Introduction(key)
        self._conversation: Conversation | None = None
        self._inbox: Queue[dict[str, Any]] = Queue()
        self._rows = RowsOut()
        self._is_dismissed = Event()
        self._worker = Worker(self._receive, host=host, port=port)
        self._received_at = time.perf_counter()
        self._worker.is_listening.set()
        gevent.spawn(self._watch_master)

    def _receive(self, sealed: object) -> None:
        """Open a message; queries of the clock are answered at once, other messages are queued."""
        came = time.perf_counter()
        try:
            if self._conversation is None:
                self._introduce(sealed)
                return
            data = self._conversation.open(sealed).data
            self._received_at = came
        except MessageRejected:
            self._refuse_stranger()
        except MessageMissing:
            self._inbox.put({"stop": MISSING})
        else:
            if "ask" in data:
                self._send_data({"asked": data["ask"], "came": came, "went": time.perf_counter()})
            elif "goodbye" in data:
                self._is_dismissed.set()
            elif "alive" not in data:
                self._inbox.put(data)

    def _introduce(self, sealed: object) -> None:
        session = self._introduction.open(sealed)["session"]
        self._received_at = time.perf_counter()
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
        log.warning("ignored a message that the master did not seal")

    def _watch_master(self) -> None:
        while time.perf_counter() - self._received_at <= MASTER_SILENT_S:
            gevent.sleep(POLL_INTERVAL_S)
        self._inbox.put({"stop": GONE})
        self._is_dismissed.set()

    def _send(self, sealed: bytes) -> None:
        self._worker.send_message(MESSAGE, packet(sealed))

    def _send_data(self, data: Mapping[str, Any]) -> None:
        if self._conversation is not None:
            self._send(self._conversation.seal_json(data))

    def order(self) -> LoadProcessOrder:
        """Wait for the order, which includes the feed and everything else that a load needs."""
        data = self._next()
        while "wait" in data:
            log.info("a load is already running; this worker takes part in the next one")
            data = self._next()
        if "over" in data:
            raise SystemExit(0)
        if "refused" in data:
            log.error("the master refused this worker: %s", data["refused"])
            raise SystemExit(REFUSED)
        order = data["order"]
        log.info("taking part in a load as worker %d of %d", order["worker"] + 1, order["workers"])
        return LoadProcessOrder(
            plan=self._plan_of(order),
            secrets=order["headers"],
            worker=order["worker"],
            rows=cast(IO[bytes], self._rows),
        )

    def _plan_of(self, order: Mapping[str, Any]) -> LoadPlan:
        """Return the plan with the paths of this machine."""
        plan = order["plan"] | {"folder": str(self._folder)}
        (self._folder / FEED_FILE).write_text(order["feed"], encoding="utf-8")
        if order["ca"] is not None:
            ca_file = self._folder / "ca.pem"
            ca_file.write_text(order["ca"], encoding="utf-8")
            plan["ca_file"] = str(ca_file)
        return from_json(LoadPlan, _as_json(plan), where="the order of the master")

    def _next(self) -> dict[str, Any]:
        data = self._inbox.get()
        if "stop" in data:
            raise SystemExit(data["stop"])
        return data

    def start_users(self, count: int) -> None:
        """Start users as Locust's worker does on a master's command."""
        self._worker.spawn_users({ArrivalUser.__name__: count})

    @property
    def users(self) -> int:
        """How many users run."""
        count: int = self._worker.user_count
        return count

    def report(self, report: Mapping[str, Any]) -> None:
        """Send the rows since the previous report, and then the report."""
        self._send_rows()
        self._send_data({"report": report})

    def _send_rows(self) -> None:
        for piece in self._rows.take():
            if self._conversation is not None:
                self._send(self._conversation.seal(piece, MessageKind.ROWS))

    def start(self) -> Start:
        """Wait for the common start."""
        return Start(**self._next()["start"])

    def watch(self, stop: Callable[[str], None]) -> None:
        """Call ``stop`` with a reason to stop, also when the master is gone."""
        while True:
            stop(self._inbox.get()["stop"])

    def finish(self, summary: GeneratorLog) -> None:
        """Send the remaining rows and the summary, and wait until the master confirms them."""
        self._send_rows()
        self._send_data({"summary": to_json(summary).decode()})
        if not self._is_dismissed.wait(timeout=GOODBYE_S):
            log.warning("the master did not confirm that it has the complete record")


def _as_json(plan: Mapping[str, Any]) -> bytes:
    return json.dumps(plan).encode()


def _end_with_parent() -> None:
    """End this process when its parent is gone."""
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
