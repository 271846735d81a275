"""Drive one load: ``python -m include.load <load-plan.json>``.

Ends by itself, on SIGTERM or SIGINT, and when the process that started it is gone (its end of the lifeline
pipe closes). In every case the record so far is left in the plan's folder.
"""

from locust import User, events, task  # noqa: I001 - first: importing Locust patches the standard library
from locust.env import Environment
from locust.exception import StopUser
from locust.user.task import LOCUST_STATE_RUNNING, LOCUST_STATE_STOPPING, LOCUST_STATE_WAITING

import gc
import importlib.metadata
import logging
import os
import platform
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any, ClassVar

import gevent
import gevent.socket

from include.load.connection import Connection, tls_context, wire_format
from include.load.drive import Drive
from include.load.progress import ProgressReport
from include.load.record import FLUSH_EVERY_S, RequestLog
from include.perf.atomic import write_atomically
from include.perf.feed import read_feed
from include.perf.load_plan import GENERATOR_VERSION, LIFELINE_VARIABLE, PROGRESS_VARIABLE, LoadPlan
from include.perf.ports import FEED_FILE, GENERATOR_FILE, REQUESTS_FILE
from include.perf.run import to_json

log = logging.getLogger("include.load")

HEAD_START_S = 0.5
AUTOGROUP = Path("/proc/self/autogroup")
PRIORITY = -10
"""As ``nice`` counts: negative is before others."""
OTHER_FILES = 200
"""File descriptors for everything but the users' connections."""


class ArrivalUser(User):
    """A Locust user that serves one arrival after another over a connection of its own."""

    drive: ClassVar[Drive]
    plan: ClassVar[LoadPlan]
    tls: ClassVar[Any] = None

    @task
    def serve_arrivals(self) -> None:
        """Wait for an arrival, send its request, and so on until Locust stops the user."""
        connection = Connection(self.plan.base_url, tls=self.tls)
        try:
            while True:
                self._state = LOCUST_STATE_WAITING
                arrival = self.drive.next_arrival()
                self._state = LOCUST_STATE_RUNNING
                self.drive.serve(connection, arrival)
                if self._state == LOCUST_STATE_STOPPING:
                    raise StopUser
        finally:
            connection.close()


def main() -> None:
    """Run the plan named on the command line."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    _ask_for_priority()
    plan = LoadPlan.read(Path(sys.argv[1]))
    feed = read_feed(plan.folder / FEED_FILE)
    headers = {"Accept": "application/json", "User-Agent": f"bellwether/{GENERATOR_VERSION}"} | dict(plan.headers)
    wires = [
        [wire_format(endpoint.method, request, base_url=plan.base_url, headers=headers) for request in requests]
        for endpoint, requests in zip(feed.endpoints, feed.requests, strict=True)
    ]
    request_log = RequestLog(plan.folder / REQUESTS_FILE)
    drive = Drive(plan, feed, wires, request_log)
    ArrivalUser.drive = drive
    ArrivalUser.plan = plan
    ArrivalUser.tls = tls_context(plan.base_url, verify=plan.verify_tls)
    _allow_connections(plan.load.max_concurrency)
    runner = _start_users(plan.load.max_concurrency)
    _watch_for_the_end(drive)
    gc.collect()
    gc.freeze()
    background = gevent.spawn(_keep_record, plan, drive, request_log)
    drive.run(start=time.perf_counter() + HEAD_START_S)
    background.kill()
    request_log.close()
    write_atomically(plan.folder / GENERATOR_FILE, to_json(drive.summary(version=_version())))
    runner.quit()
    log.info("%d arrivals, %d finished, %d failed", drive.released, request_log.finished, request_log.failed)


def _allow_connections(count: int) -> None:
    """Raise the limit on open files as far as it may go; 1,024 is usual, and a load may hold 5,000 connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = count + OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < needed:
        allowed = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


def _ask_for_priority() -> None:
    """Go before other work on this machine where that is allowed: what delays the generator looks like latency.

    Linux weighs sessions against one another before processes (autogroups), so both have to be asked for.
    """
    try:
        os.setpriority(os.PRIO_PROCESS, 0, PRIORITY)
        if AUTOGROUP.exists():
            AUTOGROUP.write_text(str(PRIORITY), encoding="ascii")
    except OSError:
        log.info("runs at normal priority; only root may raise it")


def _start_users(count: int) -> Any:
    """Start the users that will serve arrivals and wait until all are idle."""
    environment = Environment(user_classes=[ArrivalUser], events=events)
    runner = environment.create_local_runner()
    runner.start(count, spawn_rate=count)
    while runner.user_count < count:
        gevent.sleep(0.01)
    gevent.sleep(0)
    return runner


def _watch_for_the_end(drive: Drive) -> None:
    """Stop the load when asked to, or when nobody is left who could ask."""
    for number in (signal.SIGTERM, signal.SIGINT):
        gevent.signal_handler(number, drive.stop, f"stopped by {signal.Signals(number).name}")
    lifeline = os.environ.get(LIFELINE_VARIABLE)
    if lifeline is not None:
        gevent.spawn(_watch_lifeline, int(lifeline), drive)


def _watch_lifeline(descriptor: int, drive: Drive) -> None:
    gevent.socket.wait_read(descriptor)
    log.warning("the process that started this load is gone; stopping")
    drive.stop("stopped: the process that started the load is gone")


def _keep_record(plan: LoadPlan, drive: Drive, request_log: RequestLog) -> None:
    """Flush the record and tell how it goes, once a second."""
    descriptor = os.environ.get(PROGRESS_VARIABLE)
    report = ProgressReport(int(descriptor), total_s=plan.total_s) if descriptor else None
    while True:
        gevent.sleep(FLUSH_EVERY_S)
        request_log.flush()
        if report is not None:
            report.tell(drive, request_log)


def _version() -> str:
    return f"{GENERATOR_VERSION} (locust {importlib.metadata.version('locust')}, python {platform.python_version()})"


if __name__ == "__main__":
    main()
