"""Fetching a token: what is sent, which answers are refused, and which hosts are called."""

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest

from include.perf.adapters.http.credentials import Secrets, service_secrets
from include.perf.adapters.http.exchange import MAX_BYTES
from include.perf.adapters.http.http_target import HttpTarget
from include.perf.adapters.http.token_issuer import HttpTokenIssuer
from include.perf.catalogue.forbidden_hosts import read_forbidden_hosts
from include.perf.catalogue.service import Service
from include.perf.load.feed import Request
from include.perf.load.service_secrets import LoginSecrets, ServiceSecrets, User
from include.perf.load.tokens import Token
from include.perf.model.errors import ConfigurationError, HostRefused, TargetError
from tests.certificates import self_signed
from tests.fakes.resolver import FakeResolver
from tests.socket_servers import Serve, SocketServer, Talk, always, answer

SECRET = "p4ss & w0rd%"
ANA = User(login="ana:1", password=SECRET)
SECRETS = LoginSecrets(users=(ANA,))
TOKEN = answer(b'{"access_token":"t0ken","token_type":"Bearer","expires_in":300}')
GRANT = {"url": "/oauth/token", "grant": "client_credentials"}


def service(url: str, login: dict[str, Any] | None = None, **settings: Any) -> Service:
    return Service.model_validate(
        {
            "name": "orders-service",
            "base_url": url,
            "allowed_hosts": ["127.0.0.1", "localhost"],
            "connection": "orders_api",
            "login": GRANT | (login or {}),
            "prometheus": {"selector": 'service="x"'},
            "endpoints": [{"name": "orders", "method": "POST", "path": "/api/v1/orders"}],
        }
        | settings
    )


def issuer(
    secrets: LoginSecrets = SECRETS, *, headers: dict[str, str] | None = None, **changes: Any
) -> HttpTokenIssuer:
    given = ServiceSecrets(login=secrets, headers=headers or {})
    fixed = {"credentials": lambda _: given, "forbidden_for": lambda _: (), "resolve": FakeResolver()}
    return HttpTokenIssuer(**fixed | changes)


class Recorder:
    """Answers with a token, and records the requests."""

    def __init__(self, serve: Serve, *, response: bytes = TOKEN) -> None:
        self.requests: list[bytes] = []
        self._response = response
        self.server: SocketServer = serve(self._script)

    def _script(self, talk: Talk) -> None:
        while (request := talk.read_request()) is not None:
            self.requests.append(request)
            talk.send(self._response)

    @property
    def sent(self) -> tuple[str, dict[str, str], str]:
        """The request line, the headers and the body of the only request."""
        ((head, _, body),) = (request.partition(b"\r\n\r\n") for request in self.requests)
        line, *fields = head.decode("latin-1").split("\r\n")
        return line, dict(field.split(": ", 1) for field in fields), body.decode()


@pytest.mark.parametrize(
    ("login", "client", "basic", "body"),
    [
        (GRANT | {"scope": "a b"}, None, "ana%3A1:p4ss+%26+w0rd%25", "grant_type=client_credentials&scope=a+b"),
        (
            GRANT | {"client_auth": "form", "form": {"audience": "fx"}},
            None,
            None,
            "grant_type=client_credentials&audience=fx&client_id=ana%3A1&client_secret=p4ss+%26+w0rd%25",
        ),
        (
            GRANT | {"grant": "password"},
            User(login="app", password="s3cret"),
            "app:s3cret",
            "grant_type=password&username=ana%3A1&password=p4ss+%26+w0rd%25",
        ),
        (GRANT | {"grant": "password"}, None, None, "grant_type=password&username=ana%3A1&password=p4ss+%26+w0rd%25"),
    ],
)
def test_a_grant_is_sent_as_oauth_says(
    serve: Serve, login: dict[str, Any], client: User | None, basic: str | None, body: str
) -> None:
    """RFC 6749: the client authenticates with its encoded name and secret, or with form fields."""
    seen = Recorder(serve)
    secrets = LoginSecrets(users=(ANA,), client=client)
    assert issuer(secrets).log_in(service(seen.server.url, login), 0) == Token(value="Bearer t0ken", lifetime_s=300)
    line, headers, sent = seen.sent
    assert (line, sent) == ("POST /oauth/token HTTP/1.1", body)
    assert headers["Content-Type"] == "application/x-www-form-urlencoded"
    found = headers.get("Authorization")
    assert (None if found is None else base64.b64decode(found.removeprefix("Basic ")).decode()) == basic


@pytest.mark.parametrize(
    ("login", "body"),
    [
        (
            {"body": {"user": {"name": "$login", "pass": "$password"}, "n": 1, "cost": "$$2"}},
            '{"user": {"name": "ana:1", "pass": "p4ss & w0rd%"}, "n": 1, "cost": "$2"}',
        ),
        ({"form": {"u": "$login", "p": "$password"}}, "u=ana%3A1&p=p4ss+%26+w0rd%25"),
        ({"method": "GET"}, ""),
    ],
)
def test_a_login_of_the_services_own_is_sent_as_it_is_written(serve: Serve, login: dict[str, Any], body: str) -> None:
    """The answer names token and lifetime where the catalogue says; without a body it is Basic authentication."""
    seen = Recorder(serve, response=answer(b'{"data":[{"jwt":"t0ken"}],"ttl":"60"}'))
    settings = {"grant": None, "url": "/login?realm=fx", "token": "data.0.jwt", "lifetime": "ttl", "scheme": "JWT"}
    made = service(seen.server.url, settings | {"headers": {"X-Client": "perf"}} | login, headers={"X-Tenant": "fx"})
    token = issuer(headers={"X-Api-Key": "k3y"}).log_in(made, 0)
    assert token == Token(value="JWT t0ken", lifetime_s=60)
    line, headers, sent = seen.sent
    assert line == f"{login.get('method', 'POST')} /login?realm=fx HTTP/1.1"
    assert sent == body
    assert ("Authorization" in headers) is not bool(body)
    assert (headers["X-Client"], headers["X-Tenant"], headers["X-Api-Key"]) == ("perf", "fx", "k3y")


def test_a_login_elsewhere_gets_no_header_of_the_service(serve: Serve) -> None:
    seen = Recorder(serve)
    made = service("http://127.0.0.1:9", {"url": f"{seen.server.url}/oauth/token"}, headers={"X-Tenant": "fx"})
    issuer(headers={"X-Api-Key": "k3y"}).log_in(made, 0)
    _, headers, _ = seen.sent
    assert not {"X-Tenant", "X-Api-Key"} & set(headers)
    assert headers["Host"] == f"127.0.0.1:{seen.server.port}"


def test_the_users_of_a_connection_take_turns(serve: Serve) -> None:
    seen = Recorder(serve)
    secrets = LoginSecrets(users=tuple(User(login=f"user{number}", password="x") for number in range(2)))
    for number in range(3):
        issuer(secrets).log_in(service(seen.server.url, {"grant": "password"}), number)
    names = [re.findall(rb"username=(\w+)", request)[0] for request in seen.requests]
    assert names == [b"user0", b"user1", b"user0"]


@pytest.mark.parametrize(
    ("body", "login", "lifetime_s"),
    [
        (b'{"access_token":"t"}', {}, None),
        (b'{"access_token":"t"}', {"lifetime_s": 120}, 120),
        (b'{"access_token":"t","expires_in":60}', {"lifetime_s": 120}, 60),
        (b'{"access_token":"t","expires_in":"59.5"}', {}, 59.5),
        (b'{"access_token":"t","expires_in":1e300}', {}, 10_000_000),
    ],
)
def test_the_lifetime_is_that_of_the_answer_else_that_of_the_catalogue(
    serve: Serve, body: bytes, login: dict[str, Any], lifetime_s: float | None
) -> None:
    assert issuer().log_in(service(serve(always(answer(body))).url, login), 0).lifetime_s == lifetime_s


@pytest.mark.parametrize(
    ("response", "problem"),
    [
        (answer(b'{"error":"invalid_client"}', status="401 Unauthorized"), r"returned 401 \(invalid_client\)"),
        (answer(b'{"error":"No, p4ss & w0rd%"}', status="400 Bad"), "returned 400"),
        (answer(b"<html>", status="502 Bad Gateway"), "returned 502"),
        (answer(b"", status="302 Found"), "returned 302"),
        (answer(b"<html>"), "did not return JSON"),
        (answer(b"[" * 100_000), "did not return JSON"),
        (answer(b"x" * (MAX_BYTES + 1)), "returned more than 1,000,000 bytes"),
        (answer(b'{"token":"t"}'), "returned no token at 'access_token'"),
        (answer(b'{"access_token":7}'), "returned no token at 'access_token'"),
        (answer(b'{"access_token":"a\\r\\nHost: evil"}'), "returned a token at 'access_token' that no header can have"),
        (answer(b'{"access_token":"\\u20ac"}'), "that no header can have"),
        (answer(b'{"access_token":"%s"}' % (b"x" * 9_000)), "that no header can have"),
        (
            answer(b'{"access_token":"t","expires_in":0.5}'),
            "token that lives for 0.5 s, and it must live for at least",
        ),
        (answer(b'{"access_token":"t","expires_in":true}'), "returned no number of seconds at 'expires_in'"),
        (answer(b'{"access_token":"t","expires_in":NaN}'), "returned no number of seconds"),
        (answer(b'{"access_token":"t","expires_in":"soon"}'), "returned no number of seconds"),
    ],
)
def test_an_answer_without_a_usable_token_is_an_error(serve: Serve, response: bytes, problem: str) -> None:
    """It names the request, and nothing of the answer or the connection."""
    server = serve(always(response))
    with pytest.raises(TargetError, match=problem) as raised:
        issuer().log_in(service(server.url, {"url": "/oauth/token?a=1"}), 0)
    text = str(raised.value)
    assert text.startswith(f"the login of orders-service failed: POST {server.url}/oauth/token ")
    assert text.endswith("; correct the secrets in the connection orders_api, or login in services.yaml")
    assert not re.search("p4ss|w0rd|evil|ana", text)


def test_a_login_that_is_not_reachable_is_an_error() -> None:
    with pytest.raises(TargetError, match=r"the login of orders-service is not reachable.*correct login.url"):
        issuer().log_in(service("http://127.0.0.1:9"), 0)


def test_the_host_is_checked_before_every_login(serve: Serve) -> None:
    """By its addresses too: a name may move to a forbidden one, or out of the allowed networks."""
    server = serve(always(TOKEN))
    made = service("http://127.0.0.1:9", {"url": f"http://localhost:{server.port}/t"})
    resolver = FakeResolver(localhost=[["127.0.0.1"], ["93.184.216.34"], ["127.0.0.1"]])
    forbidden: list[str] = []
    fetching = issuer(resolve=resolver, forbidden_for=lambda _: read_forbidden_hosts(forbidden))
    fetching.log_in(made, 0)
    with pytest.raises(HostRefused, match=r"the login of orders-service is refused: .* none of its allowed_networks"):
        fetching.log_in(made, 0)
    forbidden.append(f"127.0.0.1:{server.port}")
    with pytest.raises(HostRefused, match=r"and that is 127.0.0.1:\d+ .*; correct login.url or the name"):
        fetching.log_in(made, 0)
    assert server.accepted == 1


def test_tls_is_that_of_the_service(tmp_path: Path) -> None:
    with SocketServer(always(TOKEN), tls=self_signed(tmp_path)) as server:
        made = service(server.url, ca_file=tmp_path / "server.pem")
        assert issuer().log_in(made, 0).value == "Bearer t0ken"
        with pytest.raises(TargetError, match=r"certificate cannot be verified .* or correct login.url"):
            issuer().log_in(service(server.url), 0)


def test_each_token_is_concealed_from_logs(serve: Serve) -> None:
    concealed: list[str] = []
    issuer(conceal=concealed.append).log_in(service(serve(always(TOKEN)).url), 0)
    assert concealed == ["Bearer t0ken"]


def test_single_requests_have_a_token_and_answers_are_masked(serve: Serve) -> None:
    """A health check and a request of a smoke run: one login for both."""
    seen: list[bytes] = []

    def script(talk: Talk) -> None:
        while (request := talk.read_request()) is not None:
            seen.append(request)
            talk.send(answer(b'{"access_token":"t0ken-1234","expires_in":300}' if b"oauth" in request else b"{}"))

    made = service(serve(script).url)
    fetching = issuer()
    target = HttpTarget(credentials=fetching.credentials, issuer=fetching)
    target.check(made, ["127.0.0.1"])
    target.send(made, "POST", Request("/api/v1/orders", b"{}"), ["127.0.0.1"])
    lines = [request.split(b" ")[1] for request in seen]
    assert lines == [b"/oauth/token", b"/healthz", b"/api/v1/orders"]
    assert all(b"Authorization: Bearer t0ken-1234\r\n" in request for request in seen[1:])
    assert target.masked(made, f"token t0ken-1234, {SECRET}") == "token ***, ***"


@pytest.mark.parametrize(
    ("login", "given", "found"),
    [
        ({}, {"login": "app", "password": SECRET}, LoginSecrets(users=(User(login="app", password=SECRET),))),
        (
            {"grant": "password"},
            {"login": "a", "password": "b", "extra": {"client_id": "c", "client_secret": "d"}},
            LoginSecrets(users=(User(login="a", password="b"),), client=User(login="c", password="d")),
        ),
        (
            {"tokens": 2},
            {"extra": json.dumps({"users": [{"login": "a", "password": "b"}, {"login": "c", "password": "d"}]})},
            LoginSecrets(users=(User(login="a", password="b"), User(login="c", password="d"))),
        ),
    ],
)
def test_the_secrets_of_a_login_are_those_of_the_connection(
    login: dict[str, Any], given: dict[str, Any], found: LoginSecrets
) -> None:
    made = service("http://127.0.0.1:9", login)
    secrets = service_secrets(Secrets(**given), made)
    assert (secrets.login, dict(secrets.headers)) == (found, {})
    assert SECRET not in repr(secrets)
    assert SECRET not in json.dumps(secrets.message())


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({}, "a login needs secrets; set login and password"),
        ({"login": "", "password": ""}, "a login needs secrets; set login and password"),
        ({"extra": {"users": {"login": SECRET}}}, "users in extra must be a list"),
        ({"extra": {"users": [{"login": SECRET}]}}, "login and password, also those of users .* must be text"),
        ({"login": "a", "extra": {"token": SECRET}}, "its extra sets Authorization, and so does the login"),
        ({"login": "a", "extra": {"headers": {"authorization": SECRET}}}, "its extra sets Authorization"),
    ],
)
def test_unusable_secrets_of_a_login_are_refused(given: dict[str, Any], problem: str) -> None:
    made = service("http://127.0.0.1:9")
    with pytest.raises(ConfigurationError, match=f"the connection orders_api cannot be used: {problem}") as raised:
        service_secrets(Secrets(**given), made)
    assert SECRET not in str(raised.value)
