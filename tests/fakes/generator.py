"""A load generator that sends nothing: the record that it leaves, and how a load is going."""

import gzip
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from include.load.schedule import Due, schedule
from include.perf.catalogue.scenario.load_profile import LoadProfile
from include.perf.load.generator import LoadOrder, LoadWatch, Progress, ProgressInterval
from include.perf.load.load_plan import REQUEST_COLUMNS, GeneratorLog
from include.perf.model.errors import LoadError
from include.perf.model.histogram import Histogram
from include.perf.model.json_files import to_json
from include.perf.runs.figures import COMPLETED
from include.perf.runs.results_store import GENERATOR_FILE, REQUESTS_FILE
from tests.fakes.clock import FixedClock

SCHEDULE_LAG_S, START_LAG_S = 0.0008, 0.001


@dataclass(slots=True, kw_only=True)
class FakeGenerator:
    """Leaves the record of a load that never went anywhere: seeded rows, shaped by what a test sets.

    Attributes:
        latency_s: the median; the others lie around it, log-normal with σ = 0.2.
        failed_every: each so many-th request is answered with HTTP 500; 0 for none.
        log_changes: what the summary says differently.
        is_killed: leaves the requests, but no summary.
        problem: raised instead of leaving anything.
        loads: every load that was asked for.
        orders: the same loads, with everything that was ordered.
        pool: the workers elsewhere, ``None`` for none.
    """

    clock: FixedClock
    latency_s: float = 0.04
    failed_every: int = 0
    seed: int = 7
    log_changes: dict[str, Any] = field(default_factory=dict)
    is_killed: bool = False
    problem: BaseException | None = None
    loads: list[LoadProfile] = field(default_factory=list)
    orders: list[LoadOrder] = field(default_factory=list)
    pool: str | None = None

    def shared(self) -> str | None:
        """Return what a test says."""
        return self.pool

    def run(self, order: LoadOrder, *, watch: LoadWatch) -> None:
        """Write ``requests.csv.gz`` and ``generator.json`` as the real one does."""
        service, load, folder = order.service, order.load, order.folder
        self.orders.append(order)
        self.loads.append(load)
        if self.problem is not None:
            raise self.problem
        begin = self.clock().timestamp()
        names = [endpoint.name for endpoint in service.endpoints] or ["GET quote"]
        rows = list(self._rows(load, names, begin=begin))
        write_rows(folder, rows)
        if not self.is_killed:
            write_log(folder, load, begin=begin, arrivals=len(rows), **self.log_changes)
        self.clock.move(load.warmup_s + load.duration_s)
        watch.take_in(progress(elapsed_s=load.warmup_s + load.duration_s))

    def _rows(self, load: LoadProfile, names: list[str], *, begin: float) -> Iterator[str]:
        source = random.Random(self.seed)
        for number, due in enumerate(schedule(load, [1])):
            service_s = self.latency_s * source.lognormvariate(0, 0.2)
            is_failed = self.failed_every > 0 and number % self.failed_every == 0
            name = names[number % len(names)]
            yield row_of(due, name, begin=begin, latency_s=service_s + START_LAG_S, is_failed=is_failed)


def row_of(due: Due, endpoint: str, *, begin: float, latency_s: float, is_failed: bool) -> str:
    """Return the row of a request that was answered, well or with HTTP 500."""
    phase = "measured" if due.is_measured else "warmup"
    status, error = ("500", "HTTP 500") if is_failed else ("200", "")
    times = f"{SCHEDULE_LAG_S:.6f},{START_LAG_S:.6f},{latency_s - START_LAG_S:.6f},{latency_s:.6f}"
    return f"{begin + due.due_s:.6f},{phase},{endpoint},{status},{times},90,{error}"


def write_rows(folder: Path, rows: Sequence[str]) -> None:
    """Write ``requests.csv.gz``."""
    text = "\n".join([",".join(REQUEST_COLUMNS), *rows, ""])
    (folder / REQUESTS_FILE).write_bytes(gzip.compress(text.encode(), 1, mtime=0))


def write_log(folder: Path, load: LoadProfile, *, begin: float, arrivals: int, **changes: Any) -> None:
    """Write ``generator.json`` as a generator that kept up does."""
    log = GeneratorLog(
        ended=COMPLETED,
        version="fake 1",
        started_at=begin,
        measured_from=begin + load.warmup_s,
        measured_to=begin + load.warmup_s + load.duration_s,
        arrivals=arrivals,
        schedule_lags=counts_of(SCHEDULE_LAG_S),
        cpu_cores=0.30,
        wanted_cores=0.31,
        wait_ratio=0.01,
        steal_ratio=0.0,
        concurrency_peak=9,
        capped=0,
        clock_step_s=0.0,
        error_examples={},
        feed_rows={"orders": 3, "positions": 2},
    )
    (folder / GENERATOR_FILE).write_bytes(to_json(replace(log, **changes)))


def progress(**changes: Any) -> Progress:
    """Return how a load of 60 s is going after 12 s, at 500/s."""
    made = Progress(
        elapsed_s=12.0,
        total_s=60.0,
        rate_rps=499.6,
        due=6000,
        finished=5950,
        failed=3,
        in_flight=47,
        latency_p50_s=0.0183,
        latency_p95_s=0.0421,
        latency_p99_s=0.0876,
        lag_p99_s=0.0008,
        interval=recent(),
    )
    return replace(made, **changes)


def recent(**changes: Any) -> ProgressInterval:
    """Return a second of that load, with every delay as `progress` has it at the median."""
    made = ProgressInterval(
        due=500,
        sent=500,
        finished=499,
        failed=1,
        latencies={step: 500 * count for step, count in counts_of(0.0183).items()},
        lags={step: 500 * count for step, count in counts_of(0.0008).items()},
        waits={step: 47 * count for step, count in counts_of(0.009).items()},
        wanted_cores=(0.25,),
    )
    return replace(made, **changes)


def counts_of(*delays_s: float) -> dict[int, int]:
    """Return delays as a histogram counts them."""
    histogram = Histogram()
    for delay_s in delays_s:
        histogram.add(delay_s)
    return histogram.counts


NO_RECORD = LoadError("the load generator left no record; the end of its log: none")
