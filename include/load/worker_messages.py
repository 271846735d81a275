"""What a worker may send to the master: every message is checked before anything uses it.

A worker holds the key, but it may run another program, or be broken. No text of a worker reaches a log or an error
unchecked: names have only the characters of names, and other texts are one line of limited length.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any, TypeVar

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, with_config

from include.load.conversation import MessageMalformed
from include.perf.load.load_plan import GeneratorLog
from include.perf.model.errors import ItemError
from include.perf.model.json_files import from_json
from include.perf.model.text import one_line

T = TypeVar("T")

MAX_COUNT = 1 << 53
MAX_SECONDS = 1e12
MAX_STEPS = 5_000
"""Of a histogram of delays; step 5,000 stands for more than 10¹⁵ s."""
MAX_TEXT = 1_000
SIGNED = ("clock_step_s",)
"""Figures of a summary that may be negative."""

Count = Annotated[int, Field(ge=0, le=MAX_COUNT)]
Amount = Annotated[float, Field(ge=0, le=MAX_SECONDS, allow_inf_nan=False)]
Number = Annotated[float, Field(ge=-MAX_SECONDS, le=MAX_SECONDS, allow_inf_nan=False)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9._:+-]{1,128}$")]
Step = Annotated[int, Field(ge=0, le=MAX_STEPS)]
Steps = Annotated[Mapping[Step, Count], Field(max_length=MAX_STEPS)]

_STRICT = ConfigDict(extra="forbid")


@with_config(_STRICT)
@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """A worker's first message.

    Attributes:
        host: the name of its machine.
        versions: see `include.load.versions`.
    """

    host: Name
    versions: Annotated[Mapping[Name, Name], Field(max_length=10)]


@with_config(_STRICT)
@dataclass(frozen=True, slots=True, kw_only=True)
class ClockAnswer:
    """The answer to a query of the clock; see `include.load.clock_offset.Round`."""

    asked: Number
    came: Number
    went: Number


@with_config(_STRICT)
@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerProgress:
    """A progress report; see `include.load.progress`."""

    elapsed_s: Number
    rate_rps: Amount
    due: Count
    sent: Count
    finished: Count
    failed: Count
    in_flight: Count
    is_measuring: bool
    latencies: Steps
    lags: Steps
    waits: Steps
    wanted_cores: Amount | None


_ADAPTERS: dict[type[Any], TypeAdapter[Any]] = {
    kind: TypeAdapter(kind) for kind in (Hello, ClockAnswer, WorkerProgress)
}


def checked(kind: type[T], data: object, *, named: str) -> T:
    """Return data of a worker in its agreed form.

    Raises:
        MessageMalformed: it has another one.
    """
    try:
        found: T = _ADAPTERS[kind].validate_python(data)
    except (ValidationError, RecursionError) as err:
        raise MessageMalformed(f"{named} is not in the agreed form") from err
    return found


def checked_report(data: object) -> Mapping[str, Any]:
    """Return a report that the parent process can rely on.

    Raises:
        MessageMalformed: it is none.
    """
    if not isinstance(data, dict):
        raise MessageMalformed("its report is not in the agreed form")
    for name in ("ready", "over"):
        if name in data:
            return {name: True}
    return asdict(checked(WorkerProgress, data, named="its report"))


def checked_summary(text: object) -> GeneratorLog:
    """Return the summary of a worker.

    Raises:
        MessageMalformed: it is none.
    """
    try:
        cleaned = json.dumps(_cleaned(json.loads(text if isinstance(text, str) else "")))
        summary = from_json(GeneratorLog, cleaned.encode(), where="the summary")
    except (ItemError, ValueError, RecursionError) as err:
        raise MessageMalformed("its summary is not in the agreed form") from err
    if not all(0 <= step <= MAX_STEPS for step in summary.schedule_lags):
        raise MessageMalformed("its summary has delays that cannot be")
    return replace(summary, workers=1, lost_workers=())


def _cleaned(value: Any, *, named: str = "") -> Any:
    """Return a value whose numbers are possible, and whose texts may appear in a record and in messages.

    Raises:
        ValueError: a number is not finite, possible or positive, or there is more than a summary can have.
    """
    match value:
        case dict() if len(value) <= MAX_STEPS:
            return {_shown(name): _cleaned(item, named=name) for name, item in value.items()}
        case list() if len(value) <= MAX_STEPS:
            return [_cleaned(item, named=named) for item in value]
        case int() | float() if (-MAX_SECONDS if named in SIGNED else 0) <= value <= MAX_SECONDS:
            return value
        case str():
            return _shown(value)
        case None:
            return None
        case _:
            raise ValueError(named)


def _shown(text: str) -> str:
    """Return text on one line, and not too long."""
    return one_line(text)[:MAX_TEXT]


def host_name(name: str) -> str:
    """Return the name of a machine in the characters that a hello may have."""
    return re.sub(r"[^A-Za-z0-9._:+-]", "-", name)[:128] or "unknown"
