"""Alerts about services: one message per problem, later news in its thread, and silence otherwise.

Deviations with one cause share a message, which the lead run starts. A problem ends when each affected service was
measured and is healthy. Earlier alerts are in the book; nothing is sent here.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from include.perf.alerts.alert_writer import AlertWriter, News
from include.perf.alerts.book import Chart, Event, Links, Message, Problem, ProblemKind
from include.perf.model.cell import CellName
from include.perf.runs.dag_run import DagRunResults
from include.perf.runs.record import COLLAPSE_KEY, Deviation, ExceededLimit, RunRecord, Severity, Verdict

ATTACHED_CHARTS = ("comparison.png", "latency.png")

MUCH_LARGER = 1.5
"""A change without an interval counts as worse when it is this many times the reported one."""

COLLAPSE = COLLAPSE_KEY.rpartition(":")[2]
"""What a silence names instead of a metric, for a service that does not survive."""

HALFWAY = 0.5
"""A value that stays beyond this share of its reported change has not recovered: its level was accepted."""

STANDING_NIGHTS = 7
"""After so many nights people know of a problem: they are asked once to accept or to fix it."""

HEALTHY = (Verdict.PASS, Verdict.IMPROVEMENT)


class ServiceWords(Protocol):
    """Writes the messages about services.

    The first of ``records`` is the lead run; the others have the same cause.
    """

    def opened(self, records: Sequence[RunRecord], *, links: Links, mention: str | None) -> Message:
        """Return the first message of a problem."""

    def continues(self, records: Sequence[RunRecord], problem: Problem) -> Message:
        """Return the reply for a night in which the problem continues."""

    def joined(self, records: Sequence[RunRecord], problem: Problem) -> Message:
        """Return the reply for runs of the same night and cause whose records could be read only later."""

    def standing(self, records: Sequence[RunRecord], problem: Problem) -> Message:
        """Return the question, also shown in the channel, whether to accept or to fix a problem that stays."""

    def partly_recovered(self, problem: Problem, recovered: Sequence[RunRecord], left: Sequence[CellName]) -> Message:
        """Return the reply for a problem that is over for some of its cells."""

    def worsened(self, records: Sequence[RunRecord], problem: Problem, *, mention: str | None) -> Message:
        """Return the reply, also shown in the channel, for a problem that got worse."""

    def recovered(self, problem: Problem, records: Sequence[RunRecord]) -> Message:
        """Return the reply for a problem that is over."""

    def accepted(self, problem: Problem, version: int) -> Message:
        """Return the reply for a problem whose values were accepted as the new baseline."""

    def mark(self, problem: Problem, event: Event) -> Message:
        """Return the replacement for the first message of a closed problem."""

    def digest(self, records: Sequence[RunRecord], *, silenced: int, links: Links) -> Message:
        """Return the message about improvements and suspicions."""

    def summary(self, records: Sequence[RunRecord], links: Links) -> Message:
        """Return the message about a night without news."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Where alerts go.

    Attributes:
        channel_of: returns a service's channel.
        digest_channel: for news that can wait; ``None`` to send none.
        is_summary_wanted: whether the digest channel also hears of nights without news.
        mention: the user group to mention in critical alerts.
    """

    channel_of: Callable[[str], str]
    digest_channel: str | None = None
    is_summary_wanted: bool = False
    mention: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAlerts:
    """Alerts the services' channels to the results of a night."""

    writer: AlertWriter
    policy: Policy
    words: ServiceWords
    links_of: Callable[[RunRecord], Links]

    def alert(self, news: News) -> None:
        """Open, update and close problems by what is new of a night."""
        silenced = 0
        for group in _groups(news.night.records):
            new = {uri: record for uri, record in group.records.items() if uri in news.records}
            kept = {uri: self._without_silenced(record) for uri, record in new.items()}
            loud = {uri: record for uri, record in kept.items() if record.has_findings}
            silenced += len(new) - len(loud)
            if loud:
                self._alert_problem(loud, lead=group.lead)
        self._close_problems(news)
        self._send_digest(news, silenced=silenced)

    def _without_silenced(self, record: RunRecord) -> RunRecord:
        """Return a record without its silenced regressions and exceeded limits."""
        cell = _cell_of(record)
        active = [silence for silence in self.writer.book.silences if silence.is_active(self.writer.now)]

        def is_silenced(metric: str) -> bool:
            return any(silence.covers(cell, metric) for silence in active)

        return replace(
            record,
            deviations=tuple(
                deviation
                for deviation in record.deviations
                if not (deviation.is_worse and is_silenced(deviation.metric))
            ),
            exceeded=tuple(exceeded for exceeded in record.exceeded if not is_silenced(exceeded.metric)),
            collapse=None if is_silenced(COLLAPSE) else record.collapse,
        )

    def _alert_problem(self, group: Mapping[str, RunRecord], *, lead: str) -> None:
        """Open a problem, or update the open one of this cause or of these cells.

        Args:
            lead: id of the lead run, whose record may be missing, or may have been reported earlier.
        """
        records = list(group.values())
        uri, first = next(iter(group.items()))
        found = self._found(records, lead=lead)
        mention = self.policy.mention if found.severity is Severity.CRITICAL else None
        charts = tuple(Chart(uri, name) for name in ATTACHED_CHARTS)
        shared = self._problem_of(lead, found.channel)
        known = shared or self.writer.open_problem(ProblemKind.REGRESSION, found.cells, found.channel)
        if known is None:
            message = self.words.opened(records, links=self.links_of(first), mention=mention)
            self.writer.put(replace(found, title=message.text), Event.OPENED, message, charts=charts)
            return
        seen = shared or self.writer.seen_again(known)
        merged = _merged(seen, found)
        if _is_worse(seen, first, found.severity):
            message = self.words.worsened(records, seen, mention=mention)
            self.writer.put(merged, Event.WORSENED, message, charts=charts)
        elif shared:
            self.writer.put(merged, Event.CONTINUES, self.words.joined(records, seen))
        elif seen.nights == STANDING_NIGHTS > known.nights:
            self.writer.put(merged, Event.STANDING, self.words.standing(records, seen))
        elif seen.nights >= STANDING_NIGHTS:
            self.writer.book.put(merged)
        else:
            self.writer.put(merged, Event.CONTINUES, self.words.continues(records, seen))

    def _problem_of(self, lead: str, channel: str) -> Problem | None:
        """Return the open problem that other runs of the same night and cause were reported in."""
        of_channel = (problem for problem in self.writer.book.problems if problem.channel == channel)
        return next((problem for problem in of_channel if problem.is_open and problem.last_lead == lead), None)

    def _found(self, records: Sequence[RunRecord], *, lead: str) -> Problem:
        """Return the problem that a group of runs shows, as if it were new."""
        first = records[0]
        return Problem(
            id=first.run_id,
            kind=ProblemKind.REGRESSION,
            channel=self.policy.channel_of(first.service),
            cells=tuple(map(_cell_of, records)),
            title="",
            opened_at=self.writer.now,
            last_seen_at=self.writer.now,
            severity=_most_severe(
                [
                    *(deviation.severity for deviation in first.regressions),
                    *(exceeded.severity for exceeded in first.exceeded),
                    *([first.collapse.severity] if first.collapse else []),
                ]
            ),
            worst={
                **{deviation.metric: _size(deviation) for deviation in first.regressions},
                **{exceeded.key: _excess(exceeded) for exceeded in first.exceeded},
                **({COLLAPSE_KEY: 1.0} if first.collapse else {}),
            },
            levels={
                **{deviation.metric: deviation.baseline for deviation in first.regressions},
                **{exceeded.key: exceeded.limit for exceeded in first.exceeded},
            },
            values={
                **{deviation.metric: deviation.value for deviation in first.regressions},
                **{exceeded.key: exceeded.value for exceeded in first.exceeded},
            },
            last_lead=lead,
        )

    def _close_problems(self, news: News) -> None:
        """Take healthy cells out of their problems; close a problem without cells.

        A healthy run from before the latest run that showed the problem is no recovery.
        """
        healthy = {_cell_of(record): record for record in news.records.values() if _is_healthy(record)}
        problems = [problem for problem in self.writer.book.problems if problem.is_open]
        for problem in problems:
            if problem.kind is not ProblemKind.REGRESSION:
                continue
            recovered = [cell for cell in problem.cells if cell in healthy and _is_later(healthy[cell], problem)]
            left = tuple(cell for cell in problem.cells if cell not in recovered)
            if left == problem.cells:
                continue
            if left:
                message = self.words.partly_recovered(problem, [healthy[cell] for cell in recovered], left)
                self.writer.put(replace(problem, cells=left), Event.CONTINUES, message)
                continue
            self._close(problem, [healthy[cell] for cell in problem.cells])

    def _close(self, problem: Problem, records: Sequence[RunRecord]) -> None:
        lead = records[0]
        if _is_accepted(problem, lead):
            event = Event.ACCEPTED
            message = self.words.accepted(problem, lead.baseline.version if lead.baseline else 0)
        else:
            event, message = Event.RECOVERED, self.words.recovered(problem, records)
        self.writer.close(problem, event, message, mark=self.words.mark)

    def _send_digest(self, news: News, *, silenced: int) -> None:
        channel = self.policy.digest_channel
        records = list(news.records.values())
        if channel is None or not records:
            return
        noteworthy = [record for record in records if record.verdict is Verdict.IMPROVEMENT or _is_suspicious(record)]
        if noteworthy or silenced:
            message = self.words.digest(noteworthy, silenced=silenced, links=self.links_of(records[0]))
            self.writer.send(channel, Event.DIGEST, message)
        elif self.policy.is_summary_wanted and _is_quiet(news.night):
            everything = list(news.night.records.values())
            self.writer.send(channel, Event.SUMMARY, self.words.summary(everything, self.links_of(records[0])))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    """Runs of a night with a problem of one cause.

    Attributes:
        lead: id of the lead run, whose record may be missing.
        records: by URI, that of the lead run first.
    """

    lead: str
    records: Mapping[str, RunRecord]


def _groups(records: Mapping[str, RunRecord]) -> list[_Group]:
    """Return the runs that regressed or are beyond a limit, grouped by cause.

    Where the lead run has no record, or one that shows no problem, the first of the others takes its place.
    """
    groups: dict[str, dict[str, RunRecord]] = {}
    for uri, record in records.items():
        if record.verdict.is_failure and record.has_findings:
            groups.setdefault(record.reported_by or record.run_id, {})[uri] = record
    return [
        _Group(lead=lead, records=dict(sorted(group.items(), key=lambda item: item[1].run_id != lead)))
        for lead, group in groups.items()
    ]


def _merged(known: Problem, found: Problem) -> Problem:
    """Return an open problem with tonight's findings: the higher severity, the larger changes, every cell."""
    sizes = {name: max(size, found.worst.get(name, 0.0)) for name, size in known.worst.items()}
    return replace(
        known,
        cells=tuple(dict.fromkeys([*known.cells, *found.cells])),
        severity=_most_severe([known.severity, found.severity]),
        worst={**found.worst, **sizes},
        levels={**found.levels, **known.levels},
        values={**found.values, **known.values},
        last_lead=max(known.last_lead, found.last_lead, key=_planned),
    )


def _cell_of(record: RunRecord) -> CellName:
    return CellName(record.service, record.scenario)


def _planned(run_id: str) -> str:
    """Return when a run was planned, as its id has it; ids sort by time, and the runs of a night share it."""
    return run_id.partition("-")[0]


def _is_later(record: RunRecord, problem: Problem) -> bool:
    """Whether a run is of the latest night that showed a problem, or later."""
    return _planned(record.run_id) >= _planned(problem.last_lead)


def _is_quiet(night: DagRunResults) -> bool:
    """Whether every service was measured and is healthy."""
    return not night.missing and all(record.verdict in HEALTHY for record in night.records.values())


def _most_severe(severities: Iterable[Severity]) -> Severity:
    return max(severities, key=lambda severity: severity.rank)


def _size(deviation: Deviation) -> float:
    """Return the size of a change as a ratio; infinite from a baseline of zero."""
    return math.inf if deviation.shift.ratio is None else abs(deviation.shift.ratio)


def _is_suspicious(record: RunRecord) -> bool:
    return any(deviation.is_suspicion for deviation in record.deviations)


def _is_healthy(record: RunRecord) -> bool:
    return record.verdict in HEALTHY and not _is_suspicious(record)


def _is_worse(known: Problem, record: RunRecord, severity: Severity) -> bool:
    """Whether a problem got worse: higher severity, another metric or limit, or a significantly larger change."""
    if severity.rank > known.severity.rank or (record.collapse is not None and COLLAPSE_KEY not in known.worst):
        return True
    if any(
        exceeded.key not in known.worst or _excess(exceeded) > MUCH_LARGER * known.worst[exceeded.key]
        for exceeded in record.exceeded
    ):
        return True
    return any(
        deviation.metric not in known.worst or _is_larger(deviation, known.worst[deviation.metric])
        for deviation in record.regressions
    )


def _excess(exceeded: ExceededLimit) -> float:
    """Return the distance of a value from its limit, as a ratio of the limit."""
    return abs(exceeded.value - exceeded.limit) / exceeded.limit if exceeded.limit else math.inf


def _is_larger(deviation: Deviation, reported: float) -> bool:
    """Whether the interval of a change lies beyond the reported change; without an interval, see `MUCH_LARGER`."""
    low, high = deviation.shift.low, deviation.shift.high
    if low is None or high is None:
        return _size(deviation) > MUCH_LARGER * reported
    return low * high > 0 and min(abs(low), abs(high)) > reported


def _is_accepted(problem: Problem, record: RunRecord) -> bool:
    """Whether a healthy run still has the reported values, so that the baseline must have followed them."""
    changes = {name: problem.values[name] - level for name, level in problem.levels.items()}
    values = {name: record.metrics[name].value for name in changes if name in record.metrics}
    return bool(values) and all(
        value is not None and (value - problem.levels[name]) / changes[name] > HALFWAY
        for name, value in values.items()
        if changes[name]
    )
