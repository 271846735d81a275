"""Templates: text with placeholders that are filled for each request.

A placeholder names a field of the market data (``$price``), a value of the request's own (``$uuid``,
``${random_int(1, 100)}``), a column of a data file (``${accounts.id}``) or, in a journey, a variable that an earlier
step captured (``$order_id``). ``$price`` and ``${price}`` are the same, and ``$$`` is a dollar sign.

In JSON, a string that is exactly one placeholder becomes a value with the placeholder's type; ``${price as text}`` and
``${accounts.limit as number}`` choose the type. Within a longer string, and everywhere outside JSON, it becomes text.
"""

import csv
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any, Literal

from include.perf.catalogue.own_values import (
    OWN_VALUES,
    CapturedVariable,
    FileColumn,
    OwnValue,
    RandomChoice,
    own_value,
)

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
"""The fields of the market data and their meaning."""

TEXT_FIELDS = frozenset(
    {"instrument", "timeframe", "timestamp", "start_time", "end_time", "side", "order_type", "time_in_force"}
)
"""The other fields are numbers."""

DECIMALS = "decimals"
"""Further field of a row: the decimals of the instrument's prices."""

PRICES = frozenset({"open", "high", "low", "close", "price"})

RESERVED = re.compile("[\ue000-\ue03f]")
"""Private-use characters that stand for values of the request's own in prepared requests; no template may have them."""

JSON_NUMBER = re.compile(r"-?(0|[1-9]\d{0,40})(\.\d{1,40})?([eE][+-]?\d{1,3})?", re.ASCII)

SHOWN = 60

_PLACEHOLDER = re.compile(r"\$(?:(\$)|([A-Za-z_]\w*)|(\{)(?:([^{}]*)\})?)")
_OTHER_VARIABLE = re.compile(r"\{[A-Za-z_][\w.-]*\}|\{\{\s*[A-Za-z_$][\w.-]*\s*\}\}")
_EXPRESSION = re.compile(
    r"\s*(?P<name>[A-Za-z_]\w*(?:\.[A-Za-z_][\w-]*)?)\s*(?:\((?P<arguments>.*)\))?\s*(?:\bas\s+(?P<form>text|number))?\s*"
)


@dataclass(frozen=True, slots=True)
class Placeholder:
    """A placeholder of a template.

    Attributes:
        name: of a field, of a value of the request's own, or of a column as ``file.column``.
        arguments: such as ``1`` and ``100`` of ``${random_int(1, 100)}``.
        form: the type in JSON, if the template chooses it.
    """

    name: str
    arguments: tuple[str, ...] = ()
    form: Literal["text", "number"] | None = None

    def __str__(self) -> str:
        return f"${{{self.name}}}" if "." in self.name else f"${self.name}"

    @property
    def own(self) -> OwnValue | None:
        """The value of the request's own that it stands for; ``None`` for a field of the market data.

        Raises:
            ValueError: its arguments are wrong.
        """
        return None if self.name in FIELDS else own_value(self.name, self.arguments)

    @property
    def is_number(self) -> bool:
        """Whether it is a number in JSON."""
        if self.form is not None:
            return self.form == "number"
        own = self.own
        return self.name not in TEXT_FIELDS if own is None else own.is_number


@lru_cache(maxsize=4096)
def parts_of(text: str) -> tuple[str | Placeholder, ...]:
    """Return the literal parts and the placeholders of a text.

    Raises:
        ValueError: a placeholder is malformed.
    """
    parts: list[str | Placeholder] = []
    literal, end = "", 0
    for match in _PLACEHOLDER.finditer(text):
        literal += text[end : match.start()]
        end = match.end()
        if match[1]:
            literal += "$"
            continue
        if literal:
            parts.append(literal)
        literal = ""
        parts.append(Placeholder(match[2]) if match[2] else _expression(match[4], text))
    literal += text[end:]
    return (*parts, literal) if literal else tuple(parts)


def _expression(inside: str | None, text: str) -> Placeholder:
    found = None if inside is None else _EXPRESSION.fullmatch(inside)
    if found is None:
        shown = "${" if inside is None else f"${{{inside}}}"
        raise ValueError(
            f"a placeholder must look like ${{price}}, ${{now(ms)}} or ${{accounts.id as number}}, but {text!r} has "
            f"{shown}; write $$ for a dollar sign"
        )
    try:
        arguments = next(csv.reader([found["arguments"] or ""], quotechar="'", skipinitialspace=True), [])
    except csv.Error as err:
        shown = inside[:SHOWN] if inside else ""
        raise ValueError(f"the arguments of ${{{shown}}} cannot be read ({err}); write them in one line") from err
    form: Any = found["form"]
    return Placeholder(found["name"], tuple(argument.strip() for argument in arguments), form)


def without_placeholders(text: str) -> str | None:
    """Return what a template without placeholders stands for; ``None`` if it has any."""
    parts = parts_of(text)
    return None if any(isinstance(part, Placeholder) for part in parts) else "".join(map(str, parts))


def placeholders_of(template: Any) -> Iterator[Placeholder]:
    """Yield every placeholder of a template, which is any JSON value; those of keys too.

    Raises:
        ValueError: a placeholder is malformed.
    """
    for text in _texts(template):
        yield from (part for part in parts_of(text) if isinstance(part, Placeholder))


def problems_of_template(
    template: Any, *, files: Collection[str] | None = None, variables: Collection[str] | None = ()
) -> list[str]:
    """Return the problems of the placeholders in a template.

    Args:
        files: the names of the data files whose columns it may name; ``None`` if they are checked elsewhere.
        variables: the captured variables that it may name; ``None`` if they are checked elsewhere.
    """
    if reserved := sorted({letter for text in _texts(template) for letter in RESERVED.findall(text)}):
        return [f"the private-use character U+{ord(reserved[0]):04X} must not be in a request; remove it"]
    try:
        found = dict.fromkeys(placeholders_of(template))
    except ValueError as err:
        return [str(err)]
    problems = {problem for placeholder in found if (problem := _problem_of(placeholder, files, variables))}
    return sorted(problems)


def unresolved_in(template: Any) -> list[str]:
    """Return the texts of a template that are nothing but a variable of another tool, such as {id} or {{id}}."""
    return [text for text in _texts(template) if _OTHER_VARIABLE.fullmatch(text.strip())]


def _texts(template: Any) -> Iterator[str]:
    if isinstance(template, str):
        yield template
    elif isinstance(template, Mapping):
        for key, value in template.items():
            yield from _texts(key)
            yield from _texts(value)
    elif isinstance(template, (list, tuple)):
        for value in template:
            yield from _texts(value)


def variables_of(template: Any) -> set[str]:
    """Return the captured variables that a template names."""
    return {found.name for found in placeholders_of(template) if isinstance(found.own, CapturedVariable)}


def _problem_of(
    placeholder: Placeholder, files: Collection[str] | None, variables: Collection[str] | None
) -> str | None:
    name = placeholder.name
    file, _, column = name.partition(".")
    if column:
        if placeholder.arguments:
            return f"{placeholder} is a column of a data file and takes no arguments"
        if files is not None and file not in files:
            known = f"; known: {', '.join(sorted(files))}" if files else ""
            return f"{placeholder} names the data file {file!r}, which is not in data_files{known}"
        return None
    if name in FIELDS:
        if placeholder.arguments:
            return f"{placeholder} is a field of the market data and takes no arguments"
        if placeholder.form == "number" and name in TEXT_FIELDS:
            return f"{placeholder} is text and cannot be sent as a number"
        return None
    if name not in OWN_VALUES:
        return _problem_of_variable(placeholder, variables)
    try:
        own = own_value(name, placeholder.arguments)
    except ValueError as err:
        return str(err)
    if placeholder.form == "number" and not _can_be_number(own):
        return f"{placeholder} is text and cannot be sent as a number"
    return None


def _problem_of_variable(placeholder: Placeholder, variables: Collection[str] | None) -> str | None:
    name = placeholder.name
    if variables is None or name in variables:
        return f"{placeholder} is a captured variable and takes no arguments" if placeholder.arguments else None
    captured = f"; nor captured by an earlier step; captured: {', '.join(sorted(variables))}" if variables else ""
    return (
        f"${name} is not a field of the market data; known: {', '.join(FIELDS)}; nor a value of the request's own; "
        f"known: {', '.join(OWN_VALUES)}{captured}"
    )


def _can_be_number(own: OwnValue) -> bool:
    """Whether a value can be a number in JSON; those of data files are checked when the requests are prepared."""
    if isinstance(own, RandomChoice):
        return all(map(JSON_NUMBER.fullmatch, own.options))
    return own.is_number or isinstance(own, FileColumn)


def text_of(field: str, row: Mapping[str, Any]) -> str:
    """Return a field of the market data as text: prices with the decimals of their instrument, and no exponents."""
    value = row[field]
    if field in PRICES and DECIMALS in row:
        return f"{value:.{row[DECIMALS]}f}"
    return format(Decimal(repr(float(value))), "f") if isinstance(value, float) else str(value)
