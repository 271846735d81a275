"""Logins, the tokens that they return, and a route that needs one.

A token is valid for some seconds. With --with-faults, logins and tokens can be switched off at /admin/access.
"""

import base64
import binascii
import secrets
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import parse_qsl, unquote_plus

from fastapi import APIRouter, Header, Request
from pydantic import BaseModel, ConfigDict

from demo.platform.endpoint import Clock
from demo.platform.responses import JsonResponse

PASSWORD = "demo"  # noqa: S105 - everybody may log in to the demo
"""Of every user and every client."""

LIFE_S = 30.0

_CHALLENGE = {"WWW-Authenticate": 'Bearer error="invalid_token"'}


class Credentials(BaseModel):
    """The body of a login."""

    user: str
    password: str


class AccessState(BaseModel):
    """What works: new logins, and the tokens of earlier ones."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    logins: bool = True
    tokens: bool = True


class Access:
    """The valid tokens.

    Args:
        life_s: how long a token is valid.
        clock: the present, seconds since 1970-01-01 UTC.

    Attributes:
        state: what works.
    """

    def __init__(self, *, life_s: float, clock: Clock) -> None:
        self.life_s = life_s
        self.state = AccessState()
        self._clock = clock
        self._users: dict[str, tuple[str, float]] = {}

    def log_in(self, user: str, password: str) -> str | None:
        """Return a new token; ``None`` if the login is refused."""
        if not (self.state.logins and user and password == PASSWORD):
            return None
        now = self._clock()
        self._users = {token: held for token, held in self._users.items() if held[1] > now}
        token = secrets.token_urlsafe(24)
        self._users[token] = user, now + self.life_s
        return token

    def user_of(self, authorization: str) -> str | None:
        """Return whose token a header ``Authorization`` has; ``None`` if it is not valid."""
        user, valid_until = self._users.get(authorization.removeprefix("Bearer "), ("", 0.0))
        return user if self.state.tokens and valid_until > self._clock() else None


def access_router(access: Access) -> APIRouter:
    """Return POST /login, POST /oauth/token (RFC 6749), and GET /api/v1/account, which needs a token."""

    async def login(given: Credentials) -> JsonResponse:
        token = access.log_in(given.user, given.password)
        if token is None:
            return JsonResponse({"detail": "the login is refused"}, status_code=401)
        return JsonResponse({"session": {"token": token, "lifetime": access.life_s}})

    async def grant(request: Request) -> JsonResponse:
        fields = dict(parse_qsl((await request.body()).decode("latin-1")))
        user, password = _who(fields, request.headers.get("authorization", ""))
        if fields.get("grant_type") not in ("client_credentials", "password"):
            return JsonResponse({"error": "unsupported_grant_type"}, status_code=400)
        token = access.log_in(user, password)
        if token is None:
            return JsonResponse({"error": "invalid_client"}, status_code=401)
        return JsonResponse({"access_token": token, "token_type": "Bearer", "expires_in": access.life_s})

    async def account(authorization: Annotated[str, Header()] = "") -> JsonResponse:
        user = access.user_of(authorization)
        if user is None:
            return JsonResponse({"detail": "no valid token"}, status_code=401, headers=_CHALLENGE)
        return JsonResponse({"account": user, "currency": "EUR"})

    router = APIRouter(tags=["access"])
    router.add_api_route("/login", login, methods=["POST"], response_model=None)
    router.add_api_route("/oauth/token", grant, methods=["POST"], response_model=None)
    router.add_api_route("/api/v1/account", account, methods=["GET"], response_model=None)
    return router


def access_knob(access: Access) -> APIRouter:
    """Return GET and PUT /admin/access; both respond with what works."""

    async def show() -> JsonResponse:
        return JsonResponse(access.state.model_dump())

    async def put(state: AccessState) -> JsonResponse:
        access.state = state
        return await show()

    router = APIRouter(prefix="/admin", tags=["admin"])
    router.add_api_route("/access", show, methods=["GET"], response_model=None)
    router.add_api_route("/access", put, methods=["PUT"], response_model=None)
    return router


def _who(fields: Mapping[str, Any], authorization: str) -> tuple[str, str]:
    """Return the name and the secret of a grant: of its user, or of the client in form or header."""
    if fields.get("grant_type") == "password":
        return fields.get("username", ""), fields.get("password", "")
    if not authorization.startswith("Basic "):
        return fields.get("client_id", ""), fields.get("client_secret", "")
    try:
        name, _, secret = base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return unquote_plus(name), unquote_plus(secret)
