"""The master of a load with workers on other machines: ``python -m include.load.master <load-plan.json>``.

It is a child of the process that ordered the load, connected to it by two pipes like a local load process. It gathers
workers, sends them the order, forwards commands to all workers and their numbered reports to the parent, and writes
their rows and summaries into the folder of the load.

Locust's master provides the channel and the list of connected workers. It never starts users: its dispatcher would move
users between workers whenever one connects or leaves, which would change a running load.
"""

from locust.env import Environment  # noqa: I001 - first: importing Locust patches the standard library
from locust.exception import RPCError
from locust.runners import STATE_MISSING, MasterRunner

import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent

from include.load.channel_limits import limit_messages
from include.load.control import Commands, Reports
from include.load.conversation import MESSAGE, packet, sealed_in
from include.load.crew import Crew, LoadNotStarted
from include.perf.load.load_plan import COMMANDS_VARIABLE, LoadPlan, REPORTS_VARIABLE

log = logging.getLogger("include.load.master")

NOISE_LOG_INTERVAL_S = 1.0
"""Unreadable messages are logged no more often, so that their sender cannot fill the log."""

MAX_MESSAGE_BYTES = 4 * 1024 * 1024
"""Rows are sent in pieces of 256 KiB, and a summary has far less than this."""

GOODBYE_S = 0.3
"""How long the last messages have to leave this machine; a worker that misses them ends when the heartbeats stop."""


class Master(MasterRunner):
    """Locust's master, reduced to membership, heartbeats and a channel for messages.

    Args:
        greet: called with the id of a worker that connects.
        receive: called with the id of the sender and the sealed content of a message.
    """

    def __init__(
        self, host: str, port: int, *, greet: Callable[[str], None], receive: Callable[[str, object], None]
    ) -> None:
        self._greet = greet
        self._receive = receive
        self._noise_logged_at = -NOISE_LOG_INTERVAL_S
        limit_messages(MAX_MESSAGE_BYTES)
        super().__init__(Environment(user_classes=[]), host, port)

    def client_listener(self) -> None:  # type: ignore[override]
        """Listen, and go on after a message that Locust cannot read."""
        while True:
            try:
                super().client_listener()
            except Exception:  # noqa: BLE001 - whoever reaches the port may send anything
                self._log_noise()
                gevent.sleep(0)  # no longer: noise must not delay the workers' messages

    def _log_noise(self) -> None:
        now_s = time.perf_counter()
        if now_s - self._noise_logged_at >= NOISE_LOG_INTERVAL_S:
            self._noise_logged_at = now_s
            log.warning("ignored an unreadable message at the port of the master")

    def handle_message(self, client_id: str, msg: Any) -> None:
        """Handle a worker's message; Locust's messages about users and statistics are ignored.

        After an unreadable message from one worker, Locust delivers the previous message again, whoever sent it, under
        that worker's id; the name in the message gives this away.
        """
        if msg.node_id != client_id:
            return
        if msg.type in ("client_ready", "heartbeat"):
            super().handle_message(client_id, msg)
            if msg.type == "client_ready":
                self._greet(client_id)
        elif msg.type == MESSAGE:
            self._receive(client_id, sealed_in(msg.data))

    def send(self, client_id: str, sealed: bytes) -> None:
        """Send sealed content to one worker."""
        self.send_message(MESSAGE, packet(sealed), client_id=client_id)

    def is_there(self, client_id: str) -> bool:
        """Whether a worker has sent anything in the last seconds."""
        node = self.clients.get(client_id)
        return node is not None and node.state != STATE_MISSING

    def forget(self, client_id: str) -> None:
        """Remove a worker from Locust's tables."""
        self.clients.pop(client_id, None)
        self.worker_indexes.pop(client_id, None)

    def close(self) -> None:
        """Close the port."""
        self.greenlet.kill(block=True)
        gevent.sleep(GOODBYE_S)
        self.server.socket.close(linger=0)


def main() -> None:
    """Run the plan of the command line with the workers that connect."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    plan = LoadPlan.read(Path(sys.argv[1]))
    commands, reports = Commands(int(os.environ[COMMANDS_VARIABLE])), Reports(int(os.environ[REPORTS_VARIABLE]))
    headers, pool = commands.headers(), commands.next()["pool"]
    crew = Crew(plan, reports, pool=pool)
    try:
        crew.channel = master = Master(pool["host"], pool["port"], greet=crew.greet, receive=crew.receive)
    except (RPCError, SystemExit) as err:  # raised by Locust when the port is taken
        reports.send({"no_load": f"the master cannot listen at {pool['host']}:{pool['port']}: {_bind_problem(err)}"})
        os._exit(1)
    following, heartbeats = gevent.spawn(crew.follow, commands), gevent.spawn(crew.send_heartbeats)
    gevent.signal_handler(signal.SIGTERM, crew.cancel, "stopped by SIGTERM")
    try:
        crew.gather()
        reports.send({"crew": crew.hosts})
        crew.send_orders(headers)
        crew.is_over.wait()
    except LoadNotStarted as err:
        reports.send({"no_load": str(err)})
    finally:
        gevent.killall([following, heartbeats])
        crew.dismiss_waiting()
        master.close()
    os._exit(0)


def _bind_problem(err: BaseException) -> str:
    """Return why Locust could not listen: the text of the first error, which Locust hides behind its own."""
    while err.__context__ is not None:
        err = err.__context__
    number = getattr(err, "errno", None)
    return os.strerror(number) if number else "unknown problem"


if __name__ == "__main__":
    main()
