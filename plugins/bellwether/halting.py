"""Why a load must not start or must stop: a halt, or the end of its task or of its worker."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from airflow.sdk import Variable

from include.perf.adapters.wiring.environment import halt_file
from include.perf.guards.halt import halt_of

HALT_VARIABLE = "bellwether_halt"
RUNNING = "running"
ASKED_TO_END = "the worker of its task was asked to end"


class WorkerEndsError(BaseException):
    """The worker terminates during a task. Not an Exception, so the retry policy allows another try."""


def halted() -> str | None:
    """Return why no load may run, or ``None``."""
    halt = halt_of(Variable.get(HALT_VARIABLE, default=None))
    if halt is not None:
        return halt.describe(f"remove the Variable {HALT_VARIABLE}")
    return halt_file().reason()


def halted_or_ended(task_instance: Any) -> Callable[[], str | None]:
    """Return a function that returns why the load must stop: load is halted, or Airflow has ended the task.

    A running task learns too late, or never, that it was marked as failed or cleared in the UI or over REST, or that
    its parent, the supervisor process, was killed.
    """
    supervisor = os.getppid()

    def reason() -> str | None:
        if os.getppid() != supervisor:
            return "the process that supervises its task is gone"
        return halted() or _ended(task_instance)

    return reason


def _ended(task_instance: Any) -> str | None:
    by_run = task_instance.get_task_states(
        dag_id=task_instance.dag_id,
        task_ids=[task_instance.task_id],
        run_ids=[task_instance.run_id],
        map_index=task_instance.map_index,
    )
    states = [state for by_task in by_run.values() for state in by_task.values()]
    if states == [RUNNING]:
        return None
    return f"Airflow ended its task, which is {' and '.join(state or 'cleared' for state in states) or 'gone'}"


@contextmanager
def ended_with_its_worker() -> Iterator[Callable[[], str | None]]:
    """Yield a function that returns why the load must stop once the worker receives SIGTERM.

    Airflow passes the signal on to the task's process, but does not end the task.

    Raises:
        WorkerEndsError: at the end of the block if the signal arrived, whatever the result of the block.
    """
    received: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: received.append(number))
    try:
        yield lambda: ASKED_TO_END if received else None
    finally:
        signal.signal(signal.SIGTERM, before)
        if received:
            raise WorkerEndsError(ASKED_TO_END)
