"""What can go wrong at a boundary, and who decides whether it does.

A history is a short list of `Interruption`: everything that is not in the list goes well. So a history can be replayed
from its list alone, and every interruption can be dropped without changing the meaning of the others.
"""

import random
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What an operation touches; a ``CHANGE`` needs no space on the disk."""

    READ = "read"
    WRITE = "write"
    CHANGE = "change"
    LOCK = "lock"
    OBJECT_READ = "object read"
    OBJECT_WRITE = "object write"
    INDEX = "index"
    NETWORK = "network"
    MESSAGE = "message"


class Fault(StrEnum):
    """What happens at an operation.

    ``DIES_AFTER`` and ``LOST`` happen after the operation had its effect; ``REPEATED`` is a lost answer whose request
    the client repeats; ``AWAY`` and ``FULL`` last for a while.
    """

    FAILS = "fails"
    AWAY = "is away for"
    FULL = "finds the disk full for"
    LOST = "has its effect, but its answer is lost"
    REPEATED = "is repeated, because its answer was lost"
    DIES = "is where the process dies, before it has an effect"
    DIES_AFTER = "is where the process dies, after it had its effect"
    PAUSES = "waits while the others continue, for"
    FREEZES = "is where the whole process stands still for"
    GIVEN_UP = "is where Airflow gives up the task, which continues for"
    CLOCK = "is where the clock is moved by"


LASTING = (Fault.AWAY, Fault.FULL, Fault.PAUSES, Fault.FREEZES, Fault.GIVEN_UP, Fault.CLOCK)

EVERYWHERE = (Fault.DIES, Fault.PAUSES, Fault.FREEZES, Fault.CLOCK, Fault.GIVEN_UP)
POSSIBLE: dict[Kind, tuple[Fault, ...]] = {
    Kind.READ: (Fault.FAILS, Fault.FAILS),
    Kind.WRITE: (Fault.FAILS, Fault.FULL, Fault.DIES, Fault.DIES_AFTER, Fault.DIES_AFTER),
    Kind.CHANGE: (Fault.FAILS, Fault.DIES, Fault.DIES_AFTER, Fault.DIES_AFTER),
    Kind.LOCK: (Fault.DIES_AFTER, Fault.PAUSES),
    Kind.OBJECT_READ: (Fault.FAILS, Fault.AWAY),
    Kind.OBJECT_WRITE: (Fault.FAILS, Fault.AWAY, Fault.LOST, Fault.LOST, Fault.REPEATED, Fault.DIES_AFTER),
    Kind.INDEX: (Fault.FAILS, Fault.FULL, Fault.DIES_AFTER),
    Kind.NETWORK: (Fault.FAILS, Fault.AWAY),
    Kind.MESSAGE: (Fault.FAILS, Fault.AWAY, Fault.LOST, Fault.LOST, Fault.DIES_AFTER),
}
LENGTHS_S: dict[Fault, tuple[float, ...]] = {
    Fault.AWAY: (2, 30, 100, 400),
    Fault.FULL: (0, 30, 600),
    Fault.PAUSES: (0.5, 3, 20, 70, 95, 150),
    Fault.FREEZES: (1, 20, 61, 95, 150),
    Fault.GIVEN_UP: (3, 30, 400),
    Fault.CLOCK: (-40_000, -3_600, -100, -3, 3, 100, 3_600, 40_000),
}

WEIGHTS = {Kind.READ: 0.5, Kind.OBJECT_READ: 0.5, Kind.MESSAGE: 4.0}
"""How likely an interruption of an operation is, compared with others; there are few messages."""

STAGES = {"plan": 0.1, "stage_data": 0.1, "preflight": 0.1, "page": 0.5, "scrape": 0.5}
STAGES |= {"plan_reruns": 2.0, "alert": 4.0, "alert_watch": 4.0, "promote": 4.0, "roll back": 4.0}
"""How likely an interruption in a stage is, compared with others: after an early one, little else can go wrong, and
some stages have few operations, on which much depends."""

LATE_STAGES = {"alert": 0.25, "alert_watch": 0.25, "promote": 1.0, "roll back": 1.0}
LATE_WEIGHTS = {Kind.READ: 2.0, Kind.MESSAGE: 16.0}
"""The same for histories whose faults are only where alerts are sent and baselines change. In others, the load and the
preparation of an alert have so many operations that hardly a fault is left for its message."""

AWAITED = 8.0
"""How likely an interruption is while others wait, compared with other times: delays matter most then."""

_STAGE = re.compile(r"[a-z_ ]+?(?= of | \(| \d|,|$)")
_NAMES = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{6}|[a-z]+-service")


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """Something that a process is about to do to the outside world."""

    kind: Kind
    what: str

    def __str__(self) -> str:
        return self.what


@dataclass(frozen=True, slots=True, kw_only=True)
class Interruption:
    """One decision: what happens at which operation of which process.

    Attributes:
        step: the number of the operation in its process, from 1.
        length_s: of a fault that lasts, or moves the clock.
        what: the operation, for people; it decides nothing.
    """

    process: str
    step: int
    fault: Fault
    length_s: float = 0.0
    what: str = ""

    def __str__(self) -> str:
        length = f" {self.length_s:g} s" if self.fault in LASTING else ""
        return f"{self.process}, step {self.step}: {self.what!r} {self.fault}{length}"


class Decisions:
    """Decides at every operation whether it is interrupted."""

    def at(self, process: str, step: int, operation: Operation, *, is_awaited: bool = False) -> Interruption | None:
        """Return the interruption, or ``None``.

        Args:
            is_awaited: whether other processes wait for something meanwhile.
        """
        raise NotImplementedError


class Replayed(Decisions):
    """Repeats a list of interruptions."""

    def __init__(self, interruptions: Sequence[Interruption]) -> None:
        self._planned = {(planned.process, planned.step): planned for planned in interruptions}

    def at(self, process: str, step: int, operation: Operation, *, is_awaited: bool = False) -> Interruption | None:
        """Return what the list has for this step, if it can happen to the operation."""
        planned = self._planned.get((process, step))
        if planned is None or planned.fault not in (*EVERYWHERE, *POSSIBLE[operation.kind]):
            return None
        return planned


class Drawn(Decisions):
    """Draws interruptions from a seed, and notes them.

    A history has only some kinds of faults, in some of the stages, so that histories differ more from one another than
    if everything could happen in all of them (swarm testing). Within a history, an operation is interrupted less often
    the more often it took place before: a file that is written once matters as much as one that is read every second.

    Source: A. Groce et al., Swarm Testing, ISSTA 2012, https://doi.org/10.1145/2338965.2336763.

    Attributes:
        interruptions: those drawn up to now.

    Args:
        faults: how many interruptions to draw at most, not counting switches.
        steps: about how many operations there will be, by weight.
        switches: the share of operations at which another process continues.
        is_late: whether only `LATE_STAGES` are interrupted; otherwise a share of all stages.
        share: of the kinds of faults, and of the stages, that a history has.
    """

    def __init__(
        self,
        source: random.Random,
        *,
        faults: int,
        steps: int,
        switches: float,
        is_late: bool = False,
        share: float = 0.5,
    ) -> None:
        self.interruptions: list[Interruption] = []
        self._source = source
        self._chance = faults / steps
        self._left = faults
        self._switches = switches
        self._is_late = is_late
        self._share = share
        self._kinds = frozenset(fault for fault in Fault if source.random() < share)
        self._stages: dict[str, bool] = {}
        self._seen: Counter[tuple[str, str]] = Counter()

    def at(self, process: str, step: int, operation: Operation, *, is_awaited: bool = False) -> Interruption | None:
        """Draw what happens."""
        found = self._drawn(process, step, operation, is_awaited=is_awaited)
        if found is not None:
            self.interruptions.append(found)
        return found

    def _drawn(self, process: str, step: int, operation: Operation, *, is_awaited: bool) -> Interruption | None:
        chance = self._source.random()
        if chance < self._switches:
            return Interruption(process=process, step=step, fault=Fault.PAUSES, what=operation.what)
        weight = self._weight(stage_of(process), operation) * (AWAITED if is_awaited else 1.0)
        if self._left <= 0 or chance >= self._switches + self._chance * weight:
            return None
        own = POSSIBLE[operation.kind] if is_awaited else 2 * POSSIBLE[operation.kind]
        faults = [fault for fault in (*EVERYWHERE, *own) if fault in self._kinds]
        if not faults:
            return None
        self._left -= 1
        fault = self._source.choice(faults)
        length_s = self._source.choice(LENGTHS_S.get(fault, (0.0,)))
        return Interruption(process=process, step=step, fault=fault, length_s=length_s, what=operation.what)

    def _weight(self, stage: str, operation: Operation) -> float:
        if stage not in self._stages:
            self._stages[stage] = stage in LATE_STAGES if self._is_late else self._source.random() < self._share
        if not self._stages[stage]:
            return 0.0
        boundary = (stage, _NAMES.sub("*", operation.what))
        self._seen[boundary] += 1
        if self._is_late:
            return LATE_WEIGHTS.get(operation.kind, 1.0) * LATE_STAGES[stage] / self._seen[boundary]
        return WEIGHTS.get(operation.kind, 1.0) * STAGES.get(stage, 1.0) / self._seen[boundary]


def stage_of(process: str) -> str:
    """Return what a process does, without its DAG run, service and try."""
    task = process.rpartition(": ")[2]
    found = _STAGE.match(task)
    return task if found is None else found[0]
