"""Slots: what fills them, and that the bytes of a request agree with their content."""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

import pytest

from include.perf.catalogue.endpoint import Endpoint
from include.perf.load.request_template import RequestTemplate
from include.perf.load.slot_values import Draw, FileRows, Rfc3339, SlotValues
from include.perf.load.slots import Slot, SlotForm, SlotRequests, encoded, problem_of_content
from include.perf.load.wire import headers_of_load, wire_format

START = 1_764_579_600.0
ACCOUNTS = {"id": ["a/1", "b 2", "c"], "limit": ["10", "20", "30"]}


class Moment(NamedTuple):
    number: int
    ordinal: int
    due_s: float = 0.0


def values(*slots: Slot, files: dict[str, FileRows] | None = None, **draw: int) -> SlotValues:
    made = SlotValues(slots, files or {}, Draw(**draw))
    made.start(START)
    return made


def contents(slot: Slot, count: int, **draw: int) -> list[bytes]:
    made = values(slot, **draw)
    return [made.at(Moment(number, number))[0] for number in range(count)]


def slot(name: str, *arguments: str, form: SlotForm = "json") -> Slot:
    return Slot(name, arguments, form)


def test_uuids_never_repeat() -> None:
    """Not even in another run with the same seed."""
    found = contents(slot("uuid"), 2000) + contents(slot("uuid"), 2000)
    assert len(set(found)) == 4000
    assert {UUID(text.decode()).version for text in found} == {4}
    assert {UUID(text.decode()).variant for text in found} == {UUID(int=1 << 63).variant}


def test_sequence_numbers_rise_with_the_arrivals_and_the_runs() -> None:
    """Workers share the numbers of the arrivals; a load that starts a second later begins above a million more."""
    made = values(slot("sequence", form="number"))
    first = [int(made.at(Moment(number, 0))[0]) for number in (0, 1, 999_999)]
    made.start(START + 1)
    second = int(made.at(Moment(0, 0))[0])
    assert first == [1_764_579_600_000_000, 1_764_579_600_000_001, 1_764_579_600_999_999]
    assert second == first[-1] + 1
    assert second < 2**53


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((), b"2025-12-01T09:00:01.250Z"),
        (("s",), b"1764579601"),
        (("ms",), b"1764579601250"),
        (("us", "+30s"), b"1764579631250000"),
        (("rfc3339", "-1h"), b"2025-12-01T08:00:01.250Z"),
    ],
)
def test_now_is_the_due_time(arguments: tuple[str, ...], text: bytes) -> None:
    assert values(slot("now", *arguments)).at(Moment(0, 0, 1.25)) == (text,)


def test_rfc3339_does_not_round_up() -> None:
    """Whatever was written before."""
    written = Rfc3339()
    assert [written(at) for at in (0.9999, 1.0, 0.5)] == [
        b"1970-01-01T00:00:00.999Z",
        b"1970-01-01T00:00:01.000Z",
        b"1970-01-01T00:00:00.500Z",
    ]


@pytest.mark.parametrize(
    ("drawn", "allowed"),
    [
        (slot("random_int", "-1", "2", form="number"), {b"-1", b"0", b"1", b"2"}),
        (slot("random_int", "0", "9007199254740992"), None),
        (slot("random_choice", "GTC", 'a "b"'), {b"GTC", rb"a \"b\""}),
    ],
)
def test_random_values_depend_on_the_seed(drawn: Slot, allowed: set[bytes] | None) -> None:
    """The same seed gives the same values; another seed, worker or endpoint gives others."""
    found = contents(drawn, 300, seed=1)
    assert found == contents(drawn, 300, seed=1)
    for other in ({"seed": 2}, {"seed": 1, "worker": 1}, {"seed": 1, "endpoint": 1}):
        assert found != contents(drawn, 300, **other)
    assert allowed is None or set(found) == allowed


def test_the_columns_of_a_file_are_of_one_row() -> None:
    """Wherever they are in the request, and each encoded for its place."""
    slots = (
        slot("accounts.id", form="path"),
        slot("accounts.limit", form="number"),
        slot("uuid"),
        slot("accounts.id", form="form"),
    )
    rows = {(b"a%2F1", b"10", b"a%2F1"), (b"b%202", b"20", b"b+2"), (b"c", b"30", b"c")}
    for order in ("sequential", "random", "unique"):
        files = {"accounts": FileRows(order=order, columns=ACCOUNTS)}
        made = values(*slots, files=files)
        found = [made.at(Moment(number, number)) for number in range(60)]
        assert {(path, limit, form) for path, limit, _, form in found} == rows


@pytest.mark.parametrize(
    ("order", "first", "expected"),
    [("sequential", 0, ["a/1", "b 2", "c", "a/1"]), ("unique", 1, ["b 2", "c"])],
)
def test_rows_in_order(order: Any, first: int, expected: Sequence[str]) -> None:
    """By the number of the arrival at its endpoint, so that all workers share the rows."""
    files = {"accounts": FileRows(order=order, columns=ACCOUNTS, first=first)}
    made = values(slot("accounts.id", form="text"), files=files)
    assert [made.at(Moment(99, n))[0].decode() for n in range(len(expected))] == list(expected)


@pytest.mark.parametrize(
    ("value", "form", "content"),
    [
        ('a"b\\ü€𝄞\n', "json", rb"a\"b\\\u00fc\u20ac\ud834\udd1e\n"),
        ("a/b c?&ü", "path", b"a%2Fb%20c%3F%26%C3%BC"),
        ("a/b c?&ü", "query", b"a%2Fb%20c%3F%26%C3%BC"),
        ("a/b c?&ü", "form", b"a%2Fb+c%3F%26%C3%BC"),
        ("ü", "header", b"\xfc"),
        ("ü", "text", b"\xc3\xbc"),
    ],
)
def test_encodings(value: str, form: SlotForm, content: bytes) -> None:
    assert encoded(value, form) == content


@pytest.mark.parametrize(
    ("value", "form", "problem"),
    [
        ("1e5", "number", None),
        ("-0.5", "number", None),
        ("05", "number", "must be a number as JSON writes it, but is '05'"),
        ("NaN", "number", "must be a number as JSON writes it, but is 'NaN'"),
        ("1\n", "number", "must be a number as JSON writes it, but is '1\\n'"),
        ("EUR/USD", "path", None),
        ("", "path", "must not be empty in a path"),
        ("..", "path", "must not lead to another path, but is '..'"),
        ("../admin", "path", "must not lead to another path, but is '../admin'"),
        ("/host", "path", "must not lead to another path, but is '/host'"),
        ("%2e%2e", "path", "must not lead to another path, but is '%2e%2e'"),
        ("b/", "path", "must not lead to another path, but is 'b/'"),  # /${x}../c
        ("b%2F", "path", "must not lead to another path, but is 'b%2F'"),
        (";a", "path", "must not lead to another path, but is ';a'"),  # /.${x}/c
        ("v1.2", "path", None),
        ("a\r\nX: y", "header", "must be one line of Latin-1 text in a header, but is 'a\\r\\nX: y'"),
        ("€", "header", "must be one line of Latin-1 text in a header, but is '€'"),
        ("x" * 8193, "text", "must have at most 8,192 characters, but has 8,193"),
    ],
)
def test_what_a_place_can_hold(value: str, form: SlotForm, problem: str | None) -> None:
    assert problem_of_content(value, form) == problem


@pytest.mark.parametrize(
    "settings",
    [
        {"body": {"id": "$uuid", "pair": "${random_choice(EUR, 'ü %b %s')}", "n": "$sequence"}},
        {"body": {"n": "${random_int(1, 100000)}"}, "query": {"p": "100%", "at": "$now"}},
        {"form": {"user": "${random_choice(a, bbbbbbb)}"}},
        {"text": "${random_choice(ü, €€)} 5 % $sequence"},
        {"text": "no slot here", "path": "/orders/$uuid"},
        {"path": "/orders/${random_int(1, 99999)}", "headers": {"X-Request-Id": "$uuid", "X-Time": "ü $now"}},
        {"method": "GET", "path": "/x/${accounts.id}", "query": {"limit": "${accounts.limit}"}},
    ],
)
def test_the_length_of_the_body_is_true(settings: dict[str, Any]) -> None:
    """Whatever is filled in where; and no slot is left."""
    endpoint = Endpoint.model_validate({"name": "orders", "method": "POST", "path": "/orders"} | settings)
    template = RequestTemplate(endpoint, headers={"X-Tenant": "ü"})
    request = template.request({})
    wire = wire_format(
        endpoint.method, request, base_url="http://gw", headers={"X-Tenant": "ü"} | request.headers, has_slots=True
    )
    files = {"accounts": FileRows(order="random", columns=ACCOUNTS)}
    made = SlotRequests([wire], values(*template.slots, files=files))
    seen = set()
    for number in range(50):
        sent = made.wire(0, Moment(number, number))
        seen.add(sent)
        head, _, body = sent.partition(b"\r\n\r\n")
        assert not re.search(rb"\xee\x80[\x80-\xbf]", sent)
        length = re.search(rb"(?m)^Content-Length: (\d+)", head)
        assert (int(length[1]) if length else 0) == len(body)
    assert len(seen) > 1


def test_a_secret_header_may_replace_the_only_slot() -> None:
    """The Connection's header wins, so the endpoint has a slot that is nowhere in its requests."""
    template = RequestTemplate(
        Endpoint(name="a", method="GET", path="/a"), headers={"X-Request-Id": "$uuid", "X-Price": "$$5"}
    )
    request = template.request({})
    of_load = {"X-Request-Id": "$uuid", "X-Price": "$$5"}
    headers = headers_of_load(of_load, {"X-Request-Id": "fixed"}, keep_alive=True, own=request.headers)
    wire = wire_format("GET", request, base_url="http://gw", headers=headers, has_slots=True)
    filled_wire = SlotRequests([wire], values(*template.slots)).wire(0, Moment(0, 0))
    assert filled_wire == wire
    assert b"X-Request-Id: fixed\r\n" in wire
    assert b"X-Price: $5\r\n" in wire
