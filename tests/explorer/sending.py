"""What sends the loads of a process, and the service that they go to."""

import os
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from include.perf.load.announcing import SentLoad
from include.perf.model.errors import LoadError, TargetError
from tests.explorer.boundaries import is_locked
from tests.explorer.processes import Process
from tests.fakes.sliced_generator import SLICE_S, TrueLoad
from tests.fakes.target import FakeTarget

if TYPE_CHECKING:
    from tests.explorer.world import Session

AFTER_FREEZE_S = SLICE_S + 0.5
OUTLIVES_S = 4.0
"""How long a load may outlive its task; the real one takes less than 5 s."""


class Announced:
    """Notes which load begins."""

    def __init__(self, session: "Session") -> None:
        self._process = session.process

    def load_began(self, load: SentLoad) -> None:
        self._process.notes["load"] = load

    def load_ended(self, load: SentLoad) -> None:
        """Nothing needs it."""


class SimulatedTarget(FakeTarget):
    def __init__(self, session: "Session") -> None:
        super().__init__()
        self._session = session

    def check(self, service: Any, addresses: Sequence[str]) -> None:
        self._session.ask("the service", service.name, TargetError)
        super().check(service, addresses)


class Sender:
    """The machine that sends the loads of a process."""

    def __init__(self, session: "Session") -> None:
        self._session = session
        self._world = session.world

    def now_s(self) -> float:
        return self._world.machine.now_s

    def clock(self) -> datetime:
        return self._session.clock()

    def wait(self, seconds: float) -> None:
        self._world.machine.sleep(seconds)

    def began(self, load: TrueLoad, *, lock_fd: int | None, length_s: float, written: Callable[[], None]) -> "Sending":
        self._session.ask("the generator", f"sends {load.run_id}", LoadError)
        return Sending(self._session, load, lock_fd=lock_fd, length_s=length_s, written=written)


class Sending:
    """A process that sends; it holds the lock, and ends soon after its owner."""

    def __init__(
        self,
        session: "Session",
        load: TrueLoad,
        *,
        lock_fd: int | None,
        length_s: float,
        written: Callable[[], None],
    ) -> None:
        self._world, self._owner, self._load = session.world, session.process, load
        self._ends_at_s = load.begins_s + length_s
        self._written = written
        self._process = Process(f"load of {session.process.name}", session.process.host)
        self._process.is_spared = True
        self._process.parent = session.process
        if lock_fd is not None:
            lock = os.dup(lock_fd)
            self._process.at_end.append(lambda: os.close(lock))
        self._world.sending.append(self)
        self._refuse_second()
        self._refuse_repeated()
        self._world.loads.append(load)
        self._world.machine.note(f"load of {load.run_id} on {', '.join(load.targets)} begins")
        self._world.machine.start(self._process, self._send)

    def stop(self) -> None:
        self._ends_at_s = self._world.machine.now_s

    def await_end(self, seconds: float) -> bool:
        self._world.machine.wait_for(lambda: self._process.has_ended, seconds)
        return self._process.has_ended

    def _send(self) -> None:
        machine = self._world.machine
        while machine.now_s < self._ends_at_s:
            self._check_lock()
            self._check_halt()
            self._refuse_second()
            machine.sleep(min(SLICE_S, self._ends_at_s - machine.now_s))
            if self._owner.has_ended:
                self._ends_at_s = min(self._ends_at_s, (self._owner.ended_at_s or 0.0) + OUTLIVES_S)
        self._load.ended_s = machine.now_s
        machine.note(f"load of {self._load.run_id} is over")
        self._written()

    def is_sending(self) -> bool:
        """Whether it sends: not while it stands still, nor in the moment afterwards in which its owner stops it."""
        return self._load.ended_s is None and self._world.machine.now_s > self._owner.frozen_until_s + AFTER_FREEZE_S

    def _refuse_second(self) -> None:
        for other in self._world.sending:
            shared = set(other._load.targets) & set(self._load.targets)
            if other is not self and shared and other.is_sending() and self.is_sending():
                self._world.break_rule(
                    f"two loads on {', '.join(sorted(shared))} at a time: {other._load.run_id} and {self._load.run_id}"
                )

    def _refuse_repeated(self) -> None:
        """A retry that began while an earlier try still sent uses its figures; a folder keeps them whatever happens."""
        if self._world.objects is not None or self._load.run_id in self._world.wanted_again:
            return
        for other in self._world.sending:
            ended_s = other._load.ended_s if other._load.is_recorded and not other._owner.has_failed else None
            is_kept = ended_s is not None and self._owner.began_at_s < ended_s
            # A process takes no figures over that seem to be from before its own load.
            if is_kept and other._load.run_id == self._load.run_id and not self._owner.host.offset_s:
                self._world.break_rule(f"the load of {self._load.run_id} is sent again, although it was complete")

    def _check_halt(self) -> None:
        since_s = max(self._world.halted_at_s, self._owner.frozen_until_s, self._load.begins_s)
        if self._world.halt_reason and self._world.machine.now_s > since_s + 5:
            self._world.break_rule(f"the load of {self._load.run_id} sends more than 5 s after the halt")

    def _check_lock(self) -> None:
        """A load in a folder store is visible to everyone as a held lock for as long as it sends."""
        if self._world.objects is not None:
            return
        if not is_locked(self._world.folder / "results" / ".loads" / f"{self._load.run_id}.json"):
            self._world.break_rule(f"the load of {self._load.run_id} sends without a lock")
