"""A load generator whose loads take their time: each is a process of its own, which may outlive the task for a moment.

It knows what was really sent, so that a test can compare every record with it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from statistics import quantiles
from typing import Protocol

from include.load.schedule import schedule
from include.perf.load.announcing import SentLoad
from include.perf.load.generator import LoadOrder, LoadWatch
from include.perf.runs.figures import COMPLETED
from tests.fakes.generator import progress, row_of, write_log, write_rows

SLICE_S = 2.0


@dataclass(slots=True, eq=False)
class TrueLoad:
    """What a load really was.

    Attributes:
        begins_s, ended_s: true times of its first and of its last request; no end while it sends.
        latencies_s: of the measured requests that were answered well.
        is_complete: whether everything was sent and summed up.
        is_recorded: whether the record of a complete load was written, too.
    """

    run_id: str
    targets: tuple[str, ...]
    begins_s: float
    began_at: datetime
    measured_to: datetime | None = None
    ended_s: float | None = None
    latencies_s: list[float] = field(default_factory=list)
    due: int = 0
    failed: int = 0
    is_complete: bool = False
    is_recorded: bool = False

    @property
    def latency_p50_s(self) -> float:
        """The median of the measured latencies, as Hyndman and Fan's type 7."""
        return quantiles(self.latencies_s, n=2, method="inclusive")[0]


class LoadHost(Protocol):
    """The machine that a load runs on."""

    def now_s(self) -> float:
        """Return the true time."""

    def clock(self) -> datetime:
        """Return the machine's own time."""

    def wait(self, seconds: float) -> None:
        """Let time pass."""

    def began(
        self, load: TrueLoad, *, lock_fd: int | None, length_s: float, written: Callable[[], None]
    ) -> "SendingProcess":
        """Start the process that sends for a while and keeps the lock open; whenever it ends, it writes its record.

        Raises:
            LoadError: it cannot be started.
        """


class SendingProcess(Protocol):
    """The process that sends a load."""

    def stop(self) -> None:
        """End it at once."""

    def await_end(self, seconds: float) -> bool:
        """Wait for its end; return whether it has ended."""


@dataclass(slots=True, kw_only=True)
class SlicedGenerator:
    """Sends loads second by second, and writes their record as the real one does.

    Attributes:
        of_load: returns the load that was announced last in this process.
        latency_of: returns the latency of all requests of a load.
        failed_of: returns how many of its measured requests fail.
    """

    host: LoadHost
    of_load: Callable[[], SentLoad]
    latency_of: Callable[[SentLoad], float]
    failed_of: Callable[[SentLoad], int]

    def shared(self) -> str | None:
        """No workers are shared."""
        return None

    def run(self, order: LoadOrder, *, watch: LoadWatch) -> None:
        """Send a load until it is over or there is a reason to stop, and write its record."""
        sent = self.of_load()
        load = TrueLoad(
            run_id=sent.run_id,
            targets=tuple(f"{address}:{order.service.port}" for address in order.addresses),
            begins_s=self.host.now_s(),
            began_at=self.host.clock(),
        )
        begin, begins_s = load.began_at.timestamp(), load.begins_s
        count = 0

        def written() -> None:
            nonlocal count
            rows = self._rows(order, load, sent, begin=begin, took_s=(load.ended_s or 0.0) - begins_s)
            count = len(rows)
            write_rows(order.folder, rows)

        process = self.host.began(load, lock_fd=order.lock_fd, length_s=order.load.total_s, written=written)
        reason, steady = None, progress(total_s=float(order.load.total_s))
        while not process.await_end(SLICE_S):
            watch.take_in(replace(steady, elapsed_s=self.host.now_s() - begins_s))
            reason = watch.reason_to_stop()
            if reason is not None:
                process.stop()
        step_s = (self.host.clock().timestamp() - begin) - (self.host.now_s() - begins_s)
        load.is_complete = reason is None  # before the file, whose writer may be killed once it is written
        write_log(
            order.folder,
            order.load,
            begin=begin,
            arrivals=count,
            ended=reason or COMPLETED,
            clock_step_s=step_s,
            feed_rows={endpoint.name: 3 for endpoint in order.service.endpoints},
        )
        load.is_recorded = load.is_complete

    def _rows(self, order: LoadOrder, load: TrueLoad, sent: SentLoad, *, begin: float, took_s: float) -> Sequence[str]:
        names = [endpoint.name for endpoint in order.service.endpoints]
        base_s, failing = self.latency_of(sent), self.failed_of(sent)
        rows = []
        for number, due in enumerate(schedule(order.load, [1])):
            if due.due_s > took_s:
                break
            latency_s = round(base_s * (1 + 0.1 * ((number * 7) % 11 - 5) / 5), 6)
            is_failed = due.is_measured and load.failed < failing
            if due.is_measured:
                load.due += 1
                load.failed += is_failed
                if not is_failed:
                    load.latencies_s.append(latency_s)
            name = names[number % len(names)]
            rows.append(row_of(due, name, begin=begin, latency_s=latency_s, is_failed=is_failed))
        return rows
