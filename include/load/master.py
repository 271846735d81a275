"""The master of a load with workers on other machines: ``python -m include.load.master <load-plan.json>``.

It is a child of the process that ordered the load, connected to it by two pipes like a local load process. It gathers
workers, sends them the order, forwards commands to all workers and their numbered reports to the parent, and writes
their rows and summaries into the folder of the load.

It is no Locust master: that would move users between workers whenever one connects or leaves, which would change a
running load, and would handle whatever anybody sends to its port. Each worker is a Locust process of its own.
"""

import logging
import os
import resource
import signal
import sys
from functools import partial
from pathlib import Path
from typing import NoReturn

import gevent
import zmq

from include.load.channel import MasterSocket
from include.load.control import Commands, Reports
from include.load.crew import Crew, LoadNotStarted
from include.load.memory_watch import MemoryWatch
from include.load.roster import Roster
from include.perf.load.channel_key import KEY_VARIABLE, channel_key
from include.perf.load.load_plan import COMMANDS_VARIABLE, REPORTS_VARIABLE, LoadPlan

log = logging.getLogger("include.load.master")

MESSAGES_AT_ONCE = 20
"""After so many messages everything else has its turn, so that no worker can delay the heartbeats to the others."""

MAX_DESCRIPTORS = 20_000
"""A connection without the key takes 4 KB and is closed after 5 s; ZeroMQ accepts fewer than this in that time."""

GOODBYE_S = 0.3
"""How long the last messages have to leave this machine; a worker that misses them ends when the heartbeats stop."""


def limit_descriptors() -> None:
    """Allow more open files than strangers can keep open, because the record needs some, and no more than that."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = MAX_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(MAX_DESCRIPTORS, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


def receive(channel: MasterSocket, crew: Crew) -> NoReturn:
    """Pass what the workers send to the crew."""
    while True:
        for _ in range(MESSAGES_AT_ONCE):
            crew.receive(*channel.receive())
        gevent.sleep(0)


def _end(crew: Crew, reports: Reports, reason: str) -> None:
    """End a load at once: while this process waits for anything, its memory grows."""
    if crew.is_ordered:
        crew.give_up(reason)
    else:
        reports.send({"no_load": reason})
        os._exit(1)


def main() -> None:
    """Run the plan of the command line with the workers that connect."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    limit_descriptors()
    plan = LoadPlan.read(Path(sys.argv[1]))
    commands, reports = Commands(int(os.environ[COMMANDS_VARIABLE])), Reports(int(os.environ[REPORTS_VARIABLE]))
    secrets, pool = commands.secrets(), commands.next()["pool"]
    try:
        channel = MasterSocket(channel_key(pool["key"], named=KEY_VARIABLE), host=pool["host"], port=pool["port"])
    except zmq.ZMQError as err:
        problem = os.strerror(err.errno or 0)
        reports.send({"no_load": f"the master cannot listen at {pool['host']}:{pool['port']}: {problem}"})
        os._exit(1)
    roster = Roster(channel, pool=pool)
    crew = Crew(plan, reports, roster, pool=pool)
    memory = MemoryWatch(partial(_end, crew, reports))
    gevent.spawn(receive, channel, crew)
    gevent.spawn(memory.watch)
    gevent.spawn(commands.follow, crew.take_in, crew.cancel)
    gevent.spawn(roster.send_heartbeats, lambda: commands.last_sign.age_s)
    gevent.signal_handler(signal.SIGTERM, crew.cancel, "stopped by SIGTERM")
    try:
        crew.gather()
        reports.send({"crew": crew.hosts})
        crew.send_orders(secrets)
        memory.begin()
        crew.is_over.wait()
    except LoadNotStarted as err:
        reports.send({"no_load": str(err)})
    finally:
        crew.dismiss_waiting()
        gevent.sleep(GOODBYE_S)
        crew.await_rows()
    os._exit(0)


if __name__ == "__main__":
    main()
