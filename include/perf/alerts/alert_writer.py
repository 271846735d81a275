"""Write alerts into the book: open, update and close problems, and put messages into the outbox."""

import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from include.perf.alerts.book import AlertBook, Chart, Event, Message, Problem, ProblemKind, Silence
from include.perf.alerts.outbox import parts_of
from include.perf.model.cell import CellName

KEPT = timedelta(days=90)
"""How long closed problems and expired silences are kept."""

RUNS_KEPT = 1000
"""How many processed runs are remembered, so that a retried task alerts nobody twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertWriter:
    """The alert book, open for changes at a given time. Messages go into the outbox; nothing is sent here."""

    book: AlertBook
    now: datetime

    def open_problem(self, kind: ProblemKind, cells: Iterable[CellName], channel: str) -> Problem | None:
        """Return the open problem of one of the cells; earlier cells take precedence."""
        for cell in cells:
            for problem in self.book.problems:
                if problem.is_open and (problem.kind, problem.channel) == (kind, channel) and cell in problem.cells:
                    return problem
        return None

    def seen_again(self, problem: Problem) -> Problem:
        """Return a problem with its count of nights updated; two runs on one day count as one night."""
        is_new_day = self.now.date() != problem.last_seen_at.date()
        return replace(problem, last_seen_at=self.now, nights=problem.nights + is_new_day)

    def put(
        self,
        problem: Problem,
        event: Event,
        message: Message,
        *,
        charts: tuple[Chart, ...] = (),
        mark: Message | None = None,
    ) -> None:
        """Store a problem and send a message about it."""
        self.book.put(problem)
        self.send(problem.channel, event, message, problem_id=problem.id, charts=charts, mark=mark)

    def close(
        self, problem: Problem, event: Event, message: Message, *, mark: Callable[[Problem, Event], Message]
    ) -> None:
        """Close a problem, reply in its thread, and mark its first message as resolved."""
        closed = replace(problem, closed_at=self.now)
        self.put(closed, event, message, mark=mark(closed, event))

    def send(
        self,
        channel: str,
        event: Event,
        message: Message,
        *,
        problem_id: str | None = None,
        charts: tuple[Chart, ...] = (),
        mark: Message | None = None,
    ) -> None:
        """Put a message into the outbox: one entry for each place."""
        self.book.outbox += parts_of(
            secrets.token_hex(8),
            event,
            message,
            channel=channel,
            now=self.now,
            problem_id=problem_id,
            charts=charts,
            mark=mark,
        )

    def silence(self, silence: Silence, acknowledged: Message) -> None:
        """Store a silence, and post the acknowledgement in the thread of each open problem that it matches."""
        self.book.silences.append(silence)
        for problem in self.book.problems:
            if problem.is_open and any(silence.covers(cell, name) for cell in problem.cells for name in problem.worst):
                self.send(problem.channel, Event.ACKNOWLEDGED, acknowledged, problem_id=problem.id)

    def mark_processed(self, run_ids: Iterable[str]) -> bool:
        """Remember runs as processed; return whether any of them is new."""
        new = [run_id for run_id in run_ids if run_id not in self.book.processed_runs]
        self.book.processed_runs = [*self.book.processed_runs, *new][-RUNS_KEPT:]
        return bool(new)

    def forget(self) -> None:
        """Remove problems and silences that ended more than `KEPT` ago."""
        oldest = self.now - KEPT
        self.book.problems = [
            problem for problem in self.book.problems if problem.closed_at is None or problem.closed_at > oldest
        ]
        self.book.silences = [silence for silence in self.book.silences if silence.until > oldest]
