"""What people are told, and what is kept of it: problems, silences, and what still has to be delivered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from include.perf.model.cell import CellName
from include.perf.runs.record import Severity

SCHEMA_VERSION = 1


class ProblemKind(StrEnum):
    """What a problem is about; only the first is about a service."""

    REGRESSION = "regression"
    UNMEASURED = "unmeasured"
    OVERDUE = "overdue"


class Event(StrEnum):
    """Why something is told."""

    OPENED = "opened"
    CONTINUES = "continues"
    WORSENED = "worsened"
    RECOVERED = "recovered"
    ACCEPTED = "accepted"
    DIGEST = "digest"
    SUMMARY = "summary"
    LATE = "late"
    FAILED = "failed"
    ACKNOWLEDGED = "acknowledged"
    LIMITS_CHANGED = "limits changed"

    @property
    def is_page(self) -> bool:
        """Whether somebody has to look now; the rest waits until they read their channels."""
        return self in (Event.OPENED, Event.WORSENED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """Where to look further; ``None`` where there is nothing to link to."""

    airflow_run: str | None = None
    report: str | None = None
    prometheus: str | None = None


@dataclass(frozen=True, slots=True)
class Posted:
    """Where a message is in Slack."""

    channel: str
    ts: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What has one message, whose thread tells how it goes on.

    Attributes:
        id: the run that showed it first.
        title: the first line of its message, for the mark when it is over.
        worst: by metric, the largest change that was told, as a ratio without sign; infinite from zero.
        levels, values: of the first cell, by metric: what it was held to, and what it was when it was told.
        nights: on which it was there.
        posted: its message; ``None`` until that is delivered, and where there are no threads.
        closed_at: when it was over.
    """

    id: str
    kind: ProblemKind
    channel: str
    cells: tuple[CellName, ...]
    title: str
    opened_at: datetime
    last_seen_at: datetime
    severity: Severity
    worst: Mapping[str, float] = field(default_factory=dict)
    levels: Mapping[str, float] = field(default_factory=dict)
    values: Mapping[str, float] = field(default_factory=dict)
    nights: int = 1
    posted: Posted | None = None
    closed_at: datetime | None = None

    @property
    def is_open(self) -> bool:
        """Whether it is still there."""
        return self.closed_at is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """Somebody knows of something and wants to hear no more of it for a while.

    Attributes:
        service, scenario, metric: what it is about; ``None`` for every one.
    """

    id: str
    by: str
    reason: str
    created_at: datetime
    until: datetime
    service: str | None = None
    scenario: str | None = None
    metric: str | None = None

    def is_active(self, now: datetime) -> bool:
        """Whether it still holds."""
        return self.created_at <= now < self.until

    def covers(self, cell: CellName, metric: str) -> bool:
        """Whether it is about a metric of a cell."""
        wanted = ((self.service, cell.service), (self.scenario, cell.scenario), (self.metric, metric))
        return all(given in (None, found) for given, found in wanted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message, ready to be sent anywhere.

    Attributes:
        text: the first line, which tells the story alone; also the notification.
        plain: the rest as plain text, for where there are no blocks.
        blocks: the whole as Slack's Block Kit.
        image_alt: what the charts show, for those who cannot see them.
    """

    text: str
    plain: str
    blocks: Sequence[Mapping[str, Any]]
    image_alt: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart in the folder of a run."""

    uri: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A message that has to arrive.

    Attributes:
        id: goes with the message, so that it can be looked for where nobody knows whether it arrived.
        problem_id: whose thread it belongs to, or begins; ``None`` for a message by itself.
        charts: for its thread.
        posted: it arrived there; its charts, or the mark on the first message, wait.
        is_unsure: it was sent, and whether it arrived is not known.
        sent_at: the last time.
        attempts: in vain.
        mark: what the first message of the thread is replaced by, once the problem is over.
    """

    id: str
    event: Event
    channel: str
    message: Message
    created_at: datetime
    problem_id: str | None = None
    charts: tuple[Chart, ...] = ()
    posted: Posted | None = None
    is_unsure: bool = False
    sent_at: datetime | None = None
    attempts: int = 0
    mark: Message | None = None


@dataclass(slots=True, kw_only=True)
class AlertBook:
    """All that is kept; changed under a lock, and written whole or not at all.

    Attributes:
        outbox: in the order in which it is delivered.
        told: ids of the runs that were taken in, oldest first.
        watched_since: when it was first looked whether scenarios run.
    """

    problems: list[Problem] = field(default_factory=list)
    silences: list[Silence] = field(default_factory=list)
    outbox: list[Delivery] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    watched_since: datetime | None = None
    schema_version: int = SCHEMA_VERSION

    def problem(self, problem_id: str | None) -> Problem | None:
        """Return a problem by its id."""
        return next((each for each in self.problems if each.id == problem_id), None)

    def renew(self, delivery: Delivery) -> None:
        """Keep a delivery in the place of what was kept of it before."""
        self.outbox = [delivery if each.id == delivery.id else each for each in self.outbox]

    def put(self, problem: Problem) -> None:
        """Keep a problem, in the place of what was kept of it before."""
        self.problems = [each for each in self.problems if each.id != problem.id] + [problem]
