"""What a right answer looks like: its status, and what its JSON must say.

An answer that is not as expected is a failed request of a kind of its own, however fast it came. The kinds
are few and plain, for they are counted: ``HTTP <status>``, ``wrong answer: not JSON`` and
``wrong answer: <path>``, the path as the catalogue has it.

A path names a value in the JSON by keys with dots between them, ``order.status``; a number counts in a list,
``executions.0.price``. A key that has a dot in it cannot be named.

The load process checks every answer, so nothing is parsed where only the status counts, and everything else is
made ready once. A body of 200 bytes then takes about 3 µs; a longer one takes longer, all of it is parsed.
"""

import math
import re
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import ConfigDict, Field, field_validator
from pydantic_core import from_json

from include.perf.entry import Entry
from include.perf.template import FIELDS

Check = Callable[[int, bytes], str | None]
"""Looks at a status and a body; returns the kind of error, or ``None`` for an answer that is as it should be."""

Scalar = str | int | float | bool | None

SUCCESSFUL = range(200, 300)
WRONG_ANSWER = "wrong answer"
NOT_JSON = f"{WRONG_ANSWER}: not JSON"

_PATH = re.compile(r"[A-Za-z0-9_@$-]+(\.[A-Za-z0-9_@$-]+)*")
_LONGEST_PATH = 100
_MISSING: Any = object()


class Expectation(Entry):
    """What the answers of an endpoint must be.

    Attributes:
        status: the statuses that are right; any of 200 to 299 where none is named.
        fields: ``json`` in the YAML: by path, the value that must be there, or a list of values of which one
            must be; ``1`` and ``1.0`` are the same number, ``true`` and ``1`` are not.
        has: paths that must be there, with whatever value, null too.
    """

    model_config = ConfigDict(str_strip_whitespace=False, serialize_by_alias=True)

    status: tuple[Annotated[int, Field(ge=200, le=599)], ...] = ()
    fields: Mapping[str, tuple[Scalar, ...]] = Field(default_factory=dict, alias="json")
    has: tuple[str, ...] = ()

    @field_validator("status", "has", mode="before")
    @classmethod
    def _one_or_many(cls, given: Any) -> Any:
        return (given,) if isinstance(given, (str, int)) and not isinstance(given, bool) else given

    @field_validator("fields", mode="before")
    @classmethod
    def _check_fields(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        fields = {path: tuple(v) if isinstance(v, (list, tuple)) else (v,) for path, v in given.items()}
        problems = _problems_of_paths(fields)
        problems += [problem for path, values in fields.items() for problem in _problems_of_values(path, values)]
        if problems:
            raise ValueError("; ".join(problems))
        return fields

    @field_validator("has")
    @classmethod
    def _check_has(cls, has: tuple[str, ...]) -> tuple[str, ...]:
        problems = _problems_of_paths(has)
        if problems:
            raise ValueError("; ".join(problems))
        return has

    @property
    def reads_body(self) -> bool:
        """Whether anything but the status is looked at."""
        return bool(self.fields or self.has)

    def compiled(self) -> Check:
        """Return the check, made ready for many answers."""
        statuses: Container[int] = frozenset(self.status) if self.status else SUCCESSFUL
        rules = [_rule(path, None) for path in self.has]
        rules += [_rule(path, values) for path, values in self.fields.items()]

        def check_status(status: int, _: bytes) -> str | None:
            return None if status in statuses else f"HTTP {status}"

        def check_all(status: int, body: bytes) -> str | None:
            return _first_wrong(body, rules) if status in statuses else f"HTTP {status}"

        return check_all if rules else check_status


def _problems_of_paths(paths: Any) -> list[str]:
    return [
        f"a path is keys with dots between them, such as order.status or executions.0.price, but is {path!r}"
        for path in paths
        if not isinstance(path, str) or len(path) > _LONGEST_PATH or not _PATH.fullmatch(path)
    ]


def _problems_of_values(path: Any, values: Sequence[Any]) -> list[str]:
    problems = [] if values else [f"{path} must name the value that is right, or several, but names none"]
    for value in values:
        if value is not None and not isinstance(value, (str, int, float)):
            problems.append(f"{path} must be text, a number, true, false or null, or a list of these, but is {value!r}")
        elif isinstance(value, float) and not math.isfinite(value):
            problems.append(f"{path} must be a finite number, but is {value}; JSON has no other")
        elif isinstance(value, str) and value.startswith("$") and value[1:] in FIELDS:
            problems.append(f"{path} is compared as it stands, but is {value!r}; templates are for query and body")
    return problems


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    """One path, made ready.

    Attributes:
        steps: each as a key and, where it is a number, as a place in a list; else ``None``.
        flags, values: what is right, booleans apart: to Python ``True`` equals 1; both ``None``: anything is.
        kind: the error where it is not.
    """

    steps: tuple[tuple[str, int | None], ...]
    flags: tuple[bool, ...] | None
    values: tuple[Scalar, ...] | None
    kind: str


def _rule(path: str, right: tuple[Scalar, ...] | None) -> _Rule:
    return _Rule(
        steps=tuple((step, int(step) if step.isdigit() else None) for step in path.split(".")),
        flags=None if right is None else tuple(value for value in right if isinstance(value, bool)),
        values=None if right is None else tuple(value for value in right if not isinstance(value, bool)),
        kind=f"{WRONG_ANSWER}: {path}",
    )


def _first_wrong(body: bytes, rules: Sequence[_Rule]) -> str | None:
    try:
        document = from_json(body)  # twice as fast as json, and too deep a nesting is a ValueError as well
    except ValueError:
        return NOT_JSON
    for rule in rules:
        value = _value_at(document, rule.steps)
        right = rule.flags if isinstance(value, bool) else rule.values
        if value is _MISSING or (right is not None and value not in right):
            return rule.kind
    return None


def _value_at(document: Any, steps: tuple[tuple[str, int | None], ...]) -> Any:
    """Return what a path leads to; `_MISSING` has no steps further."""
    for key, place in steps:
        if isinstance(document, dict):
            document = document.get(key, _MISSING)
        elif isinstance(document, list) and place is not None and place < len(document):
            document = document[place]
        else:
            return _MISSING
    return document
