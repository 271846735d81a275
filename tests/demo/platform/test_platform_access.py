"""Logins of the demo, their tokens, and the route that needs one."""

from collections.abc import Callable
from typing import Any

import pytest

from demo.platform.faults import PlatformFaults
from tests.demo.platform.conftest import FakeClock, Service

LOGIN = {"user": "ana", "password": "demo"}


@pytest.fixture
def service(start: Callable[..., Service]) -> Service:
    return start("trading-gateway-service", faults=PlatformFaults())


def account(service: Service, token: str) -> tuple[int, Any]:
    answer = service.ask("GET", "/api/v1/account", headers={"Authorization": f"Bearer {token}"})
    return answer.status_code, answer.json()


def logged_in(service: Service) -> str:
    return str(service.ask("POST", "/login", json=LOGIN).json()["session"]["token"])


def test_a_token_is_valid_for_thirty_seconds(service: Service, clock: FakeClock) -> None:
    token = logged_in(service)
    clock.now_s += 29
    assert account(service, token) == (200, {"account": "ana", "currency": "EUR"})
    clock.now_s += 2
    assert account(service, token) == (401, {"detail": "no valid token"})


def test_a_request_without_a_token_is_refused(service: Service) -> None:
    answer = service.ask("GET", "/api/v1/account")
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, 'Bearer error="invalid_token"')


@pytest.mark.parametrize(
    ("fields", "options"),
    [
        ({"grant_type": "client_credentials"}, {"auth": ("ana", "demo")}),
        ({"grant_type": "client_credentials", "client_id": "ana", "client_secret": "demo"}, {}),
        ({"grant_type": "password", "username": "ana", "password": "demo"}, {"auth": ("app", "anything")}),
    ],
)
def test_the_grants_of_oauth(service: Service, fields: dict[str, str], options: dict[str, Any]) -> None:
    found = service.ask("POST", "/oauth/token", data=fields, **options).json()
    assert (found["token_type"], found["expires_in"]) == ("Bearer", 30)
    assert account(service, found["access_token"])[0] == 200


@pytest.mark.parametrize(
    ("fields", "status", "error"),
    [
        ({"grant_type": "implicit"}, 400, "unsupported_grant_type"),
        ({"grant_type": "client_credentials", "client_id": "ana", "client_secret": "guess"}, 401, "invalid_client"),
        ({"grant_type": "client_credentials"}, 401, "invalid_client"),
    ],
)
def test_other_grants_are_refused(service: Service, fields: dict[str, str], status: int, error: str) -> None:
    answer = service.ask("POST", "/oauth/token", data=fields)
    assert (answer.status_code, answer.json()) == (status, {"error": error})


def test_logins_and_tokens_can_be_switched_off(service: Service) -> None:
    token = logged_in(service)
    assert service.ask("PUT", "/admin/access", json={"logins": False}).json() == {"logins": False, "tokens": True}
    assert service.ask("POST", "/login", json=LOGIN).status_code == 401
    assert account(service, token)[0] == 200
    service.ask("PUT", "/admin/access", json={"tokens": False})
    assert account(service, token)[0] == 401
    assert account(service, logged_in(service))[0] == 401
