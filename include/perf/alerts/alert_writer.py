"""Write alerts into the book: open, update and close problems, and put messages into the outbox."""

import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from include.perf.alerts.book import AlertBook, Chart, Event, Message, Problem, ProblemKind, Silence
from include.perf.alerts.outbox import parts_of
from include.perf.model.cell import CellName, RunAddress
from include.perf.runs.dag_run import DagRunResults, MissingRun
from include.perf.runs.record import RunRecord

KEPT = timedelta(days=90)
"""How long closed problems and expired silences are kept."""

RUNS_KEPT = 5000
"""How many processed runs are remembered, so that a retried task alerts nobody twice."""

LOOKED_FOR = 100
"""How many of the runs that were reported last as missing are looked for again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What is new of a DAG run.

    Attributes:
        night: all of its results.
        records: those that were not reported yet, by URI.
        missing: the runs without a record that were not reported yet.
    """

    night: DagRunResults
    records: Mapping[str, RunRecord]
    missing: tuple[MissingRun, ...]


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
            if problem.is_open and any(
                silence.covers(cell, name) for cell in problem.cells for name in problem.metrics
            ):
                self.send(problem.channel, Event.ACKNOWLEDGED, acknowledged, problem_id=problem.id)

    def take_news(self, night: DagRunResults) -> News:
        """Return what of a DAG run was not reported yet, and remember it as reported.

        Each record counts once, also one that could be read only later. A run is reported as missing at most once,
        and never after its record.
        """
        processed, missed = set(self.book.processed_runs), set(map(_last_part, self.book.missing_runs))
        records = {uri: record for uri, record in night.records.items() if _run_id(uri) not in processed}
        missing = tuple(run for run in night.missing if run.address.run_id not in processed | missed)
        self.book.processed_runs = [*self.book.processed_runs, *map(_run_id, records)][-RUNS_KEPT:]
        self.book.missing_runs = [*self.book.missing_runs, *(run.address.path for run in missing)][-RUNS_KEPT:]
        return News(night=night, records=records, missing=missing)

    def forget(self) -> None:
        """Remove problems, silences and DAG runs that ended more than `KEPT` ago."""
        oldest = self.now - KEPT
        self.book.problems = [
            problem for problem in self.book.problems if problem.closed_at is None or problem.closed_at > oldest
        ]
        self.book.silences = [silence for silence in self.book.silences if silence.until > oldest]
        self.book.ended_dag_runs = {name: at for name, at in self.book.ended_dag_runs.items() if at > oldest}


def paths_looked_for(book: AlertBook) -> list[str]:
    """Return the paths in the results store of runs that were reported as missing, and never by a record."""
    processed = set(book.processed_runs)
    paths = [path for path in book.missing_runs if "/" in path]  # earlier versions stored only the id
    return [path for path in paths[-LOOKED_FOR:] if _last_part(path) not in processed]


def _run_id(uri: str) -> str:
    return RunAddress.from_uri(uri).run_id


def _last_part(path: str) -> str:
    return path.rpartition("/")[2]
