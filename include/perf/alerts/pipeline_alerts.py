"""What is told of the pipeline itself, in a channel of its own: never to be taken for a regression.

Runs that could not be judged, DAG runs that failed or are late, scenarios that have not run for too long, and limits
of alert rules that are others now.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from include.perf.alerts.book import Event, Links, Message, Problem, ProblemKind
from include.perf.alerts.desk import AlertWriter
from include.perf.model.cell import CellName
from include.perf.runs.dag_run import DagRunResults, Overdue
from include.perf.runs.record import RunRecord, Severity


class PipelineWords(Protocol):
    """Puts what is told into messages."""

    def unmeasured(self, records: Sequence[RunRecord], *, of: int, missing: Sequence[str], links: Links) -> Message:
        """Tell of runs that could not be judged, and of those without a record."""

    def unmeasured_continues(
        self, records: Sequence[RunRecord], *, of: int, missing: Sequence[str], links: Links, problem: Problem
    ) -> Message:
        """Tell in the thread that runs could not be judged again."""

    def measured_again(self, problem: Problem) -> Message:
        """Tell in the thread that all runs could be judged."""

    def failed(self, scenario: str, reason: str, links: Links) -> Message:
        """Tell of a DAG run of which nothing came."""

    def late(self, scenario: str, run: str, late_since: datetime, links: Links) -> Message:
        """Tell of a DAG run that takes longer than it may."""

    def overdue(self, scenario: str, last_run_at: datetime | None, due_at: datetime, links: Links) -> Message:
        """Tell of a scenario that should have run."""

    def runs_again(self, problem: Problem) -> Message:
        """Tell in the thread that it runs again."""

    def limits_changed(self, changes: Sequence[str]) -> Message:
        """Tell which limits of the alert rules are others now, a line for each cell."""

    def mark(self, problem: Problem, event: Event) -> Message:
        """Say in the place of the first message that it is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineAlerts:
    """Writes down what those who run the pipeline are told."""

    desk: AlertWriter
    channel: str
    words: PipelineWords

    def tell(self, night: DagRunResults, *, links: Links) -> None:
        """Take a night in: what could not be judged, and that it can be again."""
        records = [record for record in night.records.values() if not record.verdict.is_measured]
        known = self.desk.known(ProblemKind.UNMEASURED, night.cells, self.channel)
        if not records and not night.missing:
            if known is not None and set(known.cells) <= set(night.cells):
                self._close(known, self.words.measured_again(known))
            return
        missing = [cell.service for cell in night.missing_cells]
        if known is None:
            message = self.words.unmeasured(records, of=night.size, missing=missing, links=links)
            cells = [CellName(record.service, record.scenario) for record in records] + night.missing_cells
            self._open(ProblemKind.UNMEASURED, tuple(cells), message)
            return
        seen = self.desk.seen(known)
        message = self.words.unmeasured_continues(records, of=night.size, missing=missing, links=links, problem=seen)
        self.desk.put(seen, Event.CONTINUES, message)

    def tell_failed(self, scenario: str, reason: str, *, links: Links) -> None:
        """Tell that nothing came of a DAG run."""
        self.desk.send(self.channel, Event.FAILED, self.words.failed(scenario, reason, links))

    def tell_late(self, scenario: str, run: str, *, late_since: datetime, links: Links) -> None:
        """Tell that a DAG run takes longer than it may."""
        self.desk.send(self.channel, Event.LATE, self.words.late(scenario, run, late_since, links))

    def tell_limits(self, changes: Sequence[str]) -> None:
        """Tell which limits of the alert rules a change of baselines made others, a line for each cell."""
        if changes:
            self.desk.send(self.channel, Event.LIMITS_CHANGED, self.words.limits_changed(changes))

    def tell_overdue(self, scenario: str, overdue: Overdue | None) -> None:
        """Tell once that a scenario should have run, and once that it runs again."""
        cell = CellName("", scenario)
        known = self.desk.known(ProblemKind.OVERDUE, [cell], self.channel)
        if overdue is not None and known is None:
            message = self.words.overdue(scenario, overdue.last_run_at, overdue.due_at, Links())
            self._open(ProblemKind.OVERDUE, (cell,), message)
        elif overdue is None and known is not None:
            self._close(known, self.words.runs_again(known))

    def _open(self, kind: ProblemKind, cells: tuple[CellName, ...], message: Message) -> None:
        problem = Problem(
            id=secrets.token_hex(8),
            kind=kind,
            channel=self.channel,
            cells=cells,
            title=message.text,
            opened_at=self.desk.now,
            last_seen_at=self.desk.now,
            severity=Severity.WARNING,
        )
        self.desk.put(problem, Event.OPENED, message)

    def _close(self, problem: Problem, message: Message) -> None:
        self.desk.close(problem, Event.RECOVERED, message, mark=self.words.mark)
