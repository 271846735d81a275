"""The stored state of alerting: problems, silences, and the outbox of what is still to be delivered."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from include.perf.model.bounds import Count, Moment
from include.perf.model.cell import CellName
from include.perf.runs.record import Severity

SCHEMA_VERSION = 2
"""Version 1 had one outbox entry for a message with its charts and its mark."""


def _number(value: float) -> float:
    if math.isnan(value):
        raise ValueError("must be a number")
    return value


Size = Annotated[float, AfterValidator(_number)]
"""A change or a value; infinite for a change from zero."""


class ProblemKind(StrEnum):
    """What a problem is about. Only ``REGRESSION`` is about a service; the others are about the pipeline."""

    REGRESSION = "regression"
    UNMEASURED = "unmeasured"
    OVERDUE = "overdue"
    DAG_RUN = "dag run"


class Event(StrEnum):
    """Why a message is sent."""

    OPENED = "opened"
    CONTINUES = "continues"
    WORSENED = "worsened"
    STANDING = "standing"
    RECOVERED = "recovered"
    ACCEPTED = "accepted"
    DIGEST = "digest"
    SUMMARY = "summary"
    LATE = "late"
    FAILED = "failed"
    ACKNOWLEDGED = "acknowledged"
    LIMITS_CHANGED = "limits changed"
    CATALOGUE = "catalogue"
    UNDELIVERABLE = "undeliverable"
    PAUSED = "paused"

    @property
    def is_page(self) -> bool:
        """Whether somebody has to look now. All other events can wait until people read the channel."""
        return self in (Event.OPENED, Event.WORSENED)

    @property
    def is_for_channel(self) -> bool:
        """Whether a reply in a thread is also shown in the channel."""
        return self in (Event.WORSENED, Event.STANDING)

    @property
    def is_end(self) -> bool:
        """Whether the problem is over."""
        return self in (Event.RECOVERED, Event.ACCEPTED)


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
        id: id of the run that showed the problem first; for ``DAG_RUN`` the id of the DAG run.
        title: first line of its message; repeated when the message is marked as resolved.
        worst: by metric, the largest change that was reported, as a ratio without sign; infinite from a baseline of
            zero. For an exceeded limit, by its key (`ExceededLimit.key`), the largest distance from it.
        levels: by metric, the baseline of the first cell when it was reported; by key, the limit.
        values: by metric or key, the value of the first cell when it was reported.
        nights: number of nights with this problem.
        posted: place of its message; ``None`` until it is delivered, and for a messenger without threads.
        closed_at: when the problem ended.
        last_lead: id of the lead run of the latest night that showed the problem; empty in books of earlier versions.
        reported: what was reported of a DAG run, so that nothing is reported twice.
    """

    id: str
    kind: ProblemKind
    channel: str
    cells: tuple[CellName, ...]
    title: str
    opened_at: Moment
    last_seen_at: Moment
    severity: Severity
    worst: Mapping[str, Size] = field(default_factory=dict)
    levels: Mapping[str, Size] = field(default_factory=dict)
    values: Mapping[str, Size] = field(default_factory=dict)
    nights: Count = 1
    posted: Posted | None = None
    closed_at: Moment | None = None
    last_lead: str = ""
    reported: tuple[str, ...] = ()

    @property
    def is_open(self) -> bool:
        """Whether the problem has not ended yet."""
        return self.closed_at is None

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that were reported, as a change or beyond a limit."""
        return tuple(dict.fromkeys(name.rpartition(":")[2] for name in self.worst))


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """Regressions that somebody knows of and that raise no alert for a while.

    Attributes:
        service, scenario, metric: what is silenced; ``None`` matches every one.
    """

    id: str
    by: str
    reason: str
    created_at: Moment
    until: Moment
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


class DeliveryPart(StrEnum):
    """What an outbox entry delivers. Each part is delivered by itself, with attempts of its own."""

    MESSAGE = "message"
    """To Slack."""
    CHARTS = "charts"
    """To the thread in Slack."""
    MARK = "mark"
    """Replaces the first message of the thread in Slack."""
    OTHERS = "other channels"
    """To every other channel; becomes one entry for each of them once their addresses are known."""
    FORWARD = "other channel"
    """To one other channel."""

    @property
    def is_for_slack(self) -> bool:
        """Whether the part goes to Slack."""
        return self in (DeliveryPart.MESSAGE, DeliveryPart.CHARTS, DeliveryPart.MARK)


class DeliveryState(StrEnum):
    """How far a delivery is. A delivered entry is removed from the outbox."""

    PENDING = "pending"
    SENDING = "sending"
    """Stored before the entry is sent: after a crash it is known that it may have arrived."""
    UNKNOWN = "unknown"
    """It was sent, and whether it arrived is not known."""
    SET_ASIDE = "set aside"
    """It is not sent again unless a person asks for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """An outbox entry: one delivery to one place.

    Attributes:
        id: sent along with a message to Slack, so that it can be looked up in the channel.
        channel: the channel in Slack.
        message: what is sent; of charts only the description, of a mark the replacement.
        problem_id: the problem whose thread the message starts or continues; ``None`` for a message without a thread.
        address: the name of the other channel, without its secret; empty for Slack.
        sender: the process that is sending it, or that finds out whether it arrived.
        thread: the message that it was sent as a reply to.
        since: Slack's own time before the message was sent first.
        attempts: how often it was sent.
        refusals: how often it was refused, or sent without arriving.
        reason: why the last attempt failed.
        is_reported: whether people know that it was set aside.
    """

    id: str
    event: Event
    channel: str
    message: Message
    created_at: Moment
    part: DeliveryPart = DeliveryPart.MESSAGE
    problem_id: str | None = None
    charts: tuple[Chart, ...] = ()
    address: str = ""
    state: DeliveryState = DeliveryState.PENDING
    sender: str = ""
    thread: Posted | None = None
    since: str | None = None
    attempts: Count = 0
    refusals: Count = 0
    reason: str = ""
    is_reported: bool = False

    @property
    def short_reason(self) -> str:
        """The reason without the text of the message, with which most reasons end."""
        return self.reason.removesuffix(f": {self.message.text}")

    @property
    def is_in_doubt(self) -> bool:
        """Whether it was sent and may have arrived."""
        return self.state in (DeliveryState.SENDING, DeliveryState.UNKNOWN)

    @property
    def is_set_aside(self) -> bool:
        """Whether it is not sent again unless a person asks for it."""
        return self.state is DeliveryState.SET_ASIDE


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadableEntry:
    """A part of the stored book that cannot be used. It is left out, and written back as it is.

    Attributes:
        section: the field: ``problems``, ``silences``, ``outbox`` or another.
        content: the entry, the item or the complete field as JSON.
        reason: why it cannot be used.
    """

    section: str
    content: Any
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedStarts:
    """The scheduled DAG runs of a scenario that measured nothing, since the last one that did.

    Attributes:
        dag_run_ids: oldest first.
        is_paused: whether the last one paused the schedule.
    """

    dag_run_ids: tuple[str, ...] = ()
    is_paused: bool = False


@dataclass(slots=True, kw_only=True)
class AlertBook:
    """The complete state of alerting. Each change is made under a lock and written atomically.

    Attributes:
        outbox: in the order of delivery.
        processed_runs: ids of the runs whose records were processed, oldest first; stored under its former name.
        missing_runs: paths in the results store of the runs that were reported to have no record, oldest first; of
            earlier versions, only their ids.
        ended_dag_runs: by id, when the end of a DAG run was reported.
        watched_since: when the check for overdue scenarios ran first.
        failed_starts: by scenario.
        catalogue_reported: a digest of the problems of the catalogue that were reported last; empty for none.
        unreadable: entries that cannot be used.
        unreadable_reported: a digest of the unreadable entries that were reported last; empty for none.
    """

    problems: list[Problem] = field(default_factory=list)
    silences: list[Silence] = field(default_factory=list)
    outbox: list[Delivery] = field(default_factory=list)
    processed_runs: Annotated[list[str], Field(alias="told")] = field(default_factory=list)
    missing_runs: list[str] = field(default_factory=list)
    ended_dag_runs: dict[str, Moment] = field(default_factory=dict)
    watched_since: Moment | None = None
    failed_starts: dict[str, FailedStarts] = field(default_factory=dict)
    catalogue_reported: str = ""
    unreadable: list[UnreadableEntry] = field(default_factory=list)
    unreadable_reported: str = ""
    schema_version: int = SCHEMA_VERSION

    def problem(self, problem_id: str | None) -> Problem | None:
        """Return a problem by its id."""
        return next((problem for problem in self.problems if problem.id == problem_id), None)

    def delivery(self, delivery_id: str) -> Delivery | None:
        """Return an outbox entry by its id."""
        return next((entry for entry in self.outbox if entry.id == delivery_id), None)

    def renew(self, delivery: Delivery) -> None:
        """Replace the outbox entry with the same id."""
        self.outbox = [delivery if entry.id == delivery.id else entry for entry in self.outbox]

    def put(self, problem: Problem) -> None:
        """Add a problem, or replace the one with the same id."""
        self.problems = [known for known in self.problems if known.id != problem.id] + [problem]
