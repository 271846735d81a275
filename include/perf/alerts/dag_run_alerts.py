"""Alerts about a DAG run as a whole: it failed, or it is late. One message for each DAG run, later news in its thread.

A DAG run that has ended is never late, whatever its end was.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from include.perf.alerts.alert_writer import AlertWriter
from include.perf.alerts.book import Event, Links, Message, Problem, ProblemKind
from include.perf.model.cell import CellName
from include.perf.runs.dag_run import DagRunName, DagRunResults
from include.perf.runs.record import Severity

FAILED = "failed"
UNREPORTED = "unreported"

ALLOWANCE = timedelta(minutes=20)
"""Every deadline allows this for staging, comparing and reporting. So an end that was reported less than this before a
deadline, or after it, is the end of the attempt that the deadline is for; an earlier one was followed by a new attempt.
"""


class DagRunWords(Protocol):
    """Writes the messages about DAG runs."""

    def failed(self, scenario: str, reason: str, links: Links) -> Message:
        """Return the message about a DAG run without any result."""

    def unreported(self, scenario: str, run: str, links: Links) -> Message:
        """Return the message about a late DAG run that failed before its results were reported."""

    def late(self, scenario: str, run: str, late_since: datetime, links: Links) -> Message:
        """Return the message about a DAG run that missed its deadline."""

    def finished(self, results: DagRunResults | None) -> Message:
        """Return the reply for a DAG run that finished after all.

        Args:
            results: ``None`` if it left none.
        """

    def finished_later(self, run: str) -> Message:
        """Return the reply for a DAG run that did not finish, once a later one of its scenario has."""

    def mark(self, problem: Problem, event: Event) -> Message:
        """Return the replacement for the first message of a closed problem."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DagRunAlerts:
    """Alerts the operators of the pipeline to DAG runs that failed or are late."""

    writer: AlertWriter
    channel: str
    words: DagRunWords

    def alert_failed(self, run: DagRunName, reason: str, *, links: Links) -> None:
        """Alert to a DAG run without any result."""
        self.writer.book.ended_dag_runs[run.id] = self.writer.now
        self._report(run, FAILED, self.words.failed(run.dag_id, reason, links))

    def alert_late(self, run: DagRunName, *, late_since: datetime, links: Links) -> None:
        """Alert to a DAG run that missed its deadline, unless its end was reported already."""
        ended_at = self.writer.book.ended_dag_runs.get(run.id)
        if ended_at is None or ended_at + ALLOWANCE < late_since:
            message = self.words.late(run.dag_id, run.dag_run_id, late_since, links)
            self._report(run, f"late since {late_since.isoformat()}", message)

    def alert_ended(self, run: DagRunName, *, is_success: bool, links: Links) -> None:
        """Report that a late DAG run ended without reporting its results; nothing if it was not reported as late."""
        problem = self.writer.book.problem(run.id)
        if problem is None or not problem.is_open or problem.kind is not ProblemKind.DAG_RUN:
            return
        if is_success:
            self._close(problem, self.words.finished(None))
        elif FAILED not in problem.reported:
            self._report(run, UNREPORTED, self.words.unreported(run.dag_id, run.dag_run_id, links))

    def close(self, night: DagRunResults) -> None:
        """Close the problem of a DAG run that has results, and those of earlier DAG runs of its scenario."""
        self.writer.book.ended_dag_runs[night.name.id] = self.writer.now
        for problem in self.open_problems():
            if problem.id == night.name.id:
                self._close(problem, self.words.finished(night))
            elif DagRunName.from_id(problem.id).dag_id == night.dag_id:
                self._close(problem, self.words.finished_later(night.dag_run_id))

    def open_problems(self) -> list[Problem]:
        """Return the open problems of DAG runs."""
        return [problem for problem in self.writer.book.problems if is_open_dag_run(problem)]

    def _report(self, run: DagRunName, what: str, message: Message) -> None:
        """Report something of a DAG run once: with the first message, or in its thread."""
        known = self.writer.book.problem(run.id)
        if known is None:
            self.writer.put(self._opened(run, what, message), Event.OPENED, message)
        elif what not in known.reported:
            reported = (*known.reported, what)
            again = replace(known, closed_at=None, last_seen_at=self.writer.now, reported=reported)
            self.writer.put(again, Event.WORSENED, message)

    def _opened(self, run: DagRunName, what: str, message: Message) -> Problem:
        return Problem(
            id=run.id,
            kind=ProblemKind.DAG_RUN,
            channel=self.channel,
            cells=(CellName("", run.dag_id),),
            title=message.text,
            opened_at=self.writer.now,
            last_seen_at=self.writer.now,
            severity=Severity.WARNING,
            reported=(what,),
        )

    def _close(self, problem: Problem, message: Message) -> None:
        ended = replace(problem, reported=())
        self.writer.close(ended, Event.RECOVERED, message, mark=self.words.mark)


def is_open_dag_run(problem: Problem) -> bool:
    """Whether a problem is that of a late or failed DAG run, and still open."""
    return problem.is_open and problem.kind is ProblemKind.DAG_RUN
