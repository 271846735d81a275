"""The stored state of alerting: problems, silences, and the outbox of messages that are still to be delivered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field

from include.perf.model.cell import CellName
from include.perf.runs.record import Severity

SCHEMA_VERSION = 1


class ProblemKind(StrEnum):
    """What a problem is about. Only ``REGRESSION`` is about a service; the others are about the pipeline."""

    REGRESSION = "regression"
    UNMEASURED = "unmeasured"
    OVERDUE = "overdue"


class Event(StrEnum):
    """Why a message is sent."""

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
    CATALOGUE = "catalogue"

    @property
    def is_page(self) -> bool:
        """Whether somebody has to look now. All other events can wait until people read the channel."""
        return self in (Event.OPENED, Event.WORSENED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """Addresses to look further; ``None`` where there is no such page."""

    airflow_run: str | None = None
    report: str | None = None
    prometheus: str | None = None


@dataclass(frozen=True, slots=True)
class Posted:
    """The place of a message in Slack."""

    channel: str
    ts: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A problem: one message, with later news in its thread.

    Attributes:
        id: id of the run that showed the problem first.
        title: first line of its message; repeated when the message is marked as resolved.
        worst: by metric, the largest change that was reported, as a ratio without sign; infinite from a baseline of
            zero.
        levels: by metric, the baseline of the first cell when it was reported.
        values: by metric, the value of the first cell when it was reported.
        nights: number of nights with this problem.
        posted: place of its message; ``None`` until it is delivered, and for a messenger without threads.
        closed_at: when the problem ended.
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
        """Whether the problem has not ended yet."""
        return self.closed_at is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """Regressions that somebody knows of and that raise no alert for a while.

    Attributes:
        service, scenario, metric: what is silenced; ``None`` matches every one.
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
        """Whether the silence is in force at a moment."""
        return self.created_at <= now < self.until

    def covers(self, cell: CellName, metric: str) -> bool:
        """Whether the silence matches a metric of a cell."""
        wanted = ((self.service, cell.service), (self.scenario, cell.scenario), (self.metric, metric))
        return all(given in (None, found) for given, found in wanted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message, ready for any channel.

    Attributes:
        text: the first line: the news in one sentence, used as notification. It holds no emoji codes, which only
            Slack understands.
        plain: the rest as plain text, for channels without blocks.
        blocks: the complete message as Slack's Block Kit.
        image_alt: description of the charts, for people who cannot see them.
        icon: Slack's code of the emoji before the first line, such as ``:warning:``; empty for none.
    """

    text: str
    plain: str
    blocks: Sequence[Mapping[str, Any]]
    image_alt: str = ""
    icon: str = ""

    @property
    def slack_text(self) -> str:
        """The first line with its emoji code, for Slack's notifications."""
        return f"{self.icon} {self.text}".lstrip()


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart in the folder of a run.

    Attributes:
        uri: URI of the run.
        name: file name of the chart.
    """

    uri: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """An outbox entry: a message that is still to be delivered.

    Attributes:
        id: sent along with the message, so that an unconfirmed message can be looked up in the channel.
        problem_id: the problem whose thread the message starts or continues; ``None`` for a message without a thread.
        charts: for the thread.
        posted: place of the message once it arrived; its charts or the mark on the first message are still pending.
        is_unconfirmed: the message was sent, but its arrival is not confirmed.
        sent_at: time of the last attempt.
        attempts: number of failed attempts.
        mark: replaces the first message of the thread once the problem has ended.
    """

    id: str
    event: Event
    channel: str
    message: Message
    created_at: datetime
    problem_id: str | None = None
    charts: tuple[Chart, ...] = ()
    posted: Posted | None = None
    is_unconfirmed: Annotated[bool, Field(alias="is_unsure")] = False
    sent_at: datetime | None = None
    attempts: int = 0
    mark: Message | None = None


@dataclass(slots=True, kw_only=True)
class AlertBook:
    """The complete state of alerting. Each change is made under a lock and written atomically.

    Attributes:
        outbox: in the order of delivery.
        processed_runs: ids of the runs that were processed, oldest first; stored under its former name.
        watched_since: when the check for overdue scenarios ran first.
        catalogue_reported: a digest of the problems of the catalogue that were reported last; empty for none.
    """

    problems: list[Problem] = field(default_factory=list)
    silences: list[Silence] = field(default_factory=list)
    outbox: list[Delivery] = field(default_factory=list)
    processed_runs: Annotated[list[str], Field(alias="told")] = field(default_factory=list)
    watched_since: datetime | None = None
    catalogue_reported: str = ""
    schema_version: int = SCHEMA_VERSION

    def problem(self, problem_id: str | None) -> Problem | None:
        """Return a problem by its id."""
        return next((problem for problem in self.problems if problem.id == problem_id), None)

    def renew(self, delivery: Delivery) -> None:
        """Replace the outbox entry with the same id."""
        self.outbox = [delivery if entry.id == delivery.id else entry for entry in self.outbox]

    def put(self, problem: Problem) -> None:
        """Add a problem, or replace the one with the same id."""
        self.problems = [known for known in self.problems if known.id != problem.id] + [problem]
