"""The correct responses of an endpoint.

A wrong response is a failed request. There are few kinds, because they are counted: ``HTTP <status>``,
``wrong answer: not JSON``, ``wrong answer: too long`` and ``wrong answer: <path>``. A path names a value in the JSON by
keys separated by dots, ``order.status``; a number is an index in a list, ``executions.0.price``. Keys that contain a
dot cannot be named.

The load process checks every response: the body is parsed only if needed, and checks are compiled once. A body of 200
bytes then takes about 3 µs; longer bodies take longer.
"""

import math
import re
from codecs import BOM_UTF8
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import ConfigDict, Field, field_validator
from pydantic_core import from_json

from include.perf.catalogue.template import FIELDS
from include.perf.model.yaml_entries import Entry

Check = Callable[[int, bytes], str | None]
"""Checks a status and a body; returns the kind of error, or ``None`` for a correct response."""

Scalar = str | int | float | bool | None

SUCCESSFUL = range(200, 300)

WRONG_ANSWER = "wrong answer"

NOT_JSON = f"{WRONG_ANSWER}: not JSON"

TOO_LONG = f"{WRONG_ANSWER}: too long"

MAX_JSON_BYTES = 8 * 1024 * 1024
"""Longer bodies are not parsed: a document takes up to twenty times the memory of its text."""

PATH = r"[A-Za-z0-9_@$-]+(\.[A-Za-z0-9_@$-]+)*"

LONGEST_PATH = 100

_MISSING: Any = object()


class Expectation(Entry):
    """The correct responses of an endpoint.

    Attributes:
        status: the correct statuses; by default 200 to 299.
        fields: ``json`` in the YAML file: by path, the correct value or a list of correct values; ``1`` and ``1.0``
            are equal, ``true`` and ``1`` are not.
        has: paths that must exist, with any value including null.
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
        """Whether the body is checked."""
        return bool(self.fields or self.has)

    def compiled(self) -> Check:
        """Return the check, compiled for many responses."""
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
        f"a path consists of keys separated by dots, such as order.status or executions.0.price, but is {path!r}"
        for path in paths
        if not isinstance(path, str) or len(path) > LONGEST_PATH or not re.fullmatch(PATH, path)
    ]


def _problems_of_values(path: Any, values: Sequence[Any]) -> list[str]:
    problems = [] if values else [f"{path} must name at least one correct value, but names none"]
    for value in values:
        if value is not None and not isinstance(value, (str, int, float)):
            problems.append(f"{path} must be text, a number, true, false or null, or a list of these, but is {value!r}")
        elif isinstance(value, float) and not math.isfinite(value):
            problems.append(f"{path} must be a finite number, but is {value}; JSON has no other")
        elif isinstance(value, str) and value.startswith("$") and value[1:] in FIELDS:
            problems.append(f"{path} is compared literally, but is {value!r}; use templates in query and body only")
    return problems


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    """The compiled check of one path.

    Attributes:
        steps: each as a key, and as a list index if it is a number, else ``None``.
        flags, values: the correct booleans and other values, separate because ``True == 1`` in Python; both are
            ``None`` if any value is correct.
        kind: the error for any other value.
    """

    steps: tuple[tuple[str, int | None], ...]
    flags: tuple[bool, ...] | None
    values: tuple[Scalar, ...] | None
    kind: str


def _rule(path: str, right: tuple[Scalar, ...] | None) -> _Rule:
    return _Rule(
        steps=_steps(path),
        flags=None if right is None else tuple(value for value in right if isinstance(value, bool)),
        values=None if right is None else tuple(value for value in right if not isinstance(value, bool)),
        kind=f"{WRONG_ANSWER}: {path}",
    )


def _steps(path: str) -> tuple[tuple[str, int | None], ...]:
    return tuple((step, int(step) if step.isdigit() else None) for step in path.split("."))


def value_in(document: Any, path: str) -> Any:
    """Return the value at a path of a JSON document; ``None`` if there is none."""
    found = _value_at(document, _steps(path))
    return None if found is _MISSING else found


def _first_wrong(body: bytes, rules: Sequence[_Rule]) -> str | None:
    if len(body) > MAX_JSON_BYTES:
        return TOO_LONG
    try:
        document = document_of(body)
    except ValueError:
        return NOT_JSON
    for rule in rules:
        value = _value_at(document, rule.steps)
        right = rule.flags if isinstance(value, bool) else rule.values
        if value is _MISSING or (right is not None and value not in right):
            return rule.kind
    return None


def reader_of(path: str) -> Callable[[Any], Any]:
    """Return what reads the value at a path of JSON documents; it returns ``None`` if there is none."""
    steps = _steps(path)

    def read(document: Any) -> Any:
        found = _value_at(document, steps)
        return None if found is _MISSING else found

    return read


def document_of(body: bytes) -> Any:
    """Parse JSON; a byte order mark before it is ignored (RFC 8259, 8.1).

    Raises:
        ValueError: it is not JSON, or too deeply nested.
    """
    try:
        return from_json(body)  # twice as fast as json
    except ValueError:
        if not body.startswith(BOM_UTF8):
            raise
    return from_json(body[len(BOM_UTF8) :])


def _value_at(document: Any, steps: tuple[tuple[str, int | None], ...]) -> Any:
    """Return the value at a path, or `_MISSING`."""
    for key, place in steps:
        if isinstance(document, dict):
            document = document.get(key, _MISSING)
        elif isinstance(document, list) and place is not None and place < len(document):
            document = document[place]
        else:
            return _MISSING
    return document
