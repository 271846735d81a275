"""Machines, processes and their tasks."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from greenlet import GreenletExit, greenlet


class Died(GreenletExit):
    """The process of this task is dead; what still unwinds has no effect."""


@dataclass(slots=True, eq=False)
class Host:
    """A machine: its clock is off by ``offset_s``."""

    name: str
    offset_s: float = 0.0


@dataclass(slots=True, eq=False)
class Process:
    """A process on a machine.

    Attributes:
        steps: the number of its operations up to now.
        files: its open files by descriptor.
        given_up_until: how long it continues although Airflow gave it up; ``None`` if Airflow did not.
        is_spared: whether nothing goes wrong in it.
        began_at_s: when it began.
        ended_at_s: when it ended or died.
        has_failed: whether it ended with an error.
        notes: what the fakes keep for it.
    """

    name: str
    host: Host
    steps: int = 0
    is_dead: bool = False
    is_spared: bool = False
    parent: "Process | None" = None
    stopped_until_s: float = 0.0
    given_up_until_s: float | None = None
    began_at_s: float = 0.0
    ended_at_s: float | None = None
    has_failed: bool = False
    files: dict[int, str] = field(default_factory=dict)
    at_end: list[Callable[[], None]] = field(default_factory=list)
    tasks: list["Task"] = field(default_factory=list)
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def frozen_until_s(self) -> float:
        """Until when it stands still."""
        return max(self.stopped_until_s, self.parent.frozen_until_s if self.parent else 0.0)

    @property
    def has_ended(self) -> bool:
        """Whether it ended or died."""
        return self.ended_at_s is not None


class Task(greenlet):
    """A thread of a process, or of the world around the processes.

    Attributes:
        process: ``None`` for the world around.

    Args:
        hub: continues when the task has ended.
    """

    def __init__(self, process: Process | None, work: Callable[[], object], name: str, hub: greenlet) -> None:
        super().__init__(self._run, parent=hub)
        self.process = process
        self.name = name
        self.wake_at_s: float | None = 0.0
        self.condition: Callable[[], bool] | None = None
        self.is_done = False
        self.error: BaseException | None = None
        self._work = work

    def _run(self) -> None:
        try:
            self._work()
        except GreenletExit:
            pass
        except Exception as err:  # noqa: BLE001 - the world looks at it
            self.error = err
        self.is_done = True


class FullDisk(OSError):
    """No space is left on the disk."""

    def __init__(self, what: str) -> None:
        super().__init__(28, os.strerror(28), what)


_NOWHERE = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)


def close_files(process: Process) -> None:
    """Close what a process has open, but not its numbers: dead buffers that are flushed later go nowhere."""
    for number in list(process.files):
        os.dup2(_NOWHERE, number, inheritable=False)
    process.files.clear()
