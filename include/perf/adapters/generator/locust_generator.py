"""The load generator: Locust in processes of its own.

Locust patches the standard library when it is imported, so no process of Airflow's may import it. Each of them
gets a command pipe whose other end only this process holds. When this process is gone, however it went, the
pipe closes and the process stops its load, or, as the master of workers elsewhere, has them stop it.

Nothing is judged by an exit code (Locust leaves with 0 after a SIGTERM and after a dead target): what the
workers wrote is the record, and whether it is whole is for `include.perf.measure.validity` to say.
"""

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from include.perf.adapters.generator.load_process import ENDED, LOG_FILE, LoadWorkers, WorkerReport, local_workers
from include.perf.adapters.generator.locust_pool import LocustPool, environment_pool, remote_workers
from include.perf.adapters.http.credentials import environment_credentials
from include.perf.load.generator import LoadOrder, LoadProgress, LoadWatch
from include.perf.load.load_plan import LoadPlan, plan_for
from include.perf.load.wire import Credentials
from include.perf.load.worker_parts import forget, join
from include.perf.model.errors import LoadError
from include.perf.runs.results_store import GENERATOR_FILE, REQUESTS_FILE

log = logging.getLogger(__name__)

START_UP_S = 60.0
"""How long the workers may take to import Locust, read the feed and start their users, on a busy machine."""

HEAD_START_S = 0.3
"""How long the start is told beforehand."""

LOOK_EVERY_S = 0.5
"""How often it is looked whether there is a reason to stop."""

SPARE_S = 5.0
"""How much later than planned the workers may end by themselves."""

STOP_S = 3.0
"""How long they may take, all together, to end their load once they were asked to; who does not is killed."""

WRITE_S = 60.0
"""How long a worker whose load is over may take for its record: a row for each of the arrivals that waited in vain, and
there may be a million of them."""

MUTE_S = 15.0
"""How long a worker may say nothing, who should once a second: it hangs, and the load is another one."""


class LocustGenerator:
    """Runs `include.load` as child processes, or on workers elsewhere, and waits for them.

    Args:
        credentials: gives the secret headers of a service; they go to the workers through a pipe.
        pool: names the workers elsewhere, ``None`` where this machine sends all load.
    """

    def __init__(
        self,
        *,
        credentials: Credentials = environment_credentials,
        pool: Callable[[], LocustPool | None] = environment_pool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._credentials = credentials
        self._pool = pool
        self._clock = clock

    def shared(self) -> str | None:
        """Return the workers elsewhere that all loads share, if any.

        Raises:
            ConfigurationError: they are described wrongly.
        """
        pool = self._pool()
        return None if pool is None else pool.name

    def run(self, order: LoadOrder, *, watch: LoadWatch) -> None:
        """Send the feed at the arrival schedule and leave the raw record beside it.

        Raises:
            ConfigurationError: the service's credentials are missing.
            LoadError: a worker could not be started, too few came, or none left a record.
        """
        plan = plan_for(order)
        secrets = self._credentials(order.service)
        forget(order.folder)
        load: _Load | None = None
        try:
            with self._workers(plan, order, secrets, watch) as workers:
                load = _Load(workers, plan, watch, clock=self._clock)
                self._drive(load, workers, secrets)
        except OSError as err:
            raise LoadError(f"the load generator could not be started: {err}") from err
        finally:
            if load is not None:
                join(order.folder, workers=len(load.workers), hosts=load.workers.hosts)
        _check_record(order.folder, stopped=load.stopped_by_watch, lost=load.lost)

    def _workers(
        self, plan: LoadPlan, order: LoadOrder, secrets: Mapping[str, str], watch: LoadWatch
    ) -> AbstractContextManager[LoadWorkers]:
        pool = self._pool()
        if pool is None:
            return local_workers(plan, lock_fd=order.lock_fd)
        return remote_workers(plan, pool, secrets=secrets, lock_fd=order.lock_fd, reason_to_stop=watch.reason_to_stop)

    def _drive(self, load: "_Load", workers: LoadWorkers, secrets: Mapping[str, str]) -> None:
        """See the workers through to their end; one that does not end though it was asked to is dropped."""
        workers.tell({"headers": dict(secrets)})
        self._follow(load)
        if load.here and not load.is_stopped:
            load.stop("stopped: it did not end by itself")
            self._follow(load)
        for worker in load.here - load.over:
            workers.drop(worker)
        load.deadline = self._clock() + WRITE_S
        self._follow(load)
        for worker in load.here:
            workers.drop(worker)

    def _follow(self, load: "_Load") -> None:
        """Hear the workers until they have ended, or their time is up."""
        while load.here and (left_s := load.deadline - self._clock()) > 0:
            for heard in load.workers.hear(within_s=min(left_s, LOOK_EVERY_S)):
                load.take_in(heard)
            load.look()


class _Load:
    """What the workers do together: they start at one moment, and none goes on without the others.

    Attributes:
        deadline: on the clock, when they must have started; once they have, when they must have ended.
        here: those that still report.
        over: those that have told that they send no more.
        lost: which of those elsewhere were lost, and how.
        is_stopped: whether they were asked to end.
        stopped_by_watch: why the watch ended it, ``None`` where it did not.
    """

    def __init__(
        self,
        workers: LoadWorkers,
        plan: LoadPlan,
        watch: LoadWatch,
        *,
        clock: Callable[[], float],
    ) -> None:
        self.workers = workers
        self._plan = plan
        self._progress = LoadProgress(workers=len(workers), total_s=plan.total_s)
        self._watch = watch
        self._clock = clock
        self.deadline = clock() + START_UP_S
        self.here = set(range(len(workers)))
        self.over: set[int] = set()
        self.lost: list[str] = []
        self._ready: set[int] = set()
        self._end = math.inf
        self._heard: dict[int, float] = {}
        self.is_stopped = False
        self.stopped_by_watch: str | None = None

    def take_in(self, heard: WorkerReport) -> None:
        """Take in what a worker reports."""
        if heard.left is not None:
            self._take_leave(heard.worker, how=heard.left)
            return
        if heard.worker in self._heard:
            self._heard[heard.worker] = self._clock()
        for report in heard.reports:
            if "ready" in report:
                self._ready.add(heard.worker)
                self._start_when_all_are_ready()
            elif "over" in report:
                self.over.add(heard.worker)
                self._heard.pop(heard.worker, None)
            elif progress := self._progress.take_in(heard.worker, report):
                self._watch.take_in(progress)

    def _take_leave(self, worker: int, *, how: str) -> None:
        self.here.discard(worker)
        if how != ENDED and self.workers.hosts:
            self.lost.append(f"{self._name(worker)} {how}")
        self._heard.pop(worker, None)
        if time.perf_counter() < self._end and not self.is_stopped:
            self.stop(f"stopped: {self._name(worker)} {'ended early' if how == ENDED else how}")

    def _start_when_all_are_ready(self) -> None:
        """Start on a whole second, so that each second of the clock has its arrivals to itself."""
        if len(self._ready) == len(self.workers):
            now = time.time()
            started_at = float(math.ceil(now + HEAD_START_S))
            start = time.perf_counter() + (started_at - now)
            self._end = start + self._plan.total_s
            self.deadline = self._clock() + HEAD_START_S + 1 + self._plan.total_s + self._plan.drain_s + SPARE_S
            self._heard = dict.fromkeys(range(len(self.workers)), self._clock())
            self.workers.tell({"start": {"start": start, "started_at": started_at}})

    def look(self) -> None:
        """End the load when there is a reason to."""
        if self.is_stopped:
            return
        if (reason := self._watch.reason_to_stop()) is not None:
            self.stopped_by_watch = reason
            self.stop(f"stopped: {reason}")
            return
        mute = [number for number, heard in self._heard.items() if self._clock() - heard > MUTE_S]
        if mute:
            self.stop(f"stopped: {self._name(mute[0])} hung, it said nothing for {MUTE_S:g} s")

    def _name(self, number: int) -> str:
        name = f"worker {number + 1} of {len(self.workers)}"
        return f"{name} on {self.workers.hosts[number]}" if self.workers.hosts else name

    def stop(self, reason: str) -> None:
        """Ask every worker to end its load within `STOP_S`."""
        log.warning("the load is %s; see %s", reason, self._plan.folder / LOG_FILE)
        self.is_stopped = True
        self.deadline = self._clock() + STOP_S
        self.workers.tell({"stop": reason})


def _check_record(folder: Path, *, stopped: str | None, lost: Sequence[str]) -> None:
    """Make sure that the load left its record, and that nobody has to guess why it did not.

    Raises:
        LoadError: it did not.
    """
    requests = folder / REQUESTS_FILE
    if not requests.exists() or not requests.stat().st_size:
        requests.unlink(missing_ok=True)
        if stopped is not None:
            raise LoadError(f"the load was stopped before it left a record: {stopped}")
        if lost:
            raise LoadError(f"the load left no record: {'; '.join(lost)}")
        raise LoadError(f"the load generator left no record; its last words: {_last_words(folder)}")
    if lost and not (folder / GENERATOR_FILE).exists():
        raise LoadError(f"no worker ended its load: {'; '.join(lost)}; the requests up to then are in {requests}")
    if stopped is not None and not (folder / GENERATOR_FILE).exists():
        raise LoadError(
            f"the load was stopped: {stopped}; the load generator did not end within {STOP_S:g} s and was killed, "
            f"its requests are in {requests}"
        )


def _last_words(folder: Path) -> str:
    try:
        lines = (folder / LOG_FILE).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return "none"
    return " / ".join(line.strip() for line in lines[-3:]) or "none"
