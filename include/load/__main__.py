"""Drive one load: ``python -m include.load <load-plan.json> [<worker>]``.

Ends by itself, on SIGTERM or SIGINT, and when the process that started it is gone (its end of the command
pipe closes). In every case the record so far is left in the plan's folder.
"""

from locust import User, events, task  # noqa: I001 - first: importing Locust patches the standard library
from locust.env import Environment
from locust.user.task import LOCUST_STATE_WAITING

import gc
import importlib.metadata
import logging
import math
import os
import platform
import resource
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import gevent
from gevent.event import Event

from include.load.connection import Connection, Way
from include.load.control import Commands, Reports, Start
from include.load.drive import Drive, EndpointRequests
from include.load.host import Host
from include.load.outcome import own_fault
from include.load.poller import Poller, make_poller
from include.load.progress import ProgressReport
from include.load.record import FLUSH_EVERY_S, RequestLog
from include.perf.atomic import write_atomically
from include.perf.feed import read_feed
from include.perf.load_plan import COMMANDS_VARIABLE, GENERATOR_VERSION, REPORTS_VARIABLE, LoadPlan
from include.perf.ports import FEED_FILE
from include.perf.run import to_json
from include.perf.tls import tls_context
from include.perf.wire import headers_of_load, wire_format
from include.perf.worker_parts import part_of

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
    way: ClassVar[Way]

    @task
    def serve_arrivals(self) -> None:
        """Serve until Locust stops the user; to Locust it waits all the time, so that it stops at once."""
        self._state = LOCUST_STATE_WAITING
        connection = Connection(self.way)
        try:
            self.drive.serve(connection)
        finally:
            connection.close()


def main() -> None:
    """Run the plan named on the command line."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("locust.runners").setLevel(logging.ERROR)  # it warns of many users at once: that is meant
    _ask_for_priority()
    plan = LoadPlan.read(Path(sys.argv[1]))
    worker = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    part = part_of(plan.folder, worker=worker, workers=plan.load.worker_count)
    commands, reports = _pipes()
    secrets = commands.headers() if commands else {}
    requests = _requests(plan, secrets)
    request_log = RequestLog(part.requests, has_header=worker == 0, secrets=secrets.values())
    poller = make_poller()
    drive = Drive(plan, requests, request_log, poller, worker)
    runner = _start_users(plan, drive, poller)
    gc.collect()
    gc.freeze()
    if reports:
        reports.tell({"ready": worker})
    start = commands.start() if commands else _own_start()
    for number in (signal.SIGTERM, signal.SIGINT):  # before the start there is nothing to keep
        gevent.signal_handler(number, drive.stop, f"stopped by {signal.Signals(number).name}")
    if commands:
        gevent.spawn(commands.watch, drive.stop)
    if reports:
        gevent.spawn(_tell_end, drive, reports, worker)
    is_over = Event()
    keeper = gevent.spawn(_keep_record, drive, request_log, reports, is_over)
    drive.run(start=start.start, started_at=start.started_at)
    is_over.set()
    keeper.join()
    _close(request_log, drive)
    write_atomically(part.summary, to_json(drive.summary(version=_version())))
    runner.quit()
    log.info("%d arrivals, %d finished, %d failed", drive.released, request_log.finished, request_log.failed)


def _pipes() -> tuple[Commands | None, Reports | None]:
    """Return the pipes to the process that started this one; none when a person did."""
    commands, reports = (os.environ.get(name) for name in (COMMANDS_VARIABLE, REPORTS_VARIABLE))
    return Commands(int(commands)) if commands else None, Reports(int(reports)) if reports else None


def _requests(plan: LoadPlan, secrets: Mapping[str, str]) -> Sequence[EndpointRequests]:
    """Make every request ready, as it will go over the wire."""
    feed = read_feed(plan.folder / FEED_FILE)
    headers = headers_of_load(plan.headers, secrets, keep_alive=plan.keep_alive)
    return [
        EndpointRequests(
            name=endpoint.name,
            method=endpoint.method,
            weight=endpoint.weight,
            wires=[
                wire_format(endpoint.method, request, base_url=plan.base_url, headers=headers) for request in requests
            ],
            check=plan.check_of(endpoint.name),
        )
        for endpoint, requests in zip(feed.endpoints, feed.requests, strict=True)
    ]


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


def _start_users(plan: LoadPlan, drive: Drive, poller: Poller) -> Any:
    """Start the users that will serve arrivals and wait until all are idle."""
    count = math.ceil(plan.load.max_concurrency / plan.load.worker_count)
    _allow_connections(count)
    ArrivalUser.drive = drive
    ArrivalUser.way = Way(
        host=Host(plan.base_url, plan.addresses),
        poller=poller,
        tls=tls_context(plan.base_url, verify=plan.verify_tls, ca_file=plan.ca_file),
        keep_alive=plan.keep_alive,
        connect_timeout_s=plan.connect_timeout_s,
    )
    environment = Environment(user_classes=[ArrivalUser], events=events)
    runner = environment.create_local_runner()
    runner.start(count, spawn_rate=count)
    while runner.user_count < count:
        gevent.sleep(0.01)
    gevent.sleep(0)
    return runner


def _allow_connections(count: int) -> None:
    """Raise the limit on open files as far as it may go; 1,024 is usual, and a load may hold 5,000 connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = count + OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < needed:
        allowed = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


def _own_start() -> Start:
    return Start(start=time.perf_counter() + HEAD_START_S, started_at=time.time() + HEAD_START_S)


def _tell_end(drive: Drive, reports: Reports, worker: int) -> None:
    """Tell when the load is over: the time in which its record is written must not look like a load that hangs."""
    drive.await_end()
    reports.tell({"over": worker})


def _keep_record(drive: Drive, request_log: RequestLog, reports: Reports | None, is_over: Event) -> None:
    """Flush the record and tell how it goes, once a second."""
    progress = ProgressReport(drive, request_log)
    while not is_over.wait(FLUSH_EVERY_S):
        try:
            request_log.flush()
        except OSError as err:
            drive.stop(own_fault(err))
            return
        report = progress.make()
        if reports:
            reports.tell(report)


def _close(request_log: RequestLog, drive: Drive) -> None:
    """End the record; where that fails, the summary has to say so."""
    try:
        request_log.close()
    except OSError as err:
        drive.mark_failed(own_fault(err))


def _version() -> str:
    return f"{GENERATOR_VERSION} (locust {importlib.metadata.version('locust')}, python {platform.python_version()})"


if __name__ == "__main__":
    main()
