"""Which headers may be set, and the messages about others, which never contain values."""

from typing import Any

import pytest

from include.perf.catalogue.headers import (
    OWN_HEADERS,
    ROUTING_HEADERS,
    laid_over,
    problems_of_allowed_headers,
    problems_of_headers,
)

VALUE = "value-4711"


def test_ordinary_headers_are_allowed() -> None:
    """So are Content-Type and Accept, which replace those of the load generator."""
    headers = {"Content-Type": "application/vnd.orders+json", "Accept": "*/*", "X-Author": "é", "Idempotency-Key": "k"}
    assert problems_of_headers(headers, may_be_secret=False) == []


@pytest.mark.parametrize(
    ("headers", "problem"),
    [
        (VALUE, "headers must be names and texts, but are of type str"),
        ({"": VALUE}, "'' is not a valid header name; it may have letters, digits and - _ ."),
        ({"X A": VALUE}, "'X A' is not a valid header name"),
        ({"X:": VALUE}, "'X:' is not a valid header name"),
        ({"X-A": "\xee\x80\x81"}, "X-A must have no UTF-8 bytes of the private-use characters U+E000 to U+E03F"),
        ({"X\r\nY": VALUE}, r"'X\r\nY' is not a valid header name"),
        ({"Ä": VALUE}, "'Ä' is not a valid header name"),
        ({7: VALUE}, "7 is not a valid header name"),
        ({"X": 4711}, "X must be text, but is of type int; put it in quotes"),
        ({"X": None}, "X must be text, but is of type NoneType"),
        ({"X": f"{VALUE}\r\nHost: evil"}, "X must be one line of text, but has a line break"),
        ({"X": f"{VALUE}\x00"}, "X must be one line of text"),
        ({"X": f"{VALUE} €"}, "X must be Latin-1 text, but has other letters"),
        ({"X-A": VALUE, "x-a": VALUE}, "x-a is given more than once; header names are case-insensitive"),
    ],
)
def test_invalid_headers(headers: Any, problem: str) -> None:
    """One sentence per mistake, without the value, which may be a secret."""
    (found,) = problems_of_headers(headers, may_be_secret=True)
    assert found.startswith(problem)
    assert "4711" not in found


@pytest.mark.parametrize("name", [*sorted(OWN_HEADERS), "HOST", "Content-Length"])
def test_headers_of_the_connection_and_the_message_are_reserved(name: str) -> None:
    """A second Host or Content-Length would allow request smuggling."""
    assert problems_of_headers({name: VALUE}, may_be_secret=True) == [
        f"{name} is set by the load generator itself; remove it"
    ]


@pytest.mark.parametrize("name", [*sorted(ROUTING_HEADERS), "X-Forwarded-Host", "X_FORWARDED_HOST", "Forwarded"])
def test_routing_headers_are_refused(name: str) -> None:
    """A proxy that trusts them sends the request to an unchecked host."""
    assert problems_of_headers({name: VALUE}, may_be_secret=True) == [
        f"{name} redirects requests away from base_url; remove it and set the host there"
    ]


@pytest.mark.parametrize(
    "name", ["X-Forwarded-For", "X-Forwarded-Proto", "X-Request-Id", "x-scope-orgid", "X-B3-TraceId", "TRACEPARENT"]
)
def test_informational_headers_are_allowed(name: str) -> None:
    """They do not change where a request goes."""
    assert problems_of_headers({name: VALUE}, may_be_secret=False) == []


NOT_KNOWN = (
    "{} is not known to leave the target of a request alone; if no proxy routes by it, add it to allowed_headers"
)


@pytest.mark.parametrize(
    "name",
    [
        "X-Hostname",
        "X-Canary",
        "X-Upstream",
        "X-Route",
        "X-HTTP-Method-Override",
        "X-Tenant-Host",
        "X_Request_Id",
        "X-",
        "X",
        "Via",
        "Max-Forwards",
        "Router",
    ],
)
def test_headers_that_might_redirect_a_request_must_be_allowed_by_name(name: str) -> None:
    """A proxy may route by any header. A Connection may set any name, because those of secrets are arbitrary."""
    assert problems_of_headers({name: VALUE}, may_be_secret=False) == [NOT_KNOWN.format(name)]
    assert problems_of_headers({name: VALUE}, may_be_secret=False, allowed=[name.swapcase()]) == []
    assert problems_of_headers({name: VALUE}, may_be_secret=True) == []


@pytest.mark.parametrize(
    "name", ["Host", "x-forwarded-host", "X_Forwarded_Host", "Content-Length", "X A", "Content_Length"]
)
def test_headers_that_no_entry_may_allow(name: str) -> None:
    """Allowing them by name changes nothing, and is refused as well."""
    (problem,) = problems_of_headers({name: VALUE}, may_be_secret=False, allowed=[name])
    assert problems_of_allowed_headers([name, "X-Canary"]) == [problem]


@pytest.mark.parametrize(
    "name",
    [
        "Authorization",
        "authorization",
        "Proxy-Authorization",
        "Cookie",
        "X-Api-Key",
        "apikey",
        "X-Auth-User",
        "X-AccessToken",
        "X-Client-Secret",
        "Ocp-Apim-Subscription-Key",
        "X-Session",
    ],
)
def test_secrets_belong_in_a_connection(name: str) -> None:
    """In the catalogue they are refused with the remedy; in a Connection they are allowed."""
    assert problems_of_headers({name: VALUE}, may_be_secret=False) == [
        f"{name} looks like a secret, and secrets belong in Connections; remove it here, put it into an Airflow "
        "Connection and name that in the setting connection"
    ]
    assert problems_of_headers({name: VALUE}, may_be_secret=True) == []


def test_later_headers_take_precedence_in_any_case() -> None:
    """A header is never sent twice."""
    ours = {"Accept": "application/json", "User-Agent": "bellwether"}
    assert laid_over(ours, {"accept": "*/*"}, {"X-Team": "perf"}) == {
        "accept": "*/*",
        "User-Agent": "bellwether",
        "X-Team": "perf",
    }
    assert laid_over() == {}
