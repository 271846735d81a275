"""An endpoint of a service: its request, filled with market data, and the response that it must return.

Templates: a template is any JSON value. A string that is exactly one placeholder (``$price``) becomes the value of the
field with its type; placeholders in a longer string (``"$instrument daily"``) are inserted as text; ``$$`` is a dollar
sign.

Expectations: a wrong response is a failed request. There are few kinds, because they are counted: ``HTTP <status>``,
``wrong answer: not JSON``, ``wrong answer: too long`` and ``wrong answer: <path>``. A path names a value in the JSON by
keys separated by dots, ``order.status``; a number is an index in a list, ``executions.0.price``. Keys that contain a
dot cannot be named.

The load process checks every response: the body is parsed only if needed, and checks are compiled once. A body of 200
bytes then takes about 3 µs; longer bodies take longer.
"""

import json
import math
import re
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self
from urllib.parse import unquote

from pydantic import AfterValidator, ConfigDict, Field, field_validator, model_validator
from pydantic_core import from_json

from include.perf.model.yaml_entries import Entry, Name, matching

FIELDS: dict[str, str] = {
    "instrument": "such as EUR_USD",
    "timeframe": "bar length of the data: M1, M5, … D1",
    "timestamp": "the row's time, RFC 3339",
    "start_time": "60 bars before the row's time, RFC 3339",
    "end_time": "the row's time, RFC 3339",
    "open": "the bar's open",
    "high": "the bar's high",
    "low": "the bar's low",
    "close": "the bar's close",
    "volume": "ticks in the bar",
    "spread": "ask − bid, price units",
    "side": "buy or sell",
    "order_type": "market or limit",
    "time_in_force": "GTC, IOC, FOK or DAY",
    "quantity": "units of the base currency",
    "price": "the ask for a buy, the bid for a sell",
    "price_momentum": "log return over 10 bars",
    "volume_trend": "volume over its 30-bar mean, − 1",
    "volatility": "standard deviation of 30 log returns",
}
"""The placeholders and their meaning."""

_PLACEHOLDER = re.compile(r"\$(\$|[A-Za-z_]\w*)")


def render(template: Any, fields: Mapping[str, Any]) -> Any:
    """Fill a template with the values of ``fields``; the template itself does not change."""
    if isinstance(template, str):
        return _render_text(template, fields)
    if isinstance(template, Mapping):
        return {key: render(value, fields) for key, value in template.items()}
    if isinstance(template, (list, tuple)):
        return [render(value, fields) for value in template]
    return template


def _render_text(text: str, fields: Mapping[str, Any]) -> Any:
    single = _PLACEHOLDER.fullmatch(text)
    if single and single[1] != "$":
        return fields[single[1]]
    return _PLACEHOLDER.sub(lambda match: "$" if match[1] == "$" else str(fields[match[1]]), text)


def problems_of_template(template: Any) -> list[str]:
    """Return a problem for each unknown placeholder."""
    unknown = sorted({name for name in _placeholders(template) if name not in FIELDS})
    return [f"${name} is not a field of the market data; known: {', '.join(FIELDS)}" for name in unknown]


def _placeholders(template: Any) -> Iterator[str]:
    if isinstance(template, str):
        yield from (match[1] for match in _PLACEHOLDER.finditer(template) if match[1] != "$")
    elif isinstance(template, Mapping):
        for value in template.values():
            yield from _placeholders(value)
    elif isinstance(template, (list, tuple)):
        for value in template:
            yield from _placeholders(value)


Check = Callable[[int, bytes], str | None]
"""Checks a status and a body; returns the kind of error, or ``None`` for a correct response."""

Scalar = str | int | float | bool | None

SUCCESSFUL = range(200, 300)

WRONG_ANSWER = "wrong answer"

NOT_JSON = f"{WRONG_ANSWER}: not JSON"

TOO_LONG = f"{WRONG_ANSWER}: too long"

MAX_JSON_BYTES = 8 * 1024 * 1024
"""Longer bodies are not parsed: a document takes up to twenty times the memory of its text."""

_PATH = re.compile(r"[A-Za-z0-9_@$-]+(\.[A-Za-z0-9_@$-]+)*")

_LONGEST_PATH = 100

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
        if not isinstance(path, str) or len(path) > _LONGEST_PATH or not _PATH.fullmatch(path)
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
        steps=tuple((step, int(step) if step.isdigit() else None) for step in path.split(".")),
        flags=None if right is None else tuple(value for value in right if isinstance(value, bool)),
        values=None if right is None else tuple(value for value in right if not isinstance(value, bool)),
        kind=f"{WRONG_ANSWER}: {path}",
    )


def _first_wrong(body: bytes, rules: Sequence[_Rule]) -> str | None:
    if len(body) > MAX_JSON_BYTES:
        return TOO_LONG
    try:
        document = from_json(body)  # twice as fast as json; deep nesting raises ValueError, too
    except ValueError:
        return NOT_JSON
    for rule in rules:
        value = _value_at(document, rule.steps)
        right = rule.flags if isinstance(value, bool) else rule.values
        if value is _MISSING or (right is not None and value not in right):
            return rule.kind
    return None


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


Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]


MAX_ENCODINGS = 4
"""How often a path is decoded until nothing changes; proxies decode once, badly chained ones a few times."""

_DOT_SEGMENT = re.compile(r"/\.{1,2}(;[^/]*)?(/|$)")


def same_target(path: str) -> str:
    """Check that a path, as a proxy may normalise it, is still that path of the same host.

    A proxy may decode it, read ``\\`` as ``/``, and remove dot segments; ``//host/x`` is then a path of another host
    (RFC 3986, 4.2 and 6.2.2).

    Raises:
        ValueError: it starts with two slashes, has a dot segment or a control character, or is encoded too often.
    """
    plain = path.partition("?")[0]
    for _ in range(MAX_ENCODINGS):
        decoded = unquote(plain, errors="surrogateescape")
        if decoded == plain:
            break
        plain = decoded
    else:
        raise ValueError(f"must be percent-encoded once, but {path!r} is encoded again and again")
    plain = plain.replace("\\", "/")
    if plain.startswith("//"):
        raise ValueError(f"must start with a single /, but {path!r} names another host")
    if _DOT_SEGMENT.search(plain):
        raise ValueError(f"must have no . or .. between slashes, but is {path!r}; write the path that is meant")
    if any(ord(letter) < 0x20 or ord(letter) == 0x7F for letter in plain):
        raise ValueError(f"must have no control characters, but is {path!r}")
    return path


SameTarget = AfterValidator(same_target)

RequestPath = Annotated[
    str, matching(r"/[^?#$\s]*", "must be a path that starts with /, without query, fragment, $ or spaces"), SameTarget
]


class Endpoint(Entry):
    """An endpoint of a service.

    Attributes:
        weight: share of the arrivals, relative to the service's other endpoints.
        query: query parameters; values are templates for the market data.
        body: JSON body; every string in it is a template for the market data.
        expect: the correct responses; by default any with a status of 200 to 299.
    """

    name: Name
    method: Method
    path: RequestPath
    weight: Annotated[int, Field(ge=1, le=1000)] = 1
    query: dict[str, str | int | float] = Field(default_factory=dict)
    body: dict[str, Any] | None = None
    expect: Expectation | None = None

    @field_validator("query", mode="before")
    @classmethod
    def _plain_values(cls, query: Any) -> Any:
        for name, value in query.items() if isinstance(query, dict) else ():
            if isinstance(value, bool) or not isinstance(value, (str, int, float)):
                raise ValueError(f"{name} must be text or a number, but is {value!r}; put it in quotes")
        return query

    @field_validator("body", mode="before")
    @classmethod
    def _is_json(cls, body: Any) -> Any:
        try:
            json.dumps(body, allow_nan=False)
        except (TypeError, ValueError) as err:
            raise ValueError(f"cannot be sent as JSON ({err}); put dates and times in quotes") from err
        return body

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.method == "GET" and self.body is not None:
            raise ValueError("a GET request has no body; use query instead")
        problems = problems_of_template([self.query, self.body])
        if problems:
            raise ValueError("; ".join(problems))
        return self
