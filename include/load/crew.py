"""The workers of one load, as their master has them: who may take part, what each is told, and what becomes of it."""

import json
import logging
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NoReturn, Protocol

import gevent
from gevent.event import Event

from include.load.control import GONE, Commands, Reports
from include.load.conversation import Letter, MessageKind, MessageMissing
from include.load.member import Member
from include.perf.load.load_plan import GeneratorLog, LoadPlan
from include.perf.load.worker_parts import Part, part_of
from include.perf.model.json_files import from_json, to_json, write_atomically
from include.perf.runs.results_store import FEED_FILE

log = logging.getLogger("include.load.crew")

LOOK_EVERY_S = 0.25
BEAT_EVERY_S = 1.0
SETTLE_S = 2.0
"""How long those are waited for who are about to come, once there are enough."""

CLOCK_S = 3.0
"""How long the summary of a worker waits for the second look at its clock."""

END_S = 10.0
"""How long the workers may take to hand over their record when nobody wants it any more."""

ENDED = "ended"


class NoLoad(Exception):
    """The load cannot begin; the text says why."""


class WorkerChannel(Protocol):
    """Takes sealed content to workers, and knows who is there."""

    def send(self, client_id: str, sealed: bytes) -> None:
        """Send it to one worker."""

    def is_there(self, client_id: str) -> bool:
        """Whether a worker has said something in the last seconds."""


class Crew:
    """The workers of one load.

    Args:
        pool: the key, how many must be there before the load can begin (``least``), and how long they are waited for
            (``come_s``).

    Attributes:
        channel: to the workers; what it hears goes to `greet` and `take`.
        is_over: set once no worker takes part any more.
    """

    channel: WorkerChannel

    def __init__(self, plan: LoadPlan, reports: Reports, *, pool: Mapping[str, Any]) -> None:
        self._plan = plan
        self._reports = reports
        self._pool = pool
        self._session = secrets.token_hex(16)
        self._nonces: set[str] = set()
        self._known: dict[str, Member] = {}
        self._crew: dict[str, int] = {}
        self._started: tuple[float, float] | None = None
        self.is_over = Event()

    def let_go(self) -> None:
        """Let everybody go who waits for another load: this master will have none."""
        for client_id, member in self._known.items():
            if client_id not in self._crew:
                member.say({"over": True})

    def greet(self, client_id: str) -> None:
        """Say to a worker that connects which session this is."""
        member = self._known.get(client_id)
        if member is None:
            send = partial(self.channel.send, client_id)
            member = self._known[client_id] = Member(
                self._pool["key"], session=self._session, client_id=client_id, nonces=self._nonces, send=send
            )
        if not member.host:
            member.greet()

    def beat(self) -> NoReturn:
        """Say about each second that the master is there, sealed: Locust's own heartbeats could be anybody's."""
        while True:
            for member in list(self._known.values()):
                if member.is_welcome and member.left is None:
                    member.say({"alive": True})
            gevent.sleep(BEAT_EVERY_S)

    def take(self, client_id: str, sealed: object) -> None:
        """Take in what a worker, or somebody else, sent."""
        member = self._known.get(client_id)
        if member is None or member.left is not None:
            return
        was_welcome = member.is_welcome
        try:
            letter = member.hear(sealed)
        except MessageMissing:
            self._lose(client_id, "was lost: a message of it never came")
            return
        if self._crew and not was_welcome and member.is_welcome:
            log.info("the worker on %s came after the beginning; it takes part in the next load", member.host)
            member.say({"wait": True})
        if letter is not None and client_id in self._crew:
            self._read(client_id, member, letter)

    def gather(self) -> None:
        """Wait until enough workers are there, and a little longer for those that are about to come.

        Raises:
            NoLoad: there are not enough of them in time, or nobody wants the load any more.
        """
        least, deadline = self._pool["least"], time.perf_counter() + self._pool["come_s"]
        settled, count = deadline, 0
        while time.perf_counter() < (deadline if count < least else settled):
            now_there = len(self._there())
            if now_there != count:
                count, settled = now_there, time.perf_counter() + SETTLE_S
            if self.is_over.wait(timeout=LOOK_EVERY_S):
                raise NoLoad(GONE)
        there = self._there()
        if len(there) < least:
            raise NoLoad(self._who_came(there))
        self._crew = {client_id: number for number, client_id in enumerate(there)}
        log.info("%d workers take part: %s", len(there), ", ".join(self.hosts))

    def _there(self) -> list[str]:
        """Return the workers that could take part now, in an order that does not hang on who came first."""
        welcome = [each for each, member in self._known.items() if member.is_welcome and self.channel.is_there(each)]
        return sorted(welcome, key=lambda each: (self._known[each].host, each))

    def _who_came(self, there: Sequence[str]) -> str:
        pool = self._pool
        text = f"{len(there)} of {pool['least']} workers came to {pool['host']}:{pool['port']} in {pool['come_s']:g} s"
        if there:
            text += f" ({', '.join(self._known[each].host for each in there)})"
        for member in self._known.values():
            if member.refused:
                text += f"; the worker on {member.host} was refused, {member.refused}"
        strangers = sum(not member.host for member in self._known.values())
        if strangers:
            text += f"; {strangers} did not prove to have the key"
        return f"{text}; start more with python -m include.load.worker (docs/distributed.md)"

    @property
    def hosts(self) -> list[str]:
        """Where the workers run, by number."""
        return [self._known[client_id].host for client_id in self._crew]

    def hand_out(self, headers: Mapping[str, str]) -> None:
        """Give every worker its order, and let those wait who were not asked."""
        plan = replace(self._plan, workers=len(self._crew))
        plan.write()
        order = {
            "plan": _sent(plan),
            "feed": (plan.folder / FEED_FILE).read_text(encoding="utf-8"),
            "ca": plan.ca_file.read_text(encoding="utf-8") if plan.ca_file else None,
            "headers": dict(headers),
            "workers": plan.workers,
        }
        self._plan = plan
        for client_id, number in self._crew.items():
            self._known[client_id].say({"order": order | {"worker": number}})
        gevent.spawn(self._watch_members)

    def _watch_members(self) -> None:
        while not self.is_over.is_set():
            for client_id in self._crew:
                if self._known[client_id].left is None and not self.channel.is_there(client_id):
                    self._lose(client_id, "was lost")
            gevent.sleep(LOOK_EVERY_S)

    def _read(self, client_id: str, member: Member, letter: Letter) -> None:
        """Take in what a worker of this load reports."""
        number = self._crew[client_id]
        if letter.kind is MessageKind.ROWS:
            self._keep(client_id, member, letter.content)
            return
        words = letter.words
        if "summary" in words:
            gevent.spawn(self._finish, client_id, member, words["summary"])
        elif "ready" in (report := words["report"]):
            gevent.spawn(self._look_at_clock, member, then=lambda: self._pass_on(number, report))
        else:
            if "over" in report:
                gevent.spawn(self._look_at_clock, member, then=member.is_measured.set)
            self._pass_on(number, report)

    def _pass_on(self, number: int, report: Mapping[str, Any]) -> None:
        self._reports.tell({"worker": number, "report": report})

    @staticmethod
    def _look_at_clock(member: Member, *, then: Callable[[], None]) -> None:
        member.measure_clock()
        then()

    def _keep(self, client_id: str, member: Member, rows: bytes) -> None:
        try:
            member.keep(rows, self._part(client_id).requests)
        except OSError as err:
            self._lose(client_id, f"was lost: its record could not be written ({err})")

    def _part(self, client_id: str) -> Part:
        return part_of(self._plan.folder, worker=self._crew[client_id], workers=len(self._crew))

    def _finish(self, client_id: str, member: Member, summary: str) -> None:
        """Keep what a worker says of itself, with what the master knows of its clock, and let it go."""
        member.is_measured.wait(timeout=CLOCK_S)
        said = from_json(GeneratorLog, summary.encode(), where=f"the summary of the worker on {member.host}")
        known = replace(
            said,
            hosts=(member.host,),
            clock_step_s=self._clock_step_s(),
            clock_uncertainty_s=member.offsets[0].uncertainty_s if member.offsets else None,
            clock_drift_s=member.clock_drift_s,
        )
        try:
            write_atomically(self._part(client_id).summary, to_json(known))
        except OSError as err:
            self._lose(client_id, f"was lost: its record could not be written ({err})")
            return
        member.say({"goodbye": True})
        self._leave(client_id, ENDED)

    def _clock_step_s(self) -> float:
        """By how much the wall clock of this machine was moved: the times of the record are told by it alone."""
        if self._started is None:
            return 0.0
        start, started_at = self._started
        return (time.time() - started_at) - (time.perf_counter() - start)

    def _lose(self, client_id: str, how: str) -> None:
        if client_id in self._crew and self._known[client_id].left is None:
            self._known[client_id].say({"stop": "stopped: the master has given this worker up"})
            self._leave(client_id, how)

    def _leave(self, client_id: str, how: str) -> None:
        self._known[client_id].leave(how)
        log.info("worker %d on %s %s", self._crew[client_id] + 1, self._known[client_id].host, how)
        self._reports.tell({"worker": self._crew[client_id], "left": how})
        if all(self._known[each].left is not None for each in self._crew):
            self.is_over.set()

    def obey(self, commands: Commands) -> None:
        """Pass on what the process that ordered the load says, until it is gone."""
        for command in commands.rest():
            if "start" in command:
                self._start(**command["start"])
            elif "drop" in command:
                self._lose(next(each for each, number in self._crew.items() if number == command["drop"]), "was lost")
            else:
                self._stop(command["stop"])
        self.call_off(GONE)

    def call_off(self, reason: str) -> None:
        """End the load as nobody wants it any more, and give the workers a little time to hand over their record."""
        self._stop(reason)
        if self._crew:
            self.is_over.wait(timeout=END_S)
        self.is_over.set()

    def _start(self, *, start: float, started_at: float) -> None:
        """Tell each worker the start on its own clock; all rows are in the time of this one."""
        self._started = start, started_at
        for client_id in self._crew:
            member = self._known[client_id]
            ahead_s = member.offsets[0].ahead_s if member.offsets else 0.0
            member.say({"start": {"start": start + ahead_s, "started_at": started_at}})

    def _stop(self, reason: str) -> None:
        for client_id in self._crew:
            if self._known[client_id].left is None:
                self._known[client_id].say({"stop": reason})


def _sent(plan: LoadPlan) -> dict[str, Any]:
    """Return a plan without the paths of this machine, which mean nothing on another."""
    words: dict[str, Any] = json.loads(to_json(plan))
    return words | {"folder": ".", "ca_file": None}
