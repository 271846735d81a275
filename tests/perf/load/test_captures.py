"""What steps capture, and what a hostile answer cannot do with it."""

from typing import Any

import pytest

from include.perf.catalogue.step import Step
from include.perf.load.captures import AnswerParts, Captured, StepCaptures, content_of, texts_of
from include.perf.load.slots import SlotForm

FORMS: tuple[SlotForm, ...] = ("path", "query", "header", "json", "value", "form", "text")


def captured(answer: AnswerParts, *, forms: tuple[SlotForm, ...] = ("text",), **capture: Any) -> Captured | str:
    """Return what the variable ``x`` becomes in each place, or the problem."""
    step = Step.model_validate({"name": "a", "method": "GET", "path": "/", "capture": {"x": capture}})
    found: Captured = {}
    problem = StepCaptures(step, {"x": forms}, secret=()).take(answer, found)
    return found if problem is None else problem.kind


BODY = AnswerParts(b'{"a":{"list":[{"id":7},{"id":"b c"}]},"ok":true,"none":null,"big":12345678901234567890,"f":1.10}')
HEAD = AnswerParts(
    b"x",
    head=b"HTTP/1.1 201 Created\r\nX-Location: no\r\nlocation:  /orders/17?a=b \r\nLocation: /other\r\n\r\n",
    cookies=(b"other=1", b"sid=a=b; Path=/; HttpOnly", b"sid=second"),
)


@pytest.mark.parametrize(
    ("answer", "capture", "text"),
    [
        (BODY, {"json": "a.list.0.id"}, b"7"),
        (BODY, {"json": "a.list.1.id"}, b"b c"),
        (BODY, {"json": "ok"}, b"true"),
        (BODY, {"json": "big"}, b"12345678901234567890"),
        (BODY, {"json": "f"}, b"1.1"),
        (BODY, {"regex": r'"id":(\d+)'}, b"7"),
        (BODY, {"json": "a.list.1.id", "regex": r"(\w)$"}, b"c"),
        (HEAD, {"header": "LOCATION"}, b"/orders/17?a=b"),
        (HEAD, {"header": "Location", "regex": r"/orders/(\d+)"}, b"17"),
        (HEAD, {"cookie": "sid"}, b"a=b"),
    ],
)
def test_a_value_is_captured(answer: AnswerParts, capture: dict[str, str], text: bytes) -> None:
    """From the body, the head or a cookie; of several fields of a name, the first."""
    assert captured(answer, **capture) == {("x", "text"): text}


@pytest.mark.parametrize(
    ("answer", "capture"),
    [
        (BODY, {"json": "a.list.2.id"}),
        (BODY, {"json": "none"}),
        (BODY, {"json": "a"}),
        (BODY, {"regex": "id=(.)"}),
        (BODY, {"regex": "(z)?"}),
        (HEAD, {"json": "a"}),
        (HEAD, {"header": "X-Other"}),
        (HEAD, {"cookie": "si"}),
        (AnswerParts(b"\xff\xfe"), {"json": "a"}),
        (AnswerParts(b"[" * 100_000), {"json": "0.0"}),
        (AnswerParts(b" " * 65_536 + b"id=1"), {"regex": "id=(.)"}),
    ],
)
def test_a_missing_value_is_a_wrong_answer(answer: AnswerParts, capture: dict[str, str]) -> None:
    """Null, objects and lists have no text; of a long body only the beginning is searched."""
    assert captured(answer, **capture) == "wrong answer: no x"


def test_a_value_is_encoded_for_each_place() -> None:
    """The same text in a path, a query, a header, inside a JSON string and as a JSON value."""
    assert captured(AnswerParts(b'{"x":"a/b \\"c\\" \xc3\xa9"}'), forms=FORMS, json="x") == {
        ("x", "path"): b"a%2Fb%20%22c%22%20%C3%A9",
        ("x", "query"): b"a%2Fb%20%22c%22%20%C3%A9",
        ("x", "header"): b'a/b "c" \xe9',
        ("x", "json"): b'a/b \\"c\\" \\u00e9',
        ("x", "value"): b'"a/b \\"c\\" \\u00e9"',
        ("x", "form"): b"a%2Fb+%22c%22+%C3%A9",
        ("x", "text"): 'a/b "c" é'.encode(),
    }


def test_a_json_value_keeps_its_type() -> None:
    """Elsewhere it is text."""
    assert [content_of(value, "value") for value in ("1", 1, 1.5, True)] == [b'"1"', b"1", b"1.5", b"true"]
    assert [content_of(value, "json") for value in ("1", 1, 1.5, True)] == [b"1", b"1", b"1.5", b"true"]


@pytest.mark.parametrize(
    ("value", "form"),
    [
        ("..", "path"),
        ("", "path"),
        ("../../admin", "path"),
        ("..%2fadmin", "path"),
        ("%252e%252e", "path"),
        ("a\r\nHost: evil", "path"),
        ("a\r\nHost: evil", "header"),
        ("a\x00b", "header"),
        ("\u20ac", "header"),
        ("a" * 8_193, "query"),
        ("1}", "number"),
        (True, "number"),
        (float("nan"), "value"),
        (float("inf"), "text"),
        ("\ud800", "query"),
    ],
)
def test_a_value_that_cannot_stand_in_its_place_is_refused(value: Any, form: SlotForm) -> None:
    """It would lead to another path, add a header, or break the JSON."""
    with pytest.raises(ValueError, match=r"must|Out of range|surrogates"):
        content_of(value, form)


def test_a_refused_value_is_a_kind_of_error_of_its_own() -> None:
    """There are few kinds, so none has the value."""
    assert captured(AnswerParts(b'{"x":"../y"}'), forms=("path",), json="x") == "wrong answer: unusable x"


def test_a_secret_is_not_quoted() -> None:
    """Other values are, to find the cause."""
    step = Step.model_validate({"name": "a", "method": "GET", "path": "/", "capture": {"x": {"json": "x"}}})
    answer = AnswerParts(b'{"x":"secret\\n"}')
    for secret, detail in (
        ((), "x must be one line of Latin-1 text in a header, but is 'secret\\n'"),
        (("x",), "x cannot stand where it is named"),
    ):
        problem = StepCaptures(step, {"x": ["header"]}, secret=secret).take(answer, {})
        assert problem is not None
        assert problem.detail == detail


def test_the_texts_of_secrets() -> None:
    """As they were sent."""
    found: Captured = {("token", "header"): b"abc", ("id", "path"): b"7"}
    assert texts_of(found, {"token"}) == ("abc",)
    assert texts_of(found, ()) == ()
