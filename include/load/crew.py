"""The workers of one load, as their master manages them: admission, orders, reports, and how each one left."""

import contextlib
import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import gevent
from gevent.event import Event

from include.load.control import GONE, Reports
from include.load.conversation import MessageKind, MessageMalformed, MessageMissing, OpenedMessage
from include.load.member import Member
from include.load.order_message import order_of
from include.load.roster import Roster
from include.load.rows_in import DiskProblem, write_in_time
from include.load.worker_messages import checked_report, checked_summary
from include.perf.load.load_plan import GeneratorLog, LoadPlan
from include.perf.load.service_secrets import ServiceSecrets
from include.perf.load.worker_parts import Part, part_of
from include.perf.model.file_writer import write_atomically
from include.perf.model.json_files import to_json

log = logging.getLogger("include.load.crew")

POLL_INTERVAL_S = 0.25
SETTLE_S = 2.0
"""How much longer to wait for further workers once there are enough."""

CLOCK_S = 3.0
"""How long the summary of a worker waits for the second measurement of its clock."""

LAST_ROWS_S = 1.0

END_S = 10.0
"""How long the workers may take to hand over their record after the load was cancelled."""

ENDED = "ended"


class LoadNotStarted(Exception):
    """The load cannot begin; the text says why."""


class Crew:
    """The workers of one load.

    Args:
        roster: the workers that have introduced themselves.
        pool: how many the load needs (``min_workers``), and how long to wait for them (``wait_s``).

    Attributes:
        is_over: set once no worker takes part any more.
        is_ordered: whether the orders are sent.
    """

    def __init__(self, plan: LoadPlan, reports: Reports, roster: Roster, *, pool: Mapping[str, Any]) -> None:
        self._plan = plan
        self._reports = reports
        self._roster = roster
        self._pool = pool
        self._crew: dict[bytes, int] = {}
        self._started: tuple[float, float] | None = None
        self._tokens: Mapping[str, Any] | None = None
        self.is_ordered = False
        self.is_over = Event()

    def dismiss_waiting(self) -> None:
        """Dismiss the workers that wait for another load."""
        self._roster.dismiss_waiting(taking_part=self._crew)

    def await_rows(self) -> None:
        """Wait a little until the rows of lost workers are on the disk."""
        for client_id in self._crew:
            with contextlib.suppress(DiskProblem):
                self._roster[client_id].await_rows(timeout_s=LAST_ROWS_S)

    def receive(self, client_id: bytes, packed: bytes) -> None:
        """Handle a message of a worker; whatever is wrong with it ends the part of this worker only."""
        member = self._roster.get(client_id)
        if member is None:
            self._roster.admit(client_id, packed, taking_part=self._crew)
            return
        if member.left is not None:
            return
        try:
            message = member.receive(packed)
            if message is not None and client_id in self._crew:
                self._handle(client_id, member, message)
        except MessageMissing:
            self._lose(client_id, "was lost: one of its messages is missing")
        except MessageMalformed as err:
            self._lose(client_id, f"was lost: it sent a message that cannot be used, because {err}")
        except Exception as err:  # noqa: BLE001 - no message of one worker may end the load of the others
            self._lose(client_id, f"was lost: one of its messages could not be handled ({type(err).__name__})")

    def gather(self) -> None:
        """Wait until enough workers are connected, and a little longer for further ones.

        Raises:
            LoadNotStarted: too few workers connected in time, or the load was cancelled.
        """
        needed, deadline = self._pool["min_workers"], time.perf_counter() + self._pool["wait_s"]
        settled, count = deadline, 0
        while time.perf_counter() < (deadline if count < needed else settled):
            present = len(self._roster.present())
            if present != count:
                count, settled = present, time.perf_counter() + SETTLE_S
            if self.is_over.wait(timeout=POLL_INTERVAL_S):
                raise LoadNotStarted(GONE)
        client_ids = self._roster.present()
        if len(client_ids) < needed:
            raise LoadNotStarted(self._roster.describe_shortage(client_ids))
        self._crew = {client_id: number for number, client_id in enumerate(client_ids)}
        log.info("%d workers take part: %s", len(client_ids), ", ".join(self.hosts))

    @property
    def hosts(self) -> list[str]:
        """The host of each worker, by number."""
        return [self._roster[client_id].host for client_id in self._crew]

    def send_orders(self, secrets: ServiceSecrets) -> None:
        """Send every worker its order; workers that are not needed stay connected and wait."""
        plan = replace(self._plan, workers=len(self._crew))
        plan.write()
        self._plan = plan
        order = order_of(plan, secrets)
        for client_id, number in self._crew.items():
            self._roster[client_id].send({"place": {"worker": number, "workers": plan.workers}})
            self._roster[client_id].send_json(order)
        self.is_ordered = True
        self._pass_on_tokens()
        gevent.spawn(self._watch_members)

    def _watch_members(self) -> None:
        while not self.is_over.is_set():
            for client_id in self._crew:
                if self._roster[client_id].left is None and self._roster[client_id].last_sign.is_too_old():
                    self._lose(client_id, "was lost")
            gevent.sleep(POLL_INTERVAL_S)

    def _handle(self, client_id: bytes, member: Member, message: OpenedMessage) -> None:
        """Handle a message of a worker that takes part."""
        number = self._crew[client_id]
        if message.kind is MessageKind.ROWS:
            self._write_rows(client_id, member, message.content)
            return
        data = message.data
        if "summary" in data:
            member.expect_once("done")
            gevent.spawn(self._finish, client_id, member, checked_summary(data["summary"]))
            return
        report = checked_report(data.get("report"))
        if "ready" in report:
            member.expect_once("ready")
            gevent.spawn(self._measure_clock, member, then=lambda: self._forward(number, report))
        elif "over" in report:
            member.expect_once("over")
            gevent.spawn(self._measure_clock, member, then=member.is_measured.set)
            self._forward(number, report)
        else:
            self._forward(number, report)

    def _forward(self, number: int, report: Mapping[str, Any]) -> None:
        self._reports.send({"worker": number, "report": report})

    @staticmethod
    def _measure_clock(member: Member, *, then: Callable[[], None]) -> None:
        member.measure_clock()
        if member.left is None:
            then()

    def _write_rows(self, client_id: bytes, member: Member, rows: bytes) -> None:
        try:
            arrivals = math.ceil(self._plan.load.total_arrivals / len(self._crew))
            member.write_rows(rows, self._part(client_id).requests, arrivals=arrivals)
        except DiskProblem as err:
            self._lose_record(client_id, err)

    def _lose_record(self, client_id: bytes, err: DiskProblem) -> None:
        self._lose(client_id, f"was lost: its record could not be written ({err})")

    def _part(self, client_id: bytes) -> Part:
        return part_of(self._plan.folder, worker=self._crew[client_id], workers=len(self._crew))

    def _finish(self, client_id: bytes, member: Member, summary: GeneratorLog) -> None:
        """Write the summary of a worker, completed with what the master knows of its clock, and dismiss it."""
        member.is_measured.wait(timeout=CLOCK_S)
        completed = replace(
            summary,
            hosts=(member.host,),
            clock_step_s=self._clock_step_s(),
            clock_uncertainty_s=member.offsets[0].uncertainty_s if member.offsets else None,
            clock_drift_s=member.clock_drift_s,
        )
        path = self._part(client_id).summary
        try:
            member.await_rows()
            write_in_time(lambda: write_atomically(path, to_json(completed)))
        except DiskProblem as err:
            self._lose_record(client_id, err)
            return
        if member.left is not None:
            return
        member.send({"goodbye": True})
        self._leave(client_id, ENDED)

    def _clock_step_s(self) -> float:
        """Return by how much the wall clock of this machine was set; all times of the record depend on it."""
        if self._started is None:
            return 0.0
        start, started_at = self._started
        return (time.time() - started_at) - (time.perf_counter() - start)

    def _lose(self, client_id: bytes, how: str) -> None:
        """Continue without a worker, if it is still there."""
        member = self._roster[client_id]
        if member.left is not None:
            return
        member.send({"stop": "stopped: the master has given up on this worker"})
        if client_id in self._crew:
            self._leave(client_id, how)
        else:
            member.leave(how)
            self._roster.log_outsider(member, how)

    def _leave(self, client_id: bytes, how: str) -> None:
        self._roster[client_id].leave(how)
        log.info("worker %d on %s %s", self._crew[client_id] + 1, self._roster[client_id].host, how)
        self._reports.send({"worker": self._crew[client_id], "left": how})
        if all(self._roster[member_id].left is not None for member_id in self._crew):
            self.is_over.set()

    def take_in(self, command: Mapping[str, Any]) -> None:
        """Pass on a command of the process that ordered the load."""
        if "start" in command:
            self._start(**command["start"])
        elif "tokens" in command:
            self._tokens = command
            self._pass_on_tokens()
        elif "drop" in command:
            self._lose(self._client_id_of(command["drop"]), "was lost")
        else:
            self._stop(command["stop"])

    def _pass_on_tokens(self) -> None:
        """Send the newest tokens to all workers that have their order; the others get them with it."""
        if self._tokens is None or not self.is_ordered:
            return
        for client_id in self._crew:
            if self._roster[client_id].left is None:
                self._roster[client_id].send(self._tokens)

    def _client_id_of(self, worker: int) -> bytes:
        return next(client_id for client_id, number in self._crew.items() if number == worker)

    def give_up(self, how: str) -> None:
        """Continue without any worker: the load ends at once.

        Args:
            how: why, after "was lost".
        """
        for client_id in self._crew:
            self._lose(client_id, f"was lost: {how}")
        self.is_over.set()

    def cancel(self, reason: str) -> None:
        """Cancel the load, and give the workers a little time to hand over their record."""
        self._stop(reason)
        if self._crew:
            self.is_over.wait(timeout=END_S)
        self.is_over.set()

    def _start(self, *, start: float, started_at: float) -> None:
        """Send each worker the start on its own clock; all rows have the time of the master's clock."""
        self._started = start, started_at
        for client_id in self._crew:
            member = self._roster[client_id]
            ahead_s = member.offsets[0].ahead_s if member.offsets else 0.0
            member.send({"start": {"start": start + ahead_s, "started_at": started_at}})

    def _stop(self, reason: str) -> None:
        for client_id in self._crew:
            if self._roster[client_id].left is None:
                self._roster[client_id].send({"stop": reason})
