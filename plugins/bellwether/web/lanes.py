"""Threads of our own, a few for each kind of work, so that a call that hangs never takes one of Airflow's.

Airflow's API runs its routes in a pool of threads that all apps of the process share. A store that does not answer
would soon hold all of them.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Busy(Exception):
    """All threads are taken and the queue is full."""


class CallOverdue(Exception):
    """A call did not return in time.

    Attributes:
        has_begun: whether it still runs; if not, it will never run.
    """

    def __init__(self, *, has_begun: bool) -> None:
        super().__init__()
        self.has_begun = has_begun


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job(Generic[T]):
    work: Callable[[], T]
    future: Future[T]

    def run(self) -> None:
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            result = self.work()
        except BaseException as err:  # noqa: BLE001 - passed on to whoever waits for the result
            self.future.set_exception(err)
        else:
            self.future.set_result(result)


class Lane:
    """A few threads for one kind of work, and a short queue.

    A thread exists only while there is work. A call that hangs keeps its thread, and no other thread takes its place.
    The threads do not keep the process from exiting.

    Args:
        name: of the threads.
        threads: the maximum number of threads.
        queued: the maximum number of calls that wait for one.
    """

    def __init__(self, name: str, *, threads: int, queued: int) -> None:
        self._name = f"bellwether {name}"
        self._threads = threads
        self._queued = queued
        self._lock = threading.Lock()
        self._running = 0
        self._waiting: deque[_Job[Any]] = deque()

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """Call a function in one of the threads.

        Raises:
            Busy: no thread is free, and the queue is full.
        """
        job = _Job(work=work, future=Future[T]())
        with self._lock:
            if self._running >= self._threads:
                self._enqueue(job)
                return job.future
            self._running += 1
        try:
            threading.Thread(target=self._work, args=(job,), name=self._name, daemon=True).start()
        except RuntimeError as err:  # the process may not start any more threads
            with self._lock:
                self._running -= 1
            raise Busy from err
        return job.future

    async def call(self, work: Callable[[], T], *, within_s: float) -> T:
        """Call a function in one of the threads and return its result. A call that has not begun in time never will.

        Raises:
            Busy: as `submit`.
            CallOverdue: it did not return within this time.
        """
        future = self.submit(work)
        try:
            return await result_of(future, within_s=within_s)
        except (TimeoutError, asyncio.CancelledError) as err:
            has_begun = not future.cancel()
            if isinstance(err, asyncio.CancelledError):
                raise
            raise CallOverdue(has_begun=has_begun) from err

    def _enqueue(self, job: _Job[Any]) -> None:
        if len(self._waiting) >= self._queued:
            self._waiting = deque(waiting for waiting in self._waiting if not waiting.future.cancelled())
        if len(self._waiting) >= self._queued:
            raise Busy
        self._waiting.append(job)

    def _work(self, job: _Job[Any] | None) -> None:
        while job is not None:
            job.run()
            with self._lock:
                job = self._waiting.popleft() if self._waiting else None
                if job is None:
                    self._running -= 1


async def result_of(future: Future[T], *, within_s: float) -> T:
    """Return the result of a call that others may wait for too; they are not affected if this one gives up.

    Raises:
        TimeoutError: there is none within this time.
    """
    loop, done = asyncio.get_running_loop(), asyncio.Event()

    def notify(_: Future[T]) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(done.set)

    future.add_done_callback(notify)
    async with asyncio.timeout(within_s):
        await done.wait()
    return future.result()
