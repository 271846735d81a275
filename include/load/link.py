"""What ties a load process to whoever ordered its load."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import IO, Any, Protocol

from include.load.control import Start
from include.perf.load.load_plan import GeneratorLog, LoadPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadProcessOrder:
    """What one load process is to do.

    Attributes:
        secrets: headers that must not lie in any file.
        worker: its number among the workers of the plan, from 0.
        rows: takes its record, compressed; written to from a thread.
    """

    plan: LoadPlan
    secrets: Mapping[str, str]
    worker: int
    rows: IO[bytes]


class ParentLink(Protocol):
    """Brings orders in and reports out, and runs the users the way Locust has for it."""

    def order(self) -> LoadProcessOrder:
        """Wait for the order of a load."""

    def start_users(self, count: int) -> None:
        """Start so many users."""

    @property
    def users(self) -> int:
        """How many users run."""

    def tell(self, report: Mapping[str, Any]) -> None:
        """Report, and do not wait until anybody hears it."""

    def start(self) -> Start:
        """Wait for the common start."""

    def watch(self, stop: Callable[[str], None]) -> None:
        """Pass on a reason to stop, and the end of whoever ordered the load."""

    def finish(self, summary: GeneratorLog) -> None:
        """Leave what this process says of its load; the rows are whole."""
