"""Threads of a process, and events that they wait for, in virtual time."""

from collections.abc import Callable

from greenlet import getcurrent

from tests.explorer.machine import Machine
from tests.explorer.processes import Process, Task


def current_process() -> Process | None:
    """Return the process of the running task."""
    task = getcurrent()
    return task.process if isinstance(task, Task) else None


class SimulatedEvent:
    """An event that tasks wait for in virtual time."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._is_set = False

    def set(self) -> None:
        """Set it."""
        self._is_set = True

    def is_set(self) -> bool:
        """Whether it was set."""
        return self._is_set

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until it is set."""
        return self._is_set or self._machine.wait_for(self.is_set, seconds)


class SimulatedThread:
    """A thread of the current process."""

    def __init__(self, machine: Machine, work: Callable[[], object], name: str) -> None:
        self._machine = machine
        self._work = work
        self._name = name
        self._task: Task | None = None

    def start(self) -> None:
        """Start it."""
        self._task = self._machine.start(current_process(), self._work, name=self._name)

    def join(self) -> None:
        """Wait for its end."""
        task = self._task
        if task is not None and not task.is_done:
            self._machine.wait_for(lambda: task.is_done)
