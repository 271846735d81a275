"""One load process; it does the same on every link, whether its load was ordered locally or by a master."""

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
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import gevent
from gevent.event import Event

from include.load.connection import Connection, ConnectionSettings
from include.load.cookies import CookieConnection
from include.load.arrival import EndpointRequests, JourneyCarrier
from include.load.drive import Drive
from include.load.host import Host
from include.load.journey import JourneyRequests
from include.load.link import LoadProcessOrder, ParentLink
from include.load.outcome import own_fault
from include.load.poller import Poller, make_poller
from include.load.progress import ProgressReport
from include.load.reuse import ReuseLimits
from include.load.record import FLUSH_EVERY_S, RequestLog
from include.load.tokens import PLACE, CurrentTokens
from include.perf.load.feed import Feed, read_feed
from include.perf.load.load_plan import GENERATOR_VERSION, LoadPlan
from include.perf.load.request_bytes import RequestSettings, prepared_bytes
from include.perf.load.slot_values import Draw, SlotValues
from include.perf.load.slots import SlotRequests
from include.perf.runs.results_store import FEED_FILE
from include.perf.load.wire import tls_context

if TYPE_CHECKING:
    from include.load.locustfile_users import LocustfileUsers

log = logging.getLogger("include.load")

AUTOGROUP = Path("/proc/self/autogroup")
PRIORITY = -10
"""A niceness: negative values go before other processes."""
OTHER_FILES = 200
"""File descriptors for everything except the users' connections."""


class ArrivalUser(User):
    """A Locust user that serves one arrival after another over its own connection."""

    drive: ClassVar[Drive]
    settings: ClassVar[ConnectionSettings]
    connection: ClassVar[type[Connection]] = Connection

    @task
    def serve_arrivals(self) -> None:
        """Serve until Locust stops the user; its state is always waiting, so Locust can stop it at once."""
        self._state = LOCUST_STATE_WAITING
        connection = self.connection(self.settings)
        try:
            self.drive.serve(connection)
        finally:
            connection.close()


def environment() -> Environment:
    """Return Locust's environment for the users of a load."""
    logging.getLogger("locust.runners").setLevel(logging.ERROR)  # it warns of many users at once, which is intended
    return Environment(user_classes=[ArrivalUser], events=events)


def drive_load(link: ParentLink) -> None:
    """Drive the load that is ordered over a link until it is over."""
    _ask_for_priority()
    order = link.order()
    plan = order.plan
    tokens = CurrentTokens()
    request_log = RequestLog(
        order.rows,
        has_header=order.worker == 0,
        secrets=order.secrets.texts(),
        tokens=lambda: tokens.in_use,
        has_journeys=bool(plan.journeys),
    )
    poller = make_poller()
    code = None if plan.locustfile is None else _locustfile_users(order, tokens)
    if code is None:
        drive = Drive(plan, _requests(order, tokens), request_log, poller, order.worker)
        _start_users(plan, drive, poller, link)
    else:
        drive = code.start(request_log, poller, count=math.ceil(plan.load.max_concurrency / plan.workers))
    renew = tokens.renew if code is None else code.renew
    gc.collect()
    gc.freeze()
    link.report({"ready": order.worker})
    start = link.start(renew)
    for number in (signal.SIGTERM, signal.SIGINT):  # before the start there is no record to finish
        gevent.signal_handler(number, drive.stop, f"stopped by {signal.Signals(number).name}")
    gevent.spawn(link.watch, drive.stop, renew)
    gevent.spawn(_report_end, drive, link, order.worker)
    is_over = Event()
    flusher = gevent.spawn(_flush_and_report, drive, request_log, link, is_over)
    drive.run(start=start.start, started_at=start.started_at)
    is_over.set()
    flusher.join()
    _close(request_log, drive)
    connections = ArrivalUser.settings.use if code is None else None
    if code is not None:
        code.stop()
    link.finish(drive.summary(version=_version(), connections=connections))
    log.info("%d arrivals, %d finished, %d failed", drive.released, request_log.finished, request_log.failed)


def _locustfile_users(order: LoadProcessOrder, tokens: CurrentTokens) -> "LocustfileUsers":
    """Load the locustfile of a run; Locust's clients are imported only where one is used."""
    from include.load.locustfile_users import LocustfileUsers

    return LocustfileUsers(order, tokens=tokens)


def _requests(order: LoadProcessOrder, tokens: CurrentTokens) -> Sequence[EndpointRequests | JourneyCarrier]:
    """Prepare the bytes of every request; the steps of a journey belong together."""
    feed = read_feed(order.plan.folder / FEED_FILE)
    kinds = [_requests_of(order, feed, index, tokens) for index in range(len(feed.endpoints))]
    entries: list[EndpointRequests | JourneyCarrier] = []
    for name, group in groupby(zip(feed.endpoints, kinds, strict=True), key=lambda kind: kind[0].journey):
        if not name:
            entries += [requests for _, requests in group]
            continue
        steps = [(requests, endpoint.slots) for endpoint, requests in group]
        think = Draw(seed=order.plan.load.seed, worker=order.worker).of(f"think times of {name}")
        entries.append(JourneyRequests(order.plan.journeys[name], steps, think))
    return entries


def _requests_of(order: LoadProcessOrder, feed: Feed, index: int, tokens: CurrentTokens) -> EndpointRequests:
    plan, endpoint = order.plan, feed.endpoints[index]
    token = {} if plan.token_header is None else {plan.token_header: PLACE}
    settings = RequestSettings(
        base_url=plan.base_url,
        headers=plan.headers,
        secrets=order.secrets.with_headers(token),
        keep_alive=plan.keep_alive,
        signing=plan.signing,
    )
    prepared = prepared_bytes(endpoint.method, feed.requests[index], settings, slots=endpoint.slots)
    slots: SlotRequests | None = None
    if endpoint.slots or prepared.signatures:
        draw = Draw(seed=plan.load.seed, worker=order.worker, endpoint=index, journey=endpoint.journey)
        values = SlotValues(prepared.slots, feed.rows_of(endpoint), draw)
        slots = SlotRequests(prepared.wires, values, signatures=prepared.signatures)
    return EndpointRequests(
        name=endpoint.name,
        method=endpoint.method,
        weight=endpoint.weight,
        wires=prepared.wires,
        check=plan.check_of(endpoint.name),
        slots=slots,
        tokens=None if plan.token_header is None else tokens,
    )


def _ask_for_priority() -> None:
    """Raise this process's priority if that is allowed: a delay of the generator looks like latency.

    Linux balances sessions (autogroups) before it balances processes, so both priorities are raised.
    """
    try:
        os.setpriority(os.PRIO_PROCESS, 0, PRIORITY)
        if AUTOGROUP.exists():
            AUTOGROUP.write_text(str(PRIORITY), encoding="ascii")
    except OSError:
        log.info("running at normal priority; only root may raise it")


def _start_users(plan: LoadPlan, drive: Drive, poller: Poller, link: ParentLink) -> None:
    """Start the users that serve the arrivals, and wait until all are idle."""
    count = math.ceil(plan.load.max_concurrency / plan.workers)
    _allow_connections(count)
    ArrivalUser.drive = drive
    ArrivalUser.connection = CookieConnection if plan.cookies else Connection
    ArrivalUser.settings = ConnectionSettings(
        host=Host(plan.base_url, plan.addresses),
        poller=poller,
        tls=tls_context(
            plan.base_url,
            verify=plan.verify_tls,
            ca_file=plan.ca_file,
            client_certificate=plan.client_certificate,
        ),
        keep_alive=plan.keep_alive,
        connect_timeout_s=plan.connect_timeout_s,
        limits=ReuseLimits(
            max_requests=plan.max_requests_per_connection,
            max_age_s=plan.max_connection_age_s,
            idle_timeout_s=plan.idle_timeout_s,
        ),
    )
    link.start_users(count)
    while link.users < count:
        gevent.sleep(0.01)
    gevent.sleep(0)


def _allow_connections(count: int) -> None:
    """Raise the limit on open files as far as allowed; 1,024 is usual, and a load may need 5,000 connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = count + OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < needed:
        allowed = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


def _report_end(drive: Drive, link: ParentLink, worker: int) -> None:
    """Report the end of the load at once, so that writing the record does not look like a load that hangs."""
    drive.await_end()
    link.report({"over": worker})


def _flush_and_report(drive: Drive, request_log: RequestLog, link: ParentLink, is_over: Event) -> None:
    """Flush the record and report the progress, once a second."""
    progress = ProgressReport(drive, request_log)
    while not is_over.wait(FLUSH_EVERY_S):
        try:
            request_log.flush()
        except OSError as err:
            drive.stop(own_fault(err))
            return
        link.report(progress.make())


def _close(request_log: RequestLog, drive: Drive) -> None:
    """Close the record; if that fails, the summary says so."""
    try:
        request_log.close()
    except OSError as err:
        drive.mark_failed(own_fault(err))


def _version() -> str:
    return f"{GENERATOR_VERSION} (locust {importlib.metadata.version('locust')}, python {platform.python_version()})"
