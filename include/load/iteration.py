"""What an iteration of a locustfile's user is: its place, what it reports, and what is counted besides."""

from dataclasses import dataclass
from typing import Any

from include.load.arrival import Arrival


class IterationTimeout(Exception):
    """An iteration takes too long; thrown into its user."""


@dataclass(slots=True, eq=False)
class Iteration(Arrival):
    """One iteration that is due; times are in seconds after the start of the schedule.

    Attributes:
        kind: the index of its user class.
        seat: of the user that runs it; ``None`` before it begins.
        task: the task that it runs, for the rows about the iteration itself.
        reported: how many requests it has reported.
        last_s: when the last of them ended.
    """

    kind: int = 0
    seat: "Seat | None" = None
    task: str = ""
    reported: int = 0
    last_s: float = -1.0
    has_failed: bool = False

    @property
    def begins_s(self) -> float:
        """From when on it has been waiting for what comes next: its due time, or the end of its last request."""
        return self.last_s if self.reported else self.due_s


@dataclass(slots=True, eq=False)
class Seat:
    """A user's place in the load.

    Attributes:
        kind: the index of its user class.
        greenlet: runs its code.
        iteration: the current one; ``None`` while it is idle.
        is_in_task: whether a task runs, so that a pause is the code's own.
    """

    kind: int
    greenlet: Any = None
    iteration: Iteration | None = None
    is_in_task: bool = False
    is_stray: bool = False


@dataclass(slots=True)
class IterationCounts:
    """What happened outside the rows.

    Attributes:
        without_request: iterations that ended and had reported no request.
        failed: iterations that ended with an exception.
        timed_out: iterations that were ended because they took too long.
        before: requests before the schedule started, such as logins of users.
        outside: requests in the record that belong to no iteration.
        replaced: users that ended themselves and were replaced.
    """

    without_request: int = 0
    failed: int = 0
    timed_out: int = 0
    before: int = 0
    outside: int = 0
    replaced: int = 0

    def notes(self, *, limit_s: float, grouped: int) -> dict[str, int]:
        """Return sentences for the report, each with its number."""
        sentences = {
            "{count} iterations of the locustfile reported no request": self.without_request,
            "{count} iterations of the locustfile raised an exception; each counts as a failed request": self.failed,
            f"{{count}} iterations of the locustfile took longer than timeout_s, {limit_s:g} s, and were ended; each "
            "counts as a failed request": self.timed_out,
            "{count} requests were sent before the schedule started, such as logins in on_start; they are not in the "
            "record": self.before,
            "{count} requests belong to no iteration, because a greenlet of the locustfile sent them by itself; they "
            "count from their own start": self.outside,
            "{count} users ended themselves and were replaced": self.replaced,
            "{count} requests are grouped as other, because the locustfile has too many names; give requests whose "
            "URLs differ the same name=": grouped,
        }
        return {sentence: count for sentence, count in sentences.items() if count}


@dataclass(frozen=True, slots=True, kw_only=True)
class UserShare:
    """The share of a user class in the iterations."""

    name: str
    weight: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedRequest:
    """A request that the code reports; times as the code knows them.

    Attributes:
        took_s: how long it took.
        started_at: when it started in Unix seconds; ``None`` if unknown: then it ended just now.
        error: what went wrong; ``None`` for a good answer.
    """

    method: object
    name: object
    took_s: float
    size: int
    status: int = 0
    started_at: float | None = None
    error: object = None
