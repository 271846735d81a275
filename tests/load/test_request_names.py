"""Names of requests and kinds of errors: clean, few, and in the words of other requests."""

import errno

import pytest

from include.load.request_names import (
    FAILED_BY_CODE,
    OTHER,
    OTHER_ERRORS,
    ErrorKinds,
    RequestNames,
    clean,
    kind_of_error,
)


class CatchResponseError(Exception):
    """As Locust names what ``response.failure`` was given."""


class ReadTimeout(Exception):
    """As requests names it."""


def test_names_beyond_the_limit_share_one() -> None:
    """A name that is known keeps its own, however many follow."""
    names = RequestNames(limit=2)
    assert [names.of("GET", path) for path in ("/a", "/b", "/c", "/a", "/d")] == [
        "GET /a",
        "GET /b",
        OTHER,
        "GET /a",
        OTHER,
    ]
    assert names.grouped == 2


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("GET /orders?id=1", "GET /orders?id=1"),
        ('a,"b"\r\nc', "a_b_c"),
        ("  two   spaces ", "two spaces"),
        ("\x1b[31mred", "_[31mred"),
        ("", "unnamed"),
        ("x" * 500, "x" * 120),
    ],
)
def test_a_name_fits_into_a_line_of_the_record(given: str, shown: str) -> None:
    """No separator, no quote, no line break, no control character, and not too long."""
    assert clean(given) == shown


def test_a_request_may_have_neither_method_nor_name() -> None:
    """Custom clients report what they like."""
    names = RequestNames()
    assert (names.of("WSS", None), names.of(None, "place order"), names.of(None, 7)) == ("WSS", "place order", "7")


@pytest.mark.parametrize(
    ("err", "status", "kind"),
    [
        (CatchResponseError("wrong price"), 200, FAILED_BY_CODE),
        (CatchResponseError("wrong price"), 500, FAILED_BY_CODE),
        (RuntimeError("503 Server Error"), 503, "HTTP 503"),
        (ReadTimeout("slow"), 0, "timeout"),
        (RuntimeError(RuntimeError(ConnectionRefusedError(errno.ECONNREFUSED, "no"))), 0, "connection refused"),
        (ConnectionResetError(errno.ECONNRESET, "gone"), 0, "connection reset"),
        (PermissionError(errno.EPERM, "refused"), 0, "refused by the guard"),
        (KeyError("price"), 0, "exception KeyError"),
        ("text", 0, FAILED_BY_CODE),
    ],
)
def test_kinds_are_those_of_other_requests_where_there_is_one(err: object, status: int, kind: str) -> None:
    """Clients wrap the errors of the socket several times."""
    assert kind_of_error(err, status=status) == kind


def test_kinds_are_limited_too() -> None:
    """Code may make a class of errors for each request."""
    kinds = ErrorKinds(limit=1)
    assert [kinds.of(err, status=0) for err in (KeyError(), ValueError(), KeyError())] == [
        "exception KeyError",
        OTHER_ERRORS,
        "exception KeyError",
    ]


def test_an_error_that_is_its_own_cause_has_an_end() -> None:
    """Chains of causes may be circular."""
    err = RuntimeError("loop")
    err.args = (err,)
    assert kind_of_error(err, status=0) == "exception RuntimeError"
