"""Workers on other machines that share a load, by a master beside this process (Locust's distributed mode)."""

import os
import selectors
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from include.perf.adapters.generator.load_process import LOG_FILE, LoadProcess, WorkerReport, load_processes
from include.perf.catalogue.scenario.load_profile import MAX_WORKERS
from include.perf.load.load_plan import DEFAULT_PORT, KEY_VARIABLE, LEAST_KEY, LoadPlan, host_and_port
from include.perf.model.errors import ConfigurationError, LoadError

BIND_VARIABLE = "BELLWETHER_LOCUST_BIND"
WORKERS_VARIABLE = "BELLWETHER_LOCUST_WORKERS"
DEFAULT_HOST = "0.0.0.0"  # noqa: S104 - the workers are on other machines; every message is sealed with the key
COME_S = 90.0
"""How long workers are waited for: one that had to be started anew needs some of it."""

LOOK_EVERY_S = 0.5
"""How often it is looked whether the load is still wanted, while workers are waited for."""

SPARE_S = 15.0
"""How much longer than it may the master may take to say who came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocustPool:
    """Where the workers come to.

    Attributes:
        host, port: where the master listens.
        key: what master and workers share.
        workers: fewest that must be there, whatever the rate.
    """

    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT
    key: str = field(repr=False)
    workers: int = 1
    come_s: float = COME_S

    @property
    def name(self) -> str:
        """What it is called in messages, and what a load claims that uses it."""
        return f"Locust workers at {self.host}:{self.port}"


def locust_pool(
    *, host: str | None, port: int | None, key: str | None, workers: object, named: str, key_named: str
) -> LocustPool:
    """Return a pool that somebody described.

    Args:
        named, key_named: where it and its key stand, for messages.

    Raises:
        ConfigurationError: with everything that is wrong with it.
    """
    problems = []
    if len(key or "") < LEAST_KEY:
        problems.append(
            f"{key_named} must have at least {LEAST_KEY} characters, the same as on the workers; "
            'make one with python -c "import secrets; print(secrets.token_hex(32))"'
        )
    count = str(1 if workers is None else workers)
    if not count.isdigit() or not 1 <= int(count) <= MAX_WORKERS:
        problems.append(f"{named}: workers must be from 1 to {MAX_WORKERS}, but is {workers!r}")
    if port is not None and not 0 < port < 1 << 16:
        problems.append(f"{named}: the port must be from 1 to 65535, but is {port}")
    if problems:
        raise ConfigurationError(problems)
    return LocustPool(host=host or DEFAULT_HOST, port=port or DEFAULT_PORT, key=key or "", workers=int(count))


def environment_pool() -> LocustPool | None:
    """Return the pool that ``BELLWETHER_LOCUST_BIND`` names; ``None`` without it, where this machine sends all load.

    Raises:
        ConfigurationError: it is described wrongly.
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
    """The workers of a load that run elsewhere; the master passes everything on."""

    def __init__(self, master: LoadProcess, selector: selectors.BaseSelector) -> None:
        self._master = master
        self._selector = selector
        self._unread: list[dict[str, Any]] = []
        self.hosts: Sequence[str] = ()
        self._here: set[int] = set()

    def gather(self, reason_to_stop: Callable[[], str | None], *, within_s: float) -> None:
        """Wait until the workers are there.

        Raises:
            LoadError: too few came, nobody wants the load any more, or the master hangs.
        """
        deadline = time.monotonic() + within_s
        while not self.hosts:
            if time.monotonic() > deadline:
                raise LoadError(f"the master of the load did not say within {within_s:g} s which workers came")
            if (reason := reason_to_stop()) is not None:
                raise LoadError(f"the load was stopped before it left a record: {reason}")
            if self._selector.select(timeout=LOOK_EVERY_S):
                self._take_in_crew(self._master.read())

    def _take_in_crew(self, said: Sequence[dict[str, Any]] | None) -> None:
        if said is None:
            raise LoadError("the master of the load ended before it began")
        for words in said:
            if "no_load" in words:
                raise LoadError(f"the load could not begin: {words['no_load']}")
            if "crew" in words:
                self.hosts = tuple(words["crew"])
                self._here = set(range(len(self.hosts)))
            else:
                self._unread.append(words)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.hosts)

    def tell(self, command: Mapping[str, Any]) -> None:
        """Send a command to all of them; the headers that hold secrets they have already."""
        if "headers" not in command:
            self._master.tell(command)

    def hear(self, *, within_s: float) -> Iterator[WorkerReport]:
        """Wait for what they report next; when the master is gone, all are lost."""
        said: Sequence[dict[str, Any]] | None = None
        if self._unread:
            said, self._unread = self._unread, []
        elif self._selector.select(timeout=within_s):
            said = self._master.read()
        else:
            return
        if said is None:
            for worker in sorted(self._here):
                yield WorkerReport(worker=worker, left="was lost, as the master of the load has ended")
            self._here.clear()
            return
        for words in said:
            if "left" in words:
                self._here.discard(words["worker"])
                yield WorkerReport(worker=words["worker"], left=words["left"])
            else:
                yield WorkerReport(worker=words["worker"], reports=(words["report"],))

    def drop(self, worker: int) -> None:
        """Have the master go on without one that does not end; it stops by itself, as it hears nothing any more."""
        self._master.tell({"drop": worker})


@contextmanager
def remote_workers(
    plan: LoadPlan,
    pool: LocustPool,
    *,
    secrets: Mapping[str, str],
    lock_fd: int | None,
    reason_to_stop: Callable[[], str | None],
) -> Iterator[RemoteWorkers]:
    """Lend the workers that come to the pool; the master is gone when the block ends, and with it the load.

    Raises:
        LoadError: too few came, or nobody wants the load any more.
    """
    command = ["include.load.master", str(plan.write())]
    least = max(pool.workers, plan.load.least_workers)
    with load_processes([command], log_file=plan.folder / LOG_FILE, lock_fd=lock_fd) as (master,):
        master.tell({"headers": dict(secrets)})
        master.tell(
            {"pool": {"host": pool.host, "port": pool.port, "key": pool.key, "least": least, "come_s": pool.come_s}}
        )
        with selectors.DefaultSelector() as selector:
            selector.register(master.reports, selectors.EVENT_READ)
            workers = RemoteWorkers(master, selector)
            workers.gather(reason_to_stop, within_s=pool.come_s + SPARE_S)
            yield workers
