"""The master of a load whose workers are elsewhere: ``python -m include.load.master <load-plan.json>``.

A child of the process that ordered the load, tied to it by two pipes as a load process on this machine is. It gathers
workers, hands them the order, and then passes on: commands to all, reports of each with its number, and rows and
summaries into the folder of the load, as if the workers wrote them there themselves.

Locust's master is the channel and says who is there. It never starts users: its dispatcher moves them when a worker
comes or goes, which would change a load that runs.
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

from include.load.control import Commands, Reports
from include.load.conversation import MESSAGE, packet, sealed_in
from include.load.crew import Crew, NoLoad
from include.perf.load.load_plan import COMMANDS_VARIABLE, LoadPlan, REPORTS_VARIABLE

log = logging.getLogger("include.load.master")

NOISE_TOLD_EVERY_S = 1.0
"""Noise at the port is told of no more often, so that whoever makes it does not fill the log."""

GOODBYE_S = 0.3
"""How long the last words to the workers have to leave this machine; who misses them goes when it hears nothing."""


class Master(MasterRunner):
    """Locust's master, as far as it is of use here: membership, heartbeats and a channel for messages.

    Args:
        greet: hears of each worker that connects, by its id.
        take: hears each of our messages, with the id of who sent it.
    """

    def __init__(
        self, host: str, port: int, *, greet: Callable[[str], None], take: Callable[[str, object], None]
    ) -> None:
        self._greet = greet
        self._take = take
        self._noise_told_at = -NOISE_TOLD_EVERY_S
        super().__init__(Environment(user_classes=[]), host, port)

    def client_listener(self) -> None:  # type: ignore[override]
        """Listen; what is no message of Locust's must not make the master deaf."""
        while True:
            try:
                super().client_listener()
            except Exception:  # noqa: BLE001 - whoever reaches the port may send anything
                self._tell_of_noise()
                gevent.sleep(0)  # no longer: whoever makes noise must not keep the workers waiting

    def _tell_of_noise(self) -> None:
        now_s = time.perf_counter()
        if now_s - self._noise_told_at >= NOISE_TOLD_EVERY_S:
            self._noise_told_at = now_s
            log.warning("something that is no message of a worker's came to the port and was left out")

    def handle_message(self, client_id: str, msg: Any) -> None:
        """Take what a worker says; what is about users and statistics of Locust's is left alone.

        After noise of a worker Locust hands over the last message once more, whoever sent it, as if it were that
        worker's; the name in it tells.
        """
        if msg.node_id != client_id:
            return
        if msg.type in ("client_ready", "heartbeat"):
            super().handle_message(client_id, msg)
            if msg.type == "client_ready":
                self._greet(client_id)
        elif msg.type == MESSAGE:
            self._take(client_id, sealed_in(msg.data))

    def send(self, client_id: str, sealed: bytes) -> None:
        """Send sealed content to one worker."""
        self.send_message(MESSAGE, packet(sealed), client_id=client_id)

    def is_there(self, client_id: str) -> bool:
        """Whether a worker has said something in the last seconds."""
        node = self.clients.get(client_id)
        return node is not None and node.state != STATE_MISSING

    def close(self) -> None:
        """Leave the port."""
        self.greenlet.kill(block=True)
        gevent.sleep(GOODBYE_S)
        self.server.socket.close(linger=0)


def main() -> None:
    """Drive the plan of the command line with the workers that come."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    plan = LoadPlan.read(Path(sys.argv[1]))
    commands, reports = Commands(int(os.environ[COMMANDS_VARIABLE])), Reports(int(os.environ[REPORTS_VARIABLE]))
    headers, pool = commands.headers(), commands.next()["pool"]
    crew = Crew(plan, reports, pool=pool)
    try:
        crew.channel = master = Master(pool["host"], pool["port"], greet=crew.greet, take=crew.take)
    except (RPCError, SystemExit) as err:  # Locust's way to say that the port is taken
        reports.tell({"no_load": f"cannot listen at {pool['host']}:{pool['port']}: {err}"})
        os._exit(1)
    obeying, beating = gevent.spawn(crew.obey, commands), gevent.spawn(crew.beat)
    gevent.signal_handler(signal.SIGTERM, crew.call_off, "stopped by SIGTERM")
    try:
        crew.gather()
        reports.tell({"crew": crew.hosts})
        crew.hand_out(headers)
        crew.is_over.wait()
    except NoLoad as err:
        reports.tell({"no_load": str(err)})
    finally:
        gevent.killall([obeying, beating])
        crew.let_go()
        master.close()
    os._exit(0)


if __name__ == "__main__":
    main()
