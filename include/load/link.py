"""The port between a load process and the process that ordered its load."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any, Protocol

from include.load.control import Start
from include.perf.load.load_plan import GeneratorLog, LoadPlan
from include.perf.load.service_secrets import ServiceSecrets


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadProcessOrder:
    """The task of one load process.

    Attributes:
        secrets: of the service; they must not be written to a file.
        worker: its number among the workers of the plan, from 0.
        rows: takes its record, compressed; written to from a thread.
    """

    plan: LoadPlan
    secrets: ServiceSecrets
    worker: int
    rows: IO[bytes]


class ParentLink(Protocol):
    """Receives orders, sends reports, and starts the users with Locust's means."""

    def order(self) -> LoadProcessOrder:
        """Wait for the order of a load."""

    def start_users(self, count: int) -> None:
        """Start a number of users."""

    @property
    def users(self) -> int:
        """How many users run."""

    def report(self, report: Mapping[str, Any]) -> None:
        """Send a report without waiting for a reader."""

    def start(self, renew: Callable[[Sequence[str]], None]) -> Start:
        """Wait for the common start; call ``renew`` with tokens that arrive before it."""

    def watch(self, stop: Callable[[str], None], renew: Callable[[Sequence[str]], None]) -> None:
        """Call ``stop`` with a reason to stop, also when the parent is gone, and ``renew`` with new tokens."""

    def finish(self, summary: GeneratorLog) -> None:
        """Hand over the summary; all rows are written."""
