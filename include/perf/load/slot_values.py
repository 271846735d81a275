"""What fills the slots of a request: the values of its own."""

import os
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter
from typing import cast

from include.perf.catalogue.data_file import RowOrder
from include.perf.catalogue.own_values import (
    CapturedVariable,
    DueTime,
    FileColumn,
    RandomChoice,
    RandomInteger,
    RandomUuid,
    SequenceNumber,
)
from include.perf.load.slots import JourneyMoment, Moment, Slot, SlotForm, encoded

MICROSECONDS = 1_000_000

URI_FORMS = ("path", "query", "form")
"""Where a colon is encoded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRows:
    """The rows of a data file, as far as requests name its columns.

    Attributes:
        columns: by name; (rows,) texts each.
        first: the row of the endpoint's first request, if no row is used twice.
    """

    order: RowOrder
    columns: Mapping[str, Sequence[str]]
    first: int = 0

    @property
    def count(self) -> int:
        """The number of rows."""
        return len(next(iter(self.columns.values())))


Source = Callable[[Moment], tuple[bytes, ...]]
"""Returns the content of one or more slots that belong together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """What makes the random values of a worker: the same seed gives the same values.

    Attributes:
        seed: of the load.
        worker: number of the worker, from 0.
        endpoint: index of the endpoint.
        journey: the name of the journey, whose steps have the same rows of data files; empty without one.
    """

    seed: int = 0
    worker: int = 0
    endpoint: int = 0
    journey: str = ""

    def of(self, what: str) -> random.Random:
        """Return a source of random numbers of its own."""
        return random.Random(f"{self.seed} {self.worker} {self.endpoint} {what}")

    def row_of(self, file: str, size: int) -> Callable[[Moment], int]:
        """Return what draws the row of a data file for a request; requests of one journey draw the same."""
        if not self.journey:
            draw = self.of(file).random
            return lambda _: int(draw() * size)
        salt = random.Random(f"{self.seed} {self.journey} {file}").getrandbits(64)
        return lambda moment: _mixed(moment.number, salt) * size >> 64


class SlotValues:
    """The values of the slots of one endpoint, request by request.

    Within one request, the same placeholder has the same value everywhere, and all columns of a data file are of the
    same row.

    Args:
        slots: of the endpoint.
        files: the rows of the data files that they name.
        draw: the source of their random values.
    """

    def __init__(self, slots: Sequence[Slot], files: Mapping[str, FileRows], draw: Draw) -> None:
        self._started_at = 0.0
        self._base = 0
        groups: dict[object, list[int]] = {}
        for index, slot in enumerate(slots):
            value = slot.value
            groups.setdefault(value.file if isinstance(value, FileColumn) else value, []).append(index)
        self._sources = [self._source([slots[index] for index in group], files, draw) for group in groups.values()]
        order = [index for group in groups.values() for index in group]
        places = sorted(range(len(order)), key=order.__getitem__)
        self._in_order: Callable[[Sequence[bytes]], tuple[bytes, ...]] = (
            itemgetter(*places) if len(places) > 1 else tuple
        )

    def start(self, started_at: float) -> None:
        """Set when the schedule starts, in Unix seconds.

        A load sends fewer than a million requests per second, so the numbers of a later load are higher.
        """
        self._started_at = started_at
        self._base = int(started_at * MICROSECONDS)

    def at(self, moment: Moment) -> tuple[bytes, ...]:
        """Return the content of every slot."""
        found: list[bytes] = []
        for source in self._sources:
            found += source(moment)
        return self._in_order(found)

    def _source(self, slots: Sequence[Slot], files: Mapping[str, FileRows], draw: Draw) -> Source:
        forms = [slot.form for slot in slots]
        what = f"{slots[0].name} {slots[0].arguments}"
        match slots[0].value:
            case RandomUuid():
                return _uuids(len(forms))
            case SequenceNumber():
                return lambda moment: (b"%d" % (self._base + moment.number),) * len(forms)
            case DueTime() as due:
                return self._due_times(due, forms)
            case RandomInteger(low, high):
                return _integers(low, high, draw.of(what), len(forms))
            case RandomChoice(options):
                rows = [tuple(encoded(option, form) for form in forms) for option in options]
                return _random_rows(rows, draw.of(what))
            case FileColumn(file=file):
                return _file_rows(slots, files[file], file, draw)
            case CapturedVariable(name):
                return _captured(name, forms)
        raise TypeError(f"{slots[0]!r} has no value")

    def _due_times(self, due: DueTime, forms: Sequence[SlotForm]) -> Source:
        per_second = {"s": 1, "ms": 1_000, "us": MICROSECONDS}
        if due.unit == "rfc3339":
            return self._rfc3339_times(due.offset_s, forms)
        if due.unit == "basic":
            return lambda moment: (_basic_time(int(self._started_at + moment.due_s + due.offset_s)),) * len(forms)
        factor = per_second[due.unit]
        return lambda moment: (b"%d" % ((self._started_at + moment.due_s + due.offset_s) * factor),) * len(forms)

    def _rfc3339_times(self, offset_s: float, forms: Sequence[SlotForm]) -> Source:
        plain, in_uri = Rfc3339(), Rfc3339(colon="%3A")
        writers = [in_uri if form in URI_FORMS else plain for form in forms]
        if len(writers) == 1:
            (write,) = writers
            return lambda moment: (write(self._started_at + moment.due_s + offset_s),)

        def contents(moment: Moment) -> tuple[bytes, ...]:
            at = self._started_at + moment.due_s + offset_s
            return tuple([write(at) for write in writers])

        return contents


class Rfc3339:
    """Writes times in Unix seconds as RFC 3339 in UTC, with milliseconds; the last second is kept for the next time."""

    def __init__(self, *, colon: str = ":") -> None:
        self._layout = "%Y-%m-%dT%H:%M:%S".replace(":", colon.replace("%", "%%"))
        self._second = -1
        self._format = b""

    def __call__(self, at: float) -> bytes:
        """Return a time; it is not rounded up."""
        milliseconds = int(at * 1000)
        second = milliseconds // 1000
        if second != self._second:
            self._second = second
            text = time.strftime(self._layout, time.gmtime(second))
            self._format = text.replace("%", "%%").encode() + b".%03dZ"
        return self._format % (milliseconds - 1000 * second)


@lru_cache(maxsize=8)
def _basic_time(second: int) -> bytes:
    """Return a time in Unix seconds in the basic format of ISO 8601."""
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(second)).encode()


def _uuids(places: int) -> Source:
    draw = random.Random(os.urandom(32)).getrandbits

    def uuid(_: Moment) -> tuple[bytes, ...]:
        # RFC 9562, 5.4: the version is 4, the variant 10 in binary
        text = b"%08x-%04x-4%03x-%04x-%012x" % (draw(32), draw(16), draw(12), draw(14) | 0x8000, draw(48))
        return (text,) * places

    return uuid


def _integers(low: int, high: int, source: random.Random, places: int) -> Source:
    size = high - low + 1
    draw = source.random
    if size <= 1 << 32:
        return lambda _: (b"%d" % (low + int(draw() * size)),) * places
    return lambda _: (b"%d" % source.randint(low, high),) * places


def _random_rows(rows: Sequence[tuple[bytes, ...]], source: random.Random) -> Source:
    size, draw = len(rows), source.random
    return lambda _: rows[int(draw() * size)]


def _captured(name: str, forms: Sequence[SlotForm]) -> Source:
    keys = [(name, form) for form in forms]

    def contents(moment: Moment) -> tuple[bytes, ...]:
        captured = cast(JourneyMoment, moment).captured
        return tuple([captured[key] for key in keys])

    return contents


_MASK = 2**64 - 1


def _mixed(number: int, salt: int) -> int:
    """Return 64 bits that look random, the same for the same number: SplitMix64, doi:10.1145/2660193.2660195."""
    bits = (number * 0x9E3779B97F4A7C15 + salt) & _MASK
    bits = (bits ^ bits >> 30) * 0xBF58476D1CE4E5B9 & _MASK
    bits = (bits ^ bits >> 27) * 0x94D049BB133111EB & _MASK
    return bits ^ bits >> 31


def _file_rows(slots: Sequence[Slot], file: FileRows, name: str, draw: Draw) -> Source:
    columns = [
        [encoded(text, slot.form) for text in file.columns[slot.value.column]]
        for slot in slots
        if isinstance(slot.value, FileColumn)
    ]
    rows = list(zip(*columns, strict=True))
    if file.order == "random":
        row_of = draw.row_of(name, len(rows))
        return lambda moment: rows[row_of(moment)]
    first, size = file.first, len(rows)
    return lambda moment: rows[(first + moment.ordinal) % size]
