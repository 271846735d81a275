"""Values of a request's own: those that are filled in when the request is due.

``$uuid`` and ``$sequence`` differ between all requests of a service, of all workers and runs. ``$now`` is the time at
which the request is due. The random values depend on the seed of the load. In a journey, a request may also have the
variables that earlier steps captured from their answers.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

OWN_VALUES: dict[str, str] = {
    "uuid": "a random UUID (version 4)",
    "sequence": "a number of 16 digits that increases and never repeats: microseconds since 1970 and the arrival",
    "now": "the due time: RFC 3339, (basic), or (s), (ms), (us) since 1970; an offset such as (+30s) or (ms, -1h)",
    "random_int": "an integer from the first to the second argument: (1, 100)",
    "random_choice": "one of its arguments: (GTC, IOC)",
}
"""The names and their meaning."""

MAX_INTEGER = 2**53
"""Larger numbers are not exact in every JSON parser (RFC 8259, section 6)."""

MAX_OFFSET_S = 36_500 * 86_400.0
"""A hundred years: the years of later times may have more than the four digits of RFC 3339."""

TimeUnit = Literal["rfc3339", "basic", "s", "ms", "us"]
"""``basic`` is ISO 8601 without separators: ``20260302T064000Z``."""

_OFFSET = re.compile(r"([+-]\d{1,9}(?:\.\d{1,6})?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_INTEGER = re.compile(r"-?\d{1,16}", re.ASCII)


@dataclass(frozen=True, slots=True)
class RandomUuid:
    """A random UUID of version 4."""

    is_number = False


@dataclass(frozen=True, slots=True)
class SequenceNumber:
    """A number that no other request has."""

    is_number = True


@dataclass(frozen=True, slots=True)
class DueTime:
    """The time at which the request is due, plus an offset in seconds."""

    unit: TimeUnit = "rfc3339"
    offset_s: float = 0.0

    @property
    def is_number(self) -> bool:
        """Whether it is a number in JSON."""
        return self.unit not in ("rfc3339", "basic")


@dataclass(frozen=True, slots=True)
class RandomInteger:
    """An integer from ``low`` to ``high``, both included."""

    low: int
    high: int
    is_number = True


@dataclass(frozen=True, slots=True)
class RandomChoice:
    """One of several texts."""

    options: tuple[str, ...]
    is_number = False


@dataclass(frozen=True, slots=True)
class FileColumn:
    """The value of a column in a data file; all columns of one file in one request are of the same row."""

    file: str
    column: str
    is_number = False


@dataclass(frozen=True, slots=True)
class CapturedVariable:
    """What an earlier step of the journey captured under a name."""

    name: str
    is_number = False


OwnValue = CapturedVariable | RandomUuid | SequenceNumber | DueTime | RandomInteger | RandomChoice | FileColumn


def own_value(name: str, arguments: Sequence[str]) -> OwnValue:
    """Return the value that a placeholder names; a name without a meaning of its own is a captured variable.

    Raises:
        ValueError: its arguments are wrong; says how they must be.
    """
    file, dot, column = name.partition(".")
    if dot:
        return FileColumn(file, column)
    match name:
        case "now":
            return _due_time(arguments)
        case "random_int":
            return _random_integer(arguments)
        case "random_choice" if arguments:
            return RandomChoice(tuple(arguments))
        case "uuid" if not arguments:
            return RandomUuid()
        case "sequence" if not arguments:
            return SequenceNumber()
        case "random_choice":
            raise ValueError("${random_choice} needs what to choose from, such as ${random_choice(GTC, IOC)}")
    if name not in OWN_VALUES and not arguments:
        return CapturedVariable(name)
    raise ValueError(f"${{{name}}} takes no arguments, but has {', '.join(arguments)}; write ${name}")


def _due_time(arguments: Sequence[str]) -> DueTime:
    unit: TimeUnit = "rfc3339"
    rest = list(arguments)
    for known in get_args(TimeUnit):
        if rest and rest[0] == known:
            unit = known
            del rest[0]
            break
    offset = _OFFSET.fullmatch(rest[0]) if len(rest) == 1 else None
    if rest and offset is None:
        raise ValueError(
            f"${{now}} takes a unit ({', '.join(get_args(TimeUnit))}) and an offset, as in ${{now(ms, +30s)}}, but has "
            f"({', '.join(arguments)})"
        )
    offset_s = float(offset[1]) * _SECONDS[offset[2]] if offset else 0.0
    if abs(offset_s) > MAX_OFFSET_S:
        raise ValueError(f"the offset of ${{now}} must be at most 36,500 days, but is {rest[0]}")
    return DueTime(unit, offset_s)


def _random_integer(arguments: Sequence[str]) -> RandomInteger:
    if len(arguments) == 2 and all(map(_INTEGER.fullmatch, arguments)):
        low, high = map(int, arguments)
        if -MAX_INTEGER <= low <= high <= MAX_INTEGER:
            return RandomInteger(low, high)
    raise ValueError(
        f"${{random_int}} takes the lowest and the highest integer, as in ${{random_int(1, 100)}}, each at most "
        f"{MAX_INTEGER:,}, but has ({', '.join(arguments)})"
    )
