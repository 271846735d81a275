"""The alert book as JSON: one odd entry is left out and kept as it is, and version 1 is read."""

import json
from typing import Any

import pytest

from include.perf.alerts.book import AlertBook, DeliveryPart, DeliveryState, Event, Posted
from include.perf.alerts.book_format import format_book, parse_book
from include.perf.alerts.outbox import parts_of
from tests.fakes.clock import START
from tests.perf.alert_words import message

MESSAGE = {"text": "orders is slower", "plain": "", "blocks": [], "image_alt": "", "icon": ""}
AT = "2026-03-02T06:30:00Z"
PROBLEM: dict[str, Any] = {
    "id": "p1",
    "kind": "regression",
    "channel": "#x",
    "cells": [{"service": "orders", "scenario": "market_open"}],
    "title": "orders is slower",
    "opened_at": AT,
    "last_seen_at": AT,
    "severity": "warning",
    "posted": {"channel": "C1", "ts": "1.2"},
}
SILENCE: dict[str, Any] = {"id": "s1", "by": "ana", "reason": "known", "created_at": AT, "until": AT}
ENTRY: dict[str, Any] = {
    "id": "d1",
    "part": "message",
    "event": "opened",
    "channel": "#x",
    "message": MESSAGE,
    "created_at": AT,
}


def parsed(*, version: int = 2, **sections: Any) -> AlertBook:
    """Return what is read of a book with these sections."""
    return parse_book(json.dumps({"schema_version": version, **sections}).encode(), where="alerts.json")


ODD: list[tuple[str, Any]] = [
    ("outbox", 5),
    ("outbox", None),
    ("outbox", []),
    ("outbox", {}),
    ("outbox", ENTRY | {"id": 7}),
    ("outbox", ENTRY | {"created_at": "2026-03-02T06:30:00"}),  # without a time zone
    ("outbox", ENTRY | {"created_at": "0001-01-01T00:00:00Z"}),
    ("outbox", ENTRY | {"state": "lost"}),
    ("outbox", ENTRY | {"part": "telegram"}),
    ("outbox", ENTRY | {"attempts": -1}),
    ("outbox", ENTRY | {"attempts": 10**400}),
    ("outbox", ENTRY | {"message": "x"}),
    ("outbox", ENTRY),  # its id is that of another entry
    ("problems", PROBLEM | {"id": "p2", "worst": {"latency_p95": "NaN"}}),
    ("problems", PROBLEM | {"id": "p2", "worst": {"latency_p95": float("nan")}}),
    ("problems", PROBLEM | {"id": "p2", "nights": -3}),
    ("problems", PROBLEM | {"id": "p2", "opened_at": "yesterday"}),
    ("problems", PROBLEM | {"id": "p2", "severity": "fatal"}),
    ("problems", "p2"),
    ("silences", SILENCE | {"id": "s2", "until": "2026-03-02T06:30:00"}),
    ("silences", SILENCE | {"id": "s2", "by": None}),
    ("silences", [SILENCE]),
]


@pytest.mark.parametrize(("section", "odd"), ODD)
@pytest.mark.parametrize("is_first", [True, False])
def test_one_odd_entry_is_left_out_and_kept(section: str, odd: Any, is_first: bool) -> None:
    """The others are read; the odd one is named, and written back as it is."""
    sections: dict[str, list[Any]] = {"problems": [PROBLEM], "silences": [SILENCE], "outbox": [ENTRY]}
    is_duplicate = odd in sections[section]
    sections[section].insert(0 if is_first else 1, odd)
    book = parsed(problems=sections["problems"], silences=sections["silences"], outbox=sections["outbox"])
    assert [problem.id for problem in book.problems] == ["p1"]
    assert [silence.id for silence in book.silences] == ["s1"]
    assert [entry.id for entry in book.outbox] == ["d1"]
    (left_out,) = book.unreadable
    assert left_out.section == section
    assert left_out.reason.startswith(f"{section}[{1 if is_duplicate or not is_first else 0}]")
    written = json.loads(format_book(book), parse_constant=pytest.fail)[section]
    assert [json.dumps(entry) for entry in written].count(json.dumps(left_out.content)) == 1
    again = parse_book(format_book(book), where="alerts.json")
    assert [entry.content for entry in again.unreadable] == [left_out.content]


FIELDS: list[tuple[str, Any, dict[str, Any]]] = [
    # the field, its content, and what is left out by field
    ("told", 5, {"told": 5}),
    ("told", {"a": 1}, {"told": {"a": 1}}),
    ("told", ["run-1", 5, "run-2"], {"told": 5}),
    ("told", ["run-1", "\ud800", "run-2"], {"told": "\ud800"}),
    ("missing_runs", ["run-1", None], {"missing_runs": None}),
    ("ended_dag_runs", {"a/1": AT, "a/2": "soon"}, {"ended_dag_runs": {"a/2": "soon"}}),
    ("ended_dag_runs", [], {"ended_dag_runs": []}),
    ("watched_since", "x", {"watched_since": "x"}),
    ("watched_since", "9999-01-01T00:00:00Z", {"watched_since": "9999-01-01T00:00:00Z"}),
    ("watched_since", ["x", "y"], {"watched_since": ["x", "y"]}),
    ("catalogue_reported", None, {"catalogue_reported": None}),
    ("unreadable_reported", 1, {"unreadable_reported": 1}),
    ("unreadable", 7, {"unreadable": 7}),
    ("unreadable", [{"section": "outbox"}], {"unreadable": {"section": "outbox"}}),
    ("a field of a later version", True, {"a field of a later version": True}),
    ("problems", 5, {"problems": 5}),
    ("outbox", {"id": "d2"}, {"outbox": {"id": "d2"}}),
    ("silences", None, {"silences": None}),
]


@pytest.mark.parametrize(("field", "content", "left_out"), FIELDS)
def test_one_odd_field_is_left_out_and_kept(field: str, content: Any, left_out: dict[str, Any]) -> None:
    """What of it can be used is used, and so is every other field; the rest is written back once, again and again."""
    sections: dict[str, Any] = {"problems": [PROBLEM], "silences": [SILENCE], "outbox": [ENTRY], "told": ["run-0"]}
    book = parsed(**sections | {field: content})
    for _ in range(3):
        assert {entry.section: entry.content for entry in book.unreadable} == left_out
        assert len(book.unreadable) == 1
        assert book.unreadable[0].reason
        assert len(book.problems) == (field != "problems")
        assert len(book.outbox) == (field != "outbox")
        book = parse_book(format_book(book), where="alerts.json")
    if field == "told":
        assert book.processed_runs == (["run-1", "run-2"] if isinstance(content, list) else [])


def test_a_field_that_was_left_out_gets_new_values() -> None:
    """Otherwise the same records would be reported again and again."""
    book = parsed(told=5, watched_since="x")
    book.processed_runs.append("run-1")
    book.watched_since = START
    book.ended_dag_runs["a/1"] = START
    again = parse_book(format_book(book), where="alerts.json")
    assert (again.processed_runs, again.watched_since, again.ended_dag_runs) == (["run-1"], START, {"a/1": START})
    assert [(entry.section, entry.content) for entry in again.unreadable] == [("told", 5), ("watched_since", "x")]


def test_numbers_that_no_field_accepts_are_left_out() -> None:
    """A number with more digits than Python reads, and one beyond every float."""
    for number in ("9" * 5000, "1e999", "NaN", "-Infinity"):
        content = json.dumps({"schema_version": 2, "outbox": [ENTRY, ENTRY | {"id": "d2", "attempts": 77}]})
        book = parse_book(content.replace("77", number).encode(), where="alerts.json")
        assert [entry.id for entry in book.outbox] == ["d1"]
        (left_out,) = book.unreadable
        assert left_out.content["attempts"] == number
        assert number in format_book(book).decode()


def test_a_book_is_written_with_its_version() -> None:
    """An earlier program refuses it, and asks for an upgrade."""
    book = parsed(version=1, outbox=[])
    assert json.loads(format_book(book))["schema_version"] == 2
    assert "unreadable" not in json.loads(format_book(book))


# Version 1: a message, its charts, its mark and the other channels were one entry.

FORMER = {key: value for key, value in ENTRY.items() if key != "part"} | {
    "problem_id": "p1",
    "charts": [{"uri": "file:///run", "name": "latency.png"}],
    "posted": None,
    "is_unsure": False,
    "sent_at": None,
    "attempts": 2,
    "mark": MESSAGE | {"text": "over"},
}


def parts(**changes: Any) -> list[tuple[DeliveryPart, DeliveryState]]:
    """Return what an entry of version 1 became."""
    book = parsed(version=1, problems=[PROBLEM], outbox=[FORMER | changes])
    assert book.unreadable == []
    return [(entry.part, entry.state) for entry in book.outbox]


def test_a_pending_message_of_version_1() -> None:
    """Every part is pending."""
    assert parts() == [
        (DeliveryPart.MESSAGE, DeliveryState.PENDING),
        (DeliveryPart.CHARTS, DeliveryState.PENDING),
        (DeliveryPart.MARK, DeliveryState.PENDING),
        (DeliveryPart.OTHERS, DeliveryState.PENDING),
    ]
    assert parts(charts=[], mark=None, event="continues") == [(DeliveryPart.MESSAGE, DeliveryState.PENDING)]


def test_an_unconfirmed_message_of_version_1() -> None:
    """It is in doubt, and looked up where it was sent."""
    book = parsed(version=1, problems=[PROBLEM], outbox=[FORMER | {"is_unsure": True, "event": "recovered"}])
    first = book.outbox[0]
    assert (first.state, first.thread, first.attempts) == (DeliveryState.UNKNOWN, Posted("C1", "1.2"), 2)
    assert book.outbox[2].message.text == "over"
    assert parsed(version=1, problems=[PROBLEM], outbox=[FORMER | {"is_unsure": True}]).outbox[0].thread is None


def test_a_delivered_message_of_version_1() -> None:
    """It was sent to the other channels as well; its charts and its mark are pending."""
    posted = {"channel": "C1", "ts": "3.4"}
    assert parts(posted=posted) == [
        (DeliveryPart.CHARTS, DeliveryState.PENDING),
        (DeliveryPart.MARK, DeliveryState.PENDING),
    ]
    assert parts(posted=posted, charts=[], mark=None) == []


def test_an_odd_entry_of_version_1_is_kept_as_it_is() -> None:
    """It is read again when it has been repaired."""
    odd = FORMER | {"mark": 5}
    book = parsed(version=1, outbox=[odd])
    assert book.outbox == []
    again = parse_book(format_book(book), where="alerts.json")
    assert [entry.content for entry in again.unreadable] == [odd]


def test_what_is_written_is_read_again() -> None:
    """Every part of a message."""
    outbox = parts_of(
        "d1", Event.WORSENED, message("x"), channel="#x", now=START, problem_id="p1", mark=message("over")
    )
    book = AlertBook(outbox=outbox)
    assert parse_book(format_book(book), where="alerts.json") == book


def test_every_field_that_is_written_is_read() -> None:
    """Also a field that is new: otherwise each reading would take what the last writing wrote for odd."""
    content = format_book(AlertBook())
    for _ in range(3):
        book = parse_book(content, where="alerts.json")
        assert book.unreadable == []
        content = format_book(book)
    unknown = json.loads(content) | {"later": {"a": 1}}
    content = json.dumps(unknown).encode()
    for _ in range(3):
        book = parse_book(content, where="alerts.json")
        assert [entry.section for entry in book.unreadable] == ["later"]
        content = format_book(book)
