"""The load generator: Locust in processes of its own.

Locust patches the standard library when it is imported, so no process of Airflow's may import it. Each worker
gets a command pipe whose other end only this process holds. When this process is gone, however it went, the
pipe closes and the worker stops its load.

Nothing is judged by an exit code (Locust leaves with 0 after a SIGTERM and after a dead target): what the
workers wrote is the record, and whether it is whole is for `include.perf.validity` to say.
"""

import logging
import math
import selectors
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from include.perf.adapters.credentials import environment_credentials
from include.perf.adapters.load_process import LOG_FILE, Worker, running_workers
from include.perf.errors import LoadError
from include.perf.load_plan import LoadPlan, plan_for
from include.perf.load_progress import LoadProgress
from include.perf.ports import GENERATOR_FILE, REQUESTS_FILE, Credentials, LoadOrder, LoadWatch
from include.perf.worker_parts import forget, join

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
    """Runs `include.load` as child processes and waits for them.

    Args:
        credentials: gives the secret headers of a service; they go to the workers through a pipe.
    """

    def __init__(
        self,
        *,
        credentials: Credentials = environment_credentials,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._credentials = credentials
        self._clock = clock

    def run(self, order: LoadOrder, *, watch: LoadWatch) -> None:
        """Send the feed at the arrival schedule and leave the raw record beside it.

        Raises:
            ConfigurationError: the service's credentials are missing.
            LoadError: a worker could not be started, or none left a record.
        """
        plan = plan_for(order)
        secrets = self._credentials(order.service)
        folder, workers = order.folder, order.load.worker_count
        forget(folder, workers=workers)
        try:
            with running_workers(plan, hold=order.hold) as started:
                load = _Load(started, plan, watch, clock=self._clock)
                self._drive(load, started, secrets)
        except OSError as err:
            raise LoadError(f"the load generator could not be started: {err}") from err
        finally:
            join(folder, workers=workers)
        _check_record(folder, stopped=load.stopped_by_watch)

    def _drive(self, load: "_Load", workers: Sequence[Worker], secrets: Mapping[str, str]) -> None:
        """See the workers through to their end; one that does not end though it was asked to is killed."""
        for worker in workers:
            worker.tell({"headers": dict(secrets)})
        with selectors.DefaultSelector() as selector:
            for worker in workers:
                selector.register(worker.reports, selectors.EVENT_READ, worker)
            self._follow(selector, load)
            if selector.get_map() and not load.is_stopped:
                load.stop("stopped: it did not end by itself")
                self._follow(selector, load)
            for worker in _left(selector):
                if not load.is_over(worker):
                    worker.kill()
            load.deadline = self._clock() + WRITE_S
            self._follow(selector, load)
            for worker in _left(selector):
                worker.kill()

    def _follow(self, selector: selectors.BaseSelector, load: "_Load") -> None:
        """Hear the workers until they have ended, or their time is up."""
        while selector.get_map() and (left := load.deadline - self._clock()) > 0:
            for key, _ in selector.select(timeout=min(left, LOOK_EVERY_S)):
                if not load.follow(key.data):
                    selector.unregister(key.fileobj)
            load.look()


def _left(selector: selectors.BaseSelector) -> list[Worker]:
    """Return the workers that have not ended."""
    return [key.data for key in selector.get_map().values()]


class _Load:
    """What the workers do together: they start at one moment, and none goes on without the others.

    Attributes:
        deadline: on the clock, when they must have started; once they have, when they must have ended.
        is_stopped: whether they were asked to end.
        stopped_by_watch: why the watch ended it, ``None`` where it did not.
    """

    def __init__(
        self,
        workers: Sequence[Worker],
        plan: LoadPlan,
        watch: LoadWatch,
        *,
        clock: Callable[[], float],
    ) -> None:
        self._workers = workers
        self._plan = plan
        self._progress = LoadProgress(workers=len(workers), total_s=plan.total_s)
        self._watch = watch
        self._clock = clock
        self.deadline = clock() + START_UP_S
        self._ready: set[int] = set()
        self._end = math.inf
        self._heard: dict[int, float] = {}
        self._over: set[int] = set()
        self.is_stopped = False
        self.stopped_by_watch: str | None = None

    def follow(self, worker: Worker) -> bool:
        """Take in what a worker reports; whether it will report more."""
        reports = worker.read()
        if reports is None:
            self._heard.pop(worker.number, None)
            if time.perf_counter() < self._end and not self.is_stopped:
                how = "was lost" if worker.is_lost() else "ended early"
                self.stop(f"stopped: {self._name(worker.number)} {how}")
            return False
        if worker.number in self._heard:
            self._heard[worker.number] = self._clock()
        for report in reports:
            if "ready" in report:
                self._ready.add(worker.number)
                self._start_when_all_are_ready()
            elif "over" in report:
                self._over.add(worker.number)
                self._heard.pop(worker.number, None)
            elif progress := self._progress.take_in(worker.number, report):
                self._watch.take_in(progress)
        return True

    def _start_when_all_are_ready(self) -> None:
        """Start on a whole second, so that each second of the clock has its arrivals to itself."""
        if len(self._ready) == len(self._workers):
            now = time.time()
            started_at = float(math.ceil(now + HEAD_START_S))
            start = time.perf_counter() + (started_at - now)
            self._end = start + self._plan.total_s
            self.deadline = self._clock() + HEAD_START_S + 1 + self._plan.total_s + self._plan.drain_s + SPARE_S
            self._heard = {worker.number: self._clock() for worker in self._workers}
            for worker in self._workers:
                worker.tell({"start": {"start": start, "started_at": started_at}})

    def is_over(self, worker: Worker) -> bool:
        """Whether a worker has told that it sends no more."""
        return worker.number in self._over

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
        return f"worker {number + 1} of {len(self._workers)}"

    def stop(self, reason: str) -> None:
        """Ask every worker to end its load within `STOP_S`."""
        log.warning("the load is %s; see %s", reason, self._plan.folder / LOG_FILE)
        self.is_stopped = True
        self.deadline = self._clock() + STOP_S
        for worker in self._workers:
            worker.tell({"stop": reason})


def _check_record(folder: Path, *, stopped: str | None) -> None:
    """Make sure that the load left its record, and that nobody has to guess why it did not.

    Raises:
        LoadError: it did not.
    """
    requests = folder / REQUESTS_FILE
    if not requests.exists() or not requests.stat().st_size:
        requests.unlink(missing_ok=True)
        if stopped is not None:
            raise LoadError(f"the load was stopped before it left a record: {stopped}")
        raise LoadError(f"the load generator left no record; its last words: {_last_words(folder)}")
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
