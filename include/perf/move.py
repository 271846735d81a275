"""What the judging of one metric of one run comes to, before it is put into a deviation."""

from dataclasses import dataclass
from datetime import datetime

from include.perf.run import Cause, Severity, Shift


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A metric that moved, or looks as if it did.

    Attributes:
        level: what it moved from, in base units.
        is_confirmed: whether it is sure.
        how: why it is sure, or is not; a part of a sentence.
        since: the first night of it, where more than tonight speaks for it.
        most: how grave it is at the most.
    """

    level: float
    shift: Shift
    is_worse: bool
    is_confirmed: bool
    how: str
    cause: Cause = Cause.CELL
    since: datetime | None = None
    most: Severity = Severity.CRITICAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """How a metric compares.

    Attributes:
        level: what tonight was held to, in base units.
        shift: of tonight against it.
        suspicion: how far it lies beyond where suspicion begins, as a ratio; 0 for none.
        move: ``None`` where it did not move by more than is worth telling.
    """

    level: float
    shift: Shift
    suspicion: float = 0.0
    move: Move | None = None
