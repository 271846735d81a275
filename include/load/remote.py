"""One load process that gets its order from a master on another machine: ``python -m include.load.remote <folder>``.

`include.load.worker` starts one for each load. When its standard input closes, its parent is gone, and it ends. It
exits with `REFUSED` when the master refused it, because the next try would fail too.
"""

from include.load.process import drive_load, environment  # noqa: I001 - first: it imports Locust

import json
import logging
import os
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NoReturn, cast

import gevent
import gevent.os
import zmq
from gevent.event import Event
from gevent.lock import BoundedSemaphore
from gevent.queue import Queue

from include.load.channel import WorkerSocket
from include.load.control import Start, take_in
from include.load.conversation import Conversation, MessageKind, MessageMalformed, MessageMissing
from include.load.link import LoadProcessOrder
from include.load.rows_out import RowsOut
from include.load.sign_of_life import SignOfLife
from include.load.versions import own_versions
from include.load.worker import MASTER_VARIABLE, REFUSED
from include.load.worker_messages import host_name
from include.perf.load.channel_key import KEY_VARIABLE, channel_key
from include.perf.load.load_plan import HEARTBEAT_INTERVAL_S, GeneratorLog, LoadPlan, host_and_port
from include.perf.load.service_secrets import ServiceSecrets
from include.perf.model.json_files import from_json, to_json
from include.perf.runs.results_store import FEED_FILE, LOCUSTFILE_FILE

log = logging.getLogger("include.load.remote")

CONNECT_S = 3.0

ANSWER_S = 15.0
"""How long to wait for the first message of a master that listens."""

MAX_REFUSED = 3
"""So many refused connections in a row are no accident: the master has another key."""

POLL_INTERVAL_S = 0.1
FULL_INTERVAL_S = 0.02
GONE = "stopped: the master of the load is gone, or cannot be reached"
MISSING = "stopped: a message of the master is missing"

GOODBYE_S = 60.0
"""How long to wait until the master confirms that it has the complete record."""


class MasterLink:
    """The link to a master on another machine.

    Args:
        folder: for the files of the order; its creator removes it.
        address: of the master.

    Raises:
        SystemExit: no master answers there, or it has another key.
    """

    def __init__(self, folder: Path, *, address: str, port: int, key: bytes) -> None:
        self._folder = folder
        self._conversation = Conversation()
        self._inbox: Queue[dict[str, Any]] = Queue()
        self._rows = RowsOut()
        self._last_sign = SignOfLife()
        self._is_answered, self._is_dismissed, self._is_lost = Event(), Event(), Event()
        self._runner = environment().create_local_runner()
        self._sending = BoundedSemaphore(1)
        self._socket = WorkerSocket(key, address=address, port=port)
        self._send_data({"hello": {"host": host_name(os.uname().nodename), "versions": own_versions()}})
        gevent.spawn(self._receive)
        self._await_answer(f"{address}:{port}")
        gevent.spawn(self._watch_master)
        gevent.spawn(self._send_heartbeats)

    def _await_answer(self, named: str) -> None:
        deadline = time.perf_counter() + ANSWER_S
        while not self._is_answered.wait(timeout=POLL_INTERVAL_S):
            if self._socket.refused >= MAX_REFUSED:
                log.error(
                    "%s has another key, or is no master of this version of Bellwether; set the same %s on both sides",
                    *(named, KEY_VARIABLE),
                )
                raise SystemExit(REFUSED)
            if time.perf_counter() > deadline:
                raise SystemExit(f"no master answers at {named}")

    def _receive(self) -> NoReturn:
        """Open the messages of the master; queries of the clock are answered at once, other messages are queued."""
        while True:
            packed = self._socket.receive()
            came = time.perf_counter()
            self._is_answered.set()
            try:
                data = self._conversation.open(packed).data
            except (MessageMissing, MessageMalformed):
                self._inbox.put({"stop": MISSING})
                continue
            if "alive" in data:
                self._last_sign.heard(age_s=float(data["alive"]))
            elif "ask" in data:
                self._send_data({"clock": {"asked": data["ask"], "came": came, "went": time.perf_counter()}})
            elif "goodbye" in data:
                self._is_dismissed.set()
            else:
                self._inbox.put(data)

    def _watch_master(self) -> None:
        self._last_sign.await_end()
        self._is_lost.set()
        self._inbox.put({"stop": GONE})
        self._is_dismissed.set()

    def _send_heartbeats(self) -> NoReturn:
        while True:
            self._send_data({"alive": True})
            gevent.sleep(HEARTBEAT_INTERVAL_S)

    def _send_data(self, data: Mapping[str, Any]) -> None:
        self._send(json.dumps(data).encode(), MessageKind.JSON)

    def _send(self, content: bytes, kind: MessageKind) -> None:
        """Send a message in its turn; while the master is slow, wait."""
        with self._sending:
            packed = self._conversation.pack(content, kind)
            while not self._is_lost.is_set():
                try:
                    self._socket.send(packed)
                except zmq.Again:
                    gevent.sleep(FULL_INTERVAL_S)
                else:
                    return

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
        place, order = data["place"], self._next()["order"]
        log.info("taking part in a load as worker %d of %d", place["worker"] + 1, place["workers"])
        return LoadProcessOrder(
            plan=self._plan_of(order),
            secrets=ServiceSecrets.read(order["secrets"]),
            worker=place["worker"],
            rows=cast(IO[bytes], self._rows),
        )

    def _plan_of(self, order: Mapping[str, Any]) -> LoadPlan:
        """Return the plan with the paths of this machine."""
        plan = order["plan"] | {"folder": str(self._folder)}
        (self._folder / FEED_FILE).write_text(order["feed"], encoding="utf-8")
        if "locustfile" in order:
            (self._folder / LOCUSTFILE_FILE).write_text(order["locustfile"], encoding="utf-8")
        for name, key in (("ca_file", "ca"), ("client_certificate", "client_certificate")):
            if order[key] is not None:
                path = self._folder / f"{key}.pem"
                path.touch(mode=0o600)
                path.write_text(order[key], encoding="utf-8")
                plan[name] = str(path)
        return from_json(LoadPlan, json.dumps(plan).encode(), where="the order of the master")

    def _next(self) -> dict[str, Any]:
        data = self._inbox.get()
        if "stop" in data:
            raise SystemExit(data["stop"])
        return data

    def start_users(self, count: int) -> None:
        """Start users with Locust's local runner."""
        self._runner.start(count, spawn_rate=count)

    @property
    def users(self) -> int:
        """How many users run."""
        return self._runner.user_count

    def report(self, report: Mapping[str, Any]) -> None:
        """Send the rows since the previous report, and then the report."""
        self._send_rows()
        self._send_data({"report": report})

    def _send_rows(self) -> None:
        for piece in self._rows.take():
            self._send(piece, MessageKind.ROWS)

    def start(self, renew: Callable[[Sequence[str]], None]) -> Start:
        """Wait for the common start; call ``renew`` with tokens that arrive before it."""
        while "tokens" in (data := self._next()):
            renew(data["tokens"])
        return Start(**data["start"])

    def watch(self, stop: Callable[[str], None], renew: Callable[[Sequence[str]], None]) -> None:
        """Call ``stop`` with a reason to stop, also when the master is gone, and ``renew`` with new tokens."""
        while True:
            take_in(self._inbox.get(), stop, renew)

    def finish(self, summary: GeneratorLog) -> None:
        """Send the remaining rows and the summary, and wait until the master confirms them."""
        self._send_rows()
        self._send_data({"summary": to_json(summary).decode()})
        if not self._is_dismissed.wait(timeout=GOODBYE_S):
            log.warning("the master did not confirm that it has the complete record")


def _address_of(host: str, port: int) -> str:
    """Return the address of a host at which a master listens.

    Raises:
        SystemExit: nothing listens there.
    """
    try:
        with socket.create_connection((host, port), timeout=CONNECT_S) as connection:
            return str(connection.getpeername()[0])
    except OSError as err:
        raise SystemExit(f"no master answers at {host}:{port}: {err.strerror or err}") from err


def _read_line(descriptor: int) -> str:
    """Return the first line, and leave the rest unread."""
    line = b""
    while (letter := os.read(descriptor, 1)) not in {b"", b"\n"}:
        line += letter
    return line.decode()


def _end_with_parent() -> None:
    """End this process when its parent is gone."""
    while gevent.os.tp_read(sys.stdin.fileno(), 1):
        pass
    os._exit(1)


def main() -> None:
    """Take part in one load of the master that the environment names; the key is the first line of standard input."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    key = channel_key(_read_line(sys.stdin.fileno()), named=KEY_VARIABLE)
    gevent.spawn(_end_with_parent)
    host, port = host_and_port(os.environ[MASTER_VARIABLE], named=MASTER_VARIABLE)
    drive_load(MasterLink(Path(sys.argv[1]), address=_address_of(host, port), port=port, key=key))
    os._exit(0)


if __name__ == "__main__":
    main()
