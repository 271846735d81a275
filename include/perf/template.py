"""Payload templates: where the market data goes in a request.

A template is any JSON value. A string that is exactly one placeholder (``$price``) becomes the field's own
value with its type; placeholders inside a longer string (``"$instrument daily"``) are put in as text; ``$$``
is a dollar sign.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

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
"""What a placeholder may name, and what it stands for."""

_PLACEHOLDER = re.compile(r"\$(\$|[A-Za-z_]\w*)")


def render(template: Any, fields: Mapping[str, Any]) -> Any:
    """Put ``fields`` into ``template``; the template itself is not changed."""
    if isinstance(template, str):
        return _render_text(template, fields)
    if isinstance(template, Mapping):
        return {key: render(value, fields) for key, value in template.items()}
    if isinstance(template, (list, tuple)):
        return [render(value, fields) for value in template]
    return template


def _render_text(text: str, fields: Mapping[str, Any]) -> Any:
    whole = _PLACEHOLDER.fullmatch(text)
    if whole and whole[1] != "$":
        return fields[whole[1]]
    return _PLACEHOLDER.sub(lambda match: "$" if match[1] == "$" else str(fields[match[1]]), text)


def problems_of_template(template: Any) -> list[str]:
    """Name the placeholders that no market data can fill."""
    unknown = sorted({name for name in _placeholders(template) if name not in FIELDS})
    return [f"${name} is not a field of the market data; there are {', '.join(FIELDS)}" for name in unknown]


def _placeholders(template: Any) -> Iterator[str]:
    if isinstance(template, str):
        yield from (match[1] for match in _PLACEHOLDER.finditer(template) if match[1] != "$")
    elif isinstance(template, Mapping):
        for value in template.values():
            yield from _placeholders(value)
    elif isinstance(template, (list, tuple)):
        for value in template:
            yield from _placeholders(value)
