"""The load generator: Locust in separate processes.

Locust patches the standard library when it is imported, so no Airflow process may import it. A load process gets a
command pipe whose other end only this process has open. When this process exits, for whatever reason, the pipe closes
and the load process stops its load; a master has its workers on other machines stop theirs.

Exit codes mean nothing here: Locust exits with 0 after a SIGTERM and after a dead target. The workers write the record,
and `include.perf.measure.validity` decides whether it is complete.
"""

import logging
import math
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from include.perf.adapters.generator.load_process import ENDED, LOG_FILE, LoadWorkers, WorkerReport, local_workers
from include.perf.adapters.generator.locust_pool import LocustPool, environment_pool, remote_workers
from include.perf.adapters.http.credentials import environment_credentials
from include.perf.catalogue.service import Service
from include.perf.load.generator import LoadOrder, LoadProgress, LoadWatch
from include.perf.load.load_plan import LoadPlan, plan_for
from include.perf.load.locustfile_bundle import code_folder
from include.perf.load.service_secrets import ServiceSecrets
from include.perf.load.token_renewal import TokenRenewal, TokenWatch
from include.perf.load.tokens import TokenIssuer, TokenPool, pool_of
from include.perf.load.wire import Credentials
from include.perf.load.worker_parts import forget, join
from include.perf.model.errors import LoadError
from include.perf.runs.results_store import GENERATOR_FILE, REQUESTS_FILE

log = logging.getLogger(__name__)

START_UP_S = 60.0
"""How long the workers may take to import Locust, read the feed and start their users, on a busy machine."""

HEAD_START_S = 0.3
"""How long before the start the workers are sent its time."""

POLL_INTERVAL_S = 0.5
"""How often to check for a reason to stop."""

SPARE_S = 5.0
"""How much later than planned the workers may end."""

STOP_S = 3.0
"""How long all workers together may take to end their load after a stop command; the others are killed."""

WRITE_S = 60.0
"""How long a worker may take to write its record after the load: a row for every unanswered arrival, up to a
million."""

SILENCE_S = 15.0
"""A worker that sends nothing for this long, where a report a second is due, hangs."""


class LocustGenerator:
    """Runs `include.load` as child processes, or on workers on other machines, and waits for them.

    Args:
        credentials: returns the secrets of a service; they reach the workers through a pipe.
        issuer: fetches the tokens of services with a login; only the tokens reach the workers.
        pool: returns the workers on other machines, ``None`` when this machine sends all load.
    """

    def __init__(
        self,
        *,
        credentials: Credentials = environment_credentials,
        issuer: TokenIssuer | None = None,
        pool: Callable[[], LocustPool | None] = environment_pool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._credentials = credentials
        self._issuer = issuer
        self._pool = pool
        self._clock = clock

    def shared(self) -> str | None:
        """Return the name of the workers that all loads share; ``None`` without any.

        Raises:
            ConfigurationError: their configuration is wrong.
        """
        pool = self._pool()
        return None if pool is None else pool.name

    def run(self, order: LoadOrder, *, watch: LoadWatch) -> None:
        """Send the feed on the arrival schedule, and write the raw record next to it.

        Raises:
            ConfigurationError: the service's credentials are missing.
            TargetError, HostRefused: its tokens cannot be fetched.
            LoadError: a worker could not be started, too few workers connected, or none left a record.
        """
        plan = plan_for(order)
        secrets = self._credentials(order.service)
        tokens = self._tokens_of(order.service)
        forget(order.folder)
        load: _Load | None = None
        try:
            with self._workers(plan, order, secrets, watch) as workers:
                workers.send({"secrets": secrets.message()})
                with self._tokens_renewed(tokens, workers, watch) as token_watch:
                    load = _Load(workers, plan, token_watch, clock=self._clock)
                    self._drive(load, workers)
        except OSError as err:
            raise LoadError(f"the load generator could not be started ({err.strerror or err})") from err
        finally:
            for worker in range(plan.workers):
                shutil.rmtree(code_folder(order.folder, worker), ignore_errors=True)
            if load is not None:
                join(order.folder, workers=len(load.workers), hosts=load.workers.hosts)
        _check_record(order.folder, stopped=load.stopped_by_watch, lost=load.lost)

    def _tokens_of(self, service: Service) -> TokenPool | None:
        """Fetch the tokens of a service; ``None`` if it has no login."""
        return None if service.login is None else pool_of(service, self._issuer, count=service.login.tokens)

    def _workers(
        self, plan: LoadPlan, order: LoadOrder, secrets: ServiceSecrets, watch: LoadWatch
    ) -> AbstractContextManager[LoadWorkers]:
        pool = self._pool()
        if pool is None:
            return local_workers(plan, lock_fd=order.lock_fd)
        return remote_workers(plan, pool, secrets=secrets, lock_fd=order.lock_fd, reason_to_stop=watch.reason_to_stop)

    @contextmanager
    def _tokens_renewed(self, tokens: TokenPool | None, workers: LoadWorkers, watch: LoadWatch) -> Iterator[LoadWatch]:
        """Send the workers the tokens now and whenever one is new, and provide a watch that knows when that fails."""
        if tokens is None:
            yield watch
            return
        renewal = TokenRenewal(tokens, publish=lambda values: workers.send({"tokens": values}))
        with renewal.running():
            yield TokenWatch(watch, renewal.problem)

    def _drive(self, load: "_Load", workers: LoadWorkers) -> None:
        """Follow the workers until all have ended; drop a worker that does not end on command."""
        self._follow(load)
        if load.running and not load.is_stopped:
            load.stop("stopped: it did not end on time")
            self._follow(load)
        for worker in load.running - load.over:
            workers.drop(worker)
        load.deadline = self._clock() + WRITE_S
        self._follow(load)
        for worker in load.running:
            workers.drop(worker)

    def _follow(self, load: "_Load") -> None:
        """Read the workers' reports until all have ended, or until the deadline."""
        while load.running and (left_s := load.deadline - self._clock()) > 0:
            for report in load.workers.receive(within_s=min(left_s, POLL_INTERVAL_S)):
                load.take_in(report)
            load.check()


class _Load:
    """A load shared by its workers: they start together, and when one ends early, all stop.

    Attributes:
        deadline: on the clock: by when all must have started; after the start, by when all must have ended.
        running: workers that still send reports.
        over: workers that have reported the end of their load.
        lost: remote workers that were lost, and how.
        is_stopped: whether the workers were sent a stop command.
        stopped_by_watch: why the watch stopped the load, ``None`` when it did not.
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
        self.running = set(range(len(workers)))
        self.over: set[int] = set()
        self.lost: list[str] = []
        self._ready: set[int] = set()
        self._end = math.inf
        self._received_at: dict[int, float] = {}
        self.is_stopped = False
        self.stopped_by_watch: str | None = None

    def take_in(self, received: WorkerReport) -> None:
        """Take in the reports of a worker."""
        if received.left is not None:
            self._remove(received.worker, how=received.left)
            return
        if received.worker in self._received_at:
            self._received_at[received.worker] = self._clock()
        for report in received.reports:
            if "ready" in report:
                self._ready.add(received.worker)
                self._start_when_all_are_ready()
            elif "over" in report:
                self.over.add(received.worker)
                self._received_at.pop(received.worker, None)
            elif progress := self._progress.take_in(received.worker, report):
                self._watch.take_in(progress)

    def _remove(self, worker: int, *, how: str) -> None:
        self.running.discard(worker)
        if how != ENDED and self.workers.hosts:
            self.lost.append(f"{self._name(worker)} {how}")
        self._received_at.pop(worker, None)
        if time.perf_counter() < self._end and not self.is_stopped:
            self.stop(f"stopped: {self._name(worker)} {'ended early' if how == ENDED else how}")

    def _start_when_all_are_ready(self) -> None:
        """Start at a full second, so that the arrivals of one second of the load fall into one second of the clock.

        A reason to stop that came up meanwhile prevents the start, so that nothing is sent and no record is left.
        """
        if len(self._ready) == len(self.workers):
            self.check()
            if self.is_stopped:
                return
            now = time.time()
            started_at = float(math.ceil(now + HEAD_START_S))
            start = time.perf_counter() + (started_at - now)
            self._end = start + self._plan.total_s
            self.deadline = self._clock() + HEAD_START_S + 1 + self._plan.total_s + self._plan.drain_s + SPARE_S
            self._received_at = dict.fromkeys(range(len(self.workers)), self._clock())
            self.workers.send({"start": {"start": start, "started_at": started_at}})

    def check(self) -> None:
        """Stop the load when there is a reason to."""
        if self.is_stopped:
            return
        if (reason := self._watch.reason_to_stop()) is not None:
            self.stopped_by_watch = reason
            self.stop(f"stopped: {reason}")
            return
        silent = [worker for worker, at in self._received_at.items() if self._clock() - at > SILENCE_S]
        if silent:
            hung = f"{self._name(silent[0])} hung and sent no report for {SILENCE_S:g} s"
            self.lost.append(hung)
            self.stop(f"stopped: {hung}")

    def _name(self, number: int) -> str:
        name = f"worker {number + 1} of {len(self.workers)}"
        return f"{name} on {self.workers.hosts[number]}" if self.workers.hosts else name

    def stop(self, reason: str) -> None:
        """Command every worker to end its load within `STOP_S`."""
        log.warning("the load is %s; see %s", reason, self._plan.folder / LOG_FILE)
        self.is_stopped = True
        self.deadline = self._clock() + STOP_S
        self.workers.send({"stop": reason})


def _check_record(folder: Path, *, stopped: str | None, lost: Sequence[str]) -> None:
    """Check that the load left a record.

    Raises:
        LoadError: it did not; the text says why.
    """
    requests = folder / REQUESTS_FILE
    if not requests.exists() or not requests.stat().st_size:
        requests.unlink(missing_ok=True)
        if stopped is not None:
            raise LoadError(f"the load was stopped before it left a record: {stopped}")
        if lost:
            raise LoadError(f"the load left no record: {'; '.join(lost)}")
        raise LoadError(f"the load generator left no record; the end of its log: {_end_of_log(folder)}")
    if lost and not (folder / GENERATOR_FILE).exists():
        raise LoadError(f"no worker completed its load: {'; '.join(lost)}; the requests up to then are in {requests}")
    if stopped is not None and not (folder / GENERATOR_FILE).exists():
        raise LoadError(
            f"the load was stopped: {stopped}; the load generator did not end within {STOP_S:g} s and was killed, "
            f"its requests are in {requests}"
        )


def _end_of_log(folder: Path) -> str:
    try:
        lines = (folder / LOG_FILE).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return "none"
    return " / ".join(line.strip() for line in lines[-3:]) or "none"
