"""Prepared requests: what stands where in path, query, headers and body, and how it is encoded."""

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl

import pytest

from include.perf.catalogue.endpoint import Endpoint
from include.perf.catalogue.template import DECIMALS
from include.perf.load.feed import Request
from include.perf.load.request_template import RequestTemplate
from include.perf.load.slots import Slot, filled, head_bytes
from include.perf.model.errors import DataError

ROW = {"instrument": "EUR_USD", "side": "buy", "price": 1.085, "quantity": 3000, "volume": 0, DECIMALS: 5}


def endpoint(**settings: Any) -> Endpoint:
    return Endpoint.model_validate({"name": "orders", "method": "POST", "path": "/orders"} | settings)


def prepared(of_service: dict[str, str] | None = None, /, **settings: Any) -> Request:
    return RequestTemplate(endpoint(**settings), headers=of_service or {}).request(ROW)


def completed(contents: Sequence[bytes], **settings: Any) -> tuple[str, bytes]:
    """Return target and body with the given content in the slots."""
    request = prepared(**settings)
    body = b"" if request.body is None else filled(request.body, contents)
    return filled(head_bytes(request.target), contents).decode("latin-1"), body


@pytest.mark.parametrize(
    ("template", "rendered"),
    [
        ({"price": "$price"}, {"price": 1.085}),
        ({"price": "${price as text}"}, {"price": "1.08500"}),
        ({"price": "at $price"}, {"price": "at 1.08500"}),
        ({"quantity": "$quantity", "volume": "$volume"}, {"quantity": 3000, "volume": 0}),
        ({"tags": ["$instrument", {"$side": "$$5"}]}, {"tags": ["EUR_USD", {"buy": "$5"}]}),
        ({"$instrument": {"limits": [True, None, 2.5]}}, {"EUR_USD": {"limits": [True, None, 2.5]}}),
        (["$instrument", "€ü𝄞\x7f"], ["EUR_USD", "€ü𝄞\x7f"]),
    ],
)
def test_json_bodies(template: Any, rendered: Any) -> None:
    """Values keep their types, keys are templates too, and everything is ASCII."""
    request = prepared(body=template)
    assert request.body is not None
    assert request.body.isascii()
    assert json.loads(request.body) == rendered
    assert request.headers == {}


def test_values_of_its_own_are_slots_in_json() -> None:
    """A number has no quotes; a text has; within a longer text both are text."""
    template = {
        "id": "$uuid",
        "n": "$sequence",
        "text": "${sequence as text}",
        "$uuid": "order $sequence of $instrument é",
    }
    made = RequestTemplate(endpoint(body=template), headers={})
    made.request(ROW)
    assert made.slots == (
        Slot("uuid", (), "json"),
        Slot("sequence", (), "number"),
        Slot("sequence", (), "json"),
    )
    _, body = completed([b"U", b"17", b"18"], body=template)
    assert json.loads(body) == {"id": "U", "n": 17, "text": "18", "U": "order 18 of EUR_USD é"}


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/v1/$instrument/price", "/v1/EUR_USD/price"),
        ("/v1/EUR%2FUSD/price", "/v1/EUR%2FUSD/price"),
        ("/orders:batch", "/orders:batch"),
        ("/Orders(1)/a,b;c=d@e!$$'*+~", "/Orders(1)/a,b;c=d@e!$'*+~"),
        ("/für/%C3%BC", "/f%C3%BCr/%C3%BC"),
        ("/accounts/${accounts.id}/orders/$sequence", "/accounts/A%2F1/orders/7"),
        ('/"|\\^`', "/%22%7C%5C%5E%60"),
    ],
)
def test_paths(path: str, target: str) -> None:
    """Encoded once (RFC 3986): escapes stay, and what a path may have stays too."""
    assert completed([b"A%2F1", b"7"], path=path)[0] == target


@pytest.mark.parametrize(
    ("query", "pairs"),
    [
        ({"pair": "$instrument", "n": 20, "x": 1.5}, [("pair", "EUR_USD"), ("n", "20"), ("x", "1.5")]),
        ({"id": ["a", "$side", 3]}, [("id", "a"), ("id", "buy"), ("id", "3")]),
        ({"$side": "a&b=c d+e/€%"}, [("buy", "a&b=c d+e/€%")]),
        ({"at": "${now(ms)}"}, [("at", "17")]),
    ],
)
def test_queries(query: Any, pairs: list[tuple[str, str]]) -> None:
    """Names are templates too, and a list repeats its name."""
    target, _ = completed([b"17"], query=query)
    path, _, text = target.partition("?")
    assert path == "/orders"
    assert " " not in text
    assert "+" not in text
    assert parse_qsl(text, strict_parsing=True) == pairs


def test_a_form() -> None:
    """As browsers send it, with its content type."""
    request = prepared(form={"user": "a b", "pair": ["$instrument", "x&y"]})
    assert request == Request(
        "/orders",
        b"user=a+b&pair=EUR_USD&pair=x%26y",
        {"Content-Type": "application/x-www-form-urlencoded"},
    )


@pytest.mark.parametrize(
    ("settings", "content_type"),
    [({}, "text/plain; charset=utf-8"), ({"content_type": "application/xml"}, "application/xml")],
)
def test_a_text(settings: dict[str, str], content_type: str) -> None:
    """Sent as it is, placeholders filled in."""
    request = prepared(text="<order side='$side'>$price €</order>", **settings)
    assert request.body == "<order side='buy'>1.08500 €</order>".encode()
    assert request.headers == {"Content-Type": content_type}


def test_headers_of_the_service_and_of_the_endpoint() -> None:
    """The endpoint's win; those of the service without placeholders are sent with every request anyway."""
    headers = {"X-Request-Id": "$instrument", "X-Tenant": "t", "X-Channel": "$side"}
    request = prepared(headers, headers={"x-request-id": "own-$side"})
    assert request.headers == {"x-request-id": "own-buy", "X-Channel": "buy"}


@pytest.mark.parametrize(
    ("path", "option"), [("/a/${random_choice(b, ..)}", "'..'"), ("/a/${random_choice(b, /c)}", "'/c'")]
)
def test_a_choice_must_not_lead_to_another_path(path: str, option: str) -> None:
    with pytest.raises(DataError) as caught:
        prepared(path=path)
    assert str(caught.value) == (
        f"orders: an option of ${{random_choice}} must not lead to another path, but is {option}"
    )


def test_keys_that_become_equal_are_refused() -> None:
    """One of the values would be lost."""
    with pytest.raises(DataError, match=r"^orders: two keys of one object become 'buy'; rename one of them$"):
        prepared(body={"orders": [{"$side": 1, "buy": 2}]})


def test_too_many_values() -> None:
    """The limit is named."""
    body = {f"k{n}": f"${{random_int(0, {n})}}" for n in range(57)}
    with pytest.raises(DataError, match=r"^orders may have at most 56 different values of its own; use fewer$"):
        prepared(body=body)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"path": "/accounts/{accountID}/orders"}, "must say where {accountID} comes from"),
        ({"path": "/instruments/:instrument/candles"}, "must say where :instrument comes from"),
        ({"path": "/orders/:id.json"}, "must say where :id comes from"),
        ({"path": "/orders/:id(\\d+)"}, "must say where :id comes from"),
        ({"path": "/orders/<int:id>"}, "must say where <int:id> comes from"),
        ({"path": "/orders/[id]/fills"}, "must say where [id] comes from"),
        ({"path": "/orders/$order_id"}, "$order_id is not a field of the market data"),
        ({"path": "/orders/${x"}, "a placeholder must look like"),
        ({"path": "/orders?id=1"}, "must be a path without query, fragment or spaces"),
        ({"path": "/100%"}, "must have two hexadecimal digits after each %"),
        ({"path": "/a/%${random_choice(2)}e/x"}, "digits after each %, but is '/a/%${random_choice(2)}e/x'"),
        ({"path": "/a/%2$sequence"}, "must have two hexadecimal digits after each %"),
        ({"text": "x", "content_type": "a/b\r\nX-Forwarded-Host: c"}, "Content-Type must be one line of text"),
        ({"text": "x", "content_type": "a/€"}, "Content-Type must be Latin-1 text"),
        ({"method": "GET", "form": {"a": 1}}, "a GET request has no body; use query instead"),
        ({"method": "HEAD", "text": "x"}, "a HEAD request has no body; use query instead"),
        ({"body": {}, "form": {}}, "has both body and form; a request has one body"),
        ({"body": {}, "content_type": "a/b"}, "content_type is only for text"),
        ({"method": "HEAD", "expect": {"has": "a"}}, "the answer to HEAD has no body"),
    ],
)
def test_what_is_refused(settings: dict[str, Any], problem: str) -> None:
    """With the place and the rule."""
    with pytest.raises(ValueError, match=r".*") as caught:
        endpoint(**settings)
    assert problem in str(caught.value)
