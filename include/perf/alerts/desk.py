"""Where alerts are written down: problems that begin, go on and end, and what has to be said of them."""

import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from include.perf.alerts.book import AlertBook, Chart, Delivery, Event, Message, Problem, ProblemKind, Silence
from include.perf.model.cell import CellName

KEPT = timedelta(days=90)
"""So long closed problems and silences that are over are remembered."""

RUNS_KEPT = 1000
"""So many runs are remembered as told, so that a task that is tried again tells nothing twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertWriter:
    """The book, open at a moment."""

    book: AlertBook
    now: datetime

    def known(self, kind: ProblemKind, cells: Iterable[CellName], channel: str) -> Problem | None:
        """Return the open problem that one of the cells belongs to; that of the first cell before others."""
        for cell in cells:
            for problem in self.book.problems:
                if problem.is_open and (problem.kind, problem.channel) == (kind, channel) and cell in problem.cells:
                    return problem
        return None

    def seen(self, problem: Problem) -> Problem:
        """Return a problem that is there tonight as well; two runs of one day are one night."""
        is_new = self.now.date() != problem.last_seen_at.date()
        return replace(problem, last_seen_at=self.now, nights=problem.nights + is_new)

    def put(
        self,
        problem: Problem,
        event: Event,
        message: Message,
        *,
        charts: tuple[Chart, ...] = (),
        mark: Message | None = None,
    ) -> None:
        """Keep a problem and say something of it."""
        self.book.put(problem)
        self.send(problem.channel, event, message, problem_id=problem.id, charts=charts, mark=mark)

    def close(
        self, problem: Problem, event: Event, message: Message, *, mark: Callable[[Problem, Event], Message]
    ) -> None:
        """Keep that a problem is over, say so in its thread, and mark its first message."""
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
        """Say something; the delivery comes later."""
        self.book.outbox.append(
            Delivery(
                id=secrets.token_hex(8),
                event=event,
                channel=channel,
                message=message,
                created_at=self.now,
                problem_id=problem_id,
                charts=charts,
                mark=mark,
            )
        )

    def silence(self, silence: Silence, acknowledged: Message) -> None:
        """Keep a silence, and say in the thread of each problem that it is about that somebody knows."""
        self.book.silences.append(silence)
        for problem in self.book.problems:
            if problem.is_open and any(silence.covers(cell, name) for cell in problem.cells for name in problem.worst):
                self.send(problem.channel, Event.ACKNOWLEDGED, acknowledged, problem_id=problem.id)

    def is_told(self, runs: Iterable[str]) -> bool:
        """Whether all of these runs were taken in before; those that were not are from now on."""
        new = [run for run in runs if run not in self.book.told]
        self.book.told = [*self.book.told, *new][-RUNS_KEPT:]
        return not new

    def forget(self) -> None:
        """Forget what has been over for long."""
        oldest = self.now - KEPT
        self.book.problems = [each for each in self.book.problems if each.closed_at is None or each.closed_at > oldest]
        self.book.silences = [each for each in self.book.silences if each.until > oldest]
