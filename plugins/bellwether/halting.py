"""What tells a task that no load may run: the switch, as a Variable or a file, and the end of the task itself."""

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
    """The worker ends in the middle of a task; that is no error of the task's, so no rule forbids another try."""


def halted() -> str | None:
    """Return why no load may run, or ``None``."""
    halt = halt_of(Variable.get(HALT_VARIABLE, default=None))
    if halt is not None:
        return halt.describe(f"remove the Variable {HALT_VARIABLE}")
    return halt_file().reason()


def halted_or_ended(task_instance: Any) -> Callable[[], str | None]:
    """Return a switch that also tells when the task is over for Airflow, which the task itself hears of late or never.

    Somebody may have marked it failed or cleared it, in the UI or over REST; or the process that supervises it, its
    parent, was killed.
    """
    supervisor = os.getppid()

    def reason() -> str | None:
        if os.getppid() != supervisor:
            return "the process that supervises its task is gone"
        return halted() or _ended(task_instance)

    return reason


def _ended(task_instance: Any) -> str | None:
    told = task_instance.get_task_states(
        dag_id=task_instance.dag_id,
        task_ids=[task_instance.task_id],
        run_ids=[task_instance.run_id],
        map_index=task_instance.map_index,
    )
    states = [state for by_task in told.values() for state in by_task.values()]
    if states == [RUNNING]:
        return None
    return f"Airflow ended its task, which is {' and '.join(state or 'cleared' for state in states) or 'gone'}"


@contextmanager
def ended_with_its_worker() -> Iterator[Callable[[], str | None]]:
    """Lend a switch that tells when the worker is asked to end: Airflow hands the signal on, and ends no task for it.

    Raises:
        WorkerEndsError: at the end of the block, where the worker was asked to, whatever else came of it.
    """
    asked: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: asked.append(number))
    try:
        yield lambda: ASKED_TO_END if asked else None
    finally:
        signal.signal(signal.SIGTERM, before)
        if asked:
            raise WorkerEndsError(ASKED_TO_END)
