"""Alerts about the pipeline itself, in a channel of their own, so that none is mistaken for a regression.

They cover runs that could not be judged, overdue scenarios, and changed limits of alert rules. Failed and late DAG runs
are in `include.perf.alerts.dag_run_alerts`.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from typing import Protocol

from include.perf.alerts.alert_writer import AlertWriter, News
from include.perf.alerts.book import Event, Links, Message, Problem, ProblemKind
from include.perf.model.cell import CellName
from include.perf.runs.dag_run import DagRunName, MissingRun, Overdue
from include.perf.runs.record import RunRecord, Severity


class PipelineWords(Protocol):
    """Writes the messages about the pipeline."""

    def unmeasured(
        self, records: Sequence[RunRecord], *, of: int, missing: Sequence[MissingRun], links: Links
    ) -> Message:
        """Return the message about runs that could not be judged.

        Args:
            records: runs without a usable measurement.
            of: number of all runs.
            missing: runs without a record, or with one that cannot be read.
        """

    def unmeasured_continues(
        self, records: Sequence[RunRecord], *, of: int, missing: Sequence[MissingRun], links: Links, problem: Problem
    ) -> Message:
        """Return the reply for another night with runs that could not be judged."""

    def measured_again(self, problem: Problem) -> Message:
        """Return the reply for a night in which all runs could be judged."""

    def overdue(self, scenario: str, last_run_at: datetime | None, due_at: datetime, links: Links) -> Message:
        """Return the message about a scenario that did not run when it was due."""

    def runs_again(self, problem: Problem) -> Message:
        """Return the reply for an overdue scenario that runs again."""

    def limits_changed(self, changes: Sequence[str]) -> Message:
        """Return the message about changed limits of alert rules, given one line per cell."""

    def catalogue_wrong(self, problems: Sequence[str], *, is_usable: bool) -> Message:
        """Return the message about wrong entries of the catalogue.

        Args:
            is_usable: whether the other entries can be used.
        """

    def catalogue_right(self) -> Message:
        """Return the message about a catalogue whose problems are all corrected."""

    def mark(self, problem: Problem, event: Event) -> Message:
        """Return the replacement for the first message of a closed problem."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineAlerts:
    """Alerts the operators of the pipeline."""

    writer: AlertWriter
    channel: str
    words: PipelineWords

    def alert(self, news: News, *, links: Links) -> None:
        """Alert to runs of a night that could not be judged, and report when all can be judged again."""
        records, missing = _unmeasured(news.records), news.missing
        night, cells = news.night, [*map(_cell_of, records), *(run.address.cell for run in missing)]
        known = self.writer.open_problem(ProblemKind.UNMEASURED, night.cells, self.channel)
        if not cells:
            is_judged = bool(news.records) and not night.missing and not _unmeasured(night.records)
            if known is not None and is_judged and set(known.cells) <= set(night.cells):
                self._close(known, self.words.measured_again(known))
            return
        if known is None:
            message = self.words.unmeasured(records, of=night.size, missing=missing, links=links)
            self._open_unmeasured(tuple(cells), message, dag_run=night.name)
            return
        seen = self.writer.seen_again(known)
        message = self.words.unmeasured_continues(records, of=night.size, missing=missing, links=links, problem=seen)
        self.writer.put(seen, Event.CONTINUES, message)

    def _open_unmeasured(self, cells: tuple[CellName, ...], message: Message, *, dag_run: DagRunName) -> None:
        """Open a problem; in the thread of the DAG run if that was reported as late or failed before."""
        known = self.writer.book.problem(dag_run.id)
        if known is None or not known.is_open:
            self._open(ProblemKind.UNMEASURED, cells, message)
            return
        problem = replace(known, kind=ProblemKind.UNMEASURED, cells=cells, title=message.text)
        self.writer.put(problem, Event.WORSENED, message)

    def report_limits(self, changes: Sequence[str]) -> None:
        """Report changed limits of the alert rules, given one line per cell."""
        if changes:
            self.writer.send(self.channel, Event.LIMITS_CHANGED, self.words.limits_changed(changes))

    def report_catalogue(self, problems: Sequence[str], *, is_usable: bool) -> None:
        """Report the problems of the catalogue once for each distinct set of them, and once that all are corrected.

        Args:
            problems: none if the catalogue is right.
            is_usable: whether the other entries can be used.
        """
        digest = sha256("\n".join(sorted(set(problems))).encode()).hexdigest() if problems else ""
        if digest == self.writer.book.catalogue_reported:
            return
        self.writer.book.catalogue_reported = digest
        if problems:
            message = self.words.catalogue_wrong(problems, is_usable=is_usable)
        else:
            message = self.words.catalogue_right()
        self.writer.send(self.channel, Event.CATALOGUE, message)

    def alert_overdue(self, scenario: str, overdue: Overdue | None) -> None:
        """Alert once to an overdue scenario, and report once that it runs again.

        Args:
            overdue: ``None`` when the scenario is on time.
        """
        cell = CellName("", scenario)
        known = self.writer.open_problem(ProblemKind.OVERDUE, [cell], self.channel)
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
            opened_at=self.writer.now,
            last_seen_at=self.writer.now,
            severity=Severity.WARNING,
        )
        self.writer.put(problem, Event.OPENED, message)

    def _close(self, problem: Problem, message: Message) -> None:
        self.writer.close(problem, Event.RECOVERED, message, mark=self.words.mark)


def _unmeasured(records: Mapping[str, RunRecord]) -> list[RunRecord]:
    return [record for record in records.values() if not record.verdict.is_measured]


def _cell_of(record: RunRecord) -> CellName:
    return CellName(record.service, record.scenario)
