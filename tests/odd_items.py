"""Records with values outside their domain, and other odd items of a results store, for tests."""

import copy
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from include.perf.model.json_files import to_json
from include.perf.runs.record import RunRecord

TOO_LARGE = 10**400


def _set(*path: str | int, to: Any) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        inner: Any = document
        for step in path[:-1]:
            inner = inner[step]
        inner[path[-1]] = to

    return change


HOSTILE_VALUES: Mapping[str, Callable[[dict[str, Any]], None]] = {
    "started in year 1": _set("started_at", to="0001-01-01T00:00:00Z"),
    "started in year 9999": _set("started_at", to="9999-12-31T23:59:59Z"),
    "started at a naive time": _set("started_at", to="2026-03-02T06:38:57"),
    "naive window": _set("window", to={"start": "2026-03-02T06:40:00", "end": "2026-03-02T06:55:00"}),
    "window in year 1": _set("window", "start", to="0001-01-01T00:00:00+14:00"),
    "window that ends first": _set("window", "end", to="2026-03-02T06:30:00Z"),
    "naive since": _set("deviations", 0, "since", to="2026-03-02T06:40:00"),
    "naive approved_at": _set("baseline", "approved_at", to="2026-02-14T09:30:00"),
    "latency -1e308": _set("metrics", "latency_p95", "value", to=-1e308),
    "latency 1e308": _set("metrics", "latency_p95", "value", to=1e308),
    "negative latency": _set("metrics", "latency_p95", "value", to=-0.001),
    "latency of 400 digits": _set("metrics", "latency_p95", "value", to=TOO_LARGE),
    "NaN latency": _set("metrics", "latency_p95", "value", to=float("nan")),
    "infinite latency": _set("metrics", "latency_p95", "value", to=float("inf")),
    "NaN judged": _set("judged", to={"latency_p95": float("nan")}),
    "negative judged": _set("judged", to={"latency_p95": -1e308}),
    "infinite shift": _set("shifts", to={"latency_p95": {"ratio": float("inf"), "absolute": 0.1}}),
    "huge shift": _set("shifts", to={"latency_p95": {"ratio": 1e308, "absolute": 1e308}}),
    "negative baseline": _set("baseline", "metrics", "latency_p95", to=-1e308),
    "infinite deviation": _set("deviations", 0, "value", to=float("inf")),
    "infinite platform change": _set("platform", to={"latency_p95": float("inf")}),
    "due 10**400": _set("load", "due", to=TOO_LARGE),
    "negative due": _set("load", "due", to=-1),
    "fractional due": _set("load", "due", to=0.5),
    "failed > due": _set("load", "failed", to=450_001),
    "infinite rate": _set("load", "requested_rate_rps", to=float("inf")),
    "NaN rate": _set("load", "achieved_rate_rps", to=float("nan")),
    "duration of a million years": _set("load", "duration_s", to=3e13),
    "curve out of order": _set(
        "load",
        "requested_curve",
        to=[{"at_s": 0, "rate_rps": 1}, {"at_s": 9, "rate_rps": 1}, {"at_s": 1, "rate_rps": 1}],
    ),
    "curve with NaN": _set("load", "requested_curve", to=[{"at_s": 0, "rate_rps": float("nan")}]),
    "endpoint with failed > due": _set("endpoints", 0, "failed", to=10**9),
    "endpoint with a negative latency": _set("endpoints", 0, "latency_p50", to=-1e308),
    "error group of -5": _set("errors", to=[{"kind": "x", "endpoint": "y", "count": -5, "example": "z"}]),
    "NaN lag": _set("generator", "schedule_lag_p99_s", to=float("nan")),
    "workers 10**400": _set("generator", "workers", to=TOO_LARGE),
    "infinite stall": _set("stalls", to=[{"start_s": 1.0, "duration_s": float("inf")}]),
    "name of 100,000 characters": _set("environment", to="x" * 100_000),
    "another verdict": _set("verdict", to="FINE"),
    "another run": _set("run_id", to="20260302T063900Z-ffff"),
    "a list for a mapping": _set("metrics", to=[]),
    "nesting": _set("metrics", to=json.loads("[" * 500 + "]" * 500)),
}
"""By name, what is wrong with a record."""


def hostile_record(record: RunRecord, flaw: str) -> bytes:
    """Return ``run.json`` of a record with one of `HOSTILE_VALUES`.

    Args:
        record: must have a window, a baseline, an endpoint and a deviation.
    """
    document: dict[str, Any] = json.loads(to_json(record))
    HOSTILE_VALUES[flaw](document)
    return json.dumps(document).encode()


ANY_VALUE: Mapping[str, Any] = {
    "null": None,
    "true": True,
    "zero": 0,
    "the smallest float": 5e-324,
    "negative": -1.0,
    "huge": 1e18,
    "too large": TOO_LARGE,
    "NaN": float("nan"),
    "-inf": float("-inf"),
    "markup": "<script>alert(1)</script>",
    "controls": "a\x00\x1b[31m\n\u202e\u2028b",
    "half a character": "\ud800",
    "long text": "y" * 10_000,
    "naive time": "2026-03-02T06:38:57",
    "year 1": "0001-01-01T00:00:00Z",
    "list": [],
    "long list": ["q"] * 2_000,
    "object": {},
    "odd names": {"<b>\n": 0.5, "": 0.5, "latency_p95": 0.5},
    "odd texts": {"<b>\n": "x", "": "y"},
    "nested": json.loads("[" * 400 + "]" * 400),
}
"""By name, values that take the place of every field of a document in turn."""


def places_of(document: Any) -> Iterator[tuple[str | int, ...]]:
    """Yield the path of every field of a document, of a list only its first item."""
    fields = document.items() if isinstance(document, dict) else list(enumerate(document))[:1]
    for name, value in fields:
        yield (name,)
        if isinstance(value, dict | list):
            yield from ((name, *below) for below in places_of(value))


def with_value(document: dict[str, Any], place: Sequence[str | int], value: Any) -> bytes:
    """Return a document as JSON, with another value at one place."""
    changed = copy.deepcopy(document)
    _set(*place, to=value)(changed)
    return json.dumps(changed).encode()
