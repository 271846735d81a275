"""Fetches tokens: the login request of a service, and what its answer must contain.

The host of a login is checked before each login, by the rules for the host of a load, and only its checked addresses
are called. Error messages contain neither a secret nor anything of the answer except a code of OAuth 2.0.

Source: RFC 6749, sections 2.3.1 (Basic with encoded names), 4.3 and 4.4 (grants), 5.1 and 5.2 (answers).
"""

import base64
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus, urlencode

from include.perf.adapters.http.exchange import MAX_BYTES, exchange
from include.perf.catalogue.endpoint import FORM_TYPE, JSON_TYPE
from include.perf.catalogue.expectation import SUCCESSFUL, value_in
from include.perf.catalogue.forbidden_hosts import ForbiddenHost
from include.perf.catalogue.headers import problems_of_headers
from include.perf.catalogue.login import Login, filled_in
from include.perf.catalogue.login_site import login_site
from include.perf.catalogue.service import Service
from include.perf.guards.hosts import allowed_addresses
from include.perf.load.feed import Request
from include.perf.load.service_secrets import LoginSecrets, User
from include.perf.load.tokens import MAX_LIFETIME_S, MIN_LIFETIME_S, Token
from include.perf.load.uri import encoded_target
from include.perf.load.wire import Answered, Credentials, Resolver, headers_of_load, wire_format
from include.perf.model.errors import ConfigurationError, TargetError
from include.perf.model.masking import Mask

MAX_TIMEOUT_S = 10.0
MAX_TOKEN = 8_192

_CODE = re.compile(r"[a-z_]{1,40}")


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpTokenIssuer:
    """Fetches tokens over HTTP.

    Attributes:
        credentials: returns the secrets of a service.
        forbidden_for: returns the hosts that must not be called for a service.
        conceal: receives each new token, to mask it in logs.
    """

    credentials: Credentials
    forbidden_for: Callable[[Service], Sequence[ForbiddenHost]]
    resolve: Resolver
    conceal: Callable[[str], None] = lambda _: None

    def log_in(self, service: Service, number: int) -> Token:
        """Fetch a token for a service with a login; see `include.perf.load.tokens.TokenIssuer`."""
        site, login = login_site(service), service.login
        secrets = self.credentials(service)
        if site is None or login is None or secrets.login is None:
            raise ConfigurationError(f"{service.name} has no login; set login in services.yaml")
        addresses = allowed_addresses(site, never=self.forbidden_for(service), resolve=self.resolve)
        request = login_request(login, secrets.login, number)
        plain, secret = (service.headers, secrets.headers) if login.is_at_base_url else ({}, {})
        headers = headers_of_load(plain, secret, keep_alive=False, own=request.headers)
        wire = wire_format(login.method, request, base_url=site.base_url, headers=headers)
        url = f"{site.base_url}{login.path.partition('?')[0]}"
        timeout_s = min(MAX_TIMEOUT_S, service.timeout_s)
        answer = exchange(site, addresses, wire, method=login.method, url=url, timeout_s=timeout_s)
        try:
            token = token_in(answer, login, mask=Mask(secrets.texts()))
        except ValueError as err:
            raise TargetError(
                f"{site.name} failed: {login.method} {url} {err}; correct the secrets in the connection "
                f"{service.connection}, or login in services.yaml"
            ) from None
        self.conceal(token.value)
        return token


def login_request(login: Login, secrets: LoginSecrets, number: int) -> Request:
    """Return the request that fetches a token.

    Args:
        number: of the token; the users of the connection take turns.
    """
    user = secrets.users[number % len(secrets.users)]
    target = encoded_target(login.path)
    if login.grant is not None:
        return _grant(login, user, secrets.client, target)
    values = {"login": user.login, "password": user.password}
    if login.body is not None:
        body = json.dumps(filled_in(login.body, values), ensure_ascii=False).encode()
        return Request(target, body, {"Content-Type": JSON_TYPE, **login.headers})
    if login.form is not None:
        return Request(target, *_form(filled_in(login.form, values), login.headers))
    return Request(target, None, {**login.headers, "Authorization": _basic(user.login, user.password)})


def _grant(login: Login, user: User, client: User | None, target: str) -> Request:
    """Return the request of a grant of OAuth 2.0."""
    fields = {"grant_type": str(login.grant), **(login.form or {})}
    headers = dict(login.headers)
    if login.scope is not None:
        fields["scope"] = login.scope
    if login.grant == "password":
        fields |= {"username": user.login, "password": user.password}
    else:
        client = user
    if client is not None and login.client_auth == "basic":
        headers["Authorization"] = _basic(quote_plus(client.login), quote_plus(client.password))
    elif client is not None:
        fields |= {"client_id": client.login, "client_secret": client.password}
    return Request(target, *_form(fields, headers))


def _form(fields: Mapping[str, str], headers: Mapping[str, str]) -> tuple[bytes, Mapping[str, str]]:
    return urlencode(fields).encode(), {"Content-Type": FORM_TYPE, **headers}


def _basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode("ascii")


def token_in(answer: Answered, login: Login, *, mask: Mask) -> Token:
    """Return the token of an answer.

    Raises:
        ValueError: there is none; says what is wrong, as in "returned 401".
    """
    if len(answer.body) > MAX_BYTES:
        raise ValueError(f"returned more than {MAX_BYTES:,} bytes")
    document = _json_of(answer.body)
    if answer.status not in SUCCESSFUL:
        code = value_in(document, "error")
        shown = f" ({mask(code)})" if isinstance(code, str) and _CODE.fullmatch(code) else ""
        raise ValueError(f"returned {answer.status}{shown}")
    if document is None:
        raise ValueError("did not return JSON")
    value = value_in(document, login.token)
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"returned no token at {login.token!r}")
    header = login.header_value(value.strip())
    if len(header) > MAX_TOKEN or problems_of_headers({login.header: header}, may_be_secret=True):
        raise ValueError(f"returned a token at {login.token!r} that no header can have")
    return Token(value=header, lifetime_s=_lifetime_s(value_in(document, login.lifetime), login))


def _json_of(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _lifetime_s(given: Any, login: Login) -> float | None:
    """Return the lifetime that an answer states, else that of the catalogue."""
    if given is None:
        return login.lifetime_s
    try:
        lifetime_s = float(given) if isinstance(given, (int, float, str)) and not isinstance(given, bool) else None
    except (ValueError, OverflowError):
        lifetime_s = None
    if lifetime_s is None or not lifetime_s < float("inf"):
        raise ValueError(f"returned no number of seconds at {login.lifetime!r}")
    if lifetime_s < MIN_LIFETIME_S:
        raise ValueError(
            f"returned a token that lives for {lifetime_s:g} s, and it must live for at least {MIN_LIFETIME_S:g} s"
        )
    return min(lifetime_s, MAX_LIFETIME_S)
