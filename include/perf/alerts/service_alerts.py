"""What is told of services: one message a problem, its thread for how it goes on, and silence otherwise.

Deviations of one cause are told together, with the run that leads them. A problem is over when every service that had
it is measured and healthy again. What was told before is in the book; nothing is sent here.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from include.perf.alerts.book import Chart, Event, Links, Message, Problem, ProblemKind
from include.perf.alerts.desk import AlertWriter
from include.perf.model.cell import CellName
from include.perf.runs.dag_run import DagRunResults
from include.perf.runs.record import Deviation, RunRecord, Severity, Verdict

CHARTS_TOLD = ("comparison.png", "latency.png")
MUCH_LARGER = 1.5
"""Without an interval a change is worse than what was told when it is so many times as large."""

HALFWAY = 0.5
"""A figure that stays beyond half of the way it had gone has not come back: its level was accepted."""

HEALTHY = (Verdict.PASS, Verdict.IMPROVEMENT)


class ServiceWords(Protocol):
    """Puts what is told into messages."""

    def opened(self, records: Sequence[RunRecord], *, links: Links, mention: str | None) -> Message:
        """Tell of a new problem; the first record leads, the others have the same cause."""

    def continues(self, records: Sequence[RunRecord], problem: Problem) -> Message:
        """Tell in the thread that it is still there."""

    def worsened(self, records: Sequence[RunRecord], problem: Problem, *, mention: str | None) -> Message:
        """Tell in the thread, and beside it, that it became worse than what was told."""

    def recovered(self, problem: Problem, records: Sequence[RunRecord]) -> Message:
        """Tell in the thread that it is over."""

    def accepted(self, problem: Problem, version: int) -> Message:
        """Tell in the thread that it is the level from now on."""

    def mark(self, problem: Problem, event: Event) -> Message:
        """Say in the place of the first message that it is over."""

    def digest(self, records: Sequence[RunRecord], *, silenced: int, links: Links) -> Message:
        """Tell of improvements and suspicions."""

    def summary(self, records: Sequence[RunRecord], links: Links) -> Message:
        """Tell of a night without anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Who is told.

    Attributes:
        channel_of: returns a service's channel.
        digest_channel: for what nobody has to be woken for; ``None`` for nobody.
        is_summary_wanted: whether a night without anything is told in the digest.
        mention: the group that a critical problem calls.
    """

    channel_of: Callable[[str], str]
    digest_channel: str | None = None
    is_summary_wanted: bool = False
    mention: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAlerts:
    """Writes down what the services' channels are told of a night."""

    desk: AlertWriter
    policy: Policy
    words: ServiceWords
    links_of: Callable[[RunRecord], Links]

    def tell(self, night: DagRunResults) -> None:
        """Take a night in: problems begin, go on and end."""
        silenced = 0
        for group in _groups(night.records):
            loud = {uri: heard for uri, record in group.items() if (heard := self._heard(record)).regressions}
            silenced += len(group) - len(loud)
            if loud:
                self._tell_problem(loud)
        self._tell_what_is_over(night)
        self._tell_digest(night, silenced=silenced)

    def _heard(self, record: RunRecord) -> RunRecord:
        """Return a record without the deviations for the worse that somebody silenced."""
        cell = _cell_of(record)
        active = [silence for silence in self.desk.book.silences if silence.is_active(self.desk.now)]

        def is_silenced(deviation: Deviation) -> bool:
            return deviation.is_worse and any(silence.covers(cell, deviation.metric) for silence in active)

        return replace(record, deviations=tuple(each for each in record.deviations if not is_silenced(each)))

    def _tell_problem(self, group: Mapping[str, RunRecord]) -> None:
        records = list(group.values())
        uri, lead = next(iter(group.items()))
        channel = self.policy.channel_of(lead.service)
        cells = tuple(map(_cell_of, records))
        found = Problem(
            id=lead.run_id,
            kind=ProblemKind.REGRESSION,
            channel=channel,
            cells=cells,
            title="",
            opened_at=self.desk.now,
            last_seen_at=self.desk.now,
            severity=_gravest(each.severity for each in lead.regressions),
            worst={each.metric: _size(each) for each in lead.regressions},
            levels={each.metric: each.baseline for each in lead.regressions},
            values={each.metric: each.value for each in lead.regressions},
        )
        mention = self.policy.mention if found.severity is Severity.CRITICAL else None
        charts = tuple(Chart(uri, name) for name in CHARTS_TOLD)
        known = self.desk.known(ProblemKind.REGRESSION, cells, channel)
        if known is None:
            message = self.words.opened(records, links=self.links_of(lead), mention=mention)
            self.desk.put(replace(found, title=message.text), Event.OPENED, message, charts=charts)
            return
        told = self.desk.seen(known)
        together = _together(told, found)
        if _is_worse(told, lead.regressions, found.severity):
            self.desk.put(together, Event.WORSENED, self.words.worsened(records, told, mention=mention), charts=charts)
        else:
            self.desk.put(together, Event.CONTINUES, self.words.continues(records, told))

    def _tell_what_is_over(self, night: DagRunResults) -> None:
        """Take the cells that are healthy again out of their problems; one without any is over."""
        healthy = {_cell_of(record): record for record in night.records.values() if _is_healthy(record)}
        for problem in [
            each for each in self.desk.book.problems if each.is_open and each.kind is ProblemKind.REGRESSION
        ]:
            left = tuple(cell for cell in problem.cells if cell not in healthy)
            if left == problem.cells:
                continue
            if left:
                self.desk.book.put(replace(problem, cells=left))
                continue
            records = [healthy[cell] for cell in problem.cells]
            self._close(problem, records)

    def _close(self, problem: Problem, records: Sequence[RunRecord]) -> None:
        lead = records[0]
        if _is_accepted(problem, lead):
            event = Event.ACCEPTED
            message = self.words.accepted(problem, lead.baseline.version if lead.baseline else 0)
        else:
            event, message = Event.RECOVERED, self.words.recovered(problem, records)
        self.desk.close(problem, event, message, mark=self.words.mark)

    def _tell_digest(self, night: DagRunResults, *, silenced: int) -> None:
        channel = self.policy.digest_channel
        records = list(night.records.values())
        if channel is None or not records:
            return
        worth = [record for record in records if record.verdict is Verdict.IMPROVEMENT or _is_suspicious(record)]
        if worth or silenced:
            message = self.words.digest(worth, silenced=silenced, links=self.links_of(records[0]))
            self.desk.send(channel, Event.DIGEST, message)
        elif self.policy.is_summary_wanted and all(record.verdict in HEALTHY for record in records):
            self.desk.send(channel, Event.SUMMARY, self.words.summary(records, self.links_of(records[0])))


def _groups(records: Mapping[str, RunRecord]) -> list[dict[str, RunRecord]]:
    """Return the runs that regressed by URI, those of one cause together, the run that leads them first."""
    worse = {uri: each for uri, each in records.items() if each.verdict is Verdict.REGRESSION and each.regressions}
    return [
        {uri: lead} | {other: each for other, each in worse.items() if each.told_by == lead.run_id}
        for uri, lead in worse.items()
        if lead.told_by is None
    ]


def _together(told: Problem, found: Problem) -> Problem:
    """Return what is known of a problem after tonight: the gravest and largest of both, and every cell."""
    sizes = {name: max(size, found.worst.get(name, 0.0)) for name, size in told.worst.items()}
    return replace(
        told,
        cells=tuple(dict.fromkeys([*told.cells, *found.cells])),
        severity=_gravest([told.severity, found.severity]),
        worst={**found.worst, **sizes},
        levels={**found.levels, **told.levels},
        values={**found.values, **told.values},
    )


def _cell_of(record: RunRecord) -> CellName:
    return CellName(record.service, record.scenario)


def _gravest(severities: Iterable[Severity]) -> Severity:
    return max(severities, key=lambda each: each.rank)


def _size(deviation: Deviation) -> float:
    return math.inf if deviation.shift.ratio is None else abs(deviation.shift.ratio)


def _is_suspicious(record: RunRecord) -> bool:
    return any(each.is_suspicion for each in record.deviations)


def _is_healthy(record: RunRecord) -> bool:
    return record.verdict in HEALTHY and not _is_suspicious(record)


def _is_worse(known: Problem, deviations: Iterable[Deviation], severity: Severity) -> bool:
    """Whether it is worse than what was told: graver, of another metric, or larger for sure."""
    return severity.rank > known.severity.rank or any(
        each.metric not in known.worst or _is_larger(each, known.worst[each.metric]) for each in deviations
    )


def _is_larger(deviation: Deviation, told: float) -> bool:
    low, high = deviation.shift.low, deviation.shift.high
    if low is None or high is None:
        return _size(deviation) > MUCH_LARGER * told
    return low * high > 0 and min(abs(low), abs(high)) > told


def _is_accepted(problem: Problem, record: RunRecord) -> bool:
    """Whether the figures stayed where they had gone, and are held to that now."""
    gone = {name: problem.values[name] - level for name, level in problem.levels.items()}
    now = {name: record.metrics[name].value for name in gone if name in record.metrics}
    return bool(gone) and all(
        value is not None and (value - problem.levels[name]) / gone[name] > HALFWAY
        for name, value in now.items()
        if gone[name]
    )
