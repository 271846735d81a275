"""Processes and their tasks in virtual time: one task runs at a time, and only operations let another one continue.

A task is a greenlet. It leaves the processor when it waits, and where a decision says so, so the same decisions lead to
the same history. A process that dies never continues; what it had open is closed, as the kernel does it.
"""

from collections.abc import Callable
from typing import TypeVar

from greenlet import getcurrent

from tests.explorer.decisions import Decisions, Fault, Interruption, Kind, Operation
from tests.explorer.processes import Died, FullDisk, Process, Task, close_files

T = TypeVar("T")

MOST_STEPS = 6_000
"""Of one process: more are an endless loop."""

LONGEST_S = 3 * 86_400.0
"""Of a history: more virtual time than this means that something waits for ever."""


class Hangs(AssertionError):
    """Something never ends."""


class Machine:
    """Runs tasks in virtual time.

    Attributes:
        now_s: the true time since the beginning.
        is_calm: whether nothing is interrupted any more.
        steps: the number of all operations.
        story: what happened, for people.
    """

    def __init__(self, decisions: Decisions) -> None:
        self.now_s = 0.0
        self.is_calm = False
        self.steps = 0
        self.story: list[str] = []
        self._decisions = decisions
        self._tasks: list[Task] = []
        self._graves: list[Task] = []
        self._hub = getcurrent()
        self._away: dict[str, float] = {}
        self._polling: set[Task] = set()

    def note(self, text: str) -> None:
        """Add a line to the story."""
        self.story.append(f"{self.now_s:10.1f} s  {text}")

    def start(self, process: Process | None, work: Callable[[], object], *, name: str = "main") -> Task:
        """Start a task."""
        task = Task(process, work, name, self._hub)
        self._tasks.append(task)
        if process is not None:
            process.tasks.append(task)
        return task

    def run(self) -> None:
        """Run until every task has ended.

        Raises:
            Hangs: some never end.
        """
        while self._tasks:
            self._end_given_up()
            ready = next((task for task in self._tasks if self._is_ready(task)), None)
            if ready is None:
                if self._tasks:  # none may be left after some were ended
                    self._pass_time()
                continue
            self._tasks.remove(ready)
            self._tasks.append(ready)
            ready.switch()
            if ready.is_done and ready in self._tasks:
                self._tasks.remove(ready)
                if ready.process is not None and ready is ready.process.tasks[0]:
                    self.end(ready.process)

    def bury(self) -> None:
        """Unwind the dead tasks; nothing that they do has an effect."""
        for task in self._graves:
            if not task.dead:
                task.throw(Died())

    def perform(self, operation: Operation, effect: Callable[[], T], *, failure: Callable[[], Exception]) -> T:
        """Let the current process do something, unless the decisions say otherwise.

        Args:
            failure: returns the error of the operation where it fails.
        """
        task = getcurrent()
        if not isinstance(task, Task) or task.process is None:
            return effect()
        process = task.process
        if process.is_dead:
            raise Died
        if process.is_spared:
            return effect()
        process.steps += 1
        self.steps += 1
        if process.steps > MOST_STEPS:
            raise Hangs(f"{process.name} does not end: {operation}")
        if self.is_calm:
            return effect()
        self._check_away(operation, failure)
        is_awaited = any(polling.process is not process for polling in self._polling)
        decided = self._decisions.at(process.name, process.steps, operation, is_awaited=is_awaited)
        if decided is None:
            return effect()
        self.note(f"!! {decided}")
        return self._interrupted(decided, process, operation, effect, failure)

    def sleep(self, seconds: float) -> None:
        """Let a task wait."""
        self.wait_for(lambda: False, seconds)

    def poll(self, seconds: float) -> None:
        """Let a task wait before it looks again whether another process has finished something."""
        task = getcurrent()
        assert isinstance(task, Task), "only tasks wait"
        self._polling.add(task)
        try:
            self.sleep(seconds)
        finally:
            self._polling.discard(task)

    def wait_for(self, condition: Callable[[], bool], seconds: float | None = None) -> bool:
        """Let a task wait until a condition holds, at most for some seconds; return whether it holds."""
        task = getcurrent()
        assert isinstance(task, Task), "only tasks wait"
        if task.process is not None and task.process.is_dead:
            raise Died
        task.condition = condition
        task.wake_at_s = None if seconds is None else self.now_s + max(0.0, seconds)
        self._hub.switch()
        fulfilled = task.condition is None
        task.condition = None
        task.wake_at_s = 0.0
        return fulfilled

    def end(self, process: Process) -> None:
        """End a process: its other threads end with it, and what it has open is closed."""
        if process.has_ended:
            return
        process.is_dead = True
        process.ended_at_s = self.now_s
        for task in process.tasks:
            if not task.is_done and task in self._tasks:
                self._tasks.remove(task)
                self._graves.append(task)
        close_files(process)
        for action in process.at_end:
            action()

    def calm(self) -> None:
        """Let everything go well from now on."""
        self.is_calm = True
        self._away.clear()

    def _interrupted(
        self,
        decided: Interruption,
        process: Process,
        operation: Operation,
        effect: Callable[[], T],
        failure: Callable[[], Exception],
    ) -> T:
        match decided.fault:
            case Fault.FAILS | Fault.AWAY | Fault.FULL:
                if decided.fault is not Fault.FAILS:
                    self._away[_source_of(operation, decided.fault)] = self.now_s + decided.length_s
                self._check_away(operation, failure)
                raise failure()
            case Fault.LOST:
                effect()
                raise failure()
            case Fault.REPEATED:
                effect()
            case Fault.DIES:
                self._die(process)
            case Fault.DIES_AFTER:
                effect()
                self._die(process)
            case _:
                self._delay(decided, process)
        return effect()

    def _delay(self, decided: Interruption, process: Process) -> None:
        """Let time pass, or move the clock, before an operation has its effect."""
        if decided.fault is Fault.CLOCK:
            process.host.offset_s += decided.length_s
            return
        length_s = decided.length_s
        if decided.fault is Fault.FREEZES:
            process.stopped_until_s = self.now_s + length_s
        elif decided.fault is Fault.GIVEN_UP:
            process.given_up_until_s = self.now_s + length_s
            length_s = 0.0
        self.sleep(length_s)

    def _die(self, process: Process) -> None:
        self.note(f"{process.name} died")
        self.end(process)
        self._hub.switch()
        raise Died

    def _check_away(self, operation: Operation, failure: Callable[[], Exception]) -> None:
        if self.now_s < self._away.get(_source_of(operation, Fault.AWAY), 0.0):
            raise failure()
        if operation.kind in (Kind.WRITE, Kind.INDEX) and self.now_s <= self._away.get("disk", -1.0):
            raise FullDisk(operation.what)

    def _is_ready(self, task: Task) -> bool:
        if task.process is not None and self.now_s < task.process.frozen_until_s:
            return False
        if task.condition is not None and task.condition():
            task.condition = None
            return True
        return task.wake_at_s is not None and task.wake_at_s <= self.now_s

    def _end_given_up(self) -> None:
        for process in self._living():
            until_s = process.given_up_until_s
            if until_s is not None and self.now_s >= until_s and not process.has_ended:
                self.note(f"{process.name}, which Airflow gave up, was killed")
                self.end(process)

    def _living(self) -> list[Process]:
        """Return the processes that have tasks."""
        return list({id(task.process): task.process for task in self._tasks if task.process is not None}.values())

    def _pass_time(self) -> None:
        """Move on to the next moment at which something can happen."""
        moments = [task.wake_at_s for task in self._tasks if task.wake_at_s is not None]
        for process in self._living():
            moments += [moment for moment in (process.frozen_until_s, process.given_up_until_s) if moment]
        later = [moment for moment in moments if moment > self.now_s]
        if not later or self.now_s > LONGEST_S:
            waiting = ", ".join(
                f"{task.process.name if task.process else 'the world'}: {task.name}" for task in self._tasks
            )
            raise Hangs(f"nothing can continue any more; waiting: {waiting or 'nobody'}")
        self.now_s = min(later)


def _source_of(operation: Operation, fault: Fault) -> str:
    """Return what is away together with an operation."""
    if fault is Fault.FULL:
        return "disk"
    match operation.kind:
        case Kind.OBJECT_READ | Kind.OBJECT_WRITE:
            return "object store"
        case Kind.NETWORK:
            return operation.what.partition(" ")[0]
        case kind:
            return kind.value
