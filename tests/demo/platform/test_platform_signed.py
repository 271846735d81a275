"""The route that needs a signature."""

import hashlib
import hmac
from collections.abc import Callable
from typing import Any

import pytest

from demo.platform.signed import KEY_ID, SECRET, WINDOW_S
from tests.demo.platform.conftest import NOON_S, FakeClock


def headers_of(nonce: str, *, body: bytes = b"", at: float = NOON_S, secret: str = SECRET) -> dict[str, str]:
    timestamp = f"{at * 1000:.0f}"
    text = f"{timestamp}{nonce}POST/api/v1/signed?a=1%2F2".encode() + body
    signature = hmac.digest(secret.encode(), text, hashlib.sha256).hex()
    return {"X-Key": KEY_ID, "X-Timestamp": timestamp, "X-Nonce": nonce, "X-Signature": signature}


@pytest.fixture
def ask(start: Callable[..., Any]) -> Callable[..., Any]:
    service = start("trading-gateway-service")
    return lambda headers, body=b"": service.ask("POST", "/api/v1/signed?a=1%2F2", headers=headers, content=body)


def test_a_signed_request_is_accepted_once(ask: Callable[..., Any], clock: FakeClock) -> None:
    """Until its timestamp is too old, its nonce is known; then the timestamp refuses it."""
    headers = headers_of("n-1", body=b'{"a": 1}')
    assert ask(headers, b'{"a": 1}').json() == {"nonce": "n-1"}
    clock.now_s += WINDOW_S
    assert ask(headers_of("n-2", at=clock.now_s)).status_code == 200
    assert ask(headers, b'{"a": 1}').json() == {"detail": "the nonce was used before"}
    clock.now_s += 0.001
    assert ask(headers, b'{"a": 1}').json() == {"detail": "the timestamp is too far from the present"}


@pytest.mark.parametrize(
    ("headers", "problem"),
    [
        ({}, "wrong signature"),
        (headers_of("n", secret="another"), "wrong signature"),
        (headers_of("n", body=b"x"), "wrong signature"),
        (headers_of("n") | {"X-Key": "other"}, "wrong signature"),
        (headers_of("n") | {"X-Nonce": "m"}, "wrong signature"),
        (headers_of("n", at=NOON_S + WINDOW_S + 0.001), "the timestamp is too far from the present"),
        (headers_of("n", at=NOON_S - WINDOW_S - 0.001), "the timestamp is too far from the present"),
    ],
)
def test_what_is_refused(ask: Callable[..., Any], headers: dict[str, str], problem: str) -> None:
    response = ask(headers)
    assert (response.status_code, response.json()) == (401, {"detail": problem})
