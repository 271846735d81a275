"""Correct responses, and the kinds of wrong ones."""

import json
import math
from typing import Any

import pytest
from pydantic import ValidationError

from include.perf.catalogue.endpoint import Endpoint
from include.perf.catalogue.expectation import Expectation

ORDER = {
    "order_id": "A-1",
    "status": "filled",
    "is_live": True,
    "count": 1,
    "note": None,
    "executions": [{"price": 1.1}, {"price": 1.2}],
    "0": {"7": "seven"},
}


def problem(expected: dict[str, Any], *, body: object = ORDER, status: int = 200) -> str | None:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Expectation.model_validate(expected).compiled()(status, content)


@pytest.mark.parametrize(
    ("expected", "status", "kind"),
    [
        ({}, 200, None),
        ({}, 204, None),
        ({}, 299, None),
        ({}, 300, "HTTP 300"),
        ({}, 500, "HTTP 500"),
        ({"status": [201]}, 201, None),
        ({"status": 201}, 201, None),
        ({"status": [201]}, 200, "HTTP 200"),
        ({"status": [200, 404]}, 404, None),
        ({"has": ["nothing"]}, 503, "HTTP 503"),  # the status comes first
    ],
)
def test_the_status(expected: dict[str, Any], status: int, kind: str | None) -> None:
    """200 to 299 are correct unless other statuses are given; the kind of a wrong one contains it."""
    assert problem(expected, status=status) == kind


@pytest.mark.parametrize(
    ("expected", "kind"),
    [
        ({"status": "filled"}, None),
        ({"status": ["resting", "filled"]}, None),
        ({"status": ["resting", "cancelled"]}, "wrong answer: status"),
        ({"status": None}, "wrong answer: status"),
        ({"note": None}, None),
        ({"note": ["", None]}, None),
        ({"nothing": None}, "wrong answer: nothing"),  # not there is not null
        ({"count": 1}, None),
        ({"count": 1.0}, None),
        ({"count": "1"}, "wrong answer: count"),
        ({"count": True}, "wrong answer: count"),  # though True == 1 in Python
        ({"count": [True, 1]}, None),
        ({"is_live": True}, None),
        ({"is_live": 1}, "wrong answer: is_live"),
        ({"is_live": [False, 1]}, "wrong answer: is_live"),
        ({"executions": "filled"}, "wrong answer: executions"),
        ({"executions.1.price": 1.2}, None),
        ({"executions.2.price": 1.2}, "wrong answer: executions.2.price"),
        ({"executions.-1.price": 1.2}, "wrong answer: executions.-1.price"),
        ({"executions.price": 1.2}, "wrong answer: executions.price"),
        ({"order_id.x": 1}, "wrong answer: order_id.x"),
        ({"0.7": "seven"}, None),  # a number is a key as well
        ({"status": "filled", "count": 2, "order_id": "B"}, "wrong answer: count"),  # the first that is wrong
    ],
)
def test_values_in_the_json(expected: dict[str, Any], kind: str | None) -> None:
    """A value must equal the expected one, or one of several; the kind contains its path."""
    assert problem({"json": expected}) == kind


@pytest.mark.parametrize(
    ("has", "kind"),
    [
        (["order_id", "executions.0.price"], None),
        ("note", None),  # null is there
        (["order_id", "fee"], "wrong answer: fee"),
        (["executions.2"], "wrong answer: executions.2"),
        (["executions.0.fee.total"], "wrong answer: executions.0.fee.total"),
    ],
)
def test_paths_that_must_exist(has: Any, kind: str | None) -> None:
    """They may have any value."""
    assert problem({"has": has}) == kind


def test_the_document_may_be_a_list() -> None:
    """A path then starts with a number."""
    assert problem({"json": {"1.id": 5}}, body=[{"id": 4}, {"id": 5}]) is None
    assert problem({"has": "0"}, body=[]) == "wrong answer: 0"


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"\xff\xfe", b'{"order_id": 1', b'{"order_id": 1} and more', b"[" * 100_000],
)
def test_a_body_that_is_not_json(body: bytes) -> None:
    """Any response is handled without a failure of the load generator, even deep nesting."""
    assert problem({"has": ["order_id"]}, body=body) == "wrong answer: not JSON"


@pytest.mark.parametrize("body", [b"null", b"5", b'"order_id"', b"true"])
def test_json_that_is_not_an_object(body: bytes) -> None:
    """It is valid JSON without the expected values."""
    assert problem({"has": ["order_id"]}, body=body) == "wrong answer: order_id"


@pytest.mark.parametrize("expected", [{}, {"status": [200, 201]}])
def test_the_body_is_not_parsed_if_only_the_status_counts(expected: dict[str, Any]) -> None:
    """The load generator checks only what is needed; any body is accepted."""
    assert not Expectation.model_validate(expected).reads_body
    assert problem(expected, body=b"<html>") is None


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"status": [99]}, "greater than or equal to 200"),
        ({"status": [600]}, "less than or equal to 599"),
        ({"status": True}, "valid tuple"),
        ({"json": {"a b": 1}}, "a path consists of keys separated by dots, such as order.status or executions.0.price"),
        ({"json": {5: 1}}, "but is 5"),
        ({"json": {"a.": 1}}, "but is 'a.'"),
        ({"has": ["a,b"]}, "but is 'a,b'"),
        ({"has": ["a\nb"]}, r"but is 'a\nb'"),
        ({"has": ["x" * 101]}, "a path consists of keys"),
        ({"json": {"a": []}}, "a must name at least one correct value, but names none"),
        ({"json": {"a": {"b": 1}}}, "a must be text, a number, true, false or null, or a list of these"),
        ({"json": {"a": math.nan}}, "a must be a finite number, but is nan; JSON has no other"),
        ({"json": {"a": ["$instrument"]}}, "a is compared literally, but is '$instrument'; use templates"),
        ({"json": {"a b": 1, "c": []}}, "but is 'a b'; c must name"),  # both at once
        ({"fields": {"a": 1}}, "Extra inputs are not permitted"),
    ],
)
def test_invalid_expectations(wrong: dict[str, Any], message: str) -> None:
    """They are reported when the catalogue is read, not as failures during a load."""
    with pytest.raises(ValidationError) as caught:
        Expectation.model_validate(wrong)
    assert message in str(caught.value)


def test_text_with_a_dollar_sign_is_text() -> None:
    """Only text that would be a template elsewhere is refused."""
    assert problem({"json": {"fee": "$5"}}, body={"fee": "$5"}) is None


def test_white_space_counts() -> None:
    """Expected text is not stripped, unlike other settings."""
    assert problem({"json": {"fee": "5 "}}, body={"fee": "5"}) == "wrong answer: fee"


def test_an_expectation_is_sent_as_json() -> None:
    """The load process receives it in a file, with the names of the catalogue and with all types."""
    expect = {"status": [201], "json": {"a": [1, 1.5, True, None, "1"]}, "has": ["b"]}
    endpoint = Endpoint.model_validate({"name": "place", "method": "GET", "path": "/", "expect": expect})
    assert endpoint.model_dump(mode="json")["expect"] == expect
    back = Endpoint.model_validate_json(endpoint.model_dump_json())
    assert back == endpoint
    assert [type(value) for value in back.expect.fields["a"]] == [int, float, bool, type(None), str]
