"""Workers on other machines that share a load, through a master on this machine (Locust's distributed mode)."""

import os
import selectors
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from include.perf.adapters.generator.load_process import LOG_FILE, LoadProcess, WorkerReport, load_processes
from include.perf.catalogue.scenario.load_profile import MAX_WORKERS
from include.perf.load.channel_key import KEY_VARIABLE, channel_key
from include.perf.load.load_plan import DEFAULT_PORT, LoadPlan, host_and_port
from include.perf.load.service_secrets import ServiceSecrets
from include.perf.model.errors import ConfigurationError, LoadError

BIND_VARIABLE = "BELLWETHER_LOCUST_BIND"
WORKERS_VARIABLE = "BELLWETHER_LOCUST_WORKERS"
DEFAULT_HOST = "0.0.0.0"  # noqa: S104 - the workers are on other machines; only holders of the key are admitted
WAIT_S = 90.0
"""How long to wait for workers; a worker that was just restarted needs some of it."""

POLL_INTERVAL_S = 0.5
"""How often to check, while waiting for workers, whether the load is still wanted."""

SPARE_S = 15.0
"""How much longer the master may take to report which workers connected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocustPool:
    """Where the workers connect, and how many a load needs.

    Attributes:
        host, port: where the master listens.
        key: the secret that master and workers share.
        workers: minimum number of workers at any rate.
        wait_s: how long to wait for them.
    """

    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT
    key: str = field(repr=False)
    workers: int = 1
    wait_s: float = WAIT_S

    @property
    def name(self) -> str:
        """Its name in messages, which is also the target that its loads reserve."""
        return f"Locust workers at {self.host}:{self.port}"


def locust_pool(
    *, host: str | None, port: int | None, key: str | None, workers: object, named: str, key_named: str
) -> LocustPool:
    """Return the pool of a configuration.

    Args:
        named, key_named: what messages call the configuration and its key.

    Raises:
        ConfigurationError: with everything that is wrong with it.
    """
    problems = []
    try:
        channel_key(key, named=key_named)
    except ValueError as err:
        problems.append(str(err))
    count = str(1 if workers is None else workers)
    if not count.isdigit() or not 1 <= int(count) <= MAX_WORKERS:
        problems.append(f"{named}: workers must be from 1 to {MAX_WORKERS}, but is {workers!r}")
    if port is not None and not 0 < port < 1 << 16:
        problems.append(f"{named}: the port must be from 1 to 65535, but is {port}")
    if problems:
        raise ConfigurationError(problems)
    return LocustPool(host=host or DEFAULT_HOST, port=port or DEFAULT_PORT, key=key or "", workers=int(count))


def environment_pool() -> LocustPool | None:
    """Return the pool that ``BELLWETHER_LOCUST_BIND`` configures; ``None`` without it: this machine sends all load.

    Raises:
        ConfigurationError: its configuration is wrong.
    """
    bind = os.environ.get(BIND_VARIABLE)
    if not bind:
        return None
    try:
        host, port = host_and_port(bind, named=BIND_VARIABLE)
    except ValueError as err:
        raise ConfigurationError(str(err)) from err
    return locust_pool(
        host=host,
        port=port,
        key=os.environ.get(KEY_VARIABLE),
        workers=os.environ.get(WORKERS_VARIABLE) or None,
        named=WORKERS_VARIABLE,
        key_named=KEY_VARIABLE,
    )


class RemoteWorkers:
    """The workers of a load on other machines; the master forwards commands and reports."""

    def __init__(self, master: LoadProcess, selector: selectors.BaseSelector) -> None:
        self._master = master
        self._selector = selector
        self._unread: list[dict[str, Any]] = []
        self.hosts: Sequence[str] = ()
        self._running: set[int] = set()

    def gather(self, reason_to_stop: Callable[[], str | None], *, within_s: float) -> None:
        """Wait until enough workers are connected.

        Raises:
            LoadError: too few workers connected, the load was stopped, or the master hangs.
        """
        deadline = time.monotonic() + within_s
        while not self.hosts:
            if time.monotonic() > deadline:
                raise LoadError(f"the master of the load did not report its workers within {within_s:g} s")
            if (reason := reason_to_stop()) is not None:
                raise LoadError(f"the load was stopped before it left a record: {reason}")
            if self._selector.select(timeout=POLL_INTERVAL_S):
                self._take_in_crew(self._master.read())

    def _take_in_crew(self, reports: Sequence[dict[str, Any]] | None) -> None:
        if reports is None:
            raise LoadError("the master of the load ended before the load began")
        for report in reports:
            if "no_load" in report:
                raise LoadError(f"the load could not begin: {report['no_load']}")
            if "crew" in report:
                self.hosts = tuple(report["crew"])
                self._running = set(range(len(self.hosts)))
            else:
                self._unread.append(report)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.hosts)

    def send(self, command: Mapping[str, Any]) -> None:
        """Send a command to all workers; the secrets were sent to the master before."""
        if "secrets" not in command:
            self._master.send(command)

    def receive(self, *, within_s: float) -> Iterator[WorkerReport]:
        """Wait for the next reports, at most this long; when the master is gone, all workers are lost."""
        reports: Sequence[dict[str, Any]] | None = None
        if self._unread:
            reports, self._unread = self._unread, []
        elif self._selector.select(timeout=within_s):
            reports = self._master.read()
        else:
            return
        if reports is None:
            for worker in sorted(self._running):
                yield WorkerReport(worker=worker, left="was lost because the master of the load ended")
            self._running.clear()
            return
        for report in reports:
            if "left" in report:
                self._running.discard(report["worker"])
                yield WorkerReport(worker=report["worker"], left=report["left"])
            else:
                yield WorkerReport(worker=report["worker"], reports=(report["report"],))

    def drop(self, worker: int) -> None:
        """Have the master continue without a worker that does not end; the worker stops when the heartbeats stop."""
        self._master.send({"drop": worker})


@contextmanager
def remote_workers(
    plan: LoadPlan,
    pool: LocustPool,
    *,
    secrets: ServiceSecrets,
    lock_fd: int | None,
    reason_to_stop: Callable[[], str | None],
) -> Iterator[RemoteWorkers]:
    """Run a master and return the workers that connect to it; master and load have ended when the block ends.

    Raises:
        LoadError: too few workers connected, or the load was stopped.
    """
    command = ["include.load.master", str(plan.write())]
    min_workers = max(pool.workers, plan.least_workers)
    with load_processes([command], log_file=plan.folder / LOG_FILE, lock_fd=lock_fd) as (master,):
        master.send({"secrets": secrets.message()})
        settings = {"host": pool.host, "port": pool.port, "key": pool.key}
        master.send({"pool": settings | {"min_workers": min_workers, "wait_s": pool.wait_s}})
        with selectors.DefaultSelector() as selector:
            selector.register(master.reports, selectors.EVENT_READ)
            workers = RemoteWorkers(master, selector)
            workers.gather(reason_to_stop, within_s=pool.wait_s + SPARE_S)
            yield workers
