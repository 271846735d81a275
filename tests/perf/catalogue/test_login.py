"""The login of a service: where it may be, and what it may send."""

from typing import Any

import pytest
from pydantic import ValidationError

from include.perf.catalogue.catalogue import SERVICES_FILE
from include.perf.catalogue.cross_checks import problems_of_hosts
from include.perf.catalogue.forbidden_hosts import read_forbidden_hosts
from include.perf.catalogue.login import Login
from include.perf.catalogue.login_site import login_site
from include.perf.catalogue.service import Service

GRANT = {"url": "/oauth/token", "grant": "client_credentials"}


def service(login: dict[str, Any], **settings: Any) -> Service:
    return Service.model_validate(
        {
            "name": "orders-service",
            "base_url": "http://orders:8000",
            "allowed_hosts": ["orders", "identity.example"],
            "connection": "orders_api",
            "login": login,
            "prometheus": {"selector": 'service="x"'},
            "endpoints": [{"name": "orders", "method": "POST", "path": "/api/v1/orders"}],
        }
        | settings
    )


@pytest.mark.parametrize(
    ("url", "base_url", "path"),
    [
        ("/login", "http://orders:8000", "/login"),
        ("/login?realm=fx", "http://orders:8000", "/login?realm=fx"),
        ("https://identity.example/oauth/token", "https://identity.example", "/oauth/token"),
        ("https://identity.example:8443/t?a=/b", "https://identity.example:8443", "/t?a=/b"),
        ("https://identity.example", "https://identity.example", "/"),
    ],
)
def test_a_login_is_a_path_of_the_service_or_elsewhere(url: str, base_url: str, path: str) -> None:
    login = Login.model_validate(GRANT | {"url": url})
    assert (login.base_url("http://orders:8000"), login.path) == (base_url, path)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"url": "ftp://identity.example/t"}, "must be a path, or a URL such as https://identity"),
        ({"url": "https://ana:secret@identity.example/t"}, "must be a path, or a URL"),
        ({"url": "//identity.example/t"}, "names another host"),
        ({"url": "/oauth/../token"}, r"must have no \. or \.\. between slashes"),
        ({"url": "/oauth token"}, "must have neither spaces nor a fragment"),
        ({"body": {"a": 1}}, "a grant of OAuth 2.0 is sent as a form"),
        ({"method": "GET"}, "a grant of OAuth 2.0 is a POST request, but method is GET"),
        ({"form": {"client_secret": "4711"}}, "client_secret looks like a secret, and secrets belong in Connections"),
        ({"grant": None, "scope": "prices"}, "scope is only for a grant"),
        ({"grant": None, "body": {"a": "$user"}}, r"a: \$user is unknown here; a login may use \$login and \$password"),
        ({"grant": None, "body": {"a": "1 $"}}, r"a has a \$ without the name of a placeholder"),
        ({"grant": None, "body": {"user": {"password": "4711"}}}, r"user.password looks like a secret.*\$password"),
        ({"grant": None, "body": {}, "form": {}}, "has both body and form"),
        ({"grant": None, "form": {}, "method": "GET"}, "a GET request has no body"),
        ({"headers": {"Authorization": "Basic eA=="}}, "headers: Authorization looks like a secret"),
        ({"token": "a..b"}, "must be keys separated by dots"),
        ({"tokens": 21}, "less than or equal to 20"),
        ({"lifetime_s": 0.5}, "greater than or equal to 1"),
    ],
)
def test_a_wrong_login_is_refused(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        Login.model_validate(GRANT | changes)


@pytest.mark.parametrize(
    ("login", "settings", "problem"),
    [
        (
            {"url": "https://elsewhere.example/t"},
            {},
            "'elsewhere.example' of login.url is not in allowed_hosts",
        ),
        ({"url": "http://8.8.8.8/t"}, {"allowed_hosts": ["orders", "8.8.8.8"]}, "login.url is in none of allowed_netw"),
        ({}, {"connection": None}, "login needs the secrets of a Connection"),
        ({"url": "http://orders/t"}, {"base_url": "https://orders"}, "login.url must be https, as base_url is"),
        ({"header": "X-Tenant"}, {"headers": {"x-tenant": "7"}}, "headers or signing set X-Tenant too"),
        ({"header": "X-Forwarded-Host"}, {}, "login.header: X-Forwarded-Host redirects requests"),
        ({"header": "X-Cell"}, {}, "login.header: X-Cell is not known to leave the target of a request alone"),
    ],
)
def test_a_login_that_does_not_fit_its_service_is_refused(
    login: dict[str, Any], settings: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ValidationError, match=problem):
        service(GRANT | login, **settings)


def test_a_ca_file_may_be_only_for_the_login() -> None:
    made = service(GRANT | {"url": "https://identity.example/t"}, ca_file="ca.pem")
    site = login_site(made)
    assert site is not None
    assert (site.base_url, site.port, site.ca_file) == ("https://identity.example", 443, made.ca_file)


@pytest.mark.parametrize("forbidden", ["identity.example", "identity.example:443"])
def test_a_forbidden_host_is_refused_as_that_of_a_login(forbidden: str) -> None:
    made = service(GRANT | {"url": "https://identity.example/t"})
    problems = problems_of_hosts({made.name: made}, read_forbidden_hosts([forbidden]), left_out=())
    assert problems[made.name] == [
        f"{SERVICES_FILE}: orders-service: load to https://identity.example is refused: that is {forbidden} "
        "(forbidden_hosts in services.yaml); correct login.url"
    ]


def test_the_host_of_a_production_service_is_refused_as_that_of_a_login() -> None:
    made = service(GRANT | {"url": "https://identity.example/t"})
    live = service(
        GRANT,
        name="live-service",
        environment="production",
        base_url="http://identity.example",
        allow_production=True,
        max_rate_rps=1,
    )
    problems = problems_of_hosts({made.name: made, live.name: live}, (), left_out=())
    assert "that is identity.example (the host of live-service, environment production)" in problems[made.name][0]
    assert not problems[live.name]
